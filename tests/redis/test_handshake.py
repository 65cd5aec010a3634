"""Hold that a connection is used only when it is logged in, and that a refusal is no reason to connect or to ask again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from aiocache_core import BackendError, BackendUnavailable
from aiocache_redis import RedisBackend
from tests import servers
from tests.redis.conftest import DB, Make
from tests.redis.listener import listener
from tests.redis.support import until
from tests.servers import Server

PASSWORD = "very-secret"


@pytest.fixture(scope="module")
def locked() -> Iterator[Server]:
    """A server with a password."""
    with servers.redis_server("--requirepass", PASSWORD) as server:
        yield server


async def test_a_handshake_cancelled_at_any_moment_leaves_no_connection_without_login(locked: Server) -> None:
    for turns in range(60):
        backend = RedisBackend(port=locked.port, password=PASSWORD, db=3, pool_max_size=1)
        task = asyncio.create_task(backend.get("k"))
        for _ in range(turns):
            await asyncio.sleep(0.0002 if turns % 2 else 0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() or task.exception() is None
        await backend.set("other", b"v", None)
        assert await backend.get("other") == b"v"
        await backend.close()


@pytest.mark.parametrize(
    "reply",
    [
        "MISCONF Redis is configured to save",
        "MOVED 1 127.0.0.1:1",
        "NOREPLICAS Not enough",
        "BUSY Redis is busy",
        "OOM no",
    ],
)
async def test_a_refusal_is_told_once_and_costs_no_connection(redis_server: Server, redis: Any, reply: str) -> None:
    async with listener(redis_server.port) as between:
        backend = RedisBackend(port=between.port, db=DB)
        await backend.get("k")
        asked = len(between.requests)
        between.rewrite = lambda data: f"-{reply}\r\n".encode()
        with pytest.raises(BackendError, match=reply.split()[1]) as raised:
            await backend.set("k", b"v", None)
        assert not isinstance(raised.value, BackendUnavailable)
        assert len(between.requests) == asked + 1
        between.rewrite = lambda data: data
        await backend.get("k")
        assert between.opened == 1
        await backend.close()


async def test_a_loading_server_is_away(redis_server: Server) -> None:
    async with listener(redis_server.port) as between:
        backend = RedisBackend(port=between.port, db=DB)
        await backend.get("k")
        between.rewrite = lambda data: b"-LOADING Redis is loading the dataset in memory\r\n"
        with pytest.raises(BackendUnavailable, match="loading"):
            await backend.get("k")
        between.rewrite = lambda data: data
        await backend.get("k")
        await backend.close()


async def test_close_ends_what_reads_what_sends_and_what_waits(redis_server: Server, redis: Any) -> None:
    async with listener(redis_server.port) as between:
        backend = RedisBackend(port=between.port, db=DB, pool_max_size=2)
        await backend.get("k")
        between.passing.clear()
        commands: list[asyncio.Task[Any]] = [asyncio.create_task(backend.set("k", b"x" * 20_000_000, None))]
        commands += [asyncio.create_task(backend.get("k")) for _ in range(10)]
        await asyncio.sleep(0.02)
        async with asyncio.timeout(20):
            await asyncio.gather(backend.close(), backend.close())
            await asyncio.wait(commands)
        for command in commands:
            error = command.exception()
            assert isinstance(error, BackendUnavailable)
            assert "closed" in str(error)
        between.passing.set()


async def test_a_cancelled_write_into_a_black_hole_keeps_no_socket(redis_server: Server) -> None:
    async with listener(redis_server.port) as between:
        backend = RedisBackend(port=between.port, db=DB, pool_max_size=2)
        await backend.get("k")
        between.passing.clear()
        for _ in range(5):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await backend.set("k", b"x" * 20_000_000, None)
        pool = backend._clients.current()[0].pool
        assert not any(connection.is_connected for connection in pool._available_connections)
        assert not pool._in_use_connections
        between.passing.set()
        await backend.set("k", b"w", None)
        assert await backend.get("k") == b"w"
        await backend.close()


async def test_an_acl_that_forbids_a_command(make: Make, redis: Any) -> None:
    await redis.acl_setuser(
        "reader", enabled=True, passwords=["+" + PASSWORD], commands=["+get", "+select"], keys=["*"]
    )
    try:
        backend = make(username="reader", password=PASSWORD)
        await backend.get("k")
        for refused in (backend.set("k", b"v", None), backend.delete("k"), backend.clear("space")):
            with pytest.raises(BackendError, match="no permissions") as raised:
                await refused
            assert PASSWORD not in f"{raised.value!r} {raised.value.__cause__!r}"
        await backend.close()
    finally:
        await redis.acl_deluser("reader")


async def test_a_server_without_the_command_does_not_make_us_tell_what_we_sent() -> None:
    with servers.redis_server("--rename-command", "SET", "", "--rename-command", "AUTH", "") as server:
        for backend in (RedisBackend(port=server.port), RedisBackend(port=server.port, password=PASSWORD)):
            with pytest.raises(BackendError, match="unknown command") as raised:
                await backend.set("k", PASSWORD, None)
            assert PASSWORD not in f"{raised.value!r} {raised.value.__cause__!r}"
            await backend.close()


async def test_a_connection_given_back_twice_is_one_connection(backend: RedisBackend) -> None:
    await backend.get("k")
    pool = backend._clients.current()[0].pool
    connection = await pool.get_connection()
    await pool.release(connection)
    places = pool._places._value
    await pool.release(connection)
    assert pool._places._value == places
    assert pool._available_connections.count(connection) == 1


async def test_a_wait_that_subscribes_while_another_loses_the_connection_looks_again(redis_server: Server) -> None:
    async with listener(redis_server.port) as between:
        backend = RedisBackend(port=between.port, db=DB)
        between.passing.clear()
        waiting = asyncio.create_task(backend.changed("k", 20.0))
        await until(lambda: between.opened)
        notices = backend._clients.current()[1]
        notices._lose()
        between.passing.set()
        async with asyncio.timeout(10):
            await waiting
        notices._disconnect()
        notices._write("UNSUBSCRIBE", b"none")  # to nobody
        await backend.close()


def test_pool_min_size_has_no_effect_on_a_backend_either() -> None:
    with pytest.warns(DeprecationWarning, match="pool_min_size has no effect"):
        RedisBackend(pool_min_size=1)
