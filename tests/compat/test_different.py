"""What is different from aiocache 0.12 on purpose: a test for each row of the table in docs/migration.md."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest

from aiocache import (
    MISS,
    Cache,
    MemcachedCache,
    OptimisticLock,
    OptimisticLockError,
    RedisCache,
    RedLock,
    UnstableKeyError,
    cached,
    caches,
    multi_cached,
)
from aiocache.base import BaseCache
from aiocache.plugins import HitMissRatioPlugin, TimingPlugin
from aiocache_core import Backend
from tests.servers import Server


@pytest.fixture(params=["memory", "redis", "memcached"])
async def cache(request: pytest.FixtureRequest) -> Any:
    options: dict[str, Any] = {}
    if request.param != "memory":
        options = {"port": request.getfixturevalue(f"{request.param}_server").port}
    async with Cache(request.param, namespace=request.node.name.partition("[")[0], **options) as made:
        yield made
        await made.clear()


@pytest.fixture
async def redis(redis_server: Server) -> Any:
    async with RedisCache(port=redis_server.port) as made:
        yield made


@pytest.fixture
async def memcached(memcached_server: Server) -> Any:
    async with MemcachedCache(port=memcached_server.port) as made:
        yield made


def test_cache_redis_is_a_name() -> None:
    assert (Cache.MEMORY, Cache.REDIS, Cache.MEMCACHED) == ("memory", "redis", "memcached")


async def test_own_backends_subclass_backend() -> None:
    class Mine(Backend):
        def __init__(self) -> None:
            self.entries: dict[Any, Any] = {}

        async def get(self, key: Any) -> Any:
            return self.entries.get(key, MISS)

        async def set(self, key: Any, stored: Any, ttl: float | None) -> None:
            self.entries[key] = stored

        async def add(self, key: Any, stored: Any, ttl: float | None) -> bool:
            return self.entries.setdefault(key, stored) is stored

        async def delete(self, key: Any) -> bool:
            return self.entries.pop(key, MISS) is not MISS

        async def expire(self, key: Any, ttl: float | None) -> bool:
            return key in self.entries

        async def clear(self, namespace: str | None) -> None:
            self.entries.clear()

    cache: Any = Cache(Mine)
    assert isinstance(cache, BaseCache)
    await cache.set("k", "v")
    assert await cache.get("k") == "v"


async def test_stored_none_is_a_value(cache: Any) -> None:
    await cache.set("k", None)
    assert await cache.get("k", default=1) is None
    calls: list[int] = []

    @cached(key="key")
    async def function() -> None:
        calls.append(1)

    await function()
    await function()
    assert len(calls) == 1


async def test_key_of_a_decorated_call() -> None:
    calls: list[Any] = []

    @cached()
    async def function(a: Any, b: Any = 2) -> int:
        calls.append(a)
        return len(calls)

    assert [await function(1), await function(1, 2), await function(a=1), await function(b=2, a=1)] == [1] * 4
    assert await function("1") == 2  # an equal str() is not an equal argument


async def test_decorator_on_an_alias_not_yet_configured() -> None:
    @cached(alias="configured later")
    async def function() -> int:
        return 1

    with pytest.raises(KeyError):
        await function()
    caches.add("configured later", {"cache": "memory"})
    assert await function() == 1


async def test_clients_are_one_for_each_configuration(redis_server: Server) -> None:
    def decorated() -> Any:
        @cached(cache="redis", port=redis_server.port, namespace="clients", key="k")
        async def function() -> int:
            return 1

        return function

    first, second = decorated(), decorated()
    await first()
    await second()
    assert first.cache.backend is second.cache.backend
    await first.cache.clear()
    await first.cache.close()
    await second.cache.close()


async def test_clear_on_a_namespaced_redis_cache(redis: Any, redis_server: Server) -> None:
    async with RedisCache(port=redis_server.port, namespace="mine") as mine:
        await redis.set("foreign", 1)
        await mine.set("k", 1)
        await mine.clear()
        assert await redis.get("foreign") == 1
        assert await mine.get("k") is None
    await redis.delete("foreign")


async def test_clear_of_a_pattern_on_redis(redis: Any) -> None:
    await redis.set("k", 1, namespace="ab")
    await redis.set("k", 2, namespace="a*")
    await redis.clear("a*")
    assert await redis.get("k", namespace="ab") == 1
    assert await redis.get("k", namespace="a*") is None
    await redis.clear("ab")


async def test_clear_of_a_namespace_on_memcached(memcached: Any) -> None:
    await memcached.set("k", 1, namespace="ns")
    await memcached.set("k", 2, namespace="other")
    await memcached.clear("ns")
    assert await memcached.get("k", namespace="ns") is None
    assert await memcached.get("k", namespace="other") == 2


async def test_namespace_and_key_in_the_store(redis: Any) -> None:
    await redis.set("k", 1, namespace="ns")
    assert await redis.raw("get", "@ns:k") == "1"
    await redis.delete("k", namespace="ns")
    cache = Cache()
    await cache.set("bc", 1, namespace="a")
    assert await cache.get("c", namespace="ab") is None


@pytest.mark.parametrize("ttl", [0, None, 0.5, 40 * 24 * 3600])
async def test_ttl(cache: Any, ttl: Any) -> None:
    assert await cache.set("k", 1, ttl=ttl) is True
    assert await cache.exists("k") or ttl == 0.5


async def test_negative_ttl(cache: Any) -> None:
    with pytest.raises(ValueError, match="-1"):
        await cache.set("k", 1, ttl=-1)


async def test_increment_on_memcached(memcached: Any) -> None:
    results = await asyncio.gather(*(memcached.increment("n", namespace="increment") for _ in range(20)))
    assert sorted(results) == list(range(1, 21))
    assert await memcached.increment("n", -25, namespace="increment") == -5
    await memcached.delete("n", namespace="increment")


async def test_memcached_keys(memcached: Any) -> None:
    keys = ["a b", "a_b", "k" * 400, "k" * 401]
    for number, key in enumerate(keys):
        await memcached.set(key, number, namespace="keys")
    assert await memcached.multi_get(keys, namespace="keys") == [0, 1, 2, 3]


async def test_multi_cached_with_a_key_builder() -> None:
    asked: list[Any] = []

    @multi_cached("ids", key_builder=lambda key, f, *args, **kwargs: f"built-{key}")
    async def function(ids: list[int]) -> dict[int, str]:
        asked.append(ids)
        return {key: str(key) for key in ids}

    assert await function([1, 2]) == {1: "1", 2: "2"}
    assert asked == [[1, 2]]
    assert await function.cache.get("built-1") == "1"


async def test_multi_cached_results_that_were_not_asked_for() -> None:
    @multi_cached("ids")
    async def function(ids: list[str]) -> dict[str, int]:
        return {"a": 1, "unasked": 2}

    assert await function(["a"]) == {"a": 1, "unasked": 2}
    assert await function.cache.exists("unasked") is False


LOCKED = """
import asyncio, sys
from aiocache import RedisCache, RedLock

