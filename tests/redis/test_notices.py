"""How waiters for a key are woken, and what the subscriptions cost and leave."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest
from redis.asyncio import Redis

from aiocache_core import Busy, Lease
from aiocache_redis import RedisBackend, RedisCache, notices
from tests import servers
from tests.proxy import proxy
from tests.redis.support import until
from tests.servers import Server

DB = 8
LONG = 60.0


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of its own: its statistics and its subscriptions are looked at."""
    with servers.redis_server() as running:
        yield running


@pytest.fixture
async def redis(server: Server) -> AsyncGenerator[Any]:
    redis: Any = Redis(port=server.port, db=DB)
    await redis.flushdb()
    yield redis
    await redis.aclose()


@pytest.fixture
async def backend(server: Server, redis: Any) -> AsyncGenerator[RedisBackend]:
    backend = RedisBackend(port=server.port, db=DB)
    yield backend
    await backend.close()


@pytest.fixture
async def other(server: Server) -> AsyncGenerator[RedisBackend]:
    other = RedisBackend(port=server.port, db=DB)
    yield other
    await other.close()


async def leased(backend: RedisBackend, key: str, seconds: float = LONG) -> Lease:
    lease = await backend.lease(key, seconds)
    assert isinstance(lease, Lease)
    return lease


async def subscriptions(redis: Any) -> int:
    return len(await redis.pubsub_channels("aiocache:*"))


async def listeners(redis: Any) -> int:
    return len(await redis.client_list(_type="pubsub"))


async def waiting(backend: RedisBackend, key: str) -> asyncio.Task[None]:
    """Return a task that waits for a key whose subscription stands."""
    first = asyncio.Event()

    async def wait() -> None:
        await backend.changed(key, LONG)
        first.set()
        await backend.changed(key, LONG)

    task = asyncio.create_task(wait())
    async with asyncio.timeout(10):
        await first.wait()
    await asyncio.sleep(0)
    assert not task.done()
    return task


# -- being woken -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["store_leased", "release", "delete", "multi_delete"])
async def test_a_waiter_is_woken(backend: RedisBackend, other: RedisBackend, what: str) -> None:
    lease = await leased(backend, "k")
    task = await waiting(other, "k")
    if what == "store_leased":
        assert await backend.store_leased(lease, b"v", None)
    elif what == "release":
        await backend.release(lease)
    elif what == "delete":
        await backend.delete("k")
    else:
        await backend.multi_delete(["j", "k"])
    async with asyncio.timeout(10):  # far less than LONG
        await task


async def test_get_or_set_returns_when_the_value_is_there(server: Server, redis: Any) -> None:
    loop = asyncio.get_running_loop()
    stored = 0.0
    calls = 0

    async def compute() -> str:
        nonlocal stored, calls
        calls += 1
        await until(lambda: subscriptions(redis))
        await asyncio.sleep(0.05)
        stored = loop.time()
        return "value"

    caches = [RedisCache(port=server.port, db=DB, pool_max_size=number) for number in (10, 11, 12)]

    async def ask(cache: RedisCache) -> float:
        assert await cache.get_or_set("k", compute, lease=LONG) == "value"
        return loop.time()

    ends = await asyncio.gather(*(ask(cache) for cache in caches for _ in range(50)))
    print(f"the last of {len(ends)} callers returned {1000 * (max(ends) - stored):.1f} ms after the computation")
    assert calls == 1
    for cache in caches:
        await cache.close()


async def test_what_comes_between_two_waits_is_not_lost(backend: RedisBackend, other: RedisBackend) -> None:
    lease = await leased(backend, "k")
    await other.changed("k", LONG)  # the subscription stands
    await backend.store_leased(lease, b"v", None)
    await asyncio.sleep(0.05)  # the message has come while nobody waited
    async with asyncio.timeout(10):
        await other.changed("k", LONG)


async def test_the_first_wait_returns_when_the_subscription_stands(other: RedisBackend, redis: Any) -> None:
    async with asyncio.timeout(10):
        await other.changed("k", LONG)
    assert await redis.pubsub_channels("*") == [b"aiocache:%d:k" % DB]


