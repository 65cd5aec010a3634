"""Part closing: close ends what is pending, hangs never, and is not the end."""

from __future__ import annotations

import asyncio

from aiocache_core import BackendUnavailable
from tests.conformance.harness import DEADLINE, Store, part, plain, read


@part("closing")
class Closing:
    """Close twice, before use, while busy; and use again."""

    async def test_close_before_use_and_twice(self, store: Store) -> None:
        backend = store.factory()
        await backend.close()
        await backend.close()

    async def test_a_closed_backend_is_used_again(self, store: Store) -> None:
        for turn in range(3):
            await store.backend.set(("space", "k"), b"%d" % turn, None)
            await store.backend.close()
            assert await read(store.backend, ("space", "k")) == b"%d" % turn
            await store.backend.close()
            await store.backend.close()

    async def test_close_leaves_other_clients_alone(self, store: Store) -> None:
        one, other = store.clients(2)
        await one.set("k", b"v", None)
        await other.get("k")
        await one.close()
        assert await read(other, "k") == b"v"

    async def test_close_while_busy_ends_every_command(self, store: Store) -> None:
        backend = store.backend
        large = b"x" * 100_000
        for turns in (0, 1, 2, 3, 5, 8, 13):
            await backend.set("k", large, None)
            tasks = [asyncio.create_task(backend.get("k")) for _ in range(20)]
            tasks += [asyncio.create_task(backend.get("absent")) for _ in range(20)]
            for _ in range(turns):
                await asyncio.sleep(0)
            async with asyncio.timeout(DEADLINE):
                await backend.close()
                await asyncio.wait(tasks)
            errors = [asyncio.CancelledError() if task.cancelled() else task.exception() for task in tasks]
            for number, (task, error) in enumerate(zip(tasks, errors, strict=True)):
                assert isinstance(error, BackendUnavailable | None), error
                if error is None:
                    assert (plain(task.result()) == large) is (number < 20)
            assert await read(backend, "k") == large

    async def test_closing_at_once_from_several_tasks(self, store: Store) -> None:
        await store.backend.set("k", b"v", None)
        async with asyncio.timeout(DEADLINE):
            await asyncio.gather(*(store.backend.close() for _ in range(5)))
        assert await read(store.backend, "k") == b"v"
