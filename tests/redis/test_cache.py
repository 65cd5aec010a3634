"""The options, URLs and text of a redis cache."""

from __future__ import annotations

import logging

import pytest

from aiocache_core import BackendError, BackendUnavailable, Cache, UnsupportedCommand
from aiocache_redis import RedisBackend, RedisCache
from tests import servers
from tests.servers import Server, free_port

SECRET = "p@ss:w/rd#%"
ENCODED = "p%40ss%3Aw%2Frd%23%25"


def test_options_are_readable_as_attributes_and_text_is_cast() -> None:
    cache = RedisCache(
        endpoint="example.org",
        port="6380",
        db="3",
        username="anna",
        password=SECRET,
        ssl=True,
        pool_max_size="7",
        create_connection_timeout="0.5",
        connection_pool_kwargs={"health_check_interval": 9},
    )
    assert (cache.endpoint, cache.port, cache.db) == ("example.org", 6380, 3)
    assert (cache.username, cache.password, cache.ssl) == ("anna", SECRET, True)
    assert (cache.pool_max_size, cache.create_connection_timeout) == (7, 0.5)
    assert cache.connection_pool_kwargs == {"health_check_interval": 9}
    assert cache.connection_pool_class is None
    assert cache.unix_socket_path is None


def test_the_backend_casts_too() -> None:
    backend = RedisBackend(port="6380", db="2", pool_max_size="3", create_connection_timeout="1")  # type: ignore[arg-type]
    assert (backend.port, backend.db, backend.pool_max_size, backend.create_connection_timeout) == (6380, 2, 3, 1.0)


@pytest.mark.parametrize("make", [RedisCache, RedisBackend, lambda **options: Cache("redis", **options)])
def test_an_unknown_option_is_a_type_error(make: type[RedisCache]) -> None:
    with pytest.raises(TypeError, match="prot"):
        make(prot=6379)  # type: ignore[call-arg]


@pytest.mark.parametrize("size", [0, -1, "0"])
def test_a_pool_without_places_is_refused(size: int | str) -> None:
    with pytest.raises(ValueError, match="pool_max_size"):
        RedisCache(pool_max_size=size)


def test_values_are_bytes() -> None:
    with pytest.raises(ValueError, match="decode_responses"):
        RedisCache(connection_pool_kwargs={"decode_responses": True})


def test_pool_min_size_is_accepted_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match="pool_min_size") as told:
        cache = RedisCache(pool_min_size=1)
    assert len(told) == 1
    assert told[0].filename == __file__
    assert cache.pool_max_size is None


def test_a_url_holds_every_option_of_a_server() -> None:
    cache = Cache.from_url(f"redis://us%40er:{ENCODED}@[::1]:6379/1?pool_max_size=2&ssl=false&namespace=app&timeout=2")
    assert isinstance(cache, RedisCache)
    assert (cache.endpoint, cache.port, cache.db) == ("::1", 6379, 1)
    assert (cache.username, cache.password) == ("us@er", SECRET)
    assert (cache.pool_max_size, cache.ssl, cache.namespace, cache.timeout) == (2, False, "app", 2)


@pytest.mark.parametrize(
    ("url", "ssl"),
    [
        ("redis://h", False),
        ("rediss://h", True),
        ("valkey://h", False),
        ("valkeys://h", True),
        ("redis://h?ssl=true", True),
        ("rediss://h?ssl=false", False),
    ],
)
def test_the_scheme_tells_tls(url: str, ssl: bool) -> None:
    cache = Cache.from_url(url)
    assert isinstance(cache, RedisCache)
    assert cache.ssl is ssl
    assert cache.endpoint == "h"


def test_a_url_with_a_password_alone() -> None:
    cache = Cache.from_url(f"redis://:{ENCODED}@h:1/0")
    assert isinstance(cache, RedisCache)
    assert cache.username is None
    assert cache.password == SECRET


@pytest.mark.parametrize(
    "url",
    [
        f"redis://u:{ENCODED}@h/first",
        f"redis://u:{ENCODED}@h:port/0",
        f"redis://u:{ENCODED}@h/0?pool_size=3",
        f"redis://u:{ENCODED}@h/0?pool_max_size=many",
        f"redis://u:{ENCODED}@h/0?ssl=perhaps",
        f"redis://u:{SECRET}@h/0",
    ],
)
def test_a_wrong_url_is_refused_without_its_secret(url: str) -> None:
    with pytest.raises((ValueError, TypeError)) as raised:
        Cache.from_url(url)
    told = f"{raised.value!r}{raised.value.__cause__!r}"
    assert SECRET not in told
    assert ENCODED not in told
    assert "w/rd" not in told


def test_the_repr_tells_where_and_no_secret() -> None:
    assert repr(RedisCache()) == "RedisCache (127.0.0.1:6379)"
    assert repr(RedisCache(endpoint="::1")) == "RedisCache ([::1]:6379)"
    assert repr(RedisCache(unix_socket_path="/run/redis.sock")) == "RedisCache (/run/redis.sock)"
    told = repr(RedisCache(username="anna", password=SECRET, db=2, ssl=True))
    assert told == "RedisCache (rediss://***@127.0.0.1:6379/2)"
    backend = RedisBackend(username="anna", password=SECRET)
    assert SECRET not in f"{backend!r} {backend}"


def test_caches_of_equal_options_share_their_connections() -> None:
    assert RedisCache(db="1", namespace="a").backend is RedisCache(db=1, namespace="b").backend
    assert RedisCache(db=1).backend is not RedisCache(db=2).backend
    assert RedisCache(password="a").backend is not RedisCache(password="b").backend


async def test_an_unknown_raw_command_says_so(redis_server: Server) -> None:
    async with RedisCache(port=redis_server.port) as cache:
        for command in ("nosuch", "__class__"):
            with pytest.raises(UnsupportedCommand, match="redis-py has no method"):
                await cache.raw(command)


async def test_no_error_and_no_log_tells_the_password(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with servers.redis_server("--requirepass", "right") as server:
        for cache, error in [
            (RedisCache(port=server.port, password=SECRET), BackendError),
            (RedisCache(port=server.port, username="anna", password=SECRET), BackendError),
            (RedisCache(port=free_port(), username="anna", password=SECRET), BackendUnavailable),
            (RedisCache(endpoint="no.such.host.invalid", password=SECRET), BackendUnavailable),
        ]:
            async with cache:
                with pytest.raises(error) as raised:
                    await cache.get("k")
                told = f"{raised.value} {raised.value!r} {raised.value.__cause__!r}"
                assert SECRET not in told

                async def compute() -> int:
                    return 1

                assert await cache.get_or_set("k", compute) == 1
    assert SECRET not in caplog.text
    assert caplog.records


async def test_a_server_that_knows_no_auth_does_not_repeat_the_password(caplog: pytest.LogCaptureFixture) -> None:
    with servers.redis_server("--rename-command", "AUTH", "") as server:
        async with RedisCache(port=server.port, username="anna", password=SECRET) as cache:
            with pytest.raises(BackendError) as raised:
                await cache.get("k")
    assert SECRET not in f"{raised.value} {raised.value!r} {raised.value.__cause__!r}"
    assert "AUTH" in str(raised.value)


async def test_a_unix_socket(redis_server: Server) -> None:
    with servers.redis_server("--unixsocket", "redis.sock") as server:
        async with RedisCache(unix_socket_path=str(server.folder / "redis.sock")) as cache:
            await cache.set("k", [1])
            assert await cache.get("k") == [1]
