"""What an application written for aiocache 0.12 finds again here."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest
from marshmallow import Schema, fields, post_load

import aiocache
import aiocache_core
from aiocache import (
    AIOCACHE_CACHES,
    Cache,
    MemcachedCache,
    RedisCache,
    SimpleMemoryCache,
    cached,
    cached_stampede,
    caches,
    multi_cached,
)
from aiocache.base import SENTINEL, BaseCache
from aiocache.exceptions import InvalidCacheType
from aiocache.factory import CacheHandler
from aiocache.lock import OptimisticLock, OptimisticLockError, RedLock
from aiocache.plugins import BasePlugin, HitMissRatioPlugin, TimingPlugin
from aiocache.serializers import (
    BaseSerializer,
    JsonSerializer,
    MsgPackSerializer,
    NullSerializer,
    PickleSerializer,
    StringSerializer,
)
from tests.servers import Server

NAMES = {
    "aiocache": "Cache caches cached cached_stampede multi_cached SimpleMemoryCache RedisCache MemcachedCache AIOCACHE_CACHES",
    "aiocache.base": "BaseCache SENTINEL",
    "aiocache.factory": "Cache caches CacheHandler",
    "aiocache.decorators": "cached cached_stampede multi_cached",
    "aiocache.lock": "RedLock OptimisticLock OptimisticLockError",
    "aiocache.plugins": "BasePlugin TimingPlugin HitMissRatioPlugin",
    "aiocache.serializers": "BaseSerializer NullSerializer StringSerializer PickleSerializer JsonSerializer MsgPackSerializer",
    "aiocache.exceptions": "InvalidCacheType",
    "aiocache.backends.memory": "SimpleMemoryCache SimpleMemoryBackend",
    "aiocache.backends.redis": "RedisCache RedisBackend",
    "aiocache.backends.memcached": "MemcachedCache MemcachedBackend",
}
BLOCKED = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Block())
sys.modules.update({{name: None for name in {blocked!r}}})
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in {blocked!r} else find_spec(name, package)
"""


@pytest.fixture(autouse=True)
def own_aliases() -> Any:
    before = caches.get_config()
    yield
    caches.set_config(before)


# -- names -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("module", "names"), NAMES.items())
def test_module_paths_and_names(module: str, names: str) -> None:
    for name in names.split():
        assert getattr(import_module(module), name) is not None


def test_the_facade_holds_the_cores_own_objects() -> None:
    assert Cache is aiocache_core.Cache
    assert BaseCache is aiocache_core.Cache
    assert SimpleMemoryCache is aiocache_core.MemoryCache
    assert SENTINEL is aiocache_core.UNSET
    assert cached is aiocache_core.cached
    assert caches is aiocache_core.caches
    assert isinstance(caches, CacheHandler)
    assert aiocache.__version__.split(".")[0] == "1"


def test_the_table_of_installed_caches() -> None:
    assert {"memory": SimpleMemoryCache, "redis": RedisCache, "memcached": MemcachedCache} == AIOCACHE_CACHES


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'aiocache' has no attribute 'Nothing'"):
        aiocache.Nothing  # noqa: B018 - asking is the test


def test_all_lists_what_is_installed() -> None:
    assert {"RedisCache", "MemcachedCache"} <= set(aiocache.__all__)
    assert "MsgPackSerializer" in import_module("aiocache.serializers").__all__


def in_fresh_interpreter(code: str, *blocked: str) -> str:
    program = BLOCKED.format(blocked=set(blocked)) + code
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    return told.stdout


