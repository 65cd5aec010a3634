"""Hold that a key's lease has one owner, ends with any write of the key, and passes on when its owner dies."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from typing import Any

import pytest

from aiocache_core import MISS, Busy, Cache, Lease, LockLost, RedLock, cached_stampede, records
from aiocache_memcached import MemcachedBackend, MemcachedCache, protocol
from tests.memcached.proxy import Hold, Proxy
from tests.servers import Server

KEYS: list[Any] = ["k", ("space", "k")]


async def take(backend: MemcachedBackend, key: Any, seconds: float = 30) -> Lease:
    answer = await backend.lease(key, seconds)
    assert isinstance(answer, Lease)
    return answer


@pytest.mark.parametrize("key", KEYS, ids=repr)
async def test_whoever_writes_or_removes_the_key_ends_the_lease(
    backend: MemcachedBackend, other: MemcachedBackend, key: Any
) -> None:
    async def by_cas(stored: Any) -> bool:
        _, version = await other.gets(key)
        return await other.cas(key, version, stored, None)

    writes: dict[str, Any] = {
        "set": (lambda: other.set(key, b"w", None), b"w"),
        "multi_set": (lambda: other.multi_set([(key, b"w")], None), b"w"),
        "add": (lambda: other.add(key, b"w", None), b"w"),
        "increment": (lambda: other.increment(key, 3, None), b"3"),
        "delete": (lambda: other.delete(key), MISS),
        "multi_delete": (lambda: other.multi_delete([key]), MISS),
        "cas": (lambda: by_cas(b"w"), b"w"),
        "cas to nothing": (lambda: by_cas(MISS), MISS),
        "clear": (lambda: other.clear(key[0] if isinstance(key, tuple) else None), MISS),
        "clear all": (lambda: other.clear(None), MISS),
    }
    for name, (write, left) in writes.items():
        lease = await take(backend, key)
        await write()
        assert await backend.renew(lease) is False, name
        lease = Lease(key, 30, lease.token)
        assert await backend.store_leased(lease, b"stale", None) is False, name
        assert await backend.get(key) == left, name
        await backend.delete(key)
    lease = await take(backend, key)
    assert await backend.store_leased(lease, b"v", None) is True, "the control: nothing came in between"
    assert await other.get(key) == b"v"


@pytest.mark.parametrize("key", KEYS, ids=repr)
async def test_a_stale_token_stores_nothing(backend: MemcachedBackend, other: MemcachedBackend, key: Any) -> None:
    """Each lost lease is tried to the end with the token it had when it was lost."""
    lease = await take(backend, key)
    token = lease.token
    await other.delete(key)
    new = await take(other, key)
    for act in (backend.renew, backend.release):
        await act(Lease(key, 30, token))
        assert isinstance(await backend.lease(key, 30), Busy)
    assert await backend.store_leased(Lease(key, 30, token), b"stale", None) is False
    assert await other.renew(new) is True
    assert await other.store_leased(new, b"v", None) is True
    await backend.release(Lease(key, 30, token))
    assert await backend.get(key) == b"v"


async def test_a_write_between_add_and_gets_gives_no_lease(
    backend: MemcachedBackend, behind: MemcachedBackend, proxy: Proxy
) -> None:
    """The mark's unique number is read after it was added: another's number must not be taken for it."""
    await behind.get("warm")
    for write, answer in (
        (lambda: backend.set("k", b"w", None), b"w"),
        (lambda: take(backend, "k"), Busy),
    ):
        await backend.delete("k")
        hold = proxy.hold = Hold(b"gets ")
        task = asyncio.create_task(behind.lease("k", 30))
        await hold.reached.wait()
        await backend.delete("k")
        await write()
        hold.released.set()
        found = await task
        assert found == answer if isinstance(answer, bytes) else isinstance(found, answer)


async def test_an_invalidation_between_the_renewal_and_its_reading(
    backend: MemcachedBackend, behind: MemcachedBackend, proxy: Proxy
) -> None:
    lease = await take(behind, "k")
    hold = proxy.hold = Hold(b"gets ")
    task = asyncio.create_task(behind.renew(lease))
    await hold.reached.wait()
    await backend.delete("k")
    successor = await take(backend, "k")
    hold.released.set()
    assert await task is False
    assert await behind.store_leased(lease, b"stale", None) is False
    assert await backend.store_leased(successor, b"v", None) is True


@pytest.mark.parametrize("key", KEYS, ids=repr)
async def test_a_dead_owners_lease_passes_on_once(backend: MemcachedBackend, other: MemcachedBackend, key: Any) -> None:
    dead = await take(backend, key, 0.3)
    began = time.monotonic()
    third = MemcachedBackend(port=backend.port)

    async def wait(store: MemcachedBackend) -> Any:
        while isinstance(answer := await store.lease(key, 0.3), Busy):
            assert 0 < answer.retry_after <= 0.3
            await store.changed(key, answer.retry_after)
        return answer

    waiting = [asyncio.create_task(wait(store)) for store in (other, third)]
    done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert time.monotonic() - began >= 0.3
    (winner,) = done
    lease = winner.result()
    assert isinstance(lease, Lease)
    assert await backend.store_leased(dead, b"stale", None) is False
    owner = other if winner is waiting[0] else third
    assert await owner.store_leased(lease, b"v", None) is True
    (loser,) = pending
    assert await loser == b"v"
    await third.close()


async def test_a_living_owner_keeps_its_lease(backend: MemcachedBackend, other: MemcachedBackend) -> None:
    lease = await take(backend, "k", 0.8)
    until = time.monotonic() + 1.2
    while time.monotonic() < until:
        assert await backend.renew(lease)
        assert isinstance(await other.lease("k", 0.8), Busy)
        await asyncio.sleep(0.05)
    assert await backend.store_leased(lease, b"v", None) is True


async def test_an_evicted_mark_is_not_stored_over(backend: MemcachedBackend) -> None:
    lease = await take(backend, "k")
    assert await backend.raw("delete", b"k")
    assert await backend.renew(Lease("k", 30, lease.token)) is False
    assert await backend.store_leased(lease, b"stale", None) is False
    assert await backend.get("k") is MISS


async def test_a_mark_is_known_by_its_flag(backend: MemcachedBackend) -> None:
    """A value that looks like a mark is a value; a mark of another program's making blocks for a lease at most."""
    await backend.set("k", records.new_mark(30), None)
    assert await backend.exists("k") is True
    pool = backend._pools.current()
    for content in (b"", b"junk", records.PREFIX, records.new_mark(0)):
        from aiocache_memcached.connection import Request

        await pool.exchange(Request(protocol.store(b"set", b"f", content, 0, protocol.MARK)))
        assert await backend.get("f") is MISS
        assert isinstance(await backend.lease("f", 0.1), Busy)
        await asyncio.sleep(0.12)
        lease = await take(backend, "f", 0.1)
        await backend.release(lease)