async def test_a_wait_ends_at_its_time(other: RedisBackend) -> None:
    await other.changed("k", LONG)
    await other.changed("k", 0.01)
    await other.changed("k", 0)


async def test_databases_are_apart(backend: RedisBackend, server: Server) -> None:
    elsewhere = RedisBackend(port=server.port, db=DB + 1)
    lease = await leased(backend, "k")
    task = await waiting(elsewhere, "k")
    await backend.store_leased(lease, b"v", None)
    await backend.get("k")
    await asyncio.sleep(0.05)
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])
    await elsewhere.close()


async def test_many_waiters_of_many_keys_share_a_connection(
    backend: RedisBackend, other: RedisBackend, redis: Any
) -> None:
    leases = [await leased(backend, f"{number}") for number in range(50)]
    tasks = await asyncio.gather(*(waiting(other, f"{number}") for number in range(50) for _ in range(3)))
    assert await listeners(redis) == 1
    assert await subscriptions(redis) == 50
    await asyncio.gather(*(backend.store_leased(lease, b"v", None) for lease in leases))
    async with asyncio.timeout(10):
        await asyncio.gather(*tasks)


async def test_few_commands_while_waiting(server: Server, redis: Any) -> None:
    cache, second = (RedisCache(port=server.port, db=DB, pool_max_size=number) for number in (20, 21))
    lease = await leased(cache.backend, "k")

    async def compute() -> str:
        raise AssertionError("another one computes")

    callers = [asyncio.create_task(second.get_or_set("k", compute, lease=LONG, timeout=None)) for _ in range(100)]
    await until(lambda: subscriptions(redis))
    await asyncio.sleep(0.1)
    await redis.config_resetstat()
    await asyncio.sleep(2)
    told = await redis.info("commandstats")
    counts = {
        name: stats["calls"] for name, stats in told.items() if name not in {"cmdstat_config|resetstat", "cmdstat_info"}
    }
    print(f"commands in 2 s of waiting: {counts}")
    asked = sum(
        calls for name, calls in counts.items() if name in {"cmdstat_evalsha", "cmdstat_eval", "cmdstat_subscribe"}
    )
    assert asked < 5 * 2
    await cache.backend.store_leased(lease, b'"v"', None)
    assert await asyncio.gather(*callers) == ["v"] * 100
    await cache.close()
    await second.close()


# -- where the server forbids it, or cuts the connection -------------------------------------------------------------------------