def test_a_missing_sibling_is_an_import_error_with_the_line_to_type() -> None:
    code = """
import aiocache, aiocache.serializers, aiocache.backends.redis, aiocache.backends.memcached
assert not {"RedisCache", "MemcachedCache"} & set(aiocache.__all__)
assert "MsgPackSerializer" not in aiocache.serializers.__all__
assert list(aiocache.AIOCACHE_CACHES) == ["memory"]
from aiocache import *
for line in (
    "from aiocache import RedisCache",
    "from aiocache import MemcachedCache",
    "from aiocache.serializers import MsgPackSerializer",
    "from aiocache.backends.redis import RedisCache",
    "from aiocache.backends.memcached import MemcachedCache",
):
    try:
        exec(line)
    except ImportError as error:
        print(error)
"""
    told = in_fresh_interpreter(code, "aiocache_redis", "aiocache_memcached", "aiocache_msgpack")
    assert [line.partition("type: ")[2] for line in told.splitlines()] == [
        "pip install aiocache[redis]",
        "pip install aiocache[memcached]",
        "pip install aiocache[msgpack]",
        "pip install aiocache[redis]",
        "pip install aiocache[memcached]",
    ]


def test_importing_aiocache_imports_no_sibling() -> None:
    code = "import aiocache\nprint([n for n in sys.modules if n.startswith(('redis', 'aiomcache', 'msgpack', 'aiocache_r'))])"
    assert in_fresh_interpreter(code).strip() == "[]"


# -- making caches -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("memory", SimpleMemoryCache),
        ("redis", RedisCache),
        ("memcached", MemcachedCache),
        (Cache.MEMORY, SimpleMemoryCache),
        (Cache.REDIS, RedisCache),
        (Cache.MEMCACHED, MemcachedCache),
        (RedisCache, RedisCache),
        ("aiocache.SimpleMemoryCache", SimpleMemoryCache),
        ("aiocache.RedisCache", RedisCache),
        ("aiocache.MemcachedCache", MemcachedCache),
        ("aiocache.backends.redis.RedisCache", RedisCache),
    ],
)
def test_caches_by_name_and_class(name: Any, kind: type) -> None:
    cache = Cache(name)
    assert type(cache) is kind
    assert isinstance(cache, BaseCache)


class Mine(SimpleMemoryCache):
    """A user's own class."""


class Upper(BaseSerializer):
    def dumps(self, value: Any) -> str:
        return str(value).upper()

    def loads(self, value: Any) -> Any:
        return value


def test_a_users_own_classes() -> None:
    assert type(Cache(Mine)) is Mine
    assert type(Cache(f"{__name__}.Mine", serializer={"class": f"{__name__}.Upper"}).serializer) is Upper


def test_the_default_is_memory() -> None:
    assert type(Cache()) is SimpleMemoryCache


def test_from_url() -> None:
    cache = Cache.from_url("redis://:p%40w@example.org:6380/1?pool_max_size=3&timeout=2&namespace=n")
    assert isinstance(cache, RedisCache)
    assert (cache.endpoint, cache.port, cache.db, cache.password) == ("example.org", 6380, 1, "p@w")
    assert (cache.pool_max_size, cache.timeout, cache.namespace) == (3, 2, "n")
    assert type(Cache.from_url("memory://")) is SimpleMemoryCache
    assert type(Cache.from_url("memcached://127.0.0.1:11212?pool_size=3")) is MemcachedCache
    assert Cache.get_scheme_class("redis") is RedisCache
    with pytest.raises(InvalidCacheType):
        Cache.get_scheme_class("nothing")


@pytest.mark.parametrize("wrong", ["nothing", object, None])
def test_an_invalid_type_lists_what_can_be_used(wrong: Any) -> None:
    with pytest.raises(InvalidCacheType) as told:
        Cache(wrong)
    assert "redis" in str(told.value) or "backend_class" in str(told.value)


def test_an_unknown_option_is_a_type_error() -> None:
    for kind in ("memory", "redis", "memcached"):
        with pytest.raises(TypeError, match="wrong"):
            Cache(kind, wrong=1)


def test_options_and_defaults() -> None:
    cache = Cache("memory")
    assert (cache.timeout, cache.ttl, cache.namespace, list(cache.plugins)) == (5, None, None, [])
    assert isinstance(cache.serializer, NullSerializer)
    redis = RedisCache()
    assert (redis.endpoint, redis.port, redis.db, redis.password) == ("127.0.0.1", 6379, 0, None)
    assert (redis.pool_max_size, redis.create_connection_timeout) == (None, None)
    assert isinstance(redis.serializer, JsonSerializer)
    memcached = MemcachedCache()
    assert (memcached.endpoint, memcached.port) == ("127.0.0.1", 11211)
    assert isinstance(memcached.serializer, JsonSerializer)


