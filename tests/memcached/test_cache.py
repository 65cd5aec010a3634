"""Hold the front of memcached: its options, URLs and ``raw``."""

from __future__ import annotations

from typing import Any

import pytest

from aiocache_core import BackendError, Cache, FrontOptions, InvalidCacheType
from aiocache_memcached import MemcachedBackend, MemcachedCache
from tests.servers import Server


def test_the_options_have_defaults_and_are_attributes() -> None:
    cache = MemcachedCache()
    assert (cache.endpoint, cache.port, cache.pool_size, cache.poll_interval) == ("127.0.0.1", 11211, 10, 0.045)
    assert isinstance(cache.backend, MemcachedBackend)
    assert repr(cache) == "MemcachedCache (127.0.0.1:11211)"


def test_numbers_may_be_text() -> None:
    cache = MemcachedCache(endpoint="::1", port="11299", pool_size="4", poll_interval="0.02", timeout="2", ttl="60")
    assert (cache.port, cache.pool_size, cache.poll_interval, cache.timeout, cache.ttl) == (11299, 4, 0.02, 2.0, 60.0)


def test_all_ways_to_make_one_give_the_class() -> None:
    options: dict[str, Any] = {"endpoint": "cache.internal", "port": 11299}
    url = "memcached://cache.internal:11299?pool_size=4&namespace=app&ttl=60&poll_interval=0.02"
    caches: list[Any] = [
        Cache("memcached", **options),
        Cache(MemcachedCache, **options),
        Cache.from_url(url),
        MemcachedCache.from_url(url),
    ]
    for cache in caches:
        assert type(cache) is MemcachedCache
        assert repr(cache) == "MemcachedCache (cache.internal:11299)"
    assert (caches[2].pool_size, caches[2].namespace, caches[2].ttl, caches[2].poll_interval) == (4, "app", 60.0, 0.02)
    assert Cache.from_url("memcached://[::1]:11299").endpoint == "::1"
    assert Cache.from_url("memcached://").port == 11211


@pytest.mark.parametrize(
    "url",
    ["memcached://host?colour=red", "memcached://:secret@host", "memcached://secret:secret@host"],
)
def test_an_unknown_option_is_an_error_that_lists_the_known(url: str) -> None:
    with pytest.raises(TypeError, match="endpoint, port, pool_size, poll_interval") as caught:
        Cache.from_url(url)
    assert "secret" not in str(caught.value)
    with pytest.raises(TypeError, match="pool_size"):
        Cache(MemcachedCache, colour="red")


@pytest.mark.parametrize(
    "options",
    [{"pool_size": 0}, {"pool_size": "many"}, {"poll_interval": 0}, {"poll_interval": float("nan")}, {"port": "x"}],
)
def test_an_option_out_of_range_is_an_error(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        MemcachedCache(**options)


def test_a_path_is_an_error() -> None:
    with pytest.raises((ValueError, InvalidCacheType), match="no path"):
        Cache.from_url("memcached://host/0")


async def test_values_are_json_unless_told(own_server: Server) -> None:
    async with MemcachedCache(port=own_server.port, namespace="front") as cache:
        await cache.clear()
        await cache.set("k", {"a": [1, None]}, ttl=60)
        assert await cache.get("k") == {"a": [1, None]}
        assert await cache.backend.get(("front", "k")) == b'{"a":[1,null]}'
        assert await cache.increment("n", -3) == -3
        assert await cache.get("n") == -3
        await cache.set("none", None)
        assert await cache.multi_get(["none", "absent"], default="gone") == [None, "gone"]
        with pytest.raises(ValueError, match="already exists"):
            await cache.add("k", 1)
        assert await cache.expires_in("k") == pytest.approx(60, abs=2)
        assert await cache.clear() is True
        assert await cache.exists("k") is False


@pytest.mark.parametrize("serializer", ["json", "string", "pickle", "null", "msgpack"])
async def test_each_serializer_works(own_server: Server, serializer: str) -> None:
    async with MemcachedCache(port=own_server.port, namespace="front", serializer=serializer) as cache:
        await cache.set("k", "text é")
        assert await cache.get("k") == "text é"
        assert await cache.multi_get(["k"]) == ["text é"]


async def test_raw_calls_aiomcache(own_server: Server) -> None:
    async with MemcachedCache(port=own_server.port) as cache:
        await cache.clear()
        assert await cache.raw("set", b"key", b"value") is True
        assert await cache.raw("get", b"key") == "value"
        assert await cache.raw("prepend", b"key", b"super") is True
        assert await cache.raw("get", b"key") == "supervalue"
        assert await cache.raw("get", b"key", encoding=None) == b"supervalue"
        assert await cache.raw("get", b"absent") is None
        assert await cache.raw("get", b"absent", default=b"d") == "d"
        assert await cache.raw("multi_get", b"key", b"absent") == ("supervalue", None)
        value, token = await cache.raw("gets", b"key")
        assert value == b"supervalue"
        assert await cache.raw("cas", b"key", b"new", token, exptime=60) is True
        assert await cache.raw("touch", b"key", 10) is True
        assert await cache.raw("delete", b"key") is True
        assert (await cache.raw("version")).startswith(b"1.")
        assert b"pid" in await cache.raw("stats")
        await cache.raw("flush_all")


async def test_raw_says_what_is_wrong(own_server: Server) -> None:
    async with MemcachedCache(port=own_server.port) as cache:
        for command in ("nope", "_execute_simple_command", "close"):
            with pytest.raises(AttributeError, match=r"it has: add, append,.* version"):
                await cache.raw(command)
        with pytest.raises(ValueError, match="key must be bytes"):
            await cache.raw("get", "key")
        with pytest.raises(ValueError, match="invalid key"):
            await cache.raw("get", b"a b")
        with pytest.raises(BackendError, match="NOT_FOUND"):
            await cache.raw("incr", b"absent")
        await cache.set("k", "v")
        assert await cache.get("k") == "v"


async def test_raw_reads_a_mark_as_it_is_stored(own_server: Server) -> None:
    """Other programs that read the key of a running computation see its mark."""
    async with MemcachedCache(port=own_server.port) as cache:
        await cache.delete("k")
        await cache.backend.lease("k", 30)
        assert (await cache.raw("get", b"k", encoding=None)).startswith(b"\xffac")
        await cache.delete("k")


def test_the_options_of_every_cache_are_typed() -> None:
    options: FrontOptions = {"namespace": "app", "ttl": 60}
    assert MemcachedCache(pool_size=4, **options).namespace == "app"
