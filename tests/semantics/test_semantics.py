"""Hold the rules that are the same on every store, a class for each.

The conformance suite holds them for backends; here they are what a user of a cache sees. What lasts seconds on a server is
tried there; here the time of memory is ours, and the servers are asked for the seconds that entries have left.
"""

from __future__ import annotations

import asyncio
import copy
import enum
import logging
import math
import os
import pickle
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

import aiocache_core as core
from aiocache_core import MISS, BackendUnavailable, Cache, CommandTimeout, UnsupportedCommand, cached
from tests import servers
from tests.conformance.processes import finish_child, start_child
from tests.core.stores import DictCache
from tests.semantics.searching import Clock
from tests.servers import HOST, Server

NOWHERE = 1
"""A port on which nothing listens."""


@dataclass
class Kind:
    """Be one kind of store: how to make caches over an empty one."""

    name: str
    options: dict[str, Any]
    grain: float
    clock: Clock | None = None

    def make(self, **options: Any) -> Any:
        return Cache(self.name, **self.options, **options)

    @asynccontextmanager
    async def cache(self, **options: Any) -> AsyncIterator[Any]:
        """Give a cache over an empty store."""
        async with self.make(**options) as cache:
            await cache.clear("")
            yield cache


@pytest.fixture(params=["memory", "redis", "memcached"])
def kind(request: pytest.FixtureRequest) -> Kind:
    if request.param == "memory":
        clock = Clock()
        return Kind("memory", {"clock": clock}, 0.0, clock)
    server: Server = request.getfixturevalue(f"{request.param}_server")
    return Kind(request.param, {"port": server.port}, 0.001 if request.param == "redis" else 1.0)


@pytest.fixture(params=["redis", "memcached"])
def server_apart(request: pytest.FixtureRequest) -> Any:
    """Be a server of one test, which may pause and stop it, and the name of its store."""
    run = servers.redis_server if request.param == "redis" else servers.memcached_server
    with run() as server:
        yield request.param, server


async def about(cache: Any, key: str, seconds: float | None, grain: float) -> bool:
    """Return True if an entry has about this time left; the test itself may have taken some of it."""
    left = await cache.expires_in(key)
    if seconds is None or not isinstance(left, float):
        return left is seconds
    return seconds - 30 - grain < left <= seconds + grain


class TestTtl:
    @pytest.mark.parametrize(
        ("ttl", "left"),
        [
            (100, 100),
            (100.5, 100.5),
            (timedelta(minutes=2), 120),
            (None, None),
            (0, None),
            (0.0, None),
            (math.inf, None),
        ],
    )
    async def test_seconds_or_a_timedelta_or_no_expiry(self, kind: Kind, ttl: Any, left: float | None) -> None:
        async with kind.cache(ttl=1_000) as cache:
            await cache.set("set", 1, ttl=ttl)
            await cache.add("add", 1, ttl=ttl)
            await cache.multi_set([("multi_set", 1)], ttl=ttl)
            await cache.increment("increment", ttl=ttl)
            await cache.set("expire", 1)
            assert await cache.expire("expire", ttl) is True
            await cache.get_or_set("get_or_set", lambda: 1, ttl)
            for key in ("set", "add", "multi_set", "increment", "expire", "get_or_set"):
                assert await about(cache, key, left, kind.grain), key

    @pytest.mark.parametrize(
        ("ttl", "error"), [(-1, ValueError), (math.nan, ValueError), (True, TypeError), ("1", TypeError)]
    )
    async def test_what_is_no_ttl_is_refused(self, kind: Kind, ttl: Any, error: type[Exception]) -> None:
        async with kind.cache() as cache:
            await cache.set("k", 1)
            commands: list[Callable[[], Awaitable[object]]] = [
                lambda: cache.set("new", 1, ttl=ttl),
                lambda: cache.add("new", 1, ttl=ttl),
                lambda: cache.multi_set([("new", 1)], ttl=ttl),
                lambda: cache.increment("new", ttl=ttl),
                lambda: cache.expire("k", ttl),
                lambda: cache.get_or_set("new", lambda: 1, ttl),
            ]
            for command in commands:
                with pytest.raises(error):
                    await command()
            assert await cache.exists("new") is False
            assert await cache.get("k") == 1

    async def test_given_nowhere_it_is_the_caches_default(self, kind: Kind) -> None:
        async with kind.cache(ttl=100) as cache:
            await cache.set("set", 1)
            await cache.add("add", 1)
            await cache.multi_set([("multi_set", 1)])
            await cache.increment("increment")
            await cache.get_or_set("get_or_set", lambda: 1)
            for key in ("set", "add", "multi_set", "increment", "get_or_set"):
                assert await about(cache, key, 100, kind.grain), key
            await cache.set("lasting", 1, ttl=None)
            await cache.increment("lasting")
            assert await cache.expires_in("lasting") is None

    async def test_expire_by_zero_removes_the_expiry(self, kind: Kind) -> None:
        async with kind.cache(ttl=100) as cache:
            for ttl in (0, None):
                await cache.set("k", 1)
                assert await cache.expire("k", ttl) is True
                assert await cache.expires_in("k") is None
            assert await cache.expire("absent", 0) is False