def test_numbers_given_as_strings_are_cast() -> None:
    cache = RedisCache(port="6380", db="2", pool_max_size="4", create_connection_timeout="1.5", timeout="2.5", ttl="10")  # type: ignore[arg-type,unused-ignore]
    assert (cache.port, cache.db, cache.pool_max_size) == (6380, 2, 4)
    assert (cache.create_connection_timeout, cache.timeout, cache.ttl) == (1.5, 2.5, 10)
    assert MemcachedCache(port="1", pool_size="3").pool_size == 3  # type: ignore[arg-type,unused-ignore]


def test_pool_min_size_warns() -> None:
    with pytest.warns(DeprecationWarning, match="pool_min_size"):
        RedisCache(pool_min_size=2)


async def test_options_can_be_assigned() -> None:
    cache = Cache()
    cache.serializer = StringSerializer()
    cache.plugins = [HitMissRatioPlugin()]
    cache.namespace = "n"
    cache.ttl = 7
    cache.timeout = 3
    await cache.set("k", 1)
    assert await cache.get("k") == "1"
    assert await cache.get("k", namespace="n") == "1"
    remaining = await cache.expires_in("k")
    assert isinstance(remaining, float)
    assert 0 < remaining <= 7
    assert cache.hit_miss_ratio["hits"] == 2
    cache.build_key = lambda key, namespace=None: f"{namespace}/{key}"
    assert cache.build_key("k") == "n/k"


# -- commands ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "redis", "memcached"])
async def cache(request: pytest.FixtureRequest) -> Any:
    options: dict[str, Any] = {}
    if request.param != "memory":
        server: Server = request.getfixturevalue(f"{request.param}_server")
        options = {"endpoint": "127.0.0.1", "port": server.port}
    async with Cache(request.param, namespace=request.node.name.partition("[")[0], **options) as made:
        yield made
        await made.clear()


async def test_commands(cache: Any) -> None:
    assert await cache.add("a", 1) is True
    with pytest.raises(ValueError, match="already exists"):
        await cache.add("a", 2)
    assert await cache.get("a") == 1
    assert await cache.get("none") is None
    assert await cache.get("none", default=3) == 3
    assert await cache.set("b", [1, {"x": None}], ttl=10) is True
    assert await cache.multi_set([["c", 3], ("d", 4)], ttl=10) is True
    assert await cache.multi_get(["b", "none", "c"]) == [[1, {"x": None}], None, 3]
    assert await cache.exists("c") is True
    assert await cache.exists("none") is False
    assert await cache.increment("n") == 1
    assert await cache.increment("n", delta=-3) == -2
    with pytest.raises(TypeError):
        await cache.increment("b")
    assert await cache.expire("c", 100) is True
    assert await cache.expire("c", 0) is True
    assert await cache.expire("none", 1) is False
    assert await cache.delete("c") == 1
    assert await cache.delete("c") == 0
    assert await cache.clear() is True
    assert await cache.exists("a") is False


async def test_timeout_namespace_and_functions_of_a_call(cache: Any) -> None:
    assert await cache.set("k", "v", dumps_fn=lambda value: value.upper(), namespace="other", timeout=0) is True
    assert await cache.get("k", loads_fn=lambda stored: stored + "!", namespace="other", timeout=None) == "V!"
    assert await cache.get("k", timeout=2) is None
    assert await cache.delete("k", namespace="other") == 1


async def test_connections_of_0_12(cache: Any) -> None:
    async with cache.get_connection() as connection:
        assert await connection.set("k", "v") is True
    connection = await cache.acquire_conn()
    assert await connection.get("k") == "v"
    await cache.release_conn(connection)
    await cache.close()
    assert (await cache.get("k")) == "v"  # usable again


