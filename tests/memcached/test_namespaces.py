"""Hold that a clear is one step, exact, and seen by every command begun after it, by whomever."""

from __future__ import annotations

import asyncio
import multiprocessing
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from aiocache_core import MISS, Busy, Lease
from aiocache_memcached import MemcachedBackend, names
from tests.memcached.proxy import Hold, Proxy
from tests.servers import Server

KEY = ("space", "k")
PLACE = names.generation_of("space")
CHECK = b"get " + PLACE + b"\r\n"


@pytest.fixture
async def warm(behind: MemcachedBackend, backend: MemcachedBackend) -> MemcachedBackend:
    """A backend behind the proxy that knows the namespace's generation."""
    await behind.set(KEY, b"old", None)
    return behind


async def forget(backend: MemcachedBackend) -> None:
    """Make the server lose the namespace's generation, as by eviction."""
    assert await backend.raw("delete", PLACE)


# -- exactness -------------------------------------------------------------------------------------------------------------


async def test_clearing_one_namespace_leaves_all_others(backend: MemcachedBackend) -> None:
    spaces = ["a", "ab", "a:b", "a*", "@a", "%", "a b", "é", "x" * 300, "x" * 301]
    for space in spaces:
        await backend.set((space, "k"), space.encode(), None)
    await backend.set("k", b"none", None)
    for cleared in spaces:
        await backend.clear(cleared)
        for space in spaces:
            assert await backend.get((space, "k")) == (MISS if space == cleared else space.encode())
        await backend.set((cleared, "k"), cleared.encode(), None)
    assert await backend.get("k") == b"none"


async def test_every_command_begun_after_a_clear_sees_it(backend: MemcachedBackend, other: MemcachedBackend) -> None:
    """``backend`` is warm with the old generation each time."""

    async def missing(check: Any) -> None:
        await backend.set(KEY, b"5", None)
        lease = await backend.lease(("space", "leased"), 30)
        assert isinstance(lease, Lease)
        _, version = await backend.gets(KEY)
        await other.clear("space")
        await check(lease, version)

    async def commands(name: str, lease: Lease, version: Any) -> None:
        answers: dict[str, Any] = {
            "get": (lambda: backend.get(KEY), MISS),
            "multi_get": (lambda: backend.multi_get([KEY, "absent"]), [MISS, MISS]),
            "exists": (lambda: backend.exists(KEY), False),
            "expires_in": (lambda: backend.expires_in(KEY), MISS),
            "expire": (lambda: backend.expire(KEY, 9), False),
            "delete": (lambda: backend.delete(KEY), False),
            "multi_delete": (lambda: backend.multi_delete([KEY]), 0),
            "add": (lambda: backend.add(KEY, b"new", None), True),
            "increment": (lambda: backend.increment(KEY, 1, None), 1),
            "gets": (lambda: backend.gets(KEY), (MISS, None)),
            "cas": (lambda: backend.cas(KEY, version, b"new", None), False),
            "renew": (lambda: backend.renew(lease), False),
            "store_leased": (lambda: backend.store_leased(lease, b"stale", None), False),
        }
        ask, answer = answers[name]
        assert await ask() == answer, name

    for name in (
        "get",
        "multi_get",
        "exists",
        "expires_in",
        "expire",
        "delete",
        "multi_delete",
        "add",
        "increment",
        "gets",
        "cas",
        "renew",
        "store_leased",
    ):
        await missing(lambda lease, version, name=name: commands(name, lease, version))
    await backend.set(KEY, b"v", None)
    await other.clear("space")
    await backend.set(KEY, b"new", None)
    assert await other.get(KEY) == b"new"
    await other.clear("space")
    await backend.multi_set([(KEY, b"newer"), (("space", "l"), b"v")], None)
    assert await other.multi_get([KEY, ("space", "l")]) == [b"newer", b"v"]


async def test_nothing_is_asked_twice_where_nothing_was_cleared(warm: MemcachedBackend, proxy: Proxy) -> None:
    await warm.get(KEY)
    proxy.requests.clear()
    await warm.get(KEY)
    await warm.set(KEY, b"v", None)
    await warm.delete(KEY)
    assert len(proxy.requests) == 3