class TestGrain:
    async def test_memory_is_exact(self) -> None:
        clock = Clock()
        async with Cache("memory", clock=clock) as cache:
            await cache.set("k", 1, ttl=2.5)
            clock.advance(2.499)
            assert await cache.get("k") == 1
            clock.advance(0.001)
            assert await cache.get("k") is None

    async def test_a_fraction_is_rounded_up_never_to_none(self, kind: Kind) -> None:
        async with kind.cache() as cache:
            for ttl in (50.3, 0.0001):
                await cache.set("k", 1, ttl=ttl)
                left = await cache.expires_in("k")
                assert left is MISS or 0 <= left <= ttl + kind.grain

    async def test_more_than_thirty_days(self, kind: Kind) -> None:
        async with kind.cache() as cache:
            await cache.set("k", 1, ttl=timedelta(days=400))
            assert await about(cache, "k", 400 * 86_400, kind.grain)


class TestNamespace:
    async def test_none_is_the_caches_own_and_the_empty_one_is_none(self, kind: Kind) -> None:
        async with kind.cache(namespace="own") as cache:
            await cache.set("k", "own")
            await cache.set("k", "none", namespace="")
            await cache.set("k", "other", namespace="other")
            assert await cache.get("k") == await cache.get("k", namespace="own") == "own"
            assert await cache.get("k", namespace="") == "none"
            assert await cache.multi_get(["k"], namespace="other") == ["other"]
            cache.namespace = ""
            assert await cache.get("k") == "none"

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (("a", "bc"), ("ab", "c")),
            (("a", "b:c"), ("a:b", "c")),
            (("", "@a:k"), ("a", "k")),
            (("", "a:k"), ("a", "k")),
            (("@a", "k"), ("a", "k")),
            (("a%3A", "k"), ("a:", "k")),
            (("*", "k"), ("a", "k")),
            (("a b", "k"), ("a_b", "k")),
        ],
    )
    async def test_keys_of_two_never_meet(self, kind: Kind, one: tuple[str, str], other: tuple[str, str]) -> None:
        async with kind.cache() as cache:
            await cache.set(one[1], "one", namespace=one[0])
            assert await cache.get(other[1], namespace=other[0]) is None
            await cache.set(other[1], "other", namespace=other[0])
            assert await cache.get(one[1], namespace=one[0]) == "one"
            assert await cache.delete(other[1], namespace=other[0]) == 1
            assert await cache.get(one[1], namespace=one[0]) == "one"


class Name(enum.Enum):
    TEXT = "text"
    NUMBER = 7


class TestKeys:
    @pytest.mark.parametrize(
        ("key", "same"),
        [
            ("", b""),
            ("a", b"a"),
            (1, "1"),
            (-1, b"-1"),
            (Name.TEXT, "text"),
            (Name.NUMBER, "7"),
            ("\ud800", b"\xed\xa0\x80"),
        ],
    )
    async def test_text_bytes_numbers_and_enums(self, kind: Kind, key: Any, same: Any) -> None:
        async with kind.cache(namespace="keys") as cache:
            await cache.set(key, "v")
            assert await cache.get(same) == "v"
            assert await cache.delete(same) == 1
            assert await cache.exists(key) is False

    async def test_text_is_not_normalised(self, kind: Kind) -> None:
        async with kind.cache() as cache:
            await cache.multi_set([("\xe9", 1), ("e\u0301", 2)])
            assert await cache.multi_get(["\xe9", "e\u0301"]) == [1, 2]

    @pytest.mark.parametrize("key", [None, 1.5, True, ("a",), object()])
    async def test_anything_else_is_a_type_error(self, kind: Kind, key: Any) -> None:
        async with kind.cache() as cache:
            for command in (cache.get, cache.exists, cache.delete, cache.increment):
                with pytest.raises(TypeError, match="key"):
                    await command(key)


