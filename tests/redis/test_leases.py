"""Hold that an invalidation wins over a lease, with the order of the steps forced."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aiocache_core import MISS, Key, Lease
from aiocache_redis import RedisBackend
from tests.redis.conftest import DB, Make
from tests.redis.listener import listener
from tests.servers import Server

KEY: Key = ("space", "k")


async def _held(backend: RedisBackend, key: Key = KEY) -> Lease:
    lease = await backend.lease(key, 100.0)
    assert isinstance(lease, Lease)
    return lease


async def test_the_control_without_an_invalidation_the_value_is_stored(backend: RedisBackend) -> None:
    assert await backend.store_leased(await _held(backend), b"v", 10.0) is True
    assert await backend.get(KEY) == b"v"


async def test_a_store_in_the_middle_of_a_clear_is_removed_by_it(redis_server: Server, make: Make, redis: Any) -> None:
    owner = make()
    keys: list[Key] = [("space", f"k{number}") for number in range(2_000)]
    leases = [await _held(owner, key) for key in keys]
    async with listener(redis_server.port) as between:
        clearer = RedisBackend(port=between.port, db=DB)
        scanned = asyncio.Event()

        def stop_at_the_second_scan(data: bytes) -> bytes:
            if sum(request.count(b"SCAN") for request in between.requests) >= 2:
                scanned.set()
                between.passing.clear()
            return data

        between.rewrite = stop_at_the_second_scan
        clearing = asyncio.create_task(clearer.clear("space"))
        await scanned.wait()
        stored = [await owner.store_leased(lease, b"old", None) for lease in leases]
        assert True in stored, "some keys were not yet met"
        assert False in stored, "others were"
        between.rewrite = lambda data: data
        between.passing.set()
        await clearing
        await clearer.close()
    assert await redis.dbsize() == 0
    for lease in leases:
        assert await owner.store_leased(lease, b"old", None) is False
        assert await owner.renew(lease) is False
    assert await redis.dbsize() == 0


@pytest.mark.parametrize("namespace", ["space", None])
async def test_a_store_after_a_clear_is_refused(make: Make, namespace: str | None) -> None:
    owner, other = make(), make()
    lease = await _held(owner)
    await other.clear(namespace)
    assert await owner.renew(lease) is False
    assert await owner.store_leased(lease, b"old", None) is False
    assert await owner.get(KEY) is MISS


async def test_a_lease_begun_by_another_after_a_clear_is_its_own(make: Make) -> None:
    first, second = make(), make()
    old = await _held(first)
    await second.clear("space")
    new = await _held(second)
    assert await first.store_leased(old, b"old", None) is False
    await first.release(old)
    assert await second.store_leased(new, b"new", None) is True
    assert await first.get(KEY) == b"new"


async def test_an_evicted_mark_is_never_two_holders_unnoticed(make: Make, redis: Any) -> None:
    first, second = make(), make()
    old = await _held(first)
    await redis.delete("@space:k")
    new = await _held(second)
    assert await first.renew(old) is False
    assert await first.store_leased(old, b"old", None) is False
    assert await second.store_leased(new, b"new", None) is True


async def test_a_write_by_a_program_that_knows_no_leases_wins(make: Make, redis: Any) -> None:
    owner = make()
    for write, found in ((lambda: redis.set("@space:k", "foreign"), b"foreign"), (redis.flushdb, MISS)):
        await redis.flushdb()
        lease = await _held(owner)
        await write()
        assert await owner.store_leased(lease, b"old", None) is False
        assert await owner.get(KEY) == found
