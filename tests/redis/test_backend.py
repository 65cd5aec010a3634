"""Hold what the redis store does with its server, beyond the contract."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from aiocache_core import MISS, BackendError, Key, Lease, UnsupportedCommand, ValueTooLarge, keys, records
from aiocache_redis import RedisBackend
from aiocache_redis.backend import BATCH, LARGEST
from tests.redis.conftest import DB, Make
from tests.redis.listener import listener
from tests.servers import HOST, Server

GLOBS = [
    "*",
    "?",
    "a*",
    "[ab]",
    "[^a]",
    "[a-b]",
    "\\",
    "a\\*",
    "a?c",
    "^",
    "-",
    "%",
    "a:b",
    "@a",
    "ä",
    "\ud800",
    " ",
    "\r\n",
    "\0",
]


async def test_keys_are_stored_byte_for_byte(backend: RedisBackend, redis: Any) -> None:
    await backend.set("user:1", b"v", None)
    await backend.set(("app", "user:1"), b"w", None)
    assert await redis.get("user:1") == b"v"
    assert await redis.get("@app:user:1") == b"w"
    await redis.set("user:2", "foreign")
    assert await backend.get("user:2") == b"foreign"


@pytest.mark.parametrize(
    ("ttl", "milliseconds"),
    [(0.29, 290), (1.1, 1100), (60, 60_000), (0.0001, 1), (1e-12, 1), (2.5, 2500), (0.0101, 11)],
)
async def test_a_ttl_is_rounded_up_to_a_millisecond(
    backend: RedisBackend, redis: Any, ttl: float, milliseconds: int
) -> None:
    async with listener(backend.port) as between:
        asked = RedisBackend(port=between.port, db=DB)
        await asked.set("k", b"v", ttl)
        await asked.close()
    whole = milliseconds % 1000 == 0
    expected = (b"EX", b"%d" % (milliseconds // 1000)) if whole else (b"PX", b"%d" % milliseconds)
    request = between.requests[-1].split(b"\r\n")
    assert (request[-4], request[-2]) == expected


@pytest.mark.parametrize("ttl", [1e9, 1e15, 1e308])
async def test_a_huge_ttl_is_no_error(backend: RedisBackend, ttl: float) -> None:
    await backend.set("k", b"v", ttl)
    await backend.multi_set([("l", b"v"), ("m", b"v")], ttl)
    assert await backend.add("n", b"v", ttl) is True
    assert await backend.increment("i", 1, ttl) == 1
    await backend.set("e", b"v", None)
    assert await backend.expire("e", ttl) is True
    for key in "klmnie":
        left = await backend.expires_in(key)
        assert isinstance(left, float)
        assert left > 1e8


async def test_a_mark_is_missing_in_every_command(backend: RedisBackend, redis: Any) -> None:
    async def marked() -> Lease:
        await backend.delete("k")
        lease = await backend.lease("k", 100.0)
        assert isinstance(lease, Lease)
        return lease

    lease = await marked()
    assert await backend.get("k") is MISS
    assert await backend.multi_get(["k", "k"]) == [MISS, MISS]
    assert await backend.exists("k") is False
    assert await backend.expires_in("k") is MISS
    assert await backend.expire("k", 1.0) is False
    assert await backend.expire("k", None) is False
    assert await redis.pttl("k") > 50_000, "a mark's expiry is its own"
    assert (await backend.gets("k"))[0] is MISS
    assert await backend.renew(lease) is True
    assert await backend.add("k", b"v", None) is True
    assert await redis.get("k") == b"v"
    await marked()
    assert await backend.increment("k", 5, None) == 5
    await marked()
    assert await backend.delete("k") is False
    assert await redis.exists("k") == 0
    await marked()
    assert await backend.multi_delete(["k", "none"]) == 0
    assert await redis.exists("k") == 0


async def test_a_mark_that_was_made_to_stay_ends_all_the_same(backend: RedisBackend, redis: Any) -> None:
    await backend.lease("k", 100.0)
    await redis.persist("k")
    await backend.lease("k", 100.0)
    assert 0 < await redis.pttl("k") <= 100_000


async def test_scripts_are_sent_again_when_the_server_has_forgotten_them(backend: RedisBackend, redis: Any) -> None:
    for _ in range(2):
        await redis.script_flush()
        assert await backend.add("k", b"v", None) is True
        await redis.script_flush()
        assert await backend.multi_delete(["k", "l"]) == 1
        await redis.script_flush()
        lease = await backend.lease("l", 10.0)
        await redis.script_flush()
        assert isinstance(lease, Lease)
        assert await backend.store_leased(lease, b"v", None) is True
        await backend.delete("l")


async def test_another_data_type_is_an_error_with_its_reason(backend: RedisBackend, redis: Any) -> None:
    await redis.rpush("list", "a")
    for refused in (backend.get("list"), backend.gets("list"), backend.lease("list", 1.0)):
        with pytest.raises(BackendError, match="WRONGTYPE"):
            await refused
    with pytest.raises(TypeError, match="integer"):
        await backend.increment("list", 1, None)
    assert await backend.multi_get(["list"]) == [MISS]
    assert await backend.exists("list") is True
    assert await backend.add("list", b"v", None) is False
    assert await backend.delete("list") is True


async def test_increment_holds_all_64_bits(backend: RedisBackend, redis: Any) -> None:
    await redis.set("k", 2**53)
    assert await backend.increment("k", 1, None) == 2**53 + 1
    assert await backend.increment("k", 2**63 - 1 - 2**53 - 1, None) == 2**63 - 1
    with pytest.raises(OverflowError, match="64 bits"):
        await backend.increment("k", 1, None)
    assert await redis.get("k") == b"%d" % (2**63 - 1)


async def test_cas_keeps_or_replaces_the_expiry(backend: RedisBackend, redis: Any) -> None:
    from aiocache_core import KEEP

    await backend.set("k", b"1", 100.0)
    assert await backend.cas("k", (await backend.gets("k"))[1], b"2", KEEP) is True
    assert 0 < await redis.pttl("k") <= 100_000
    assert await backend.cas("k", (await backend.gets("k"))[1], b"3", None) is True
    assert await redis.pttl("k") == -1
    assert await backend.cas("k", None, b"4", None) is False


# -- what is too large -----------------------------------------------------------------------------------------------


async def test_a_value_too_large_is_told_before_it_is_sent(backend: RedisBackend) -> None:
    large = bytes(LARGEST + 1)  # untouched memory costs nothing
    commands: list[Any] = [
        lambda: backend.set("k", large, None),
        lambda: backend.multi_set([("k", large), ("l", b"v")], 1.0),
    ]
    for command in commands:
        await backend.set("k", b"old", None)
        with pytest.raises(ValueTooLarge, match=str(LARGEST)):
            await command()
        assert await backend.get("k") is MISS, "the old value is not the present one"
    await backend.set("k", b"old", None)
    with pytest.raises(ValueTooLarge):
        await backend.add("k", large, None)
    with pytest.raises(ValueTooLarge):
        await backend.cas("k", (await backend.gets("k"))[1], large, None)
    assert await backend.get("k") is MISS
    lease = await backend.lease("k", 100.0)
    assert isinstance(lease, Lease)
    with pytest.raises(ValueTooLarge):
        await backend.store_leased(lease, large, None)
    assert isinstance(await backend.lease("k", 100.0), Lease), "the right to store is given back"


# -- several keys ------------------------------------------------------------------------------------------------------


async def test_multi_set_with_a_ttl_is_one_write(redis_server: Server, redis: Any) -> None:
    async with listener(redis_server.port) as between:
        backend = RedisBackend(port=between.port, db=DB)
        await backend.get("open")
        before = len(between.requests)
        await backend.multi_set([(f"k{number}", b"v") for number in range(100)], 60.0)
        written = b"".join(between.requests[before:])
        await backend.close()
    assert written.count(b"SET") == 100
    assert between.opened == 1
    assert len(await redis.keys("k*")) == 100
    assert all([0 < await redis.ttl(f"k{number}") <= 60 for number in range(100)])


@pytest.mark.parametrize("ttl", [None, 60.0])
async def test_many_pairs_hold_up_neither_the_server_nor_the_loop(
    backend: RedisBackend, redis: Any, ttl: float | None
) -> None:
    pairs: list[tuple[Key, bytes]] = [(("many", f"key {number}"), b"value %d" % number) for number in range(50_000)]
    loop = asyncio.get_running_loop()
    lags: list[float] = []
    answers: list[float] = []

    async def watch_loop() -> None:
        while True:
            before = loop.time()
            await asyncio.sleep(0.001)
            lags.append(loop.time() - before - 0.001)

    async def watch_server() -> None:
        while True:
            before = loop.time()
            await redis.get("other")
            answers.append(loop.time() - before)
            await asyncio.sleep(0.001)

    watches = [asyncio.create_task(watch_loop()), asyncio.create_task(watch_server())]
    await backend.multi_set(pairs, ttl)
    found = await backend.multi_get([key for key, _ in pairs])
    assert found == [value for _, value in pairs]
    assert await backend.multi_delete([key for key, _ in pairs[:10_000]]) == 10_000
    await backend.clear("many")
    for watch in watches:
        watch.cancel()
    await asyncio.wait(watches)
    assert await redis.dbsize() == 0
    assert len(lags) > 50_000 / BATCH, "the loop turns between two batches"
    print(f"\nlongest stall of the loop {max(lags) * 1e3:.0f} ms, of another client {max(answers) * 1e3:.0f} ms")


async def test_large_values_travel_in_batches_of_bounded_bytes(redis_server: Server, redis: Any) -> None:
    value = b"x" * 400_000
    async with listener(redis_server.port) as between:
        backend = RedisBackend(port=between.port, db=DB)
        await backend.multi_set([(f"k{number}", value) for number in range(10)], None)
        await backend.close()
    assert b"".join(between.requests).count(b"MSET") == 4
    assert [await redis.strlen(f"k{number}") for number in range(10)] == [400_000] * 10


# -- clear and scan ----------------------------------------------------------------------------------------------------


async def test_clear_takes_names_by_their_characters(backend: RedisBackend, redis: Any) -> None:
    everything: set[bytes] = set()
    for name in GLOBS:
        for key in ("k", "*", name):
            await backend.set((name, key), b"v", None)
            everything.add(keys.encode((name, key)))
    everything |= {b"foreign", b"@", b"a"}
    await redis.mset({b"foreign": "v", b"@": "v", b"a": "v"})
    for name in GLOBS:
        await backend.clear(name)
        gone = {keys.encode((name, key)) for key in ("k", "*", name)}
        everything -= gone
        assert set(await redis.keys()) == everything, name
    assert everything == {b"foreign", b"@", b"a"}


async def test_clear_of_the_store_is_of_this_database(backend: RedisBackend, redis: Any, redis_server: Server) -> None:
    async with Redis(host=HOST, port=redis_server.port, db=DB + 1) as other:
        await other.set("k", "v")
        await backend.set("k", b"v", None)
        await backend.clear(None)
        assert await redis.dbsize() == 0
        assert await other.get("k") == b"v"
        await other.flushdb()


async def _scanned(backend: RedisBackend, namespace: str | None, prefix: str = "") -> list[Key]:
    return sorted({key for batch in [batch async for batch in backend.scan(namespace, prefix)] for key in batch})


async def test_scan_lists_the_keys_of_a_namespace_by_prefix(backend: RedisBackend, redis: Any) -> None:
    for name in ("a", "a*", "@a", "a:b"):
        for key in ("x1", "x2", "y", "*"):
            await backend.set((name, key), b"v", None)
    for key in ("x1", "x*", "@a:x1", "@"):
        await backend.set(key, b"v", None)
    await redis.set("@no form of ours", "v")
    assert await _scanned(backend, "a") == [("a", key) for key in ("*", "x1", "x2", "y")]
    assert await _scanned(backend, "a*", "x") == [("a*", "x1"), ("a*", "x2")]
    assert await _scanned(backend, "a:b", "*") == [("a:b", "*")]
    assert await _scanned(backend, None) == ["@", "@a:x1", "x*", "x1"]
    assert await _scanned(backend, None, "x*") == ["x*"]
    assert await _scanned(backend, None, "@") == ["@", "@a:x1"]
    assert await _scanned(backend, "none") == []


async def test_scan_comes_in_batches(backend: RedisBackend) -> None:
    await backend.multi_set([(("many", str(number)), b"v") for number in range(3_000)], None)
    batches = [batch async for batch in backend.scan("many")]
    assert len({key for batch in batches for key in batch}) == 3_000
    assert max(map(len, batches)) <= BATCH
    assert len(batches) > 1


# -- raw ---------------------------------------------------------------------------------------------------------------


async def test_raw_is_the_clients_own_method(backend: RedisBackend, redis: Any) -> None:
    assert await backend.raw("set", "k", "v", ex=60) is True
    assert await backend.raw("get", "k") == b"v"
    assert await backend.raw("hset", "hash", mapping={"f": "v"}) == 1
    pubsub = await backend.raw("pubsub")
    assert not hasattr(pubsub, "__await__")
    await pubsub.aclose()
    with pytest.raises(BackendError, match="WRONGTYPE"):
        await backend.raw("get", "hash")
    with pytest.raises(UnsupportedCommand, match="no method 'no_such_command'"):
        await backend.raw("no_such_command")


async def test_a_raw_transaction_gives_its_connection_back(make: Make) -> None:
    backend = make(pool_max_size=1)
    async with await backend.raw("pipeline") as pipeline:
        pipeline.set("k", "v")
        pipeline.get("k")
        assert await pipeline.execute() == [True, b"v"]
    assert await backend.get("k") == b"v"


async def test_a_plain_value_that_begins_like_a_mark_is_none(backend: RedisBackend) -> None:
    stored = records.protect(records.new_mark())
    await backend.set("k", stored, None)
    assert await backend.get("k") == stored
    assert await backend.exists("k") is True
