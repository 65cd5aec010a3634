"""Part processes: a backend that was used before a fork works in the child, and still in the parent."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import traceback
import warnings
from collections.abc import Callable

from aiocache_core import Backend
from tests.conformance.harness import DEADLINE, Store, part, read


def can_fork(backend_class: type[Backend]) -> bool:
    return hasattr(os, "fork")


def start_child(work: Callable[[], None]) -> tuple[int, int]:
    """Run work in a forked process; return its id and the pipe that will hold what it raised."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads, of which none is ours
        child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    code = 1
    try:
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - the child must not run on as if it were the parent
        os.write(writing, traceback.format_exc().encode()[-4_000:])
    finally:
        os._exit(code)


def finish_child(child: int, reading: int) -> None:
    """Wait for a child; fail with what it raised, or if it hangs."""
    deadline = time.monotonic() + DEADLINE
    status = None
    while status is None:
        finished, status_now = os.waitpid(child, os.WNOHANG)
        if finished:
            status = status_now
        elif time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
        else:
            time.sleep(0.005)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read().decode()
    assert os.waitstatus_to_exitcode(status) == 0, told or "the child hangs"


async def _use(backend: Backend, name: str) -> None:
    for turn in range(30):
        await backend.set((name, "k"), f"{name} {turn}", None)
        assert await read(backend, (name, "k")) == f"{name} {turn}".encode()


@part("processes", can_fork)
class Processes:
    """Fork, as multiprocessing and preloading web servers do it."""

    def test_a_child_uses_the_backend_that_its_parent_has_used(self, store: Store) -> None:
        with asyncio.Runner() as parent:
            parent.run(store.begin())
            parent.run(store.backend.set("before", b"v", None))

            def work() -> None:
                async def main() -> None:
                    assert await read(store.backend, "before") == b"v"
                    await _use(store.backend, "child")
                    await store.backend.close()

                asyncio.run(main())

            child = start_child(work)
            parent.run(_use(store.backend, "parent"))
            finish_child(*child)
            parent.run(_use(store.backend, "parent"))
            parent.run(store.end())

    def test_a_child_that_leaves_without_closing(self, store: Store) -> None:
        with asyncio.Runner() as parent:
            parent.run(_use(store.backend, "parent"))
            child = start_child(lambda: asyncio.run(_use(store.backend, "child")))
            finish_child(*child)
            parent.run(_use(store.backend, "parent"))
            parent.run(store.end())
