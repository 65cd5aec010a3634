"""Hold decorated functions: one entry for each call, what they can be asked, and that they are still functions."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import pickle
import typing
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta
from typing import Any

import pytest

from aiocache_core import (
    MISS,
    BackendError,
    BackendUnavailable,
    Cache,
    CacheInfo,
    MemoryCache,
    UnstableKeyError,
    UnsupportedCommand,
    cached,
    cached_stampede,
    caches,
)
from tests.core.stores import DictBackend, DictCache, held_cache


@cached()
async def module_level(number: int) -> int:
    """Return twice a number."""
    return 2 * number


class Counter:
    """Count the calls of what it decorates."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def function(self, **options: Any) -> Any:
        @cached(**options)
        async def double(number: Any, by: int = 2) -> Any:
            self.calls.append(number)
            return number * by

        return double


class TestCalls:
    async def test_all_spellings_are_one_entry(self) -> None:
        counter = Counter()
        double = counter.function()
        assert [await double(3), await double(3, 2), await double(number=3), await double(by=2, number=3)] == [6] * 4
        assert counter.calls == [3]
        assert await double(3, by=3) == 9
        assert [await double(3.0), await double(True)] == [6.0, 2]
        assert counter.calls == [3, 3, 3.0, True]

    async def test_none_is_cached(self) -> None:
        calls = 0

        @cached()
        async def nothing() -> None:
            nonlocal calls
            calls += 1

        await nothing()
        await nothing()
        assert calls == 1

    async def test_skip_cache_func(self) -> None:
        counter = Counter()
        double = counter.function(skip_cache_func=lambda result: result == 6)
        await double(3)
        await double(3)
        await double(4)
        await double(4)
        assert counter.calls == [3, 3, 4]

    async def test_an_error_of_skip_cache_func_or_ttl_is_the_caller_s(self) -> None:
        for options in ({"skip_cache_func": lambda _: 1 / 0}, {"ttl": lambda *_, **__: 1 / 0}):
            with pytest.raises(ZeroDivisionError):
                await Counter().function(**options)(3)

    @pytest.mark.parametrize(
        ("ttl", "left"),
        [(5, 5), (timedelta(seconds=5), 5), (None, None), (0, None), (lambda result, number: result, 6)],
    )
    async def test_ttl(self, ttl: Any, left: float | None) -> None:
        double = Counter().function(ttl=ttl, clock=lambda: 100.0)
        await double(3)
        assert await double.cache.expires_in(double.key(3)) == left

    @pytest.mark.parametrize("ttl", [0, -1, timedelta(seconds=-1)])
    async def test_a_ttl_function_may_refuse_to_store(self, ttl: Any) -> None:
        double = Counter().function(ttl=lambda *_, **__: ttl)
        await double(3)
        assert await double.peek(3) is MISS

    async def test_the_cache_s_ttl_holds_where_none_is_given(self) -> None:
        double = Counter().function(cache=Cache(ttl=9, clock=lambda: 0.0))
        await double(3)
        assert await double.cache.expires_in(double.key(3)) == 9

    @pytest.mark.parametrize(("ttl", "error"), [(-1, ValueError), ("1", TypeError), (True, TypeError)])
    def test_a_wrong_ttl_is_refused_at_decoration(self, ttl: Any, error: type[Exception]) -> None:
        with pytest.raises(error, match="ttl"):
            Counter().function(ttl=ttl)

    async def test_key_key_builder_and_namespace(self) -> None:
        double = Counter().function(key="fixed")
        await double(1)
        assert await double(5) == 2
        assert double.key(7) == "fixed"
        built = Counter().function(key_builder=lambda function, *args, **kwargs: f"{function.__name__}{args}")
        await built(1)
        assert await built.cache.get("double(1,)") == 2
        named = Counter().function(namespace="main")
        await named(1)
        assert await named.cache.get(named.key(1)) == 2
        assert named.cache.namespace == "main"

    async def test_a_memory_cache_of_its_own_is_bounded(self) -> None:
        assert Counter().function().cache.max_entries == 10_000
        assert Counter().function(max_entries=None).cache.max_entries is None
        assert Counter().function(max_entries=7).cache.max_entries == 7

    async def test_a_cache_object_is_shared(self) -> None:
        cache = Cache()
        double = Counter().function(cache=cache, namespace="apart")
        await double(3)
        assert double.cache is cache
        assert await cache.get(double.key(3), namespace="apart") == 6
        assert await double.invalidate(3) == 1

    async def test_one_decorator_object_serves_several_functions(self) -> None:
        decorator = cached(ttl=5)

        @decorator
        async def one() -> int:
            return 1

        @decorator
        async def two() -> int:
            return 2

        assert [await one(), await two(), await one()] == [1, 2, 1]
        assert one.cache is not two.cache

    async def test_switched_off(self) -> None:
        counter = Counter()
        double = counter.function()
        double.cache.enabled = False
        assert [await double(3), await double(3)] == [6, 6]
        assert counter.calls == [3, 3]