async def test_a_restarted_server_gives_no_old_lease_its_right_back(server_apart: Server) -> None:
    """Unique numbers begin anew with a server, so that the new mark may have the very number of the old one."""
    backend = MemcachedBackend(port=server_apart.port)
    old = await take(backend, "k")
    _, version = await backend.gets("k")
    await asyncio.to_thread(server_apart.restart)
    new = await take(backend, "k")
    assert new.token.version.unique == old.token.version.unique, "else this test proves nothing"
    assert await backend.renew(Lease("k", 30, old.token)) is False
    await backend.release(Lease("k", 30, old.token))
    assert await backend.cas("k", version, b"stale", None) is False
    assert await backend.store_leased(old, b"stale", None) is False
    assert await backend.store_leased(new, b"v", None) is True
    await backend.close()


async def test_waiting_costs_few_commands(backend: MemcachedBackend, behind: MemcachedBackend, proxy: Proxy) -> None:
    lease = await take(backend, ("space", "k"), 30)
    assert isinstance(await behind.lease(("space", "k"), 30), Busy)
    proxy.requests.clear()
    until = time.monotonic() + 1
    while time.monotonic() < until:
        answer = await behind.lease(("space", "k"), 30)
        assert isinstance(answer, Busy)
        await behind.changed(("space", "k"), answer.retry_after)
    assert len(proxy.requests) <= 25
    assert all(request.count(b"\r\n") == 2 for request in proxy.requests)
    await backend.release(lease)
    assert isinstance(await behind.lease(("space", "k"), 30), Lease)


