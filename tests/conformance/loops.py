"""Part loops: one backend object in several event loops, one after another and at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from aiocache_core import Backend, BackendUnavailable, counter
from tests.conformance.harness import DEADLINE, Store, counts, part, read, when


async def _use(backend: Backend, name: str) -> None:
    for turn in range(20):
        await backend.set((name, "k"), f"{name} {turn}", None)
        assert await read(backend, (name, "k")) == f"{name} {turn}".encode()
    await asyncio.gather(*(backend.set((name, str(number)), b"v", None) for number in range(20)))
    assert await backend.multi_delete([(name, str(number)) for number in range(20)]) == 20


def _in_threads(number: int, work: Callable[[int], None]) -> None:
    """Run work in threads at once; raise what one of them raised."""
    errors: list[BaseException] = []

    def run(index: int) -> None:
        try:
            work(index)
        except BaseException as error:  # noqa: BLE001 - raised again below, in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(index,), daemon=True) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
        assert not thread.is_alive(), "a command hangs"
    if errors:
        raise errors[0]


@part("loops")
class Loops:
    """Making a backend needs no loop, and none is its own."""

    def test_a_backend_is_made_without_a_loop(self, store: Store) -> None:
        backend = store.factory()
        assert backend.abilities is type(backend).abilities

    def test_several_runs_one_after_another(self, store: Store) -> None:
        asyncio.run(store.begin())
        for turn in range(3):
            asyncio.run(_use(store.backend, f"run {turn}"))

        async def look() -> None:
            assert await read(store.backend, ("run 0", "k")) == b"run 0 19"
            await store.end()

        asyncio.run(look())

    def test_runs_after_close(self, store: Store) -> None:
        async def use_and_close() -> None:
            await _use(store.backend, "space")
            await store.backend.close()

        for _ in range(3):
            asyncio.run(use_and_close())

    def test_a_run_that_ends_in_the_middle_of_commands(self, store: Store) -> None:
        async def leave_behind() -> None:
            await store.backend.set("k", b"v", None)
            for number in range(20):
                task = asyncio.create_task(store.backend.get("k" if number % 2 else "absent"))
                left.append(task)
            await asyncio.sleep(0)

        left: list[asyncio.Task[Any]] = []
        for _ in range(3):
            asyncio.run(leave_behind())
            for task in left:
                assert task.cancelled() or isinstance(task.exception(), BackendUnavailable | None)
            asyncio.run(_use(store.backend, "space"))

    def test_two_loops_in_turns(self, store: Store) -> None:
        with asyncio.Runner() as first, asyncio.Runner() as second:
            for runner in (first, second, first, first, second):
                runner.run(_use(store.backend, "space"))
            first.run(store.backend.close())
            second.run(_use(store.backend, "space"))
            first.run(_use(store.backend, "space"))

    def test_threads_with_a_loop_each(self, store: Store) -> None:
        asyncio.run(store.begin())
        _in_threads(4, lambda index: asyncio.run(_use(store.backend, f"thread {index}")))
        asyncio.run(_use(store.backend, "main"))

    def test_closing_in_one_thread_does_not_disturb_another(self, store: Store) -> None:
        async def use(index: int) -> None:
            for _ in range(5):
                await _use(store.backend, f"thread {index}")
                if index == 0:
                    await store.backend.close()

        _in_threads(2, lambda index: asyncio.run(use(index)))

    @when(counts)
    def test_increments_of_several_threads_are_all_counted(self, store: Store) -> None:
        async def count() -> None:
            for _ in range(10):
                await asyncio.gather(*(store.backend.increment("k", 1, None) for _ in range(5)))

        async def look() -> None:
            assert counter(await store.backend.get("k")) == 200
            await store.end()

        asyncio.run(store.begin())
        _in_threads(4, lambda index: asyncio.run(count()))
        asyncio.run(look())
