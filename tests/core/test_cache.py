"""Hold the commands of a cache: arguments, answers, keys, and the deadline."""

from __future__ import annotations

import asyncio
import copy
import enum
import gc
import json
import pickle
import subprocess
import sys
import weakref
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from aiocache_core import (
    MISS,
    BackendError,
    BackendUnavailable,
    Cache,
    CommandTimeout,
    DecodeError,
    InvalidCacheType,
    JsonSerializer,
    MemoryBackend,
    MemoryCache,
    UnsupportedCommand,
)
from tests.core.stores import DictBackend, DictCache, held_cache


class Clock:
    """Be a clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Color(enum.Enum):
    RED = "red"


class TestConstruction:
    def test_the_default_is_memory(self) -> None:
        assert isinstance(Cache(), MemoryCache)

    @pytest.mark.parametrize("given", ["memory", MemoryCache, MemoryBackend, Cache.MEMORY])
    def test_a_name_a_class_and_a_bare_backend_give_a_cache(self, given: Any) -> None:
        cache = Cache(given, max_entries=3)
        assert isinstance(cache, Cache)
        assert isinstance(cache.backend, MemoryBackend)
        assert cache.backend.max_entries == 3

    def test_the_class_may_be_named_by_keyword(self) -> None:
        assert isinstance(Cache(cache_class="memory"), MemoryCache)

    def test_a_subclass_of_a_store_s_cache_is_made_as_it_is(self) -> None:
        class Own(MemoryCache):
            pass

        assert type(Cache(Own)) is Own
        assert type(Own()) is Own

    def test_a_bare_backend_gets_one_class(self) -> None:
        assert type(Cache(DictBackend)) is type(Cache(DictBackend))
        assert type(Cache(DictBackend)).__name__ == "DictCache"

    @pytest.mark.parametrize("given", [None, 3, object(), Cache, "no such cache"])
    def test_anything_else_is_refused_with_the_names(self, given: Any) -> None:
        with pytest.raises(InvalidCacheType, match="memory"):
            Cache(given)

    def test_a_class_that_is_no_store_is_refused(self) -> None:
        with pytest.raises(InvalidCacheType, match="int"):
            Cache(int)

    def test_an_unknown_option_is_refused_with_the_known(self) -> None:
        with pytest.raises(TypeError, match="'colour'.*namespace.*max_entries"):
            Cache("memory", colour=1)

    def test_more_than_the_class_by_position_is_refused(self) -> None:
        with pytest.raises(TypeError, match="by keyword"):
            Cache("memory", "main")  # type: ignore[call-arg]

    def test_numbers_may_be_text(self) -> None:
        cache = Cache(timeout="2", ttl="7.5")
        assert (cache.timeout, cache.ttl) == (2.0, 7.5)

    @pytest.mark.parametrize("option", [{"ttl": -1}, {"timeout": -1}, {"ttl": float("nan")}])
    def test_a_negative_time_is_refused(self, option: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="must not be negative"):
            Cache(**option)

    def test_a_namespace_is_text(self) -> None:
        with pytest.raises(TypeError, match="namespace"):
            Cache(namespace=3)  # type: ignore[arg-type]

    async def test_from_url(self) -> None:
        cache = Cache.from_url("memory://?namespace=main&ttl=5&max_entries=7", timeout=None)
        assert isinstance(cache, MemoryCache)
        assert (cache.namespace, cache.ttl, cache.max_entries, cache.timeout) == ("main", 5.0, 7, None)
        assert isinstance(MemoryCache.from_url("memory://"), MemoryCache)

    def test_a_url_s_unknown_scheme_and_option(self) -> None:
        with pytest.raises(InvalidCacheType):
            Cache.from_url("nosuch://host")
        with pytest.raises(TypeError, match="colour"):
            Cache.from_url("memory://?colour=1")

    def test_a_subclass_without_a_store_says_so(self) -> None:
        class Lost(Cache):
            pass

        with pytest.raises(TypeError, match="backend_class"):
            Lost()

    def test_making_a_cache_imports_no_entry_points(self) -> None:
        code = (
            "import sys, aiocache_core; aiocache_core.Cache('memory'); "
            "print({'importlib.metadata', 'importlib_metadata'} & set(sys.modules))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "set()"


class TestCopies:
    def test_a_cache_is_neither_pickled_nor_deep_copied(self) -> None:
        for copied in (pickle.dumps, copy.deepcopy):
            with pytest.raises(TypeError, match="build it again"):
                copied(Cache())

    def test_a_cache_without_plugins_is_freed_at_once(self) -> None:
        gc.disable()
        try:
            gone = weakref.ref(Cache())
            assert gone() is None
        finally:
            gc.enable()


class TestCommands:
    async def test_get_and_set(self) -> None:
        cache = Cache()
        assert await cache.get("k") is None
        assert await cache.get("k", "default") == "default"
        assert await cache.set("k", None) is True
        assert await cache.get("k", "default") is None

    async def test_miss_is_no_value(self) -> None:
        cache = Cache()
        for write in (cache.set("k", MISS), cache.add("k", MISS, 5), cache.multi_set([("k", MISS)])):
            with pytest.raises(TypeError, match="MISS"):
                await write

    async def test_multi_get_keeps_order_and_duplicates(self) -> None:
        cache = Cache()
        await cache.multi_set([("a", 1), ("b", None)])
        assert await cache.multi_get(["b", "x", "a", "b"], default=MISS) == [None, MISS, 1, None]
        assert await cache.multi_get(["x"]) == [None]
        assert await cache.multi_get([]) == []

    async def test_multi_set_takes_pairs_and_mappings(self) -> None:
        cache = Cache()
        assert await cache.multi_set({"a": 1}) is True
        assert await cache.multi_set([]) is True
        assert await cache.multi_set([("a", 2), ("a", 3)]) is True
        assert await cache.get("a") == 3

    async def test_add(self) -> None:
        cache = Cache()
        assert await cache.add("k", None) is True
        with pytest.raises(ValueError, match="'k' already exists"):
            await cache.add("k", 2)
        assert await cache.get("k", 3) is None

    async def test_delete_counts(self) -> None:
        cache = Cache()
        await cache.multi_set({"a": None, "b": 1, "c": 2})
        assert await cache.delete("a") == 1
        assert await cache.delete("a") == 0
        assert await cache.multi_delete(["b", "b", "c", "x"]) == 2
        assert await cache.multi_delete([]) == 0

    async def test_exists_expire_and_expires_in(self) -> None:
        clock = Clock()
        cache = Cache("memory", clock=clock, ttl=timedelta(seconds=10))
        assert await cache.exists("k") is False
        assert await cache.expire("k", 5) is False
        assert await cache.expires_in("k") is MISS
        await cache.set("k", 1)
        assert await cache.exists("k") is True
        assert await cache.expires_in("k") == 10
        assert await cache.expire("k", 0) is True
        assert await cache.expires_in("k") is None
        assert await cache.expire("k", timedelta(seconds=2)) is True
        clock.now += 2
        assert await cache.get("k") is None

    async def test_the_cache_s_ttl_holds_where_none_is_given(self) -> None:
        cache = Cache("memory", clock=Clock(), ttl=10)
        await cache.set("set", 1)
        await cache.add("add", 1)
        await cache.multi_set([("multi_set", 1)])
        await cache.increment("increment")
        for key in ("set", "add", "multi_set", "increment"):
            assert await cache.expires_in(key) == 10
        await cache.set("set", 1, ttl=None)
        await cache.add("add2", 1, ttl=0)
        await cache.increment("increment2", ttl=3)
        assert await cache.expires_in("set") is None
        assert await cache.expires_in("add2") is None
        assert await cache.expires_in("increment2") == 3
        await cache.increment("increment", ttl=77)
        assert await cache.expires_in("increment") == 10

    @pytest.mark.parametrize(
        ("ttl", "error"), [(-1, ValueError), (float("nan"), ValueError), (True, TypeError), ("1", TypeError)]
    )
    async def test_a_wrong_ttl_is_refused_everywhere(self, ttl: Any, error: type[Exception]) -> None:
        cache = Cache()
        await cache.set("k", 1)
        calls: list[Callable[[], Awaitable[Any]]] = [
            lambda: cache.set("k", 2, ttl),
            lambda: cache.add("n", 2, ttl),
            lambda: cache.multi_set([("k", 2)], ttl),
            lambda: cache.expire("k", ttl),
            lambda: cache.increment("n", ttl=ttl),
            lambda: cache.get_or_set("n", int, ttl),
        ]
        for call in calls:
            with pytest.raises(error, match="ttl"):
                await call()
        assert await cache.get("k") == 1

    async def test_a_ttl_beyond_all_floats_is_no_expiry(self) -> None:
        cache = Cache()
        await cache.set("k", 1, ttl=10**400)
        assert await cache.expires_in("k") is None

    @pytest.mark.parametrize(("timeout", "error"), [(-1, ValueError), (float("nan"), ValueError), ("1", TypeError)])
    async def test_a_wrong_timeout_is_refused_in_memory_too(self, timeout: Any, error: type[Exception]) -> None:
        cache = Cache()
        for call in (
            lambda: cache.get("k", timeout=timeout),
            lambda: cache.multi_get(["k"], timeout=timeout),
            lambda: cache.set("k", 1, timeout=timeout),
            lambda: cache.delete("k", timeout=timeout),
        ):
            with pytest.raises(error, match="timeout"):
                await call()
        assert await cache.get("k", timeout=None) is None

    async def test_a_wrong_lease_is_refused(self) -> None:
        cache = Cache()
        wrong: list[tuple[Any, type[Exception]]] = [(-1, ValueError), (float("nan"), ValueError), ("2", TypeError)]
        for lease, error in wrong:
            with pytest.raises(error, match="lease"):
                await cache.get_or_set("k", int, lease=lease)

    async def test_increment(self) -> None:
        cache = Cache()
        assert [await cache.increment("n"), await cache.increment("n", 4), await cache.increment("n", -7)] == [1, 5, -2]
        with pytest.raises(OverflowError, match="64 bits"):
            await cache.increment("n", -(2**63))
        with pytest.raises(OverflowError, match="64 bits"):
            await cache.increment("n", 2**63)
        assert await cache.get("n") == -2
        for delta in (True, 1.0, "1"):
            with pytest.raises(TypeError, match="delta"):
                await cache.increment("n", delta)  # type: ignore[arg-type]
        await cache.set("text", "one")
        with pytest.raises(TypeError, match="integer"):
            await cache.increment("text")

    @pytest.mark.parametrize(("serializer", "read"), [("null", 6), ("string", "6"), ("json", 6)])
    async def test_a_counter_is_read_with_null_string_and_json(self, serializer: str, read: object) -> None:
        cache = Cache(serializer=serializer)
        await cache.increment("n", 5)
        assert await cache.increment("n") == 6
        assert await cache.get("n") == read

    async def test_raw(self) -> None:
        cache = Cache(namespace="main")
        await cache.set("k", 1)
        assert await cache.raw("get", ("main", "k")) == 1

    async def test_dumps_fn_and_loads_fn_take_the_serializer_s_place(self) -> None:
        cache = Cache(serializer="json")
        await cache.set("k", [1], dumps_fn=lambda value: f"own {value}")
        assert await cache.get("k", loads_fn=lambda stored: (stored, 1)) == ("own [1]", 1)
        with pytest.raises(DecodeError, match="'k'.*JsonSerializer"):
            await cache.get("k")
        plain = Cache()
        await plain.set("k", 1, dumps_fn=str)
        assert await plain.get("k") == "1"
        assert await plain.multi_get(["k"], int) == [1]

    async def test_serializers_can_be_replaced(self) -> None:
        cache = Cache()
        assert type(cache.serializer).__name__ == "NullSerializer"
        cache.serializer = JsonSerializer()
        value = [1]
        await cache.set("k", value)
        assert await cache.get("k") == value
        assert await cache.get("k") is not value
        assert await cache.raw("get", "k") == json.dumps(value)

    async def test_it_is_its_own_context_and_connection(self) -> None:
        async with Cache() as cache, cache.get_connection() as connection:
            assert connection is cache
            assert await cache.acquire_conn() is cache
            await cache.release_conn(cache)
        assert await cache.set("k", 1)


class TestKeys:
    @pytest.mark.parametrize("key", ["k", "", Color.RED, 1, b"k", "ü", " ", "a:b"])
    async def test_keys_of_every_kind(self, key: Any) -> None:
        cache = Cache(namespace="main")
        await cache.set(key, 1)
        assert await cache.get(key) == 1
        assert await cache.exists(key)

    async def test_text_integers_and_bytes_are_one_key(self) -> None:
        cache = Cache()
        await cache.set(1, "x")
        assert await cache.multi_get(["1", b"1"]) == ["x", "x"]
        await cache.set(Color.RED, "y")
        assert await cache.get("red") == "y"

    @pytest.mark.parametrize("key", [None, 1.5, ("a",), ["a"], True, object()])
    async def test_other_keys_are_refused(self, key: Any) -> None:
        cache = Cache()
        for call in (cache.get, cache.delete, cache.exists, cache.increment):
            with pytest.raises(TypeError, match="a key must be"):
                await call(key)

    async def test_namespaces(self) -> None:
        cache = Cache(namespace="a")
        await cache.set("k", 1)
        assert await cache.get("k", namespace="") is None
        assert await cache.get("k", namespace="b") is None
        await cache.set("bc", 2, namespace="a")
        await cache.set("c", 3, namespace="ab")
        assert await cache.get("bc") == 2
        assert await cache.get("c", namespace="ab") == 3
        with pytest.raises(TypeError, match="namespace"):
            await cache.get("k", namespace=3)  # type: ignore[arg-type]

    async def test_clear_is_of_one_namespace(self) -> None:
        cache = Cache(namespace="a")
        for namespace in ("a", "b", "ab", ""):
            await cache.set("k", 1, namespace=namespace)
        assert await cache.clear() is True
        assert [await cache.exists("k", namespace=name) for name in ("a", "b", "ab", "")] == [False, True, True, True]
        assert await cache.clear("b") is True
        assert [await cache.exists("k", namespace=name) for name in ("b", "ab", "")] == [False, True, True]
        cache.namespace = None
        await cache.clear()
        assert not await cache.exists("k", namespace="ab")

    async def test_an_own_key_builder_gives_the_finished_key(self) -> None:
        cache = Cache(namespace="main", key_builder=lambda key, namespace: f"{namespace}/{key}")
        await cache.set("k", 1)
        assert await cache.raw("get", "main/k") == 1
        assert await cache.get("k", namespace="other") is None
        assert cache.build_key("k") == "main/k"
        with pytest.raises(UnsupportedCommand, match="own key builder"):
            await cache.clear()
        with pytest.raises(UnsupportedCommand, match="own key builder"):
            await cache.clear_prefix("k")
        cache.namespace = None
        await cache.clear()
        assert await cache.raw("keys") is not None

    async def test_build_key_can_be_assigned_and_overridden(self) -> None:
        class Own(MemoryCache):
            def build_key(self, key: object, namespace: str | None = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
                return f"own {key}"

        cache = Own()
        await cache.set("k", 1)
        assert await cache.raw("get", "own k") == 1
        plain = Cache()
        assert plain.build_key("k", "n") == ("n", "k")
        plain.build_key = lambda key, namespace: f"assigned {key}"
        await plain.set("k", 1)
        assert await plain.raw("get", "assigned k") == 1

    async def test_clear_prefix(self) -> None:
        cache = Cache(namespace="a")
        await cache.multi_set({"x1": 1, "x2": 2, "y": 3})
        await cache.set("x3", 4, namespace="b")
        await cache.clear_prefix("x")
        assert await cache.multi_get(["x1", "x2", "y"]) == [None, None, 3]
        assert await cache.get("x3", namespace="b") == 4


class TestDeadline:
    async def test_a_command_ends_within_its_timeout(self) -> None:
        cache, store = held_cache(timeout=0.01)
        store.hold("get")
        with pytest.raises(CommandTimeout, match=r"did not finish get within 0\.01 s"):
            await cache.get("k")
        with pytest.raises(CommandTimeout):
            await cache.exists("k", timeout=0.005)
        assert not cache._pending

    async def test_no_timeout(self) -> None:
        cache, store = held_cache(timeout=0.01)
        gate = store.hold("get")
        pending = asyncio.create_task(cache.get("k", timeout=None))
        await asyncio.sleep(0.03)
        gate.set()
        assert await pending is None
        cache.timeout = None
        assert await cache.get("k", timeout=0) is None

    @pytest.mark.parametrize("timeout", [-1, float("nan"), "1", True])
    async def test_a_wrong_timeout_is_refused(self, timeout: Any) -> None:
        cache, store = held_cache()
        with pytest.raises((ValueError, TypeError), match="timeout"):
            await cache.get("k", timeout=timeout)
        assert store.commands == []

    async def test_a_store_s_own_timeout_error_passes(self) -> None:
        cache, store = held_cache()
        store.errors["get"] = TimeoutError("its own")
        with pytest.raises(TimeoutError, match="its own"):
            await cache.get("k")

    async def test_cancelling_passes(self) -> None:
        cache, store = held_cache()
        store.hold("get")
        pending = asyncio.create_task(cache.get("k"))
        await store.waiting["get"].wait()
        pending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pending

    async def test_close_ends_pending_commands(self) -> None:
        cache, store = held_cache()
        store.hold("get")
        pending = asyncio.create_task(cache.get("k", timeout=None))  # nothing but the close can end it
        await store.waiting["get"].wait()
        await cache.close()
        async with asyncio.timeout(2):
            with pytest.raises(BackendUnavailable, match="was closed while get was pending"):
                await pending
        await cache.close()
        store.gates.clear()
        assert await cache.get("k") is None


class TestSharing:
    async def test_network_caches_of_equal_options_share_a_backend(self) -> None:
        one, two, other = DictCache(label="a"), DictCache(label="a"), DictCache(label="b")
        assert one.backend is two.backend
        assert one.backend is not other.backend

    async def test_memory_shares_nothing(self) -> None:
        one, two = Cache(), Cache()
        await one.set("k", 1)
        assert await two.get("k") is None

    async def test_the_last_one_closes_the_connections(self) -> None:
        one, two = DictCache(label="closing"), DictCache(label="closing")
        await one.get("k")
        await two.get("k")
        await one.close()
        store: Any = one.backend
        assert store.closed == 0
        await two.close()
        assert store.closed == 1

    async def test_a_closed_cache_does_not_end_another_s_commands(self) -> None:
        one, store = held_cache()
        two = Cache(type(store))
        assert two.backend is store
        gate = store.hold("get")
        pending = asyncio.create_task(two.get("k"))
        await store.waiting["get"].wait()
        await one.close()
        gate.set()
        assert await pending is None

    def test_a_backend_goes_with_its_last_cache(self) -> None:
        one = DictCache(label="gone")
        gone = weakref.ref(one.backend)
        del one
        gc.collect()
        assert gone() is None

    def test_options_that_cannot_be_compared_are_not_shared(self) -> None:
        unhashable: Any = ["x"]
        assert DictCache(label=unhashable).backend is not DictCache(label=unhashable).backend

    def test_one_cache_in_several_loops(self) -> None:
        cache = DictCache(label="loops")

        async def use(value: int) -> Any:
            await cache.set("k", value)
            return await cache.get("k")

        assert [asyncio.run(use(value)) for value in (1, 2)] == [1, 2]


class TestDisabled:
    async def test_the_environment_switches_it_off_when_it_is_made(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = Cache()
        monkeypatch.setenv("AIOCACHE_DISABLE", "1")
        off = Cache()
        assert (before.enabled, off.enabled) == (True, False)
        assert await off.set("k", 1) is True
        assert await off.add("k", 1) is True
        assert await off.get("k", "d") == "d"
        assert await off.multi_set([("k", 1)]) is True
        assert await off.multi_get(["k", "l"]) == [None, None]
        assert await off.delete("k") == 0
        assert await off.exists("k") is False
        assert await off.increment("k", 3) == 3
        assert await off.expire("k", 1) is False
        assert await off.expires_in("k") is MISS
        assert await off.clear() is True
        assert await off.raw("get", "k") is None
        assert await off.get_or_set("k", lambda: 5) == 5
        off.enabled = True
        assert await off.get("k") is None
        await off.set("k", 1)
        off.enabled = False
        assert await off.get("k") is None
        off.enabled = True
        assert await off.get("k") == 1


class TestGetOrSet:
    async def test_a_value_an_awaitable_and_none(self) -> None:
        cache = Cache()

        async def later() -> str:
            return "later"

        async def nothing() -> None: ...

        assert await cache.get_or_set("a", lambda: 1) == 1
        assert await cache.get_or_set("b", later) == "later"
        await cache.get_or_set("c", nothing)
        assert await cache.get_or_set("c", lambda: 1) is None
        assert await cache.multi_get(["a", "b", "c"]) == [1, "later", None]

    async def test_one_call_for_all(self) -> None:
        cache = Cache(namespace="n")
        calls = 0

        async def factory() -> int:
            nonlocal calls
            calls += 1
            await asyncio.sleep(0)
            return calls

        assert await asyncio.gather(*[cache.get_or_set("k", factory, 5) for _ in range(100)]) == [1] * 100
        assert await cache.expires_in("k") is not None

    async def test_a_failure_is_raised_and_not_stored(self) -> None:
        cache = Cache()

        def fail() -> int:
            message = "no"
            raise LookupError(message)

        with pytest.raises(LookupError):
            await cache.get_or_set("k", fail)
        assert await cache.get_or_set("k", lambda: 2) == 2

    async def test_a_broken_store_does_not_break_it(self, caplog: pytest.LogCaptureFixture) -> None:
        cache, store = held_cache()
        store.errors["get"] = BackendUnavailable("down")
        for _ in range(5):
            assert await cache.get_or_set("k", lambda: 7) == 7
        assert store.commands == ["get"] * 5  # nothing is sent to a store that does not answer
        assert len(caplog.records) == 1
        caplog.clear()
        store.errors = {"set": BackendError("OOM")}
        for _ in range(5):
            assert await cache.get_or_set("k", lambda: 7) == 7
        assert ["works again" in record.getMessage() for record in caplog.records] == [True, False]
        store.errors = {}
        assert await cache.get_or_set("k", lambda: 8) == 8
        assert await cache.get("k") == 8

    async def test_an_entry_that_cannot_be_decoded_is_replaced(self) -> None:
        cache, store = held_cache(serializer="json")
        store.entries["k"] = b"{"
        with pytest.raises(DecodeError):
            await cache.get("k")
        assert await cache.get_or_set("k", lambda: 7) == 7
        assert await cache.get("k") == 7

    async def test_a_lease_needs_a_store_with_leases(self) -> None:
        with pytest.raises(UnsupportedCommand, match="no leases"):
            await DictCache().get_or_set("k", lambda: 1, lease=2)
        assert await Cache().get_or_set("k", lambda: 1, lease=2) == 1


class TestDefaults:
    """Hold what the contract gives a store of six methods."""

    async def test_commands_that_have_a_default(self) -> None:
        cache = DictCache(label="defaults", serializer="json")
        await cache.multi_set({"a": 1, "b": 2})
        assert await cache.multi_get(["a", "x", "b"]) == [1, None, 2]
        assert await cache.exists("a")
        assert await cache.multi_delete(["a", "b", "x"]) == 2

    @pytest.mark.parametrize(
        ("command", "args"),
        [("increment", ("n",)), ("expires_in", ("k",)), ("raw", ("get",)), ("clear_prefix", ("k",))],
    )
    async def test_commands_that_have_none_say_so(self, command: str, args: tuple[Any, ...]) -> None:
        with pytest.raises(UnsupportedCommand, match="DictBackend cannot do"):
            await getattr(DictCache(label="defaults"), command)(*args)