class TestStoredForm:
    FORMS = (
        (None, "user:1", "user:1"),
        (None, "@x", "@@x"),
        ("app", "user:1", "@app:user:1"),
        ("a:b%", "k", "@a%3Ab%25:k"),
        ("@a", "k", "@%40a:k"),
    )

    @pytest.mark.parametrize(("namespace", "key", "name"), FORMS)
    async def test_other_programs_find_a_key_in_redis(
        self, redis_server: Server, namespace: str | None, key: str, name: str
    ) -> None:
        async with Cache("redis", port=redis_server.port, namespace=namespace) as cache:
            await cache.set(key, {"a": 1})
            assert await cache.raw("get", name) in {b'{"a":1}', '{"a":1}'}

    @pytest.mark.parametrize("key", ["user:1", "@x", "x" * 200])
    async def test_other_programs_find_a_key_in_memcached(self, memcached_server: Server, key: str) -> None:
        async with Cache("memcached", port=memcached_server.port) as cache:
            await cache.set(key, "v")
            assert await cache.raw("get", core.keys.encode(key)) in {b'"v"', '"v"'}

    @pytest.mark.parametrize("key", ["x" * 251, "a b", "a\nb", "a\x00b", "\x7f"])
    async def test_a_key_that_a_store_cannot_hold_is_encoded(self, kind: Kind, key: str) -> None:
        async with kind.cache() as cache:
            near = {key + "x", key[:-1], key.replace(" ", "_"), key.replace("\n", "\\n"), "x" * 250} - {key}
            await cache.set(key, "v")
            assert await cache.multi_get(near) == [None] * len(near)
            assert await cache.get(key) == "v"


class TestOwnKeyBuilder:
    async def test_it_gives_the_finished_key(self, kind: Kind) -> None:
        async with kind.cache(namespace="ns", key_builder=lambda key, namespace: f"{namespace}/{key}") as cache:
            await cache.set("k", 1)
            assert cache.build_key("k") == "ns/k"
            assert await kind_plain(kind, cache).get("ns/k") == 1

    async def test_clear_of_a_namespace_is_then_not_possible(self, kind: Kind) -> None:
        async with kind.cache(namespace="ns") as cache:
            cache.build_key = lambda key, namespace: f"{namespace}/{key}"
            await cache.set("k", 1)
            with pytest.raises(UnsupportedCommand):
                await cache.clear()
            assert await cache.get("k") == 1
            await cache.clear("")
            assert await cache.get("k") is None


def kind_plain(kind: Kind, cache: Any) -> Any:
    """Return a cache over the same entries that has no namespace and no key builder."""
    plain = kind.make()
    if kind.name == "memory":
        plain.backend = cache.backend
        plain.serializer = cache.serializer
    return plain


class TestClear:
    async def test_only_its_namespace(self, kind: Kind) -> None:
        async with kind.cache(namespace="a*") as cache:
            for namespace in ("a*", "ab", "a", ""):
                await cache.multi_set([(f"k{n}", n) for n in range(50)], namespace=namespace)
            assert await cache.clear() is True
            assert await cache.multi_get([f"k{n}" for n in range(50)]) == [None] * 50
            for namespace in ("ab", "a", ""):
                assert await cache.multi_get([f"k{n}" for n in range(50)], namespace=namespace) == list(range(50))

    async def test_foreign_keys_survive(self, redis_server: Server) -> None:
        async with Cache("redis", port=redis_server.port, namespace="app") as cache:
            await cache.raw("set", "app:foreign", "v")
            await cache.raw("set", "@apple:k", "v")
            await cache.set("k", 1)
            await cache.clear()
            assert await cache.raw("exists", "app:foreign", "@apple:k") == 2
            assert await cache.exists("k") is False

    async def test_a_cache_without_a_namespace_clears_the_store(self, kind: Kind) -> None:
        async with kind.cache() as cache:
            await cache.set("k", 1)
            await cache.set("k", 1, namespace="a")
            await cache.clear()
            assert await cache.exists("k") is False
            assert await cache.exists("k", namespace="a") is False


