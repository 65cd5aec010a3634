"""Hold locks: exclusive, renewed, and given back by their owner alone."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from aiocache_core import (
    BackendUnavailable,
    Cache,
    LockLost,
    OptimisticLock,
    OptimisticLockError,
    RedLock,
    UnsupportedCommand,
)
from tests.conformance_selftest.reference import EightMethods, Server
from tests.core.stores import DictCache


class Ticking:
    """Be the reference store's clock, and tick."""

    @property
    def now(self) -> float:
        return time.monotonic()


@pytest.fixture(params=["leases", "tokens"])
def cache(request: pytest.FixtureRequest) -> Any:
    if request.param == "leases":
        return Cache(namespace="main")
    server: Any = Server()
    server.clock = Ticking()
    return Cache(EightMethods, server=server)


class TestRedLock:
    async def test_one_at_a_time(self, cache: Any) -> None:
        inside = most = 0

        async def work() -> None:
            nonlocal inside, most
            async with RedLock(cache, "k", 5):
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0)
                inside -= 1

        await asyncio.gather(*[work() for _ in range(10)])
        assert (inside, most) == (0, 1)

    async def test_keys_do_not_meet(self, cache: Any) -> None:
        async with RedLock(cache, "a", 5), RedLock(cache, "b", 5):
            pass

    async def test_it_is_renewed(self, cache: Any) -> None:
        async with RedLock(cache, "k", 0.06) as lock:
            await asyncio.sleep(0.2)
            waiting = asyncio.create_task(RedLock(cache, "k", 5).acquire())
            await asyncio.sleep(0.01)
            assert not waiting.done()
            assert lock.lost is False
        await waiting

    async def test_without_renewal_the_next_one_enters(self, cache: Any) -> None:
        lock = RedLock(cache, "k", 0.05, renew=False)
        async with asyncio.timeout(5):
            async with lock, RedLock(cache, "k", 5) as other:
                assert other.lost is False
            with pytest.raises(LockLost, match="not held"):
                await lock.release(strict=True)

    async def test_only_the_owner_releases(self, cache: Any) -> None:
        first = RedLock(cache, "k", 0.05, renew=False)
        await first.acquire()
        second = RedLock(cache, "k", 5)
        await second.acquire()
        with pytest.raises(LockLost, match="was lost"):
            await first.release(strict=True)
        waiting = asyncio.create_task(RedLock(cache, "k", 5).acquire())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        await second.release(strict=True)
        await waiting

    async def test_a_lock_that_was_removed_is_lost(self, cache: Any) -> None:
        lock = RedLock(cache, "k", 0.06)
        await lock.acquire()
        await cache.backend.delete(lock.key)
        await asyncio.sleep(0.1)
        assert lock.lost is True
        with pytest.raises(LockLost):
            await lock.release(strict=True)
        await lock.release()

    async def test_a_lock_that_could_not_be_renewed_for_its_lease_is_lost(self, cache: Any) -> None:
        refused = asyncio.Event()

        async def refuse(_: object) -> bool:
            refused.set()
            raise BackendUnavailable("down")

        lock = RedLock(cache, "k", 0.06)
        await lock.acquire()
        before, cache.backend.renew, cache.backend.gets = cache.backend.gets, refuse, refuse
        await refused.wait()
        async with asyncio.timeout(5):
            while not lock.lost:  # noqa: ASYNC110 - the lock tells nobody
                await asyncio.sleep(0.01)
        cache.backend.gets = before
        del cache.backend.renew
        with pytest.raises(LockLost):
            await lock.release(strict=True)

    async def test_a_cancelled_waiter_leaves_the_others(self, cache: Any) -> None:
        first = RedLock(cache, "k", 5)
        await first.acquire()
        waiters = [asyncio.create_task(RedLock(cache, "k", 5).acquire()) for _ in range(2)]
        await asyncio.sleep(0.01)
        waiters[0].cancel()
        await first.release()
        async with asyncio.timeout(5):
            await waiters[1]

    async def test_one_object_is_one_holder(self, cache: Any) -> None:
        async with RedLock(cache, "k", 5) as lock:
            with pytest.raises(RuntimeError, match="held already"):
                await lock.acquire()

    @pytest.mark.parametrize(
        ("lease", "error"), [(0, ValueError), (None, ValueError), (-1, ValueError), ("1", TypeError)]
    )
    def test_a_wrong_lease_is_refused(self, lease: Any, error: type[Exception]) -> None:
        with pytest.raises(error, match="lease"):
            RedLock(Cache(), "k", lease)

    async def test_a_store_that_cannot_lock_says_so(self) -> None:
        with pytest.raises(UnsupportedCommand, match="neither leases nor compare-and-set"):
            await RedLock(DictCache(label="locks"), "k", 5).acquire()


@pytest.mark.parametrize("serializer", ["null", "string", "json", "pickle", ["json", "pickle"]])
class TestOptimisticLock:
    @pytest.fixture
    def locked(self, serializer: Any) -> Any:
        return Cache(serializer=serializer)

    async def test_an_unchanged_value_is_replaced(self, locked: Any) -> None:
        await locked.set("k", "old")
        async with OptimisticLock(locked, "k") as lock:
            await locked.exists("k")
            assert await lock.cas("new", ttl=5) is True
        assert await locked.get("k") == "new"
        assert await locked.expires_in("k") is not None

    async def test_a_change_is_a_conflict(self, locked: Any) -> None:
        await locked.set("k", "old")
        async with OptimisticLock(locked, "k") as lock:
            await locked.set("k", "theirs")
            with pytest.raises(OptimisticLockError, match="has changed"):
                await lock.cas("new")
        assert await locked.get("k") == "theirs"

    async def test_a_missing_key(self, locked: Any) -> None:
        async with OptimisticLock(locked, "k") as lock:
            assert await lock.cas("new", dumps_fn=None)
        await locked.delete("k")
        async with OptimisticLock(locked, "k") as lock:
            await locked.set("k", "theirs")
            with pytest.raises(OptimisticLockError):
                await lock.cas("new")

    async def test_a_deletion_is_a_conflict(self, locked: Any) -> None:
        await locked.set("k", "old")
        async with OptimisticLock(locked, "k") as lock:
            await locked.delete("k")
            with pytest.raises(OptimisticLockError):
                await lock.cas("new")