async def test_raw() -> None:
    cache = Cache()
    await cache.set("k", "v")
    assert await cache.raw("get", "k") == "v"
    await cache.raw("__setitem__", "other", 1)
    assert await cache.get("other") == 1


async def test_raw_redis(redis_server: Server) -> None:
    async with RedisCache(port=redis_server.port) as cache:
        await cache.set("raw", "v", ttl=30)
        assert await cache.raw("ttl", "raw") > 0
        await cache.delete("raw")


async def test_switched_off_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOCACHE_DISABLE", "1")
    cache = Cache()
    calls: list[int] = []

    @cached()
    async def function() -> int:
        calls.append(1)
        return len(calls)

    assert await cache.set("k", 1) is True
    assert await cache.get("k") is None
    assert [await function(), await function()] == [1, 2]
    cache.enabled = True
    await cache.set("k", 1)
    assert await cache.get("k") == 1


# -- aliases -----------------------------------------------------------------------------------------------------------------

CONFIG: dict[str, Any] = {
    "default": {
        "cache": "aiocache.SimpleMemoryCache",
        "serializer": {"class": "aiocache.serializers.StringSerializer"},
    },
    "alt": {
        "cache": "aiocache.RedisCache",
        "endpoint": "127.0.0.10",
        "port": 6378,
        "serializer": {"class": "aiocache.serializers.PickleSerializer", "encoding": "encoding"},
        "plugins": [
            {"class": "aiocache.plugins.HitMissRatioPlugin"},
            {"class": "aiocache.plugins.TimingPlugin"},
        ],
    },
    "short": {"cache": "redis", "serializer": "pickle", "plugins": ["timing"]},
}


def test_aliases() -> None:
    default: Any = CacheHandler().get("default")
    assert type(default) is SimpleMemoryCache
    assert isinstance(default.serializer, StringSerializer)
    caches.set_config(CONFIG)
    alt: Any = caches.get("alt")
    same: Any = caches.get("alt")
    assert same is alt
    assert (type(alt), alt.endpoint, alt.port) == (RedisCache, "127.0.0.10", 6378)
    assert isinstance(alt.serializer, PickleSerializer)
    assert [type(plugin) for plugin in alt.plugins] == [HitMissRatioPlugin, TimingPlugin]
    other: Any = caches.create("alt", endpoint="127.0.0.11", namespace="n")
    assert other is not alt
    assert (other.endpoint, other.namespace) == ("127.0.0.11", "n")
    assert isinstance(caches.get("short").serializer, PickleSerializer)
    assert caches.get_config() == CONFIG
    assert caches.get_alias_config("alt") == CONFIG["alt"]
    caches.get_alias_config("alt")["port"] = 1
    assert caches.get_alias_config("alt")["port"] == 6378
    caches.add("added", {"cache": "memory"})
    assert type(caches.get("added")) is SimpleMemoryCache
    with pytest.raises(KeyError):
        caches.get("nothing")
    with pytest.raises(ValueError, match="default"):
        caches.set_config({"alt": {}})
    caches.set_config({"default": {"cache": "memory"}, "alt": {"cache": "memory"}})
    assert caches.get("alt") is not alt


# -- decorators --------------------------------------------------------------------------------------------------------------


async def test_cached_with_its_switches() -> None:
    calls: list[int] = []

    @cached(ttl=10, namespace="n", key_builder=lambda f, x: f"{f.__name__}-{x}", noself=False)
    async def function(x: int) -> int:
        calls.append(x)
        return x + len(calls)

    assert await function(1) == await function(1) == 2
    assert await function.cache.get("function-1", namespace="n") == 2
    assert await function(1, cache_read=False) == 3  # type: ignore[call-arg]
    assert await function(1) == 3
    assert await function(2, cache_write=False) == 5  # type: ignore[call-arg]
    assert await function(2, aiocache_wait_for_write=False) == 6  # type: ignore[call-arg]


