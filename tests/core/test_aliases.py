"""Hold caches by alias."""

from __future__ import annotations

import pytest

from aiocache_core import (
    Cache,
    CacheHandler,
    JsonSerializer,
    MemoryCache,
    StringSerializer,
    TimingPlugin,
    cached,
    caches,
)


def test_the_default_is_memory_with_strings() -> None:
    handler = CacheHandler()
    cache = handler.get("default")
    assert isinstance(cache, MemoryCache)
    assert isinstance(cache.serializer, StringSerializer)
    assert handler.get("default") is cache
    assert handler.create("default") is not cache


def test_names_classes_and_configurations() -> None:
    handler = CacheHandler()
    handler.set_config(
        {
            "default": {"cache": MemoryCache, "serializer": JsonSerializer},
            "dotted": {
                "cache": "aiocache_core.MemoryCache",
                "serializer": {"class": "aiocache_core.PickleSerializer", "protocol": 4},
                "plugins": [{"class": "timing"}, {"class": "aiocache_core.HitMissRatioPlugin"}, TimingPlugin()],
                "namespace": "main",
            },
        }
    )
    assert isinstance(handler.get("default").serializer, JsonSerializer)
    cache = handler.get("dotted")
    assert type(cache.serializer).__name__ == "PickleSerializer"
    assert [type(plugin).__name__ for plugin in cache.plugins] == ["TimingPlugin", "HitMissRatioPlugin", "TimingPlugin"]
    assert cache.namespace == "main"
    assert handler.create("dotted", namespace="other").namespace == "other"


def test_configurations_are_copies() -> None:
    handler = CacheHandler()
    handler.get_config()["default"]["cache"] = "nosuch"
    handler.get_alias_config("default")["cache"] = "nosuch"
    assert isinstance(handler.get("default"), MemoryCache)


def test_a_new_configuration_drops_built_caches() -> None:
    handler = CacheHandler()
    first = handler.get("default")
    handler.set_config({"default": {"cache": "memory"}})
    second = handler.get("default")
    assert second is not first
    handler.add("default", {"cache": "memory", "ttl": 3})
    assert handler.get("default").ttl == 3


def test_two_handlers_share_nothing() -> None:
    one, two = CacheHandler(), CacheHandler()
    one.add("own", {"cache": "memory"})
    with pytest.raises(KeyError, match="own"):
        two.get("own")


def test_errors() -> None:
    handler = CacheHandler()
    with pytest.raises(KeyError, match="'nosuch'.*default"):
        handler.get("nosuch")
    with pytest.raises(KeyError, match="nosuch"):
        handler.create("nosuch")
    with pytest.raises(ValueError, match="default config must be provided"):
        handler.set_config({})


async def test_a_decorator_looks_its_alias_up_at_the_first_call() -> None:
    @cached(alias="added after the decoration")
    async def one() -> int:
        return 1

    with pytest.raises(KeyError):
        await one()
    caches.add("added after the decoration", {"cache": "memory"})
    try:
        assert await one() == 1
        assert one.cache is caches.get("added after the decoration")
        assert isinstance(one.cache, Cache)
    finally:
        caches.set_config({"default": {"cache": "memory", "serializer": {"class": "string"}}})