class TestGet:
    async def test_the_default_only_on_a_miss(self, kind: Kind) -> None:
        async with kind.cache() as cache:
            assert await cache.get("k") is None
            assert await cache.get("k", "default") == "default"
            falsy: list[Any] = [None, 0, "", False, []]
            for value in falsy:
                await cache.set("k", value)
                assert await cache.get("k", "default") == value

    async def test_multi_get_in_order_with_duplicates(self, kind: Kind) -> None:
        async with kind.cache() as cache:
            await cache.multi_set([("a", None), ("b", 2)])
            assert await cache.multi_get(["b", "x", "a", "b"]) == [2, None, None, 2]
            assert await cache.multi_get(["b", "x", "a", "b"], default=MISS) == [2, MISS, None, 2]
            assert await cache.multi_get([]) == []


class TestSet:
    async def test_true(self, kind: Kind) -> None:
        async with kind.cache() as cache:
            assert await cache.set("k", None) is True
            assert await cache.multi_set([("a", 1), ("b", 2)]) is True
            assert await cache.multi_set({"a": 3}) is True
            assert await cache.multi_set([]) is True
            assert await cache.multi_get(["k", "a", "b"], default=MISS) == [None, 3, 2]


class TestAdd:
    async def test_true_or_value_error(self, kind: Kind) -> None:
        async with kind.cache() as cache:
            assert await cache.add("k", None) is True
            with pytest.raises(ValueError, match="already exists"):
                await cache.add("k", 2)
            assert await cache.get("k", "miss") is None

    async def test_atomic(self, kind: Kind) -> None:
        async with kind.cache() as cache:
            done = await asyncio.gather(*(cache.add("k", n) for n in range(30)), return_exceptions=True)
            assert done.count(True) == 1
            assert await cache.get("k") == done.index(True)


class TestIncrement:
    async def test_it_creates_and_counts_below_zero(self, kind: Kind) -> None:
        async with kind.cache() as cache:
            assert [await cache.increment("k", delta) for delta in (5, -5, -3, 10, 0)] == [5, 0, -3, 7, 7]
            assert await cache.increment("new") == 1

    async def test_atomic(self, kind: Kind) -> None:
        async with kind.cache() as cache:
            totals = await asyncio.gather(*(cache.increment("k") for _ in range(50)))
            assert sorted(totals) == list(range(1, 51))

    @pytest.mark.parametrize(("start", "delta"), [(2**63 - 1, 1), (-(2**63), -1), (0, 2**63), (0, -(2**63) - 1)])
    async def test_past_signed_64_bits_nothing_is_changed(self, kind: Kind, start: int, delta: int) -> None:
        async with kind.cache() as cache:
            assert await cache.increment("k", start) == start
            with pytest.raises(OverflowError):
                await cache.increment("k", delta)
            assert await cache.get("k") == start

    @pytest.mark.parametrize("delta", [True, 1.0, "1", None])
    async def test_a_delta_that_is_no_integer(self, kind: Kind, delta: Any) -> None:
        async with kind.cache() as cache:
            with pytest.raises(TypeError):
                await cache.increment("k", delta)
            assert await cache.exists("k") is False

    @pytest.mark.parametrize("value", ["text", 1.5, None, [1]])
    async def test_a_value_that_is_no_integer(self, kind: Kind, value: Any) -> None:
        async with kind.cache() as cache:
            await cache.set("k", value)
            with pytest.raises(TypeError):
                await cache.increment("k")
            assert await cache.get("k") == value

    @pytest.mark.parametrize("serializer", ["null", "string", "json"])
    async def test_a_counter_is_read_with_null_string_and_json(self, kind: Kind, serializer: str) -> None:
        async with kind.cache(serializer=serializer) as cache:
            await cache.set("k", 41)
            await cache.increment("k")
            assert str(await cache.get("k")) == "42"