async def test_cached_with_key_and_skip_function() -> None:
    @cached(key="key", skip_cache_func=lambda result: result is None, serializer=StringSerializer())
    async def function(x: Any) -> Any:
        return x

    assert await function(None) is None
    assert await function.cache.exists("key") is False
    assert await function(1) == 1
    assert await function(2) == "1"


async def test_methods_of_a_subclass_in_the_style_of_0_12() -> None:
    kept: dict[str, Any] = {}
    calls: list[int] = []

    class mine(cached):  # noqa: N801
        def get_cache_key(self, f: Any, args: Any, kwargs: Any) -> str:
            return f"mine-{args[0]}"

        async def get_from_cache(self, key: str) -> Any:
            return kept.get(key)  # None for a miss

        async def set_in_cache(self, key: str, value: Any) -> None:
            kept[key] = value

    @mine()
    async def function(x: int) -> int:
        calls.append(x)
        return x * 2

    assert await function(2) == await function(2) == 4
    assert kept == {"mine-2": 4}
    assert calls == [2]


async def test_cached_stampede() -> None:
    calls: list[int] = []

    @cached_stampede(lease=2, ttl=10, key="key")
    async def function() -> int:
        calls.append(1)
        return 1

    assert await function() == await function() == 1
    assert len(calls) == 1


async def test_multi_cached() -> None:
    asked: list[Any] = []

    @multi_cached("ids", ttl=10, namespace="n")
    async def function(ids: Any) -> dict[str, str]:
        asked.append(list(ids))
        return {key: key.upper() for key in ids}

    assert await function(["a", "b"]) == {"a": "A", "b": "B"}
    assert await function(ids=("b", "c")) == {"b": "B", "c": "C"}
    assert asked == [["a", "b"], ["c"]]
    assert await function.cache.get("a", namespace="n") == "A"


async def test_multi_cached_methods_of_a_subclass() -> None:
    kept: dict[str, Any] = {}

    class mine(multi_cached):  # noqa: N801
        async def get_from_cache(self, *keys: str) -> list[Any]:
            return [kept.get(key) for key in keys]

        async def set_in_cache(self, result: Any, fn: Any, fn_args: Any, fn_kwargs: Any) -> None:
            kept.update(result)

    @mine("ids")
    async def function(ids: list[str]) -> dict[str, str]:
        return {key: key.upper() for key in ids}

    assert await function(["a"]) == await function(["a"]) == {"a": "A"}
    assert kept == {"a": "A"}


async def test_a_broken_cache_breaks_no_call() -> None:
    @cached(cache=RedisCache, endpoint="127.0.0.1", port=1)
    async def function() -> int:
        return 1

    assert await function() == 1


async def test_an_alias_is_looked_up_at_the_first_call() -> None:
    @cached(alias="late", key="key")
    async def function() -> int:
        return 1

    caches.add("late", {"cache": "memory"})
    assert await function() == 1
    assert await caches.get("late").get("key") == 1


# -- locks -------------------------------------------------------------------------------------------------------------------


async def test_locks(cache: Any) -> None:
    async with RedLock(cache, "k", lease=2):
        await cache.set("k", 1)
    async with RedLock(cache, "k", 2):
        pass
    async with OptimisticLock(cache, "k") as lock:
        assert await lock.cas(2, ttl=10) is True
    assert await cache.get("k") == 2
    with pytest.raises(OptimisticLockError):
        async with OptimisticLock(cache, "k") as lock:
            await cache.set("k", 3)
            await lock.cas(4)


# -- serializers and plugins ----------------------------------------------------------------------------------------------------


class Thing:
    def __init__(self, number: int) -> None:
        self.number = number


class ThingSchema(Schema, BaseSerializer):  # type: ignore[misc,unused-ignore]
    number = fields.Integer()
    encoding = "utf-8"

    def dumps(self, *args: Any, **kwargs: Any) -> str:
        return str(super().dumps(*args, **kwargs))

    def loads(self, *args: Any, **kwargs: Any) -> Any:
        return super().loads(*args, **kwargs)

    @post_load
    def build(self, data: Any, **_: Any) -> Thing:
        return Thing(**data)


