"""The pool, its places, and connections that are cut, stale, black or abandoned."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import BlockingConnectionPool

from aiocache_core import MISS, BackendError, BackendUnavailable, CommandTimeout, Stored
from aiocache_redis import RedisBackend, RedisCache
from tests import servers
from tests.proxy import Proxy, proxy
from tests.redis.support import until
from tests.servers import Server

DB = 6


@pytest.fixture
async def through(redis_server: Server) -> AsyncGenerator[Proxy]:
    async with proxy(redis_server.port) as running:
        yield running


def pool(backend: RedisBackend) -> Any:
    return backend._clients.current()[0].pool


def check_places(backend: RedisBackend) -> None:
    """Assert that every place of the pool is free."""
    here = pool(backend)
    assert not here._in_use_connections
    assert here._places._value == here.max_connections
    assert len(here._available_connections) <= here.max_connections


# -- places ------------------------------------------------------------------------------------------------------------


async def test_commands_wait_for_a_free_connection(through: Proxy) -> None:
    backend = RedisBackend(port=through.port, db=DB, pool_max_size=2)
    through.delay = 0.001
    assert await asyncio.gather(*(backend.get(f"none:{number}") for number in range(100))) == [MISS] * 100
    assert through.accepted == 2
    check_places(backend)
    await backend.close()


async def test_fifty_connections_unless_told(through: Proxy) -> None:
    backend = RedisBackend(port=through.port, db=DB)
    through.delay = 0.05
    await asyncio.gather(*(backend.get("none") for _ in range(200)))
    assert through.accepted == 50
    await backend.close()


async def test_max_connections_of_redis_py_bounds_too(through: Proxy) -> None:
    backend = RedisBackend(port=through.port, db=DB, connection_pool_kwargs={"max_connections": 1})
    await asyncio.gather(*(backend.get("none") for _ in range(20)))
    assert through.accepted == 1
    await backend.close()


async def test_first_come_first_served(redis_server: Server) -> None:
    backend = RedisBackend(port=redis_server.port, db=DB, pool_max_size=1)
    await backend.get("none")
    done: list[int] = []

    async def ask(number: int) -> None:
        await backend.get("none")
        done.append(number)

    await asyncio.gather(*(ask(number) for number in range(100)))
    assert done == list(range(100))
    await backend.close()


@pytest.mark.parametrize("size", [1, 3])
async def test_cancelled_commands_lose_no_place_and_mix_no_replies(through: Proxy, size: int) -> None:
    chance = random.Random(size)
    backend = RedisBackend(port=through.port, db=DB, pool_max_size=size)
    names = [f"mix:{number}" for number in range(50)]
    await backend.multi_set([(name, name.encode()) for name in names], None)

    async def ask(name: str) -> None:
        match chance.randrange(4):
            case 0:
                assert await backend.get(name) == name.encode()
            case 1:
                assert await backend.multi_get([name, "none"]) == [name.encode(), MISS]
            case 2:
                assert await backend.exists(name)
            case _:
                await backend.multi_set([(name, name.encode()), (f"{name}+", name.encode())], 100)

    cancelled = 0
    for _ in range(100):
        through.delay = chance.choice([0, 0.0005])
        tasks = [asyncio.create_task(ask(chance.choice(names))) for _ in range(8)]
        for _ in range(chance.randrange(12)):
            await asyncio.sleep(chance.choice([0, 0, 0.0005]))
        for task in chance.sample(tasks, 5):
            cancelled += task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert result is None or isinstance(result, asyncio.CancelledError), result
    assert cancelled > 100
    check_places(backend)
    through.delay = 0
    found = await asyncio.gather(*(backend.get(name) for name in names * 4))
    assert found == [name.encode() for name in names] * 4
    assert through.connections <= size
    await backend.close()


async def test_a_command_cancelled_while_it_connects_gives_its_place_back(through: Proxy) -> None:
    backend = RedisBackend(port=through.port, db=DB, pool_max_size=1)
    through.black_hole = True
    for _ in range(3):
        waiting = [asyncio.create_task(backend.get("none")) for _ in range(3)]
        await asyncio.sleep(0.02)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        check_places(backend)
    through.black_hole = False
    assert await backend.get("none") is MISS
    await backend.close()


# -- slow and lost connections ---------------------------------------------------------------------------------------------


async def test_a_black_hole_ends_at_the_deadline(through: Proxy) -> None:
    loop = asyncio.get_running_loop()
    async with RedisCache(port=through.port, db=DB, pool_max_size=2, timeout=0.25, namespace="hole") as cache:
        await cache.set("k", 1)
        through.black_hole = True
        begun = loop.time()
        results = await asyncio.gather(*(cache.get("k") for _ in range(20)), return_exceptions=True)
        lasted = loop.time() - begun
        assert {type(result) for result in results} == {CommandTimeout}
        assert "0.25 s" in str(results[0])
        print(f"deadline 0.25 s, lasted {lasted:.3f} s")
        check_places(cache.backend)
        through.black_hole = False
        assert await cache.get("k") == 1
        assert await asyncio.gather(*(cache.get("k") for _ in range(20))) == [1] * 20
        assert through.connections <= 2


async def test_connecting_has_a_limit_of_its_own(through: Proxy) -> None:
    through.black_hole = True
    backend = RedisBackend(port=through.port, db=DB, create_connection_timeout=0.05)
    # the proxy accepts and then says nothing: the limit covers the greeting too
    async with asyncio.timeout(5):
        with pytest.raises(BackendUnavailable, match=r"0\.05 s"):
            await backend.get("none")
    check_places(backend)
    await backend.close()


async def test_a_restart_is_not_noticed() -> None:
    """Not even by the first commands, which come before the loop has seen that the old connections ended."""
    with servers.redis_server() as server:
        backend = RedisBackend(port=server.port, pool_max_size=5)
        await asyncio.gather(*(backend.get("none") for _ in range(20)))
        await backend.add("k", b"v", None)
        server.restart()
        await asyncio.gather(*(backend.add("k", b"v", None) for _ in range(20)))
        assert await backend.get("k") == b"v"
        await backend.close()


@pytest.mark.parametrize("how", ["killed", "dropped"])
async def test_idle_connections_that_were_cut_are_replaced(through: Proxy, how: str) -> None:
    backend = RedisBackend(port=through.port, db=DB, pool_max_size=3)
    for _ in range(5):
        await asyncio.gather(*(backend.get("none") for _ in range(10)))
        if how == "killed":
            await backend.raw("execute_command", "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        else:
            through.drop()
        left = 1 if how == "killed" else 0
        await until(lambda left=left: through.connections <= left)  # type: ignore[misc]
        await asyncio.sleep(0.01)  # for the end of the stream to reach this process
        assert await asyncio.gather(*(backend.get("none") for _ in range(10))) == [MISS] * 10
    check_places(backend)
    await backend.close()


async def test_a_connection_of_which_a_reply_is_left_is_not_used(redis_server: Server) -> None:
    backend = RedisBackend(port=redis_server.port, db=DB, pool_max_size=1)
    await backend.set("k", b"v", None)
    (connection,) = pool(backend)._available_connections
    connection._writer.write(b"*2\r\n$4\r\nECHO\r\n$7\r\nfor you\r\n")
    await until(lambda: connection._reader._buffer)
    assert await backend.get("k") == b"v"
    await backend.close()


async def test_half_a_reply_is_never_a_value(through: Proxy) -> None:
    backend = RedisBackend(port=through.port, db=DB)
    await backend.set("long", b"x" * 100_000, None)
    for length in (1, 5, 10, 1_000, 99_999, 100_008):
        await backend.get("none")
        through.cut_after = length
        with pytest.raises(BackendUnavailable):
            await backend.get("long")
        through.cut_after = None
        assert await backend.get("long") == b"x" * 100_000
    await backend.close()


# -- closing -----------------------------------------------------------------------------------------------------------------


async def test_close_ends_commands_that_wait(through: Proxy) -> None:
    backend = RedisBackend(port=through.port, db=DB, pool_max_size=2)
    await backend.get("none")
    through.black_hole = True
    tasks = [asyncio.create_task(backend.get("none")) for _ in range(5)]
    await asyncio.sleep(0.02)
    async with asyncio.timeout(2):
        await backend.close()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(result) for result in results} == {BackendUnavailable}
    assert all("closed in the middle" in str(result) for result in results)
    through.black_hole = False
    assert await backend.get("none") is MISS
    await backend.close()
    await backend.close()


async def test_close_leaves_no_connection(through: Proxy) -> None:
    async with RedisCache(port=through.port, db=DB) as cache:
        await asyncio.gather(*(cache.get("none") for _ in range(20)))
        assert through.connections > 1
    await until(lambda: not through.connections)
    assert await cache.get("none") is None
    await cache.close()


async def test_a_pool_of_redis_py(redis_server: Server) -> None:
    options: dict[str, Any] = {
        "connection_pool_class": BlockingConnectionPool,
        "connection_pool_kwargs": {"timeout": 5},
    }
    async with RedisCache(port=redis_server.port, db=DB, pool_max_size=2, namespace="own", **options) as cache:
        assert isinstance(pool(cache.backend), BlockingConnectionPool)
        await cache.set("k", 1)
        assert await asyncio.gather(*(cache.get("k") for _ in range(20))) == [1] * 20
        assert await cache.multi_set([("a", 1), ("b", 2)], ttl=10) is True


async def test_options_of_redis_py_reach_the_connection(redis_server: Server) -> None:
    backend = RedisBackend(port=redis_server.port, db=DB, connection_pool_kwargs={"client_name": "somebody"})
    assert await backend.raw("client_getname") == "somebody"
    await backend.close()


# -- loops, threads, processes -------------------------------------------------------------------------------------------------


def test_a_loop_after_another(redis_server: Server) -> None:
    cache = RedisCache(port=redis_server.port, db=DB, namespace="loops")

    async def count() -> Any:
        return await cache.increment("n")

    asyncio.run(cache.delete("n"))
    assert [asyncio.run(count()) for _ in range(5)] == [1, 2, 3, 4, 5]


def test_a_loop_in_each_thread(redis_server: Server) -> None:
    backend = RedisBackend(port=redis_server.port, db=DB, pool_max_size=2)
    errors: list[BaseException] = []

    async def work(name: str) -> None:
        for _ in range(20):
            await asyncio.gather(*(backend.set(f"{name}:{number}", name.encode(), 100) for number in range(5)))
            found: list[Stored | Any] = await backend.multi_get([f"{name}:{number}" for number in range(5)])
            assert found == [name.encode()] * 5

    def run(name: str) -> None:
        try:
            asyncio.run(work(name))
        except BaseException as error:  # noqa: BLE001 - told to the test
            errors.append(error)

    threads = [threading.Thread(target=run, args=(f"thread{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def run_program(port: int, program: str) -> str:
    """Run a program with every warning an error; return what it printed, and assert that it complained of nothing."""
    result = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(program).replace("PORT", str(port))],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert result.returncode == 0, result.stderr
    assert not result.stderr
    return result.stdout


def test_the_end_of_a_program_is_quiet_without_close(redis_server: Server) -> None:
    told = run_program(
        redis_server.port,
        """
        import asyncio
        from aiocache_core import Cache
        cache = Cache("redis", port=PORT, namespace="quiet")

        async def main():
            asyncio.get_running_loop().slow_callback_duration = 60
            await asyncio.gather(*(cache.set(f"{n}", n) for n in range(10)))
            await asyncio.gather(*(cache.backend.lease("busy", 1) for n in range(2)))
            await cache.backend.changed("busy", 0.01)
            waiting = asyncio.create_task(cache.backend.changed("busy", 100))
            await asyncio.sleep(0.01)
            return await cache.get("3")

        print(asyncio.run(main()), asyncio.run(main()))
        """,
    )
    assert told == "3 3\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_fork_has_connections_of_its_own(redis_server: Server) -> None:
    told = run_program(
        redis_server.port,
        """
        import asyncio, os, warnings
        from aiocache_core import Cache
        warnings.filterwarnings("ignore", "This process", DeprecationWarning)
        cache = Cache("redis", port=PORT, namespace="fork", pool_max_size=1)

        async def main():
            asyncio.get_running_loop().slow_callback_duration = 60
            await cache.set("k", "parent")
            child = os.fork()
            if not child:
                os._exit(child_main())
            for _ in range(200):
                assert await cache.get("k") == "parent"
            _, status = os.waitpid(child, 0)
            assert await cache.get("k") == "parent"
            assert await cache.get("child") == "child"
            await cache.close()
            return os.waitstatus_to_exitcode(status)

        def child_main():
            asyncio._set_running_loop(None)

            async def work():
                asyncio.get_running_loop().slow_callback_duration = 60
                for _ in range(200):
                    await cache.set("child", "child")
                    assert await cache.get("child") == "child"
                await cache.close()

            asyncio.run(work())
            return 0

        print(asyncio.run(main()))
        """,
    )
    assert told == "0\n"


async def test_random_faults_end_in_an_answer_or_an_error_of_ours(through: Proxy) -> None:
    chance = random.Random(7)
    cache = RedisCache(port=through.port, db=DB, pool_max_size=3, timeout=0.2, namespace="faults")
    for _ in range(60):
        match chance.randrange(5):
            case 0:
                through.cut_after = chance.randrange(40)
            case 1:
                through.drop()
            case 2:
                through.delay = chance.choice([0, 0.001])
            case 3:
                through.refuse = True
            case _:
                pass
        tasks = [asyncio.create_task(cache.set(f"{number}", number)) for number in range(4)]
        tasks += [asyncio.create_task(cache.get(f"{number}")) for number in range(4)]
        for number, result in enumerate(await asyncio.gather(*tasks, return_exceptions=True)):
            assert isinstance(result, BackendError) or result in (True, None, number % 4), result
        through.cut_after, through.refuse = None, False
    through.delay = 0
    with suppress(BackendError):
        await cache.get("0")
    assert await cache.set("0", 0) is True
    assert await cache.get("0") == 0
    check_places(cache.backend)
    assert through.connections <= 3
    await cache.close()
