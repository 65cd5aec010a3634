"""What the user sees when the server is away, refuses, or holds something else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from redis.exceptions import RedisError, ResponseError

from aiocache_core import KEEP, MISS, BackendError, BackendUnavailable, Lease, ValueTooLarge
from aiocache_redis import RedisBackend, RedisCache
from aiocache_redis.errors import mapped
from tests import servers
from tests.proxy import Proxy, proxy
from tests.redis.support import until
from tests.servers import Server, free_port

Call = Callable[[RedisBackend], Awaitable[Any]]

COMMANDS: dict[str, Call] = {
    "get": lambda backend: backend.get("k"),
    "set": lambda backend: backend.set("k", b"v", None),
    "set with ttl": lambda backend: backend.set("k", b"v", 1.5),
    "add": lambda backend: backend.add("k", b"v", 1),
    "delete": lambda backend: backend.delete("k"),
    "exists": lambda backend: backend.exists("k"),
    "expire": lambda backend: backend.expire("k", 1),
    "expires_in": lambda backend: backend.expires_in("k"),
    "increment": lambda backend: backend.increment("k", 1, None),
    "gets": lambda backend: backend.gets("k"),
    "cas": lambda backend: backend.cas("k", b"v", b"w", KEEP),
    "multi_get": lambda backend: backend.multi_get(["k", "l"]),
    "multi_set": lambda backend: backend.multi_set([("k", b"v"), ("l", b"v")], None),
    "multi_set with ttl": lambda backend: backend.multi_set([("k", b"v"), ("l", b"v")], 1),
    "multi_delete": lambda backend: backend.multi_delete(["k", "l"]),
    "clear": lambda backend: backend.clear("n"),
    "clear all": lambda backend: backend.clear(None),
    "lease": lambda backend: backend.lease("k", 1),
    "renew": lambda backend: backend.renew(Lease("k", 1, b"token")),
    "store_leased": lambda backend: backend.store_leased(Lease("k", 1, b"token"), b"v", None),
    "release": lambda backend: backend.release(Lease("k", 1, b"token")),
    "raw": lambda backend: backend.raw("get", "k"),
}
WRITES = [name for name in COMMANDS if name not in {"get", "exists", "expires_in", "gets", "multi_get", "raw"}]


@pytest.fixture
async def through(redis_server: Server) -> AsyncGenerator[Proxy]:
    async with proxy(redis_server.port) as running:
        yield running


@pytest.fixture(scope="module")
def locked() -> Iterator[Server]:
    with servers.redis_server("--requirepass", "right") as server:
        yield server


@pytest.mark.parametrize("name", COMMANDS)
async def test_nobody_listens(name: str) -> None:
    backend = RedisBackend(port=free_port())
    async with asyncio.timeout(5):
        with pytest.raises(BackendUnavailable, match=rf"127\.0\.0\.1:{backend.port} cannot be reached") as raised:
            await COMMANDS[name](backend)
    assert isinstance(raised.value.__cause__, RedisError)
    await backend.close()


@pytest.mark.parametrize("name", COMMANDS)
async def test_no_password(locked: Server, name: str) -> None:
    backend = RedisBackend(port=locked.port)
    with pytest.raises(BackendError, match="refused: .*uthentication required") as raised:
        await COMMANDS[name](backend)
    assert not isinstance(raised.value, BackendUnavailable)
    await backend.close()


@pytest.mark.parametrize("name", COMMANDS)
async def test_a_wrong_password(locked: Server, name: str) -> None:
    backend = RedisBackend(port=locked.port, password="wrong")
    with pytest.raises(BackendError, match=r"refused: .*invalid (username-)?password") as raised:
        await COMMANDS[name](backend)
    assert not isinstance(raised.value, BackendUnavailable)
    await backend.close()


async def test_a_wrong_database(redis_server: Server) -> None:
    backend = RedisBackend(port=redis_server.port, db=99)
    with pytest.raises(BackendError, match="DB index is out of range"):
        await backend.get("k")
    await backend.close()


async def test_a_replica_takes_no_writes(redis_server: Server) -> None:
    with servers.redis_server("--replicaof", f"{servers.HOST} {free_port()}") as replica:
        backend = RedisBackend(port=replica.port)
        for name in WRITES:
            if name in {"clear", "renew", "cas", "expire", "store_leased", "release"}:
                continue  # nothing is there that they would write
            with pytest.raises(BackendError, match=r"refused: .*read only replica"):
                await COMMANDS[name](backend)
        assert await backend.get("k") is MISS
        await backend.close()


async def test_a_replica_that_serves_nothing() -> None:
    options = ("--replicaof", f"{servers.HOST} {free_port()}", "--replica-serve-stale-data", "no")
    with servers.redis_server(*options) as replica:
        backend = RedisBackend(port=replica.port)
        for name in ("get", "gets", "multi_get"):
            with pytest.raises(BackendError, match="Link with MASTER is down"):
                await COMMANDS[name](backend)
        await backend.close()


async def test_memory_is_full() -> None:
    with servers.redis_server("--maxmemory", "2mb", "--maxmemory-policy", "noeviction") as server:
        backend = RedisBackend(port=server.port)
        with pytest.raises(BackendError, match="refused: .*maxmemory"):
            for number in range(100):
                await backend.set(f"{number}", bytes(100_000), None)
        await backend.raw("config_set", "maxmemory", "1mb")  # the large command itself had counted
        for name in ("set", "set with ttl", "add", "increment", "multi_set", "multi_set with ttl", "lease"):
            with pytest.raises(BackendError, match="refused: .*maxmemory"):
                await COMMANDS[name](backend)
        assert await backend.get("0") == bytes(100_000)
        await backend.clear(None)
        await backend.raw("config_set", "maxmemory", "100mb")
        await backend.set("k", b"v", None)
        assert await backend.get("k") == b"v"
        await backend.close()


async def test_the_server_loads_its_data() -> None:
    options = (
        "--key-load-delay",
        "2000",
        "--loading-process-events-interval-bytes",
        "1024",
        "--enable-debug-command",
        "yes",
    )
    with servers.redis_server(*options) as server:
        backend = RedisBackend(port=server.port)
        await backend.multi_set([(f"{number}", bytes(100)) for number in range(2_000)], None)
        loading = asyncio.create_task(backend.raw("execute_command", "DEBUG", "RELOAD"))
        other = RedisBackend(port=server.port)

        async def ask() -> None:
            while not loading.done():
                await other.get("1")
                await asyncio.sleep(0)

        with pytest.raises(BackendError, match="loading"):
            await ask()
        server.kill()
        with pytest.raises(BackendUnavailable):
            await loading
        await backend.close()
        await other.close()


async def test_no_client_more() -> None:
    with servers.redis_server("--maxclients", "1") as server:
        first = RedisBackend(port=server.port)

        async def works(backend: RedisBackend) -> bool:
            try:
                await backend.set("k", b"v", None)
            except BackendError:
                return False
            return True

        await until(lambda: works(first))  # the server frees a place when it has seen the close of who had it
        second = RedisBackend(port=server.port)
        with pytest.raises(BackendUnavailable):  # the reason reaches us unless the server's reset overtakes it
            await second.get("k")
        await first.close()
        await until(lambda: works(second))
        await second.close()


@pytest.mark.parametrize(
    "name", ["get", "set", "add", "gets", "increment", "lease", "cas", "multi_get", "exists", "delete"]
)
async def test_another_data_type(redis_server: Server, name: str) -> None:
    backend = RedisBackend(port=redis_server.port, db=2)
    await backend.clear(None)
    await backend.raw("rpush", "k", "v")
    call = COMMANDS[name](backend)
    if name in {"get", "gets", "lease", "cas"}:
        with pytest.raises(BackendError, match="WRONGTYPE"):
            await call
    elif name == "increment":
        with pytest.raises(TypeError, match="integer"):
            await call
    else:
        expected = {"set": None, "add": False, "multi_get": [MISS, MISS], "exists": True, "delete": True}
        assert await call == expected[name]
    await backend.close()


@pytest.mark.parametrize("held", [b"text", b"1.5", b"9223372036854775808", b"", b" 1"])
async def test_increment_needs_an_integer(redis_server: Server, held: bytes) -> None:
    async with RedisCache(port=redis_server.port, db=2, namespace="increment", serializer="null") as cache:
        await cache.backend.set(("increment", "k"), held, None)
        with pytest.raises(TypeError, match="integer"):
            await cache.increment("k")
        assert await cache.backend.get(("increment", "k")) == held


async def test_increment_beyond_64_bits(redis_server: Server) -> None:
    async with RedisCache(port=redis_server.port, db=2, namespace="increment") as cache:
        await cache.set("big", 2**63 - 1)
        with pytest.raises(OverflowError, match="64 bits"):
            await cache.increment("big")
        assert await cache.get("big") == 2**63 - 1


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("bytes_", [0, 2])
async def test_the_connection_is_cut_in_the_middle(through: Proxy, name: str, bytes_: int) -> None:
    backend = RedisBackend(port=through.port, db=3)
    await backend.set("k", b"1", None)
    through.cut_after = bytes_
    if not bytes_:
        through.drop()
        through.refuse = True
    with pytest.raises(BackendUnavailable, match="cannot be reached, or was lost"):
        await COMMANDS[name](backend)
    through.cut_after, through.refuse = None, False
    await backend.set("k", b"1", None)
    assert await backend.get("k") == b"1"
    await backend.close()


@pytest.mark.parametrize("name", COMMANDS)
async def test_the_server_is_killed_in_the_middle(name: str) -> None:
    with servers.redis_server() as server:
        backend = RedisBackend(port=server.port)
        await backend.get("k")
        server.pause()
        call = asyncio.ensure_future(COMMANDS[name](backend))
        await asyncio.sleep(0)
        server.kill()
        with pytest.raises(BackendUnavailable):
            await call
        server.start()
        await backend.set("k", b"v", None)
        assert await backend.get("k") == b"v"
        await backend.close()


async def test_nothing_of_the_value_is_told() -> None:
    error = ResponseError("unknown command 'SET', with args beginning with: 'k' 'secret value' ")
    told = mapped(error, "h:1")
    assert str(told) == "h:1 refused: unknown command 'SET'"
    assert "secret" not in repr(error)
    with servers.redis_server("--rename-command", "SET", "") as server:
        backend = RedisBackend(port=server.port)
        with pytest.raises(BackendError) as raised:
            await backend.set("k", b"secret value", None)
        assert "secret" not in f"{raised.value!r}{raised.value.__cause__!r}"
        await backend.close()


async def test_a_value_too_large_for_the_server() -> None:
    with servers.redis_server("--proto-max-bulk-len", "1mb") as server:
        backend = RedisBackend(port=server.port)
        for call in (
            lambda: backend.set("k", bytes(2_000_000), None),
            lambda: backend.add("k", bytes(2_000_000), 1),
            lambda: backend.multi_set([("k", bytes(2_000_000))], 1),
        ):
            with pytest.raises((ValueTooLarge, BackendUnavailable)):  # the server may close before it has read all
                await call()
        await backend.set("k", b"v", None)
        assert await backend.get("k") == b"v"
        await backend.close()