class TestDelete:
    async def test_the_number_deleted(self, kind: Kind) -> None:
        async with kind.cache() as cache:
            await cache.multi_set([("a", None), ("b", 0), ("c", "")])
            assert await cache.delete("a") == 1
            assert await cache.delete("a") == 0
            assert await cache.multi_delete(["a", "b", "c", "c"]) == 2
            assert await cache.multi_delete([]) == 0


class TestExpiresIn:
    async def test_seconds_none_or_a_miss(self, kind: Kind) -> None:
        async with kind.cache() as cache:
            assert await cache.expires_in("k") is MISS
            await cache.set("k", None)
            assert await cache.expires_in("k") is None
            await cache.expire("k", 100)
            assert isinstance(await cache.expires_in("k"), float)
            assert await about(cache, "k", 100, kind.grain)

    async def test_a_store_that_cannot_tell(self) -> None:
        with pytest.raises(UnsupportedCommand):
            await DictCache(label="expires_in").expires_in("k")


class TestGetOrSet:
    async def test_a_value_or_an_awaitable_and_none_is_stored(self, kind: Kind) -> None:
        calls = 0

        def nothing() -> None:
            nonlocal calls
            calls += 1

        async def something() -> list[int]:
            return [1]

        async with kind.cache() as cache:
            assert await cache.get_or_set("none", nothing) is None
            assert await cache.get_or_set("none", nothing) is None
            assert calls == 1
            assert await cache.get_or_set("list", something, 100) == [1]
            assert await cache.get("list") == [1]
            assert await about(cache, "list", 100, kind.grain)

    @pytest.mark.parametrize("lease", [None, 10])
    async def test_single_flight(self, kind: Kind, lease: float | None) -> None:
        calls = 0

        async def compute() -> int:
            nonlocal calls
            calls += 1
            await asyncio.sleep(0.01)
            return 7

        async with kind.cache() as cache:
            found = await asyncio.gather(*(cache.get_or_set("k", compute, lease=lease) for _ in range(20)))
            assert found == [7] * 20
            assert calls == 1

    async def test_an_invalidation_wins_over_a_running_computation(self, kind: Kind) -> None:
        started, go_on = asyncio.Event(), asyncio.Event()

        async def compute() -> str:
            started.set()
            await go_on.wait()
            return "old"

        async with kind.cache() as cache:
            writes: list[Callable[[], Awaitable[object]]] = [
                lambda: cache.delete("k"),
                lambda: cache.multi_delete(["k"]),
                lambda: cache.set("k", "new"),
                lambda: cache.multi_set([("k", "new")]),
                lambda: cache.add("k", "new"),
                lambda: cache.increment("k"),
                cache.clear,
            ]
            for lease in (None, 10):
                for write in writes:
                    await cache.delete("k")
                    started.clear()
                    go_on.clear()
                    running = asyncio.create_task(cache.get_or_set("k", compute, lease=lease))
                    await started.wait()
                    await write()
                    expected = await cache.get("k")
                    go_on.set()
                    assert await running == "old"
                    assert await cache.get("k") == expected != "old"

    async def test_with_the_store_down_the_factory_answers(self) -> None:
        for name in ("redis", "memcached"):
            cache: Any = Cache(name, port=NOWHERE)
            assert await cache.get_or_set("k", lambda: 7) == 7
            assert await cache.get_or_set("k", lambda: 8, lease=10) == 8
            await cache.close()


class TestDeadline:
    async def test_command_timeout_and_no_reply_of_another(self, server_apart: tuple[str, Server]) -> None:
        name, server = server_apart
        async with Cache(name, port=server.port, timeout=10) as cache:
            await cache.multi_set([(f"k{n}", n) for n in range(20)])
            server.pause()
            try:
                late = await asyncio.gather(
                    *(cache.get(f"k{n}", timeout=0.05) for n in range(20)), return_exceptions=True
                )
                with pytest.raises(TimeoutError):
                    await cache.set("k0", "late", timeout=0.05)
            finally:
                server.resume()
            assert {type(error) for error in late} == {CommandTimeout}
            for n in range(1, 20):
                assert await cache.get(f"k{n}") == n
            assert await cache.get("k0") in {0, "late"}

    async def test_a_cancelled_command_leaves_the_others_right(self, kind: Kind) -> None:
        async with kind.cache() as cache:
            await cache.multi_set([(f"k{n}", n) for n in range(20)])
            for turns in range(10):
                tasks = [asyncio.create_task(cache.get(f"k{n}")) for n in range(20)]
                for _ in range(turns):
                    await asyncio.sleep(0)
                for task in tasks[::2]:
                    task.cancel()
                await asyncio.wait(tasks)
                assert [task.result() for task in tasks[1::2]] == list(range(1, 20, 2))