@pytest.mark.parametrize("rules", [["+@all", "-@pubsub", "allchannels"], ["+@all", "resetchannels"]])
async def test_without_the_right_to_subscribe_waiters_look_now_and_then(
    server: Server, redis: Any, rules: list[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await redis.execute_command("ACL", "SETUSER", "quiet", "reset", "on", ">secret", "allkeys", *rules)
    account: dict[str, Any] = {"port": server.port, "db": DB, "username": "quiet", "password": "secret"}
    first, second = RedisBackend(**account), RedisBackend(**account)
    lease = await leased(first, "k")
    caplog.set_level(logging.WARNING)
    await second.changed("k", LONG)
    sleeps = 0

    async def wait() -> Any:
        nonlocal sleeps
        while isinstance(found := await second.lease("k", LONG), Busy):
            sleeps += 1
            await second.changed("k", min(1.0, found.retry_after))
        return found

    task = asyncio.create_task(wait())
    await until(lambda: sleeps > 1)
    assert await first.store_leased(lease, b"v", None)  # although the notice is forbidden
    assert await task == b"v"
    assert len([record for record in caplog.records if "no subscription" in record.message]) == 1
    assert "secret" not in caplog.text
    lease = await leased(first, "l")
    await first.release(lease)
    lease = await leased(first, "l")
    assert await first.delete("l") is False
    await first.close()
    await second.close()


async def test_a_cut_connection_is_replaced(backend: RedisBackend, other: RedisBackend, redis: Any) -> None:
    lease = await leased(backend, "k")
    task = await waiting(other, "k")
    await redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    async with asyncio.timeout(10):
        await task  # woken, to look again
    assert await listeners(redis) == 0
    await asyncio.sleep(notices.POLL + 0.01)
    again = await waiting(other, "k")
    assert await listeners(redis) == 1
    await backend.store_leased(lease, b"v", None)
    async with asyncio.timeout(10):
        await again


async def test_a_connection_cut_again_and_again_makes_no_storm(other: RedisBackend, server: Server) -> None:
    async with proxy(server.port) as through:
        backend = RedisBackend(port=through.port, db=DB)
        await backend.get("k")
        through.refuse = True
        before = through.accepted
        loop = asyncio.get_running_loop()
        end = loop.time() + 1
        waits = 0
        while loop.time() < end:
            await backend.changed("k", LONG)
            waits += 1
        assert waits <= 6
        assert through.accepted - before <= 6
        await backend.close()


async def test_a_black_hole_ends_a_wait_at_its_time(server: Server) -> None:
    async with proxy(server.port) as through:
        backend = RedisBackend(port=through.port, db=DB)
        through.black_hole = True
        async with asyncio.timeout(10):
            await backend.changed("k", 0.05)
            await asyncio.gather(*(backend.changed(f"{number}", 0.05) for number in range(5)))
            await backend.close()


# -- what is left ----------------------------------------------------------------------------------------------------------------


async def test_a_subscription_ends_some_time_after_the_last_wait(
    other: RedisBackend, redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "LINGER", 0.05)
    await other.changed("k", LONG)
    task = await waiting(other, "long")
    await until(lambda: _equal(subscriptions(redis), 1))
    assert await redis.pubsub_channels("*") == [b"aiocache:%d:long" % DB]
    task.cancel()
    await asyncio.wait([task])
    await until(lambda: _equal(listeners(redis), 0))
    await other.changed("k", LONG)
    assert await listeners(redis) == 1


async def _equal(found: Any, expected: object) -> bool:
    return bool(await found == expected)


async def test_a_wait_in_time_keeps_the_subscription(
    other: RedisBackend, redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await other.changed("k", LONG)
    await redis.config_resetstat()
    for _ in range(20):
        await other.changed("k", 0.001)
    assert "cmdstat_subscribe" not in await redis.info("commandstats")


async def test_cancelled_waits_leave_the_others_alone(backend: RedisBackend, other: RedisBackend) -> None:
    lease = await leased(backend, "k")
    tasks = await asyncio.gather(*(waiting(other, "k") for _ in range(6)))
    for task in tasks[:5]:
        task.cancel()
    await asyncio.wait(tasks[:5])
    await backend.store_leased(lease, b"v", None)
    async with asyncio.timeout(10):
        await tasks[5]


async def test_a_wait_cancelled_while_it_subscribes(other: RedisBackend, redis: Any) -> None:
    for rounds in range(12):
        task = asyncio.create_task(other.changed("k", LONG))
        for _ in range(rounds):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    async with asyncio.timeout(10):
        await other.changed("k", LONG)
        await other.changed("l", LONG)
    assert await listeners(redis) == 1


async def test_close_leaves_nothing(backend: RedisBackend, other: RedisBackend, redis: Any) -> None:
    await leased(backend, "k")
    tasks = [await waiting(other, "k"), await waiting(other, "l")]
    before = asyncio.all_tasks()
    async with asyncio.timeout(10):
        await other.close()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert len(asyncio.all_tasks()) < len(before)
    await until(lambda: _equal(listeners(redis), 0))
    await until(lambda: _equal(subscriptions(redis), 0))


@pytest.mark.parametrize("rounds", range(0, 12, 2))
async def test_close_while_a_subscription_is_made(other: RedisBackend, redis: Any, rounds: int) -> None:
    task = asyncio.create_task(other.changed("k", 0.3))
    for _ in range(rounds):
        await asyncio.sleep(0)
    await other.close()
    async with asyncio.timeout(10):
        await asyncio.wait([task])
    assert task.exception() is None
    await other.close()
    await until(lambda: _equal(listeners(redis), 0))
