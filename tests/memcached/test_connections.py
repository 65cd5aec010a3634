"""Hold that connections are bounded, shared fairly, and never carry one command's reply to another."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from aiocache_core import (
    MISS,
    BackendError,
    BackendUnavailable,
    CommandTimeout,
    Key,
    Lease,
)
from aiocache_memcached import MemcachedBackend, MemcachedCache, pool
from tests.memcached.proxy import Hold, Proxy
from tests.servers import HOST, Server, free_port, memcached_server

# -- the bound -------------------------------------------------------------------------------------------------------------


async def test_the_bound_holds_from_the_first_command_on(proxy: Proxy) -> None:
    backend = MemcachedBackend(port=proxy.port, pool_size=3)
    proxy.delay = lambda: 0.002
    await asyncio.gather(*(backend.set(f"k{number}", b"%d" % number, None) for number in range(1000)))
    assert proxy.most_open == proxy.opened == 3
    found = await asyncio.gather(*(backend.get(f"k{number}") for number in range(1000)))
    assert found == [b"%d" % number for number in range(1000)]
    assert proxy.opened == 3
    await backend.close()


async def test_commands_are_served_in_the_order_of_their_arrival(proxy: Proxy) -> None:
    backend = MemcachedBackend(port=proxy.port, pool_size=1)
    proxy.delay = lambda: 0.002
    order: list[int] = []

    async def get(number: int) -> None:
        await backend.get("k")
        order.append(number)

    await asyncio.gather(*(get(number) for number in range(500)))
    assert order == list(range(500))
    await backend.close()


async def test_commands_of_one_turn_share_a_write(proxy: Proxy) -> None:
    backend = MemcachedBackend(port=proxy.port, pool_size=2)
    for _ in range(10):
        await backend.set("k", b"v", None)
    backend._pools.current()._most = pool.MOST_REQUESTS  # whatever the machine was busy with
    proxy.requests.clear()
    assert await asyncio.gather(*(backend.get("k") for _ in range(100))) == [b"v"] * 100
    assert len([request for request in proxy.requests if request.startswith(b"get")]) <= 3
    await backend.close()


async def test_batches_grow_while_answers_come_soon_and_shrink_when_they_do_not(proxy: Proxy) -> None:
    backend = MemcachedBackend(port=proxy.port, pool_size=3)
    connections = backend._pools.current()
    for _ in range(10):
        await backend.get("k")
    assert connections._most > 1
    proxy.delay = lambda: 0.03
    for _ in range(8):
        await backend.get("k")
    assert connections._most == 1
    proxy.requests.clear()
    await asyncio.gather(*(backend.get("k") for _ in range(9)))
    sent = [request for request in proxy.requests if request.startswith(b"get")]
    assert len(sent) == 9, "one command at a time on each connection"
    await backend.close()


async def test_a_slow_command_keeps_no_others_waiting(proxy: Proxy, own_server: Server) -> None:
    backend = MemcachedBackend(port=proxy.port, pool_size=2)
    await backend.set("k", b"v", None)
    hold = proxy.hold = Hold(b"gets ")
    slow = asyncio.create_task(backend.lease("other", 30))
    await hold.reached.wait()
    assert await backend.get("k") == b"v"
    hold.released.set()
    assert isinstance(await slow, Lease)
    await backend.close()


async def test_no_connection_is_opened_before_it_is_needed(proxy: Proxy) -> None:
    backend = MemcachedBackend(port=proxy.port)
    assert proxy.opened == 0
    for _ in range(10):
        await backend.get("k")
    assert proxy.opened == 1
    await backend.close()


# -- cancellations and deadlines -------------------------------------------------------------------------------------------


async def test_cancelled_commands_poison_nothing(proxy: Proxy) -> None:
    """Commands of all kinds are cancelled at random moments; those that are not must get their own replies."""
    chance = random.Random(7)
    backend = MemcachedBackend(port=proxy.port, pool_size=4)
    keys: list[Key] = [*(f"k{number}" for number in range(20)), *(("space", f"k{number}") for number in range(20))]
    values = {key: repr(key).encode() * 20 for key in keys}
    await backend.clear(None)
    await backend.multi_set(list(values.items()), None)
    proxy.delay = lambda: chance.random() * 0.003
    wrong: list[Any] = []

    async def read(key: Key) -> None:
        if await backend.get(key) != values[key]:
            wrong.append(key)

    async def read_many() -> None:
        some = chance.sample(keys, 10)
        if await backend.multi_get(some) != [values[key] for key in some]:
            wrong.append(some)

    async def write(key: Key) -> None:
        await backend.set(key, values[key], None)

    async def expire(key: Key) -> None:
        if not await backend.expire(key, None):
            wrong.append(key)

    async def count() -> None:
        await backend.increment("count", 1, None)

    async def look() -> None:
        if await backend.raw("get", b"k1", encoding=None) != values["k1"]:
            wrong.append("raw")

    async def lease(number: int) -> None:
        answer = await backend.lease(("leases", str(number)), 30)
        if not isinstance(answer, Lease) or not await backend.store_leased(answer, b"v", None):
            wrong.append(number)

    cancelled = 0
    for turn in range(800):
        key = chance.choice(keys)
        kinds: list[tuple[Any, ...]] = [
            (read, key),
            (read_many,),
            (write, key),
            (expire, key),
            (count,),
            (lease, turn),
            (look,),
        ]
        kind, *arguments = chance.choice(kinds)
        task: asyncio.Task[None] = asyncio.create_task(kind(*arguments))
        beside = asyncio.create_task(read(chance.choice(keys)))
        await asyncio.sleep(chance.random() * 0.004)
        cancelled += task.cancel()
        await asyncio.gather(task, beside, return_exceptions=True)
        assert beside.exception() is None
    assert cancelled > 200, "else this test proves nothing"
    assert wrong == []
    proxy.delay = lambda: 0.0
    for key in keys:
        await read(key)
    assert wrong == []
    await asyncio.sleep(0.02)
    assert proxy.open <= 4
    await backend.close()


async def test_a_command_after_one_that_was_given_up_while_connecting(own_server: Server) -> None:
    for turns in range(12):
        backend = MemcachedBackend(port=own_server.port, pool_size=1)
        task = asyncio.create_task(backend.get("k"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, backend.set("k", b"v", None), return_exceptions=True)
        assert await backend.get("k") == b"v"
        task = asyncio.create_task(backend.raw("get", b"k"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        assert await backend.get("k") == b"v"
        await backend.close()


async def test_a_late_reply_is_nobody_elses(proxy: Proxy) -> None:
    async with MemcachedCache(port=proxy.port, pool_size=1, serializer="string") as cache:
        await cache.set("a", "of a")
        await cache.set("b", "of b")
        proxy.delay = lambda: 0.1
        with pytest.raises(CommandTimeout):
            await cache.get("a", timeout=0.03)
        proxy.delay = lambda: 0.0
        assert await cache.get("b") == "of b"


async def test_waiting_for_a_connection_is_within_the_deadline(proxy: Proxy) -> None:
    async with MemcachedCache(port=proxy.port, pool_size=1) as cache:
        await cache.get("absent")
        proxy.silent = True
        began = time.monotonic()
        outcomes = await asyncio.gather(*(cache.get("absent", timeout=0.1) for _ in range(50)), return_exceptions=True)
        assert all(isinstance(outcome, CommandTimeout) for outcome in outcomes)
        assert time.monotonic() - began < 5
        proxy.silent = False
        assert await cache.get("absent") is None


# -- ends ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", range(0, 45, 4))
async def test_a_reply_that_is_cut_is_an_error_at_once(proxy: Proxy, after: int) -> None:
    backend = MemcachedBackend(port=proxy.port)
    value = b"VALUE " * 4
    await backend.set("k", value, None)
    assert after < len(b"VALUE k 0 24\r\n" + value + b"\r\nEND\r\n")
    proxy.cut = after
    with pytest.raises(BackendUnavailable, match="the server has closed it"):
        await asyncio.wait_for(backend.get("k"), 5)
    assert await backend.get("k") == value
    await backend.close()


async def test_the_end_of_the_stream_never_blocks_the_loop(proxy: Proxy) -> None:
    backend = MemcachedBackend(port=proxy.port, pool_size=3)
    commands: list[Callable[[], Any]] = [
        lambda: backend.get("k"),
        lambda: backend.set("k", b"v", None),
        lambda: backend.multi_get(["k", ("space", "k")]),
        lambda: backend.increment("n", 1, None),
        lambda: backend.lease("l", 30),
        lambda: backend.clear("space"),
        lambda: backend.raw("get", b"k"),
        lambda: backend.raw("set", b"k", b"v"),
        lambda: backend.raw("stats"),
    ]
    for command in commands:
        await backend.get("k")
        proxy.silent = True
        task = asyncio.create_task(command())
        await asyncio.sleep(0.02)
        proxy.close_all()
        proxy.silent = False
        with pytest.raises(BackendUnavailable):
            await asyncio.wait_for(task, 5)
        assert await backend.get("absent") is MISS
    await backend.close()


async def test_nobody_listens() -> None:
    port = free_port()
    backend = MemcachedBackend(port=port)
    with pytest.raises(BackendUnavailable, match=f"cannot connect to memcached at 127.0.0.1:{port}"):
        await backend.get("k")
    with pytest.raises(BackendUnavailable):
        await backend.raw("get", b"k")
    await backend.close()


async def test_a_server_that_comes_back_is_used_again(server_apart: Server) -> None:
    backend = MemcachedBackend(port=server_apart.port, pool_size=5)
    await asyncio.gather(*(backend.set(f"k{number}", b"v", None) for number in range(20)))
    await asyncio.to_thread(server_apart.kill)
    outcomes = await asyncio.gather(*(backend.get("k") for _ in range(50)), return_exceptions=True)
    assert all(isinstance(outcome, BackendUnavailable) for outcome in outcomes)
    await asyncio.to_thread(server_apart.start)
    assert await asyncio.gather(*(backend.get("k1") for _ in range(50))) == [MISS] * 50
    await backend.close()


async def test_a_server_without_a_place_says_so() -> None:
    with memcached_server("-c", "20", "-t", "1") as server:
        backends = [MemcachedBackend(port=server.port, pool_size=1) for _ in range(40)]
        outcomes = await asyncio.gather(*(backend.get("k") for backend in backends), return_exceptions=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, BackendError)]
        assert refused
        assert any("Too many open connections" in str(error) for error in refused)
        assert all(isinstance(error, BackendUnavailable) for error in refused)
        for backend in backends:
            await backend.close()


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\n" * 3,
        b"VALUE k 0 x\r\n",
        b"MN\r\nSTAT pid 1\r\nSTAT time x\r\nEND\r\n",
        b"\x00" * 70_000,
    ],
)
async def test_something_else_that_listens_there_is_an_error(said: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(said)
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, HOST, 0)
    backend = MemcachedBackend(port=server.sockets[0].getsockname()[1])
    with pytest.raises(BackendError):
        await asyncio.wait_for(backend.get("k"), 5)
    await backend.close()
    server.close()
    await asyncio.sleep(0.01)


# -- close -----------------------------------------------------------------------------------------------------------------


async def test_close_ends_pending_commands_and_is_no_end(proxy: Proxy) -> None:
    backend = MemcachedBackend(port=proxy.port, pool_size=2)
    await backend.set("k", b"v", None)
    proxy.silent = True
    pending = [asyncio.create_task(backend.get("k")) for _ in range(20)]
    pending.append(asyncio.create_task(backend.raw("get", b"k")))
    await asyncio.sleep(0.02)
    await backend.close()
    outcomes = await asyncio.wait_for(asyncio.gather(*pending, return_exceptions=True), 5)
    assert all(isinstance(outcome, BackendUnavailable) for outcome in outcomes)
    await backend.close()
    proxy.silent = False
    assert await backend.get("k") == b"v"
    await backend.close()


async def test_close_ends_a_connection_that_is_being_opened() -> None:
    with socket.socket() as deaf:  # takes connections and never answers
        deaf.bind((HOST, 0))
        deaf.listen(5)
        backend = MemcachedBackend(port=deaf.getsockname()[1], pool_size=2)
        pending = [asyncio.create_task(backend.get("k")) for _ in range(5)]
        await asyncio.sleep(0.05)
        await backend.close()
        outcomes = await asyncio.wait_for(asyncio.gather(*pending, return_exceptions=True), 5)
        assert all(isinstance(outcome, BackendUnavailable) for outcome in outcomes)


async def test_closing_frees_the_sockets(proxy: Proxy) -> None:
    backend = MemcachedBackend(port=proxy.port, pool_size=5)
    proxy.delay = lambda: 0.002
    await asyncio.gather(*(backend.get("k") for _ in range(1000)))
    assert proxy.open >= 1
    await backend.close()
    await asyncio.sleep(0.05)
    assert proxy.open == 0


# -- loops -----------------------------------------------------------------------------------------------------------------


def test_one_object_in_several_loops_and_threads(own_server: Server) -> None:
    backend = MemcachedBackend(port=own_server.port)
    failures: list[BaseException] = []

    async def use(name: str) -> None:
        for number in range(30):
            await backend.set((name, "k"), b"%d" % number, None)
            assert await backend.get((name, "k")) == b"%d" % number

    def run(name: str) -> None:
        try:
            for _ in range(3):
                asyncio.run(use(name))
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    asyncio.run(use("main"))
    threads = [threading.Thread(target=run, args=(f"thread {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    asyncio.run(use("main"))


# -- batches ---------------------------------------------------------------------------------------------------------------


async def test_many_keys_take_few_round_trips_and_bounded_ones(backend: MemcachedBackend, proxy: Proxy) -> None:
    behind = MemcachedBackend(port=proxy.port)
    for namespace in (None, "space"):
        keys: list[Key] = [str(number) if namespace is None else (namespace, str(number)) for number in range(1700)]
        await behind.get(keys[0])
        proxy.requests.clear()
        await behind.multi_set([(key, b"v") for key in keys], None)
        assert await behind.multi_get([*keys, keys[0]]) == [b"v"] * 1701
        assert await behind.multi_delete(keys) == 1700
        assert proxy.opened == 1
        assert len(proxy.requests) <= 60  # pieces of 64 kB; a key each would be 5,100
    await behind.close()


async def test_many_keys_take_turns_with_other_commands(backend: MemcachedBackend) -> None:
    pairs: list[tuple[Key, Any]] = [(("space", str(number)), b"x" * 100) for number in range(20_000)]
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await backend.get("other")
            turns += 1

    task = asyncio.create_task(others())
    await backend.multi_set(pairs, None)
    assert len(await backend.multi_get([key for key, _ in pairs])) == 20_000
    assert turns >= 40
    task.cancel()


async def test_values_as_large_as_the_server_takes_go_in_batches(backend: MemcachedBackend) -> None:
    values = [bytes([number]) * 900_000 for number in range(6)]
    keys: list[Key] = [f"large{number}" for number in range(6)]
    await backend.multi_set(list(zip(keys, values, strict=True)), None)
    assert await backend.multi_get(keys) == values
    assert await backend.multi_delete(keys) == 6