class TestStoreDown:
    async def test_backend_unavailable_and_then_it_works_again(self, server_apart: tuple[str, Server]) -> None:
        name, server = server_apart
        calls = 0

        async with Cache(name, port=server.port) as cache:
            connected: Any = cache

            @cached(cache=connected, namespace=f"answers in {name}")
            async def answer(number: int) -> int:
                nonlocal calls
                calls += 1
                return number

            await cache.set("k", 1)
            server.stop()
            commands: list[Callable[[], Awaitable[object]]] = [
                lambda: cache.get("k"),
                lambda: cache.set("k", 2),
                lambda: cache.add("k", 2),
                lambda: cache.increment("n"),
                lambda: cache.multi_get(["k"]),
                lambda: cache.delete("k"),
                cache.clear,
            ]
            for command in commands:
                with pytest.raises(BackendUnavailable):
                    await command()
            assert await answer(7) == 7
            assert await answer(7) == 7
            assert calls == 2
            assert await cache.get_or_set("k", lambda: 3) == 3
            server.start()
            assert await cache.set("k", 4) is True
            assert await cache.get("k") == 4
            assert [await answer(7), await answer(7)] == [7, 7]
            assert calls == 3

    async def test_errors_of_use_pass_a_decorator(self) -> None:
        async def identity(value: object) -> object:
            return value

        with pytest.raises(core.UnstableKeyError):
            await cached()(identity)(object())
        with pytest.raises(TypeError, match="no_such_option"):
            cached(no_such_option=1)(identity)
        with pytest.raises(core.InvalidCacheType):
            await cached(cache="no such store")(identity)(1)