class TestSwitches:
    async def test_cache_read(self) -> None:
        counter = Counter()
        double = counter.function()
        await double(3)
        assert await double(3, cache_read=False) == 6
        assert await double.options(cache_read=False)(3) == 6
        assert counter.calls == [3, 3, 3]

    async def test_cache_write(self) -> None:
        counter = Counter()
        double = counter.function()
        assert await double(3, cache_write=False) == 6
        assert await double.peek(3) is MISS
        assert await double.options(cache_write=False)(3) == 6
        assert await double.peek(3) is MISS

    async def test_a_call_stores_if_any_of_its_callers_wants_it(self) -> None:
        gate = asyncio.Event()

        @cached()
        async def held() -> int:
            await gate.wait()
            return 1

        first = asyncio.create_task(held(cache_write=False))  # type: ignore[call-arg]
        second = asyncio.create_task(held())
        await asyncio.sleep(0.01)
        gate.set()
        assert [await first, await second] == [1, 1]
        assert await held.peek() == 1
        assert held.info().computations == 1

    async def test_a_fresh_computation_takes_the_right_to_store(self) -> None:
        gates = [asyncio.Event(), asyncio.Event()]
        order = iter([0, 1])

        @cached()
        async def held() -> int:
            number = next(order)
            await gates[number].wait()
            return number

        old = asyncio.create_task(held())
        await asyncio.sleep(0.01)
        new = asyncio.create_task(held.refresh())
        await asyncio.sleep(0.01)
        gates[1].set()
        assert await new == 1
        gates[0].set()
        assert await old == 0
        assert await held.peek() == 1

    async def test_not_waiting_for_the_write(self) -> None:
        cache, store = held_cache(serializer="json")
        double = Counter().function(cache=cache)
        gate = store.hold("set")
        assert await double.options(aiocache_wait_for_write=False)(3) == 6
        closing = asyncio.create_task(cache.close())
        await asyncio.sleep(0.01)
        assert not closing.done()
        gate.set()
        await closing
        assert await double.peek(3) == 6

    async def test_a_parameter_of_that_name_is_the_function_s(self) -> None:
        @cached()
        async def own(cache_read: bool) -> bool:
            return cache_read

        assert [await own(cache_read=False), await own(cache_read=True)] == [False, True]
        assert own.info().computations == 2


