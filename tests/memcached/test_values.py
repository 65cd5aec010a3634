"""Hold what memcached itself would get wrong: its seconds, its counters, its largest value, its flush."""

from __future__ import annotations

import asyncio
import time

import pytest

from aiocache_core import KEEP, MISS, BackendError, Lease, UnsupportedCommand, ValueTooLarge
from aiocache_memcached import MemcachedBackend
from tests.memcached.proxy import Proxy
from tests.servers import memcached_server

HOUR = 3600.0


async def left(backend: MemcachedBackend, key: str) -> float:
    """Return the seconds that an entry has left."""
    found = await backend.expires_in(key)
    assert isinstance(found, float)
    return found


# -- expiry ----------------------------------------------------------------------------------------------------------------


async def test_a_ttl_over_thirty_days_is_kept(backend: MemcachedBackend) -> None:
    ttl = 40 * 86400.0
    await backend.set("set", b"v", ttl)
    await backend.add("add", b"v", ttl)
    await backend.multi_set([("multi", b"v")], ttl)
    await backend.increment("count", 1, ttl)
    await backend.set("touched", b"v", None)
    await backend.expire("touched", ttl)
    for key in ("set", "add", "multi", "count", "touched"):
        assert await left(backend, key) == pytest.approx(ttl, abs=3)


async def test_expire_takes_the_expiry_away(backend: MemcachedBackend) -> None:
    await backend.set("k", b"v", HOUR)
    assert await backend.expires_in("k") == pytest.approx(HOUR, abs=2)
    assert await backend.expire("k", None) is True
    assert await backend.expires_in("k") is None
    assert await backend.expires_in("absent") is MISS


async def test_expire_and_expires_in_leave_a_mark_alone(backend: MemcachedBackend) -> None:
    lease = await backend.lease("k", 30)
    assert isinstance(lease, Lease)
    assert await backend.expire("k", 1) is False
    assert await backend.expires_in("k") is MISS
    assert await backend.exists("k") is False
    assert await backend.renew(lease)


async def test_a_counter_keeps_its_expiry_below_zero_and_with_fewer_digits(backend: MemcachedBackend) -> None:
    """Also to the second: an entry whose time is told and sent back at a tick would live a second longer each time."""
    await backend.increment("k", 3, HOUR)
    before = time.monotonic()
    expected = await left(backend, "k")
    for _ in range(300):
        for delta in (-5, 12, 95, -97, -5):
            await backend.increment("k", delta, None)
    assert await backend.get("k") == b"3"
    assert await left(backend, "k") <= expected - int(time.monotonic() - before) + 1
    for _ in range(50):  # around ticks
        assert await left(backend, "k") + (time.monotonic() - before) <= expected + 1.1
        await backend.increment("k", -5, None)
        await backend.increment("k", 5, None)
        await asyncio.sleep(0.025)


async def test_cas_keeps_the_expiry(backend: MemcachedBackend) -> None:
    await backend.set("k", b"v", HOUR)
    await backend.set("forever", b"v", None)
    for key in ("k", "forever"):
        _, version = await backend.gets(key)
        assert await backend.cas(key, version, b"w", KEEP) is True
        assert await backend.get(key) == b"w"
        assert await backend.cas(key, version, b"x", KEEP) is False
    assert await left(backend, "k") == pytest.approx(HOUR, abs=2)
    assert await backend.expires_in("forever") is None


# -- counters --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stored", [b"99 ", b" 5", b"+5", b"05", b"-0", b"5\n", b"18446744073709551615", b"", b"5.0"])
async def test_what_memcached_would_count_and_is_no_integer_is_left_alone(
    backend: MemcachedBackend, stored: bytes
) -> None:
    await backend.set("k", stored, HOUR)
    with pytest.raises(TypeError):
        await backend.increment("k", 1, None)
    assert await backend.get("k") == stored


async def test_a_counter_in_a_mark_begins_anew(backend: MemcachedBackend) -> None:
    lease = await backend.lease("k", 30)
    assert isinstance(lease, Lease)
    assert await backend.increment("k", 7, HOUR) == 7
    assert await left(backend, "k") == pytest.approx(HOUR, abs=2)
    assert await backend.store_leased(lease, b"stale", None) is False
    assert await backend.get("k") == b"7"


# -- large values ----------------------------------------------------------------------------------------------------------