async def test_a_lost_generation_reads_as_cleared(backend: MemcachedBackend, other: MemcachedBackend) -> None:
    await backend.set(KEY, b"old", None)
    lease = await backend.lease(("space", "leased"), 30)
    assert isinstance(lease, Lease)
    await forget(backend)
    assert await backend.get(KEY) is MISS
    assert await other.get(KEY) is MISS
    assert await backend.store_leased(lease, b"stale", None) is False
    await other.set(KEY, b"new", None)
    assert await backend.get(KEY) == b"new"


async def test_a_generation_that_another_program_has_spoiled_harms_nobody(backend: MemcachedBackend) -> None:
    await backend.set("bystander", b"v", None)
    await backend.raw("set", PLACE, b"x 0 0 0\r\nflush_all\r\n")
    await backend.set(KEY, b"v", None)
    assert await backend.get(KEY) == b"v"
    assert await backend.get("bystander") == b"v"


async def test_more_namespaces_than_are_remembered(backend: MemcachedBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiocache_memcached.namespaces._MOST_KNOWN", 10)
    for number in range(50):
        await backend.set((f"n{number}", "k"), b"%d" % number, None)
    assert len(backend._namespaces._known) <= 10
    for number in range(50):
        assert await backend.get((f"n{number}", "k")) == b"%d" % number


# -- forced interleavings: the generation has been read, the command has not yet run ---------------------------------------


async def between(proxy: Proxy, command: Any, meanwhile: Any, after: bytes = CHECK) -> Any:
    """Run a command, and something else when the server has answered its check and not yet seen the rest."""
    hold = proxy.hold = Hold(after)
    task = asyncio.create_task(command)
    await hold.reached.wait()
    await meanwhile()
    hold.released.set()
    return await task


async def test_a_write_that_a_clear_overtakes_is_not_seen(
    warm: MemcachedBackend, other: MemcachedBackend, proxy: Proxy
) -> None:
    """The clear comes between the check and the write: the write counts as before it."""

    async def clear() -> None:
        await other.clear("space")
        assert await other.get(KEY) is MISS

    writes: list[Any] = [
        lambda: warm.set(KEY, b"stale", None),
        lambda: warm.add(("space", "l"), b"stale", None),
        lambda: warm.multi_set([(KEY, b"stale"), (("space", "l"), b"stale")], None),
    ]
    for write in writes:
        await warm.set(KEY, b"old", None)
        await between(proxy, write(), clear)
        for reader in (other, warm):
            assert await reader.multi_get([KEY, ("space", "l")]) == [MISS, MISS]


async def test_a_leased_store_that_a_clear_overtakes_is_not_seen(
    warm: MemcachedBackend, other: MemcachedBackend, proxy: Proxy
) -> None:
    await warm.delete(KEY)
    lease = await warm.lease(KEY, 30)
    assert isinstance(lease, Lease)
    await between(proxy, warm.store_leased(lease, b"stale", None), lambda: other.clear("space"))
    assert await other.get(KEY) is MISS
    assert await warm.get(KEY) is MISS


async def test_a_lease_that_a_clear_overtakes_stores_nothing(
    warm: MemcachedBackend, other: MemcachedBackend, proxy: Proxy
) -> None:
    await warm.delete(KEY)
    lease = await between(proxy, warm.lease(KEY, 30), lambda: other.clear("space"))
    if isinstance(lease, Lease):
        assert await warm.store_leased(lease, b"stale", None) is False
    assert await other.get(KEY) is MISS
    assert isinstance(await other.lease(KEY, 30), Lease)


async def test_a_cold_command_that_a_clear_overtakes(
    behind: MemcachedBackend, other: MemcachedBackend, backend: MemcachedBackend, proxy: Proxy
) -> None:
    """The generation was created by the command itself, and cleared before it was read back."""
    hold = proxy.hold = Hold(CHECK[:4])
    task = asyncio.create_task(behind.set(KEY, b"new", None))
    await hold.reached.wait()
    await other.clear("space")
    hold.released.set()
    await task
    assert await other.get(KEY) == b"new"
    assert await behind.get(KEY) == b"new"


# -- many writers, two processes, a restart --------------------------------------------------------------------------------


async def test_two_hundred_racing_writers_around_a_clear(backend: MemcachedBackend, other: MemcachedBackend) -> None:
    """A value written by a command that ended before the clear began is never seen after it."""
    for turn in range(5):
        ended: set[int] = set()
        enough = asyncio.Event()

        async def write(number: int, ended: set[int] = ended, turn: int = turn, enough: asyncio.Event = enough) -> None:
            store = backend if number % 2 else other
            if number % 3:
                await store.set(("space", f"k{number}"), b"%d" % turn, None)
            else:
                await store.multi_set([(("space", f"k{number}"), b"%d" % turn)], None)
            ended.add(number)
            if len(ended) == 60:
                enough.set()

        tasks = [asyncio.create_task(write(number)) for number in range(200)]
        await enough.wait()
        before = set(ended)
        await other.clear("space")
        found = await backend.multi_get([("space", f"k{number}") for number in range(200)])
        assert all(found[number] is MISS for number in before)
        await asyncio.gather(*tasks)
        late = await other.multi_get([("space", f"k{number}") for number in range(200)])
        assert all(late[number] is MISS for number in before)


CHILD = textwrap.dedent("""
    import asyncio, sys
    from aiocache_core import MISS
    from aiocache_memcached import MemcachedBackend

    async def main():
        backend = MemcachedBackend(port=int(sys.argv[1]))
        loop = asyncio.get_running_loop()
        print("ready", flush=True)
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            command, *value = line.split()
            if command == "get":
                found = await backend.get(("space", "k"))
                print("miss" if found is MISS else found.decode(), flush=True)
            elif command == "set":
                await backend.set(("space", "k"), value[0], None)
                print("done", flush=True)
            elif command == "clear":
                await backend.clear("space")
                print("done", flush=True)
            elif command == "lease":
                print(type(await backend.lease(("space", "k"), 30)).__name__, flush=True)
    asyncio.run(main())
""")


class Child:
    """Be another process with a backend of its own."""

    def __init__(self, port: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    async def tell(self, command: str) -> str:
        """Give a command and return its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return await asyncio.to_thread(self._line)

    def end(self) -> None:
        self.process.communicate()
        assert self.process.returncode == 0


async def test_two_processes_one_warm(backend: MemcachedBackend, own_server: Server) -> None:
    child = Child(own_server.port)
    try:
        for turn in range(20):
            assert await child.tell(f"set {turn}") == "done"  # it is warm from here on
            assert await backend.get(KEY) == b"%d" % turn
            await backend.clear("space")
            assert await child.tell("get") == "miss"
            await backend.set(KEY, b"ours", None)
            assert await child.tell("get") == "ours"
            assert await child.tell("clear") == "done"
            assert await backend.get(KEY) is MISS
            lease = await backend.lease(KEY, 30)
            assert isinstance(lease, Lease)
            assert await child.tell("lease") == "Busy"
            assert await child.tell("clear") == "done"
            assert await backend.store_leased(lease, b"stale", None) is False
            assert await child.tell("get") == "miss"
    finally:
        child.end()


async def test_a_restart_of_the_server_clears_and_nothing_comes_back(server_apart: Server) -> None:
    backend = MemcachedBackend(port=server_apart.port)
    child = Child(server_apart.port)
    try:
        await backend.set(KEY, b"old", None)
        assert await child.tell("get") == "old"
        lease = await backend.lease(("space", "leased"), 30)
        assert isinstance(lease, Lease)
        await asyncio.to_thread(server_apart.restart)
        assert await child.tell("get") == "miss"
        assert await child.tell("set new") == "done"
        assert await backend.get(KEY) == b"new"
        assert await backend.store_leased(lease, b"stale", None) is False
        await backend.clear("space")
        assert await child.tell("get") == "miss"
    finally:
        child.end()
        await backend.close()


def _count(port: int, number: int) -> None:
    async def main() -> None:
        backend = MemcachedBackend(port=port)
        for turn in range(200):
            await backend.increment(("space", "count"), 1 if turn % 2 else -2, None)
        await backend.close()

    asyncio.run(main())


async def test_processes_count_together_from_nothing_and_below_zero(
    backend: MemcachedBackend, own_server: Server
) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_count, args=(own_server.port, number)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        await asyncio.to_thread(process.join)
        assert process.exitcode == 0
    assert await backend.get(("space", "count")) == b"-400"


async def test_a_mark_of_a_cleared_namespace_blocks_nobody(backend: MemcachedBackend, other: MemcachedBackend) -> None:
    assert isinstance(await backend.lease(KEY, 30), Lease)
    assert isinstance(await other.lease(KEY, 30), Busy)
    await backend.clear("space")
    assert isinstance(await other.lease(KEY, 30), Lease)