class TestAsking:
    async def test_peek_invalidate_refresh_and_info(self) -> None:
        counter = Counter()
        double = counter.function()
        assert await double.peek(3) is MISS
        assert await double.invalidate(3) == 0
        assert double.info() == CacheInfo(0, 0, 0, 0, 0)
        await double(3)
        await double(3)
        assert double.info() == CacheInfo(hits=1, misses=1, computations=1, failures=0, in_flight=0)
        assert await double.peek(number=3) == 6
        assert await double.refresh(3) == 6
        assert double.info().computations == 2
        assert await double.invalidate(3) == 1
        assert await double.peek(3) is MISS

    async def test_failures_are_counted_and_a_failed_refresh_keeps_the_old(self) -> None:
        values: list[Any] = [1, LookupError()]

        @cached()
        async def take() -> int:
            value = values.pop(0)
            if isinstance(value, Exception):
                raise value
            return int(value)

        assert await take() == 1
        with pytest.raises(LookupError):
            await take.refresh()
        assert await take.peek() == 1
        assert take.info().failures == 1

    async def test_a_call_begun_after_an_invalidation_gets_nothing_from_before(self) -> None:
        gate = asyncio.Event()
        numbers = iter([1, 2])

        @cached()
        async def held() -> int:
            number = next(numbers)
            if number == 1:
                await gate.wait()
            return number

        old = asyncio.create_task(held())
        await asyncio.sleep(0.01)
        await held.invalidate()
        assert await held() == 2
        gate.set()
        assert await old == 1
        assert await held() == 2

    async def test_clear_is_of_this_function_alone(self) -> None:
        cache = Cache()
        one = Counter().function(cache=cache)

        @cached(cache=cache)
        async def doubled(number: int) -> int:
            return number

        await one(1)
        await one(2)
        await doubled(1)
        await cache.set("foreign", 1)
        assert await one.clear() is True
        assert [await one.peek(1), await one.peek(2), await doubled.peek(1)] == [MISS, MISS, 1]
        assert await cache.get("foreign") == 1
        fixed = Counter().function(cache=cache, key="fixed")
        await fixed(1)
        await fixed.clear()
        assert await cache.get("fixed") is None

    async def test_clear_says_where_it_cannot(self) -> None:
        for options in ({"cache": DictCache(label="no scan")}, {"key_builder": lambda *_: "k"}):
            with pytest.raises(UnsupportedCommand, match="namespace="):
                await Counter().function(**options).clear()

    async def test_a_store_that_fails(self) -> None:
        cache, store = held_cache(serializer="json")
        counter = Counter()
        double = counter.function(cache=cache)
        for command in ("get", "set", "delete"):
            store.errors[command] = BackendUnavailable("down")
        assert [await double(3), await double(3), await double.refresh(3)] == [6, 6, 6]
        for asking in (double.peek(3), double.invalidate(3)):
            with pytest.raises(BackendUnavailable):
                await asking
        store.errors = {"set": BackendError("OOM")}
        assert await double(3) == 6

    async def test_a_slow_store_costs_one_timeout(self) -> None:
        cache, store = held_cache(serializer="json", timeout=0.02)
        double = Counter().function(cache=cache)
        store.hold("get")
        store.hold("set")
        assert await double(3) == 6
        assert store.commands == ["get"]

    async def test_a_value_that_cannot_be_stored_is_returned(self) -> None:
        @cached(serializer="json")
        async def odd() -> object:
            return {1, 2}

        assert await odd() == {1, 2}
        assert await odd.peek() is MISS

    async def test_errors_of_use_are_raised(self) -> None:
        with pytest.raises(TypeError, match="colour"):
            Counter().function(colour=1)
        late = Counter().function(cache="no-such-store")
        with pytest.raises(Exception, match="no-such-store"):
            await late(1)
        double = Counter().function(cache=DictCache(label="keys"))
        with pytest.raises(UnstableKeyError, match="key_builder="):
            await double(object())
        with pytest.raises(TypeError, match="missing"):
            await double()
        bad = Counter().function(key_builder=lambda *_: 1.5)
        with pytest.raises(TypeError, match="a key must be"):
            await bad(1)


class TestStampede:
    async def test_the_lease_needs_a_store_with_leases(self) -> None:
        with pytest.raises(UnsupportedCommand, match="no leases"):

            @cached_stampede(cache=DictBackend)
            async def one() -> int:
                return 1

        for lease in (0, None):

            @cached_stampede(lease=lease, cache=DictCache(label="stampede"), key=f"lease {lease}")
            async def two() -> int:
                return 2

            assert await two() == 2

    async def test_in_memory(self) -> None:
        calls = 0

        @cached_stampede(lease=2, ttl=5)
        async def one(number: int) -> int:
            nonlocal calls
            calls += 1
            await asyncio.sleep(0)
            return number

        assert await asyncio.gather(*[one(1) for _ in range(100)]) == [1] * 100
        assert calls == 1

    def test_a_wrong_lease_is_refused(self) -> None:
        with pytest.raises(ValueError, match="lease"):
            cached_stampede(lease=-1)


class TestOverriding:
    async def test_methods_of_0_12(self) -> None:
        seen: list[Any] = []

        class Own(cached):
            def get_cache_key(self, f: Any, args: Any, kwargs: Any) -> str:
                return "own " + super().get_cache_key(f, args, kwargs)

            async def get_from_cache(self, key: str) -> Any:
                seen.append(("get", key))
                value = await super().get_from_cache(key)
                return None if value is MISS else value

            async def set_in_cache(self, key: str, value: Any) -> None:
                seen.append(("set", key, value))
                await super().set_in_cache(key, value)

        @Own(ttl=5)
        async def one() -> int:
            return 1

        assert [await one(), await one()] == [1, 1]
        key = one.key()
        assert key.startswith("own ")
        assert seen == [("get", key), ("set", key, 1), ("get", key)]
        assert await one.cache.expires_in(key) is not None
        with pytest.raises(UnsupportedCommand):
            await one.clear()

    async def test_set_in_cache_may_use_the_cache(self) -> None:
        class Own(cached):
            async def set_in_cache(self, key: str, value: Any) -> None:
                await self.cache.set(key, value * 2)

        @Own()
        async def one() -> int:
            return 1

        async with asyncio.timeout(2):
            assert await one() == 1
        assert await one() == 2

    async def test_a_decorator_s_methods_work_alone(self) -> None:
        decorator = cached(key="k", ttl=5)

        @decorator
        async def one() -> int:
            return 1

        await decorator.set_in_cache("k", 7)
        assert await decorator.get_from_cache("k") == 7