async def test_no_old_value_is_left_where_the_new_one_is_too_large(backend: MemcachedBackend) -> None:
    large = b"x" * 2**20
    namespaced = ("space", "k")
    for key in ("k", namespaced):
        await backend.set(key, b"old", None)
        with pytest.raises(ValueTooLarge, match="1048576 bytes"):
            await backend.set(key, large, None)
        assert await backend.get(key) is MISS

        await backend.set(key, b"old", None)
        _, version = await backend.gets(key)
        with pytest.raises(ValueTooLarge):
            await backend.cas(key, version, large, None)
        assert await backend.get(key) is MISS

        await backend.set(key, b"old", None)
        with pytest.raises(ValueTooLarge):
            await backend.multi_set([("a", b"1"), (key, large)], None)
        assert await backend.multi_get(["a", key]) == [b"1", MISS]

        lease = await backend.lease(key, 30)
        assert isinstance(lease, Lease)
        with pytest.raises(ValueTooLarge):
            await backend.store_leased(lease, large, None)
        assert isinstance(await backend.lease(key, 30), Lease)  # the mark is gone too
        await backend.delete(key)


async def test_a_refused_value_leaves_the_connection_right(backend: MemcachedBackend) -> None:
    large = b"x" * (3 * 2**20)
    for turn in range(20):
        with pytest.raises(ValueTooLarge):
            await backend.set(f"large{turn}", large, None)
        await backend.set("k", b"%d" % turn, None)
        assert await backend.get("k") == b"%d" % turn


async def test_a_server_with_smaller_items_says_so() -> None:
    with memcached_server("-I", "512k") as server:
        backend = MemcachedBackend(port=server.port)
        await backend.set("k", b"x" * 400_000, None)
        with pytest.raises(ValueTooLarge):
            await backend.set("k", b"x" * 600_000, None)
        assert await backend.get("k") is MISS
        await backend.close()


async def test_a_full_server_that_evicts_nothing_refuses_with_its_reason() -> None:
    with memcached_server("-M", "-m", "2", "-I", "512k") as server:
        backend = MemcachedBackend(port=server.port)
        await backend.set("k", b"old", None)
        with pytest.raises(BackendError, match="out of memory"):
            for number in range(200):
                await backend.set(f"fill{number}", b"x" * 200_000, None)
        assert await backend.get("k") == b"old"
        await backend.close()


# -- the whole store -------------------------------------------------------------------------------------------------------


async def test_a_flush_is_exact_within_its_second(backend: MemcachedBackend, other: MemcachedBackend) -> None:
    """Memcached's flush has a grain of a second by its clock; what is set right before is gone, right after is there."""
    for turn in range(150):
        before = b"before %d" % turn
        await backend.multi_set([("k", before), (("space", "k"), before)], None)
        lease = await other.lease("leased", 30)
        assert isinstance(lease, Lease)
        await backend.clear(None)
        assert await backend.multi_get(["k", ("space", "k")]) == [MISS, MISS]
        assert await other.get("k") is MISS
        assert await other.store_leased(lease, b"stale", None) is False
        after = b"after %d" % turn
        await other.multi_set([("k", after), (("space", "k"), after)], None)
        assert await backend.multi_get(["k", ("space", "k")]) == [after, after]
        await asyncio.sleep(0.01)
        assert await other.multi_get(["k", ("space", "k")]) == [after, after]


async def test_a_forbidden_flush_is_an_error_with_its_reason() -> None:
    with memcached_server("-F") as server:
        backend = MemcachedBackend(port=server.port)
        await backend.set(("space", "k"), b"v", None)
        with pytest.raises(BackendError, match="flush_all not allowed"):
            await backend.clear(None)
        assert await backend.get(("space", "k")) == b"v"
        await backend.clear("space")
        assert await backend.get(("space", "k")) is MISS
        await backend.close()


# -- servers without meta commands -----------------------------------------------------------------------------------------


async def test_an_old_server_does_all_but_what_needs_meta_commands(proxy: Proxy) -> None:
    proxy.refuses_meta = True
    backend = MemcachedBackend(port=proxy.port)
    key = ("old", "k")
    await backend.clear("old")
    await backend.set(key, b"v", None)
    assert await backend.get(key) == b"v"
    assert await backend.exists(key) is True
    assert await backend.expire(key, HOUR) is True
    assert await backend.expire(("old", "absent"), HOUR) is False
    _, version = await backend.gets(key)
    assert await backend.cas(key, version, b"w", None) is True
    assert await backend.delete(key) is True
    assert await backend.delete(key) is False
    lease = await backend.lease(key, 30)
    assert isinstance(lease, Lease)
    assert await backend.renew(lease)
    assert await backend.exists(key) is False
    assert await backend.expire(key, HOUR) is False
    assert await backend.store_leased(lease, b"5", None)
    assert await backend.increment(("old", "new"), 3, None) == 3
    with pytest.raises(UnsupportedCommand, match=r"memcached 1\.6"):
        await backend.increment(key, 1, None)
    with pytest.raises(UnsupportedCommand, match=r"memcached 1\.6"):
        await backend.expires_in(key)
    await backend.close()
