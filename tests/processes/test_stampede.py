"""Hold that all processes that share a store compute a missing value once, whatever happens to its owner."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from aiocache_core import Cache, cached_stampede
from tests.servers import Server

Process = asyncio.subprocess.Process
Start = Callable[..., Awaitable[Process]]


@pytest.fixture(params=["redis", "memcached"])
def store(request: pytest.FixtureRequest) -> tuple[str, int]:
    server: Server = request.getfixturevalue(f"{request.param}_server")
    return request.param, server.port


@pytest.fixture
async def values(store: tuple[str, int]) -> AsyncIterator[Any]:
    """The cache of the values, empty at first."""
    name, port = store
    cache = Cache(name, port=port, namespace="values")
    await cache.clear()
    await cache.clear("calls")
    yield cache
    await cache.close()


@pytest.fixture
async def start(store: tuple[str, int], values: Any) -> AsyncIterator[Start]:
    """Start a worker and wait until it is ready."""
    processes: list[Process] = []

    async def start(callers: int, lease: float, seconds: float) -> Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).with_name("worker.py")),
            *map(str, (*store, callers, lease, seconds)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        processes.append(process)
        assert await line(process) == "ready"
        return process

    yield start
    for process in processes:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def line(process: Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(30):
        return (await process.stdout.readline()).decode().strip()


def go(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.write(b"\n")


async def last_line(process: Process) -> str:
    while (told := await line(process)).startswith("computing"):
        pass
    return told


async def calls(values: Any) -> int:
    return int(await values.get("calls", 0, namespace="calls"))


async def test_four_processes_of_two_hundred_callers_are_one_call(start: Start, values: Any) -> None:
    workers = [await start(200, 2, 0.5) for _ in range(4)]
    for worker in workers:
        go(worker)
    assert [await last_line(worker) for worker in workers] == ["got 200 ['value 1']"] * 4
    assert await calls(values) == 1


async def test_a_lease_is_renewed_while_its_owner_lives(start: Start, values: Any) -> None:
    workers = [await start(5, 0.3, 1.2) for _ in range(2)]
    for worker in workers:
        go(worker)
    assert [await last_line(worker) for worker in workers] == ["got 5 ['value 1']"] * 2
    assert await calls(values) == 1


async def test_it_passes_on_when_its_owner_is_killed(start: Start, values: Any) -> None:
    owner, other = await start(5, 0.5, 30), await start(5, 0.5, 0.1)
    go(owner)
    assert await line(owner) == "computing 1"
    go(other)
    owner.kill()
    assert await last_line(other) == "got 5 ['value 2']"
    assert await values.get("k") == "value 2"


async def test_an_owner_that_was_stopped_past_its_lease_overwrites_nothing(start: Start, values: Any) -> None:
    owner, other = await start(5, 0.5, 0.8), await start(5, 0.5, 0.1)
    go(owner)
    assert await line(owner) == "computing 1"
    owner.send_signal(signal.SIGSTOP)
    go(other)
    assert await last_line(other) == "got 5 ['value 2']"
    owner.send_signal(signal.SIGCONT)
    assert await last_line(owner) == "got 5 ['value 1']"
    assert await values.get("k") == "value 2"


@pytest.mark.parametrize("write", ["delete", "set", "clear", "nothing"])
async def test_an_invalidation_by_another_process_wins(start: Start, values: Any, write: str) -> None:
    owner = await start(5, 2, 0.5)
    go(owner)
    assert await line(owner) == "computing 1"
    if write == "set":
        await values.set("k", "written")
    elif write != "nothing":
        await (values.delete("k") if write == "delete" else values.clear())
    assert await last_line(owner) == "got 5 ['value 1']"
    assert await values.get("k") == {"set": "written", "nothing": "value 1"}.get(write)


async def test_waiting_sends_few_commands(start: Start, store: tuple[str, int], values: Any) -> None:
    owner = await start(1, 2, 3)
    go(owner)
    assert await line(owner) == "computing 1"
    name, port = store

    @cached_stampede(cache=name, port=port, namespace="values", key="k", lease=2)
    async def work() -> str:
        return "own"

    async def counted() -> int:
        if name == "redis":
            return int((await values.raw("info", "commandstats"))["cmdstat_evalsha"]["calls"])
        return int((await values.raw("stats"))[b"cmd_get"])

    waiters = [asyncio.create_task(work()) for _ in range(100)]
    await asyncio.sleep(0.3)
    before = await counted()
    await asyncio.sleep(1.5)
    sent = await counted() - before
    assert sent <= (
        10 if name == "redis" else 2 * 25 * 2
    )  # the owner's renewals among them; a memcached poll checks the namespace, too
    assert await asyncio.gather(*waiters) == ["value 1"] * 100
    await work.cache.close()