class Shop:
    """Have methods of every kind."""

    def __init__(self, rate: int = 1) -> None:
        self.rate = rate

    @cached()
    async def price(self, number: int) -> int:
        return number * self.rate

    @cached(noself=True)
    async def same(self, number: int) -> int:
        return number

    @cached()
    @classmethod
    async def outer(cls, number: int) -> str:
        return f"{cls.__name__} {number}"

    @classmethod
    @cached()
    async def inner(cls, number: int) -> str:
        return f"{cls.__name__} {number}"

    @cached()
    @staticmethod
    async def outer_static(number: int) -> int:
        return number

    @staticmethod
    @cached()
    async def inner_static(number: int) -> int:
        return number


class SubShop(Shop):
    pass


CLASSES: tuple[Any, Any] = (Shop, SubShop)


class TestMethods:
    async def test_an_instance_has_entries_of_its_own(self) -> None:
        one, two = Shop(1), Shop(2)
        assert [await one.price(3), await two.price(3), await one.price(number=3)] == [3, 6, 3]
        assert await one.price.peek(3) == 3
        assert await one.price.invalidate(3) == 1
        assert await two.price.peek(3) == 6
        assert await one.price.refresh(3) == 3
        assert await one.price.options(cache_read=False)(3) == 3
        assert one.price.key(3) == Shop.price.key(one, 3)
        assert one.price.info() == Shop.price.info()
        assert one.price.cache is Shop.price.cache
        assert await one.price.clear()
        assert await two.price.peek(3) is MISS

    async def test_an_instance_is_not_kept_alive_and_its_address_tells_nothing(self) -> None:
        for rate in range(200):
            shop = Shop(rate)
            assert await shop.price(1) == rate
            del shop
        gc.collect()

    async def test_noself(self) -> None:
        assert await Shop(1).same(3) == 3
        assert await Shop(2).same.peek(3) == 3

    async def test_classmethods_in_either_order(self) -> None:
        Shop, SubShop = CLASSES  # noqa: N806 - typed as Any: mypy binds a classmethod under another decorator as a function
        assert [await Shop.outer(1), await SubShop.outer(1), await Shop().outer(1)] == ["Shop 1", "SubShop 1", "Shop 1"]
        assert await Shop.outer.invalidate(1) == 1
        assert [await Shop.inner(1), await SubShop.inner(1)] == ["Shop 1", "SubShop 1"]
        assert await Shop.inner.invalidate(Shop, 1) == 1

    async def test_staticmethods_in_either_order(self) -> None:
        Shop, _ = CLASSES  # noqa: N806 - typed as Any: mypy binds a staticmethod under another decorator as a function
        assert [await Shop.outer_static(1), await Shop().outer_static(1)] == [1, 1]
        assert await Shop.outer_static.invalidate(1) == 1
        assert [await Shop.inner_static(1), await Shop().inner_static(1)] == [1, 1]
        assert await Shop.inner_static.invalidate(1) == 1

    async def test_on_a_shared_store_an_instance_needs_a_key(self) -> None:
        class Own:
            @cached(cache=DictCache(label="methods"))
            async def method(self) -> int:
                return 1

        with pytest.raises(UnstableKeyError, match="noself=True"):
            await Own().method()

    async def test_an_instance_with_a_cache_key(self) -> None:
        class Own:
            def __cache_key__(self) -> str:
                return "one and all"

            @cached(cache=DictCache(label="cache keys"))
            async def method(self) -> int:
                return 1

        assert await Own().method() == 1
        assert await Own().method.peek() == 1

    async def test_bound_methods_are_like_bound_methods(self) -> None:
        shop = Shop()
        bound = shop.price
        assert bound == shop.price
        assert bound != Shop().price
        assert bound != 3
        assert hash(bound) == hash(shop.price)
        assert bound.__self__ is shop
        assert bound.__func__ is Shop.price
        assert list(inspect.signature(bound).parameters) == ["number"]
        assert bound.__name__ == "price"
        assert "price" in repr(bound)
        assert asyncio.iscoroutinefunction(bound)
        assert await bound.__wrapped__(3) == 3