class TestLoopsAndProcesses:
    def test_one_object_in_several_runs_before_and_after_close(self, kind: Kind) -> None:
        cache = kind.make(namespace="loops")

        async def use(turn: int, *, close: bool) -> None:
            await cache.set("k", turn)
            assert await cache.get("k") == turn
            assert await cache.get_or_set(f"turn {turn}", lambda: turn, 100) == turn
            if close:
                await cache.close()

        for turn in range(4):
            asyncio.run(use(turn, close=turn % 2 == 1))

    def test_threads_with_a_loop_each(self, kind: Kind) -> None:
        cache = kind.make(namespace="threads")
        totals: list[int] = []

        async def count() -> None:
            totals.extend([await cache.increment("n") for _ in range(25)])
            await cache.close()

        asyncio.run(cache.clear())
        threads = [threading.Thread(target=lambda: asyncio.run(count())) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(totals) == list(range(1, 101))

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
    def test_a_forked_child_has_connections_of_its_own(self, kind: Kind) -> None:
        cache = kind.make(namespace="fork")

        async def use(who: str) -> None:
            for turn in range(20):
                await cache.set(who, turn)
                assert await cache.get(who) == turn

        with asyncio.Runner() as parent:
            parent.run(use("parent"))
            child = start_child(lambda: asyncio.run(use("child")))
            parent.run(use("parent"))
            finish_child(*child)
            parent.run(use("parent"))
            parent.run(cache.close())

    def test_tokens_of_leases_are_not_guessed(self) -> None:
        tokens = {core.records.unpack(core.records.new_mark(1)).payload for _ in range(1_000)}
        assert len(tokens) == 1_000
        assert {len(token) for token in tokens} == {16}

    def test_making_a_cache_needs_no_loop_and_opens_nothing(self) -> None:
        for name in ("memory", "redis", "memcached"):
            assert isinstance(Cache(name), Cache)


class TestSharing:
    async def test_equal_options_share_and_close_leaves_the_others(self, kind: Kind) -> None:
        one, two = kind.make(), kind.make(namespace="other")
        if kind.name == "memory":
            await one.set("k", 1)
            assert await two.get("k", namespace="") is None
            return
        assert one.backend is two.backend
        assert kind.make(endpoint="localhost").backend is not one.backend
        await one.set("k", 1)
        assert await two.get("k", namespace="") == 1
        await one.close()
        assert await two.get("k", namespace="") == 1
        await two.close()
        assert await one.get("k") == 1
        await one.close()

    async def test_close_ends_its_own_pending_commands(self, server_apart: tuple[str, Server]) -> None:
        name, server = server_apart
        one: Any = Cache(name, port=server.port)
        other: Any = Cache(name, port=server.port)
        await one.set("k", 1)
        await other.get("k")
        server.pause()
        try:
            ours, others = asyncio.create_task(one.get("k")), asyncio.create_task(other.get("k"))
            await asyncio.sleep(0.05)
            await one.close()
            with pytest.raises(BackendUnavailable):
                await ours
            assert not others.done()
        finally:
            server.resume()
        assert await others == 1
        await other.close()


class TestBound:
    async def test_memory_is_unbounded_unless_told(self) -> None:
        async with Cache("memory") as cache:
            await cache.multi_set([(n, n) for n in range(20_000)])
            assert await cache.get(0) == 0
            assert "max_entries=None" in repr(cache)
        async with Cache("memory", max_entries=100) as bounded:
            await bounded.multi_set([(n, n) for n in range(1_000)])
            found = await bounded.multi_get(list(range(1_000)), default=MISS)
            assert len([value for value in found if value is not MISS]) == 100
            assert "max_entries=100" in repr(bounded)

    async def test_a_decorated_functions_own_memory_holds_ten_thousand(self) -> None:
        @cached()
        async def usual(number: int) -> int:
            return number

        @cached(max_entries=None)
        async def lifted(number: int) -> int:
            return number

        await usual(1)
        await lifted(1)
        bounds: list[Any] = [usual.cache, lifted.cache]
        assert [cache.max_entries for cache in bounds] == [10_000, None]


class TestValuesInMemory:
    async def test_the_very_object_unless_a_serializer_is_given(self) -> None:
        value = [1, {"a": object()}]
        async with Cache("memory") as cache:
            await cache.set("k", value)
            assert await cache.get("k") is value
        async with Cache("memory", serializer="json") as cache:
            await cache.set("k", [1])
            assert await cache.get("k") == [1]
            assert await cache.get("k") is not await cache.get("k")

    @pytest.mark.parametrize("name", ["redis", "memcached"])
    async def test_null_over_a_network(self, request: pytest.FixtureRequest, name: str) -> None:
        server: Server = request.getfixturevalue(f"{name}_server")
        async with Cache(name, port=server.port, serializer="null") as cache:
            for value, read in (("text", "text"), (b"bytes", "bytes"), (7, "7")):
                await cache.set("k", value)
                assert await cache.get("k") == read
            others: list[Any] = [None, 1.5, True, [1]]
            for other in others:
                with pytest.raises(TypeError, match="serializer='json'"):
                    await cache.set("k", other)


class TestClock:
    async def test_it_is_injectable_in_memory(self) -> None:
        clock = Clock()
        async with Cache("memory", clock=clock, ttl=10) as cache:
            await cache.set("k", 1)
            clock.advance(4)
            assert await cache.expires_in("k") == 6
            clock.advance(6)
            assert await cache.exists("k") is False
            assert await cache.add("k", 2) is True


class TestCopies:
    def test_a_cache_is_not_copied(self, kind: Kind) -> None:
        cache = kind.make()
        for copied in (pickle.dumps, copy.deepcopy):
            with pytest.raises(TypeError, match="configuration"):
                copied(cache)


class TestUrlsAndReprs:
    def test_user_and_password_are_decoded_and_never_shown(self) -> None:
        cache: Any = Cache.from_url("redis://us%65r:p%40ss%2Fword@[::1]:6380/2?pool_max_size=3&namespace=ns")
        assert (cache.endpoint, cache.port, cache.db) == ("::1", 6380, 2)
        assert (cache.username, cache.password) == ("user", "p@ss/word")
        assert (cache.pool_max_size, cache.namespace) == (3, "ns")
        for shown in (repr(cache), str(cache), repr(cache.backend), repr(vars(cache))):
            assert "p@ss" not in shown
            assert "p%40ss" not in shown
        assert "redis://***@" in repr(cache)

    async def test_no_password_in_errors_and_logs(self, caplog: pytest.LogCaptureFixture) -> None:
        cache: Any = Cache.from_url(f"redis://user:hush-hush@{HOST}:{NOWHERE}/0")
        with caplog.at_level(logging.DEBUG), pytest.raises(BackendUnavailable) as caught:
            await cache.get("k")
        assert await cache.get_or_set("k", lambda: "whisper") == "whisper"
        await cache.close()
        for told in (str(caught.value), repr(caught.value), caplog.text):
            assert "hush" not in told
            assert "whisper" not in told

    @pytest.mark.parametrize("url", ["redis://localhost", "memcached://localhost:11211"])
    def test_a_url_for_a_name_is_told_where_it_belongs(self, url: str) -> None:
        with pytest.raises(core.InvalidCacheType, match="from_url"):
            Cache(url)


class TestLogs:
    async def test_one_line_for_each_change_of_state(
        self, caplog: pytest.LogCaptureFixture, server_apart: tuple[str, Server]
    ) -> None:
        name, server = server_apart
        async with Cache(name, port=server.port) as cache:
            assert await cache.get_or_set("k", lambda: 1) == 1
            assert caplog.records == []
            server.stop()
            for _ in range(5):
                await cache.get_or_set("k", lambda: 2)
            down = [record for record in caplog.records if record.levelno >= logging.WARNING]
            assert len(down) == 1
            server.start()
            for _ in range(5):
                await cache.get_or_set("k", lambda: 3)
            told = [record for record in caplog.records if record.levelno >= logging.WARNING]
            assert len(told) == 2
            assert "again" in told[1].getMessage()
            assert {record.name.split(".")[0] for record in caplog.records if "cache" in record.name} == {"aiocache"}


class TestErrors:
    FAMILY = (
        (core.InvalidCacheType, core.CacheError),
        (core.NotInstalled, core.InvalidCacheType, ImportError),
        (core.PluginLoadError, core.InvalidCacheType, ImportError),
        (core.PluginConflict, core.InvalidCacheType),
        (core.BackendError, core.CacheError),
        (core.BackendUnavailable, core.BackendError, ConnectionError),
        (core.CommandTimeout, core.BackendUnavailable, TimeoutError),
        (core.ValueTooLarge, core.BackendError, ValueError),
        (core.DecodeError, core.CacheError, ValueError),
        (core.UnsupportedCommand, core.CacheError, NotImplementedError),
        (core.UnstableKeyError, TypeError),
        (core.OptimisticLockError, core.CacheError),
        (core.LockLost, core.CacheError),
    )

    @pytest.mark.parametrize("family", FAMILY, ids=lambda family: family[0].__name__)
    def test_the_family(self, family: tuple[type[Exception], ...]) -> None:
        error, *parents = family
        assert all(issubclass(error, parent) for parent in parents)

    async def test_decode_error_names_key_and_serializer_never_the_value(self, kind: Kind) -> None:
        async with kind.cache(serializer="string") as cache:
            reader = kind_plain(kind, cache)
            reader.serializer = "json"
            await cache.set("some key", "hush-hush {")
            with pytest.raises(core.DecodeError) as caught:
                await reader.get("some key")
            assert "some key" in str(caught.value)
            assert "JsonSerializer" in str(caught.value)
            assert "hush" not in str(caught.value)

    async def test_value_too_large_leaves_no_stale_value(self) -> None:
        with servers.memcached_server() as server:
            async with Cache("memcached", port=server.port) as cache:
                await cache.set("k", "old")
                with pytest.raises(core.ValueTooLarge):
                    await cache.set("k", "x" * 2_000_000)
                assert await cache.get("k") is None

    async def test_the_clients_own_error_is_the_cause(self) -> None:
        for name in ("redis", "memcached"):
            cache: Any = Cache(name, port=NOWHERE)
            with pytest.raises(BackendUnavailable) as caught:
                await cache.get("k")
            assert caught.value.__cause__ is not None
            await cache.close()