async def main():
    async with RedisCache(port=int(sys.argv[1]), namespace="redlock") as cache:
        async with RedLock(cache, "k", lease=5):
            seen = await cache.get("inside", default=0)
            await cache.set("inside", seen + 1)
            await asyncio.sleep(0.05)
            await cache.set("total", await cache.get("inside"))

asyncio.run(main())
"""


async def test_redlock_across_processes(redis_server: Server) -> None:
    """A read, a pause and a write in each process: none is lost if each waits for the others."""
    command = [sys.executable, "-c", LOCKED, str(redis_server.port)]
    processes = [subprocess.Popen(command) for _ in range(3)]  # noqa: ASYNC220 - waited for in threads
    assert [await asyncio.to_thread(process.wait, 30) for process in processes] == [0, 0, 0]
    async with RedisCache(port=redis_server.port, namespace="redlock") as cache:
        assert await cache.get("total") == 3
        await cache.clear()


async def test_hit_ratio() -> None:
    cache = Cache(plugins=[HitMissRatioPlugin()])
    await cache.get("k", default=1)
    assert cache.hit_miss_ratio["hits"] == 0
    await cache.set("k", None)
    await cache.get("k")
    assert cache.hit_miss_ratio == {"total": 2, "hits": 1, "hit_ratio": 0.5}


async def test_optimistic_lock_on_a_missing_key(cache: Any) -> None:
    with pytest.raises(OptimisticLockError):
        async with OptimisticLock(cache, "k") as lock:
            await cache.set("k", 1)
            await lock.cas(2)
    assert await cache.get("k") == 1


async def test_work_that_outlasts_its_lease() -> None:
    cache = Cache()
    entered = asyncio.Event()
    lock = RedLock(cache, "k", lease=0.1)
    await lock.acquire()

    async def other() -> None:
        async with RedLock(cache, "k", lease=5):
            entered.set()

    task = asyncio.create_task(other())
    await asyncio.sleep(0.3)
    assert not entered.is_set()
    assert lock.lost is False
    await lock.release()
    await task
    assert entered.is_set()


async def test_work_that_outlasts_its_lease_without_renewal() -> None:
    cache = Cache()
    lock = RedLock(cache, "k", lease=0.1, renew=False)
    await lock.acquire()
    async with RedLock(cache, "k", lease=5):
        pass
    await lock.release()


async def test_aiocache_disable(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Cache()
    monkeypatch.setenv("AIOCACHE_DISABLE", "1")
    cache = Cache()
    assert before.enabled is True  # read when a cache is made
    assert await cache.multi_get(["a", "b"]) == [None, None]

    @multi_cached("ids")
    async def function(ids: list[str]) -> dict[str, int]:
        return dict.fromkeys(ids, 1)

    assert await function(["a"]) == {"a": 1}


async def test_wrong_option_in_a_decorator() -> None:
    async def function() -> int:
        return 1

    with pytest.raises(TypeError, match="wrong"):
        cached(wrong=1)(function)
    with pytest.raises(TypeError, match="wrong"):
        cached(cache=RedisCache, wrong=1)(function)
    late = cached(cache="redis", wrong=1)(function)
    with pytest.raises(TypeError, match="wrong"):
        await late()


async def test_argument_without_a_stable_encoding() -> None:
    @cached()
    async def function(x: Any) -> int:
        return 1

    with pytest.raises(UnstableKeyError):
        await function(object())


async def test_memory_entries_of_a_decorated_function() -> None:
    @cached()
    async def bounded(x: int) -> int:
        return x

    @cached(max_entries=None)
    async def unbounded(x: int) -> int:
        return x

    assert bounded.cache.max_entries == 10_000  # type: ignore[attr-defined]
    assert unbounded.cache.max_entries is None  # type: ignore[attr-defined]


async def test_entries_that_0_12_left_in_a_store(redis: Any) -> None:
    await redis.raw("set", "main:key", b'"old"')
    assert await redis.get("key", namespace="main") is None
    await redis.raw("delete", "main:key")


async def test_commands_sent_by_a_decorated_call() -> None:
    """How many are sent is not promised; here a hit sends one, and none stores again."""
    cache = Cache(plugins=[TimingPlugin()])

    @cached(cache=cache, key="key")
    async def function() -> int:
        return 1

    assert [await function(), await function()] == [1, 1]
    assert cache.profiling["set_total"] == 1
    assert cache.profiling["get_total"] >= 1


@pytest.mark.parametrize("name", ["API", "_Conn", "_ensure_key"])
def test_private_names(name: str) -> None:
    from aiocache import base

    assert not hasattr(base, name)
    assert not hasattr(Cache, "_get")