async def test_many_watched_marks_are_bounded(
    backend: MemcachedBackend, other: MemcachedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiocache_memcached.leases._MOST_SEEN", 5)
    for number in range(20):
        await take(backend, f"k{number}")
        assert isinstance(await other.lease(f"k{number}", 30), Busy)
    assert len(other._leases._seen) <= 5


async def test_a_lock_excludes_and_tells_when_it_is_lost(own_server: Server, backend: MemcachedBackend) -> None:
    async with MemcachedCache(port=own_server.port, namespace="space") as cache:
        inside = most = 0

        async def enter() -> None:
            nonlocal inside, most
            async with RedLock(cache, "key", 5):
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0.005)
                inside -= 1

        await asyncio.gather(*(enter() for _ in range(8)))
        assert most == 1
        lock = RedLock(cache, "key", 5, renew=False)
        await lock.acquire()
        await backend.clear("space")
        with pytest.raises(LockLost):
            await lock.release(strict=True)


# -- across processes ------------------------------------------------------------------------------------------------------

CHILD = textwrap.dedent("""
    import asyncio, sys, time
    from aiocache_core import cached_stampede
    from aiocache_memcached import MemcachedBackend, MemcachedCache

    port, callers, lease, takes = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    cache = MemcachedCache(port=port, namespace="stampede")

    @cached_stampede(lease=lease, cache=cache, key="k")
    async def compute():
        print("computes", flush=True)
        await asyncio.sleep(takes)
        return "value of " + sys.argv[5]

    async def main():
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        values = await asyncio.gather(*(compute() for _ in range(callers)))
        assert len(set(values)) == 1, values
        print("got " + values[0], flush=True)
        await cache.close()
    asyncio.run(main())
""")


def child(port: int, callers: int, lease: float, takes: float, name: str) -> subprocess.Popen[str]:
    arguments = [str(port), str(callers), str(lease), str(takes), name]
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def begin(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


async def test_four_processes_compute_once(backend: MemcachedBackend, own_server: Server) -> None:
    """The function takes longer than its lease, which is renewed."""
    processes = [child(own_server.port, 200, 0.5, 1.2, str(number)) for number in range(4)]
    for process in processes:
        begin(process)
    said = []
    for process in processes:
        output, _ = await asyncio.to_thread(process.communicate)
        assert process.returncode == 0
        said += output.split("\n")
    assert said.count("computes") == 1
    assert len({line for line in said if line.startswith("got")}) == 1


async def test_a_killed_owners_lease_passes_on(backend: MemcachedBackend, own_server: Server) -> None:
    owner = child(own_server.port, 1, 0.5, 60, "owner")
    begin(owner)
    assert await asyncio.to_thread(line, owner) == "computes"
    heir = child(own_server.port, 5, 0.5, 0.1, "heir")
    begin(heir)
    await asyncio.sleep(0.3)
    owner.kill()
    output, _ = await asyncio.to_thread(heir.communicate)
    assert output.split("\n")[:2] == ["computes", "got value of heir"]
    owner.communicate()


async def test_a_stopped_owner_does_not_overwrite_its_heir(backend: MemcachedBackend, own_server: Server) -> None:
    owner = child(own_server.port, 1, 0.5, 1.0, "owner")
    begin(owner)
    assert await asyncio.to_thread(line, owner) == "computes"
    os.kill(owner.pid, signal.SIGSTOP)
    heir = child(own_server.port, 5, 0.5, 0.1, "heir")
    begin(heir)
    output, _ = await asyncio.to_thread(heir.communicate)
    assert output.split("\n")[:2] == ["computes", "got value of heir"]
    os.kill(owner.pid, signal.SIGCONT)
    output, _ = await asyncio.to_thread(owner.communicate)
    assert "got value of owner" in output  # its own callers get what was computed for them
    assert await backend.get(("stampede", "k")) == b'"value of heir"'


async def test_an_invalidation_by_another_process_wins_over_a_running_computation(
    backend: MemcachedBackend, own_server: Server
) -> None:
    async with MemcachedCache(port=own_server.port, namespace="stampede") as cache:
        for invalidate in (
            lambda: backend.delete(("stampede", "k")),
            lambda: backend.clear("stampede"),
            lambda: backend.clear(None),
        ):
            began, go_on = asyncio.Event(), asyncio.Event()

            @cached_stampede(lease=5, cache=cache, key="k")
            async def compute(began: asyncio.Event = began, go_on: asyncio.Event = go_on) -> str:
                began.set()
                await go_on.wait()
                return "old"

            task = asyncio.create_task(compute())
            await began.wait()
            await invalidate()
            go_on.set()
            assert await task == "old"
            assert await cache.exists("k") is False


def test_the_front_is_made_by_name() -> None:
    assert isinstance(Cache("memcached"), MemcachedCache)