class TestBeingAFunction:
    def test_name_docstring_and_signature(self) -> None:
        assert module_level.__name__ == "module_level"
        assert module_level.__doc__ == "Return twice a number."
        assert str(inspect.signature(module_level)) == "(number: 'int') -> 'int'"
        assert typing.get_type_hints(module_level) == {"number": int, "return": int}
        assert asyncio.iscoroutinefunction(module_level)
        assert not hasattr(inspect, "markcoroutinefunction") or inspect.iscoroutinefunction(module_level)
        assert inspect.iscoroutinefunction(module_level.__wrapped__)
        assert "module_level" in repr(module_level)

    def test_it_is_pickled_by_name(self) -> None:
        assert pickle.loads(pickle.dumps(module_level)) is module_level

    async def test_callable_objects_and_partials(self) -> None:
        class Called:
            async def __call__(self, number: int) -> int:
                return number

        async def add(one: int, two: int) -> int:
            return one + two

        assert await cached(key="k")(Called())(3) == 3
        partial = cached()(functools.partial(add, 1))
        assert await partial(2) == 3
        assert await partial.peek(2) == 3

    async def test_odd_names_of_parameters(self) -> None:
        @cached()
        async def odd(self: int, key: int, cache: int, args: int, kwargs: int = 0) -> int:
            return self + key + cache + args + kwargs

        assert await odd(self=1, key=2, cache=3, args=4) == 10
        assert await odd.peek(1, 2, 3, 4) == 10

    async def test_a_plain_function_that_says_it_is_awaitable(self) -> None:
        async def one() -> int:
            return 1

        def says() -> Awaitable[int]:
            return one()

        def lies() -> Awaitable[int]:
            return 1  # type: ignore[return-value]

        def as_text() -> "Unknown[Awaitable]":  # type: ignore[name-defined]  # noqa: F821, UP037 - a type that is not there
            return one()

        assert await cached()(says)() == 1
        assert await cached()(as_text)() == 1
        with pytest.raises(TypeError, match="returned int, which cannot be awaited"):
            await cached()(lies)()

    def test_parentheses_that_were_forgotten(self) -> None:
        async def one() -> int:
            return 1

        with pytest.raises(TypeError, match=r"write @cached\(\), with parentheses"):
            cached(one)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    def test_what_is_refused_at_decoration(self) -> None:
        async def generator() -> AsyncIterator[int]:
            yield 1

        def plain() -> int:
            return 1

        with pytest.raises(TypeError, match="async generator.*list"):
            cached()(generator)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="plain function; write it as 'async def'"):
            cached()(plain)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="with parentheses"):
            cached()(3)  # type: ignore[call-overload]

    async def test_closures_of_one_name_are_apart_in_memory(self) -> None:
        shared = Cache()

        def make(value: int, **options: Any) -> Any:
            @cached(**options)
            async def closure() -> int:
                return value

            return closure

        own = [make(1), make(2)]
        assert [await function() for function in own] == [1, 2]
        together = [make(1, cache=shared), make(2, cache=shared)]
        assert [await function() for function in together] == [1, 2]

    async def test_a_closure_that_is_gone_leaves_its_entries_to_no_other(self) -> None:
        shared = Cache()

        def make(value: int) -> Any:
            @cached(cache=shared)
            async def closure() -> int:
                return value

            return closure

        assert await make(1)() == 1
        gc.collect()
        assert await make(2)() == 2

    async def test_closures_of_one_name_on_a_shared_store_are_warned_about(self) -> None:
        store = DictCache(label="closures")

        def make(value: int, **options: Any) -> Any:
            @cached(cache=store, **options)
            async def closure() -> int:
                return value

            return closure

        first = make(1)
        with pytest.warns(RuntimeWarning, match=r"two functions named .*closure \(.*\) share their entries"):
            second = make(2)
        third = make(3, namespace="apart")
        fourth = make(4, key="apart")
        assert [await first(), await second(), await third(), await fourth()] == [1, 1, 3, 4]

    def test_several_runs_of_a_loop(self) -> None:
        counter = Counter()
        double = counter.function()
        assert [asyncio.run(double(3)), asyncio.run(double(3))] == [6, 6]
        assert counter.calls == [3]

    async def test_an_alias(self, caplog: pytest.LogCaptureFixture) -> None:
        double = Counter().function(alias="default", namespace="ignored")
        assert await double("x") == "xx"
        assert double.cache is caches.get("default")
        assert "ignoring 'namespace'" in caplog.text
        await double.cache.clear()

    async def test_the_cache_can_be_replaced(self) -> None:
        double = Counter().function()
        other = MemoryCache()
        double.cache = other
        await double(3)
        assert await other.get(double.key(3)) == 6