async def test_a_marshmallow_schema_that_is_a_serializer(cache: Any) -> None:
    cache.serializer = ThingSchema()
    await cache.set("k", Thing(3))
    assert (await cache.get("k")).number == 3


def test_serializers() -> None:
    assert (StringSerializer().encoding, JsonSerializer().encoding) == ("utf-8", "utf-8")
    assert PickleSerializer.DEFAULT_ENCODING is None
    assert BaseSerializer.DEFAULT_ENCODING == "utf-8"
    assert PickleSerializer(protocol=2).loads(PickleSerializer(protocol=2).dumps({1: 2})) == {1: 2}
    packed = MsgPackSerializer(use_list=False)
    assert packed.loads(packed.dumps([1, "a"])) == (1, "a")
    assert JsonSerializer().loads(None) is None  # type: ignore[arg-type,unused-ignore]


class Compressing(BaseSerializer):
    DEFAULT_ENCODING = None

    def dumps(self, value: Any) -> bytes:
        return str(value).encode()[::-1]

    def loads(self, value: Any) -> str:
        return bytes(value)[::-1].decode()


async def test_an_own_serializer_of_bytes(cache: Any) -> None:
    cache.serializer = Compressing()
    await cache.set("k", "text")
    assert await cache.get("k") == "text"


class OldStyle(BasePlugin):
    def __init__(self) -> None:
        self.told: list[Any] = []

    async def pre_set(self, client: Any, key: str, value: Any, **kwargs: Any) -> None:
        self.told.append(("pre_set", key, value))

    async def post_get(self, client: Any, key: str, took: float = 0, ret: Any = None, **kwargs: Any) -> None:
        self.told.append(("post_get", key, ret, took >= 0))


async def test_old_style_plugins() -> None:
    plugin = OldStyle()
    cache = Cache(plugins=[plugin, TimingPlugin(), HitMissRatioPlugin()])
    await cache.set("k", 1)
    await cache.get("k")
    assert plugin.told == [("pre_set", "k", 1), ("post_get", "k", 1, True)]
    assert cache.profiling["get_total"] == 1
    assert cache.profiling["get_min"] <= cache.profiling["get_avg"] <= cache.profiling["get_max"]
    assert cache.hit_miss_ratio == {"total": 1, "hits": 1, "hit_ratio": 1}


# -- smaller habits ------------------------------------------------------------------------------------------------------------


async def function_of_one(x: int) -> int:
    return x


async def test_the_key_can_be_asked_of_the_object_before_the_at() -> None:
    decorator = cached()
    function = decorator(function_of_one)
    await function(1)
    assert await function.cache.get(decorator.get_cache_key(function_of_one, (1,), {})) == 1


async def test_raw_get_of_redis_gives_text(redis_server: Server) -> None:
    async with RedisCache(port=redis_server.port, serializer=StringSerializer()) as cache:
        await cache.set("raw text", "v", ttl=30)
        assert await cache.raw("get", "raw text") == "v"


def test_a_cache_is_an_instance_of_its_name() -> None:
    assert isinstance(Cache(), Cache.MEMORY)  # type: ignore[arg-type]
    assert not isinstance(Cache(), Cache.REDIS)  # type: ignore[arg-type]
    assert Cache.MEMORY == "memory"


def test_a_decorator_that_has_decorated_nothing_makes_keys() -> None:
    assert cached().get_cache_key(function_of_one, (1,), {}).endswith("function_of_one(1)")
    assert cached().get_cache_key(cached()(function_of_one), (1,), {}).endswith("function_of_one(1)")


def test_a_replaced_key_builder_can_be_taken_away() -> None:
    cache: Any = Cache(namespace="n")
    cache.build_key = lambda key, namespace: "own"
    assert cache.build_key("k") == "own"  # pyright: ignore[reportCallIssue]
    del cache.build_key
    assert cache.build_key("k") == ("n", "k")


async def test_a_plugin_does_nothing_without_arguments() -> None:
    await BasePlugin().do_nothing()
