"""Hold functions of many keys: each item is cached under its own key."""

from __future__ import annotations

import asyncio
import inspect
import warnings
from typing import Any

import pytest

from aiocache_core import BackendUnavailable, Cache, UnsupportedCommand, multi_cached
from tests.core.stores import held_cache


class Source:
    """Be a function of many keys that notes what it was asked for."""

    def __init__(self, **options: Any) -> None:
        self.asked: list[Any] = []
        self.missing: set[Any] = set()

        @multi_cached("ids", **options)
        async def fetch(ids: Any) -> dict[Any, Any]:
            self.asked.append(ids)
            return {key: f"value {key}" for key in ids if key not in self.missing}

        self.fetch: Any = fetch


async def test_only_missing_keys_are_asked_for_and_merged_in_order() -> None:
    source = Source()
    assert await source.fetch([1, 2]) == {1: "value 1", 2: "value 2"}
    assert list((await source.fetch([3, 1, 4, 2])).items()) == [(key, f"value {key}") for key in (3, 1, 4, 2)]
    assert await source.fetch([1, 2, 3]) == {key: f"value {key}" for key in (1, 2, 3)}
    assert source.asked == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("given", "asked"),
    [([3, 1, 3], [3]), ((3, 1), (3,)), ({3, 1}, {3}), (frozenset({3, 1}), frozenset({3})), ({3: 0, 1: 0}.keys(), [3])],
)
async def test_keys_come_in_the_form_in_which_they_were_given(given: Any, asked: Any) -> None:
    source = Source()
    await source.fetch([1])
    assert set(await source.fetch(given)) == {1, 3}
    assert source.asked[1] == asked
    assert type(source.asked[1]) is type(asked)


async def test_a_generator_gives_its_keys_once() -> None:
    source = Source()
    assert await source.fetch(key for key in (1, 2)) == {1: "value 1", 2: "value 2"}
    assert await source.fetch(ids=(key for key in (2, 1))) == {2: "value 2", 1: "value 1"}
    assert len(source.asked) == 1


async def test_a_generator_is_asked_by_a_generator() -> None:
    asked: list[Any] = []

    @multi_cached("ids")
    async def fetch(ids: Any) -> dict[int, int]:
        asked.append((inspect.isgenerator(ids), *ids))
        return {key: key for key in asked[-1][1:]}

    await fetch([1])
    assert await fetch(key for key in (3, 1, 2)) == {3: 3, 1: 1, 2: 2}
    assert asked == [(False, 1), (True, 3, 2)]


async def test_keys_among_further_keywords() -> None:
    asked: list[Any] = []

    @multi_cached("ids", vary="lang")
    async def fetch(**options: Any) -> dict[int, str]:
        asked.append(options["ids"])
        return {key: f"{options['lang']} {key}" for key in options["ids"]}

    assert await fetch(ids=[1], lang="de") == {1: "de 1"}
    assert await fetch(ids=[1, 2], lang="de") == {1: "de 1", 2: "de 2"}
    assert await fetch(ids=[1], lang="en") == {1: "en 1"}
    assert asked == [[1], [2], [1]]
    assert await fetch.invalidate(ids=[1], lang="de") == 1
    assert await fetch.peek(ids=[1, 2], lang="de") == {2: "de 2"}


async def test_keys_that_are_one_to_the_cache_are_asked_for_once() -> None:
    source = Source()
    assert await source.fetch([1, "1", 2]) == {1: "value 1", "1": "value 1", 2: "value 2"}
    assert await source.fetch(["1", 1]) == {"1": "value 1", 1: "value 1"}
    assert source.asked == [[1, 2]]


@pytest.mark.parametrize("option", ["skip_cache_func", "ttl"])
async def test_errors_of_skip_cache_func_and_ttl_are_the_caller_s(option: str) -> None:
    def fails(*_: object) -> Any:
        raise ZeroDivisionError

    source = Source(**{option: fails})
    with pytest.raises(ZeroDivisionError):
        await source.fetch([1])


async def test_a_caller_inside_its_own_computation_keeps_the_others_it_has_joined() -> None:
    begun, direct, go = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @multi_cached("ids")
    async def fetch(ids: Any) -> dict[str, Any]:
        if ids == ["b"]:
            begun.set()
            await go.wait()
            return {"b": 1}
        if not direct.is_set():
            direct.set()
            return {"a": await fetch(["a", "b"])}
        direct.clear()
        await go.wait()
        return {"a": 2}

    other = asyncio.create_task(fetch(["b"]))
    await begun.wait()
    call = asyncio.create_task(fetch(["a"]))
    while fetch.info().computations < 3:  # noqa: ASYNC110 - the direct one begins at some turn of the loop
        await asyncio.sleep(0)
    other.cancel()
    await asyncio.wait([other])
    go.set()
    assert await call == {"a": {"a": 2, "b": 1}}


async def test_by_position_keyword_and_default() -> None:
    @multi_cached("ids", vary="lang")
    async def fetch(lang: str, ids: Any = (1,)) -> dict[Any, str]:
        return {key: f"{lang} {key}" for key in ids}

    assert await fetch("de") == {1: "de 1"}
    assert await fetch("de", (1,)) == {1: "de 1"}
    assert await fetch(ids=[1], lang="en") == {1: "en 1"}
    assert await fetch.peek("de", [1, 2]) == {1: "de 1"}
    assert fetch.info().computations == 2


async def test_no_keys_call_the_function() -> None:
    source = Source()
    assert await source.fetch([]) == {}
    assert await source.fetch([]) == {}
    assert source.asked == [[], []]
    assert await source.fetch.peek([]) == {}


async def test_a_key_that_is_not_returned_is_not_cached_and_one_unasked_neither() -> None:
    @multi_cached("ids")
    async def fetch(ids: list[int]) -> dict[int, str]:
        return {key: "value" for key in [*ids, 99] if key != 2}

    assert await fetch([1, 2]) == {1: "value", 99: "value"}
    assert await fetch.peek([1, 2, 99]) == {1: "value"}


async def test_keys_are_the_caller_s_own() -> None:
    source = Source()
    await source.fetch([1, "b"])
    assert source.fetch.keys([1, "b"]) == ["1", "b"]
    assert await source.fetch.cache.delete("b") == 1
    assert await source.fetch.invalidate([1, 2]) == 1
    with pytest.raises(UnsupportedCommand, match="namespace="):
        await source.fetch.clear()


async def test_a_key_builder_gives_the_cache_s_keys_alone() -> None:
    source = Source(key_builder=lambda key, function, *args, **kwargs: f"{function.__name__}-{key}")
    assert await source.fetch([1]) == {1: "value 1"}
    assert source.asked == [[1]]
    assert await source.fetch.cache.get("fetch-1") == "value 1"


async def test_one_computation_for_each_key() -> None:
    gate = asyncio.Event()
    asked: list[Any] = []

    @multi_cached("ids")
    async def fetch(ids: list[int]) -> dict[int, int]:
        asked.append(ids)
        await gate.wait()
        return {key: key for key in ids}

    tasks = [asyncio.create_task(fetch(ids)) for ids in ([1, 2], [2, 3], [3, 1], [2])]
    await asyncio.sleep(0.01)
    gate.set()
    assert await asyncio.gather(*tasks) == [{1: 1, 2: 2}, {2: 2, 3: 3}, {3: 3, 1: 1}, {2: 2}]
    assert asked == [[1, 2], [3]]


async def test_an_invalidated_key_alone_is_not_stored() -> None:
    gate = asyncio.Event()

    @multi_cached("ids")
    async def fetch(ids: list[int]) -> dict[int, int]:
        await gate.wait()
        return {key: key for key in ids}

    task = asyncio.create_task(fetch([1, 2]))
    await asyncio.sleep(0.01)
    await fetch.invalidate([1])
    gate.set()
    assert await task == {1: 1, 2: 2}
    assert await fetch.peek([1, 2]) == {2: 2}


async def test_a_call_inside_its_own_computation() -> None:
    @multi_cached("ids")
    async def fetch(ids: list[int]) -> dict[int, int]:
        if len(ids) > 1:
            return await fetch(ids[:1]) | {ids[1]: 0}
        return {key: key for key in ids}

    async with asyncio.timeout(2):
        assert await fetch([1, 2]) == {1: 1, 2: 0}


async def test_refresh_switches_and_info() -> None:
    source = Source()
    await source.fetch([1])
    await source.fetch.refresh([1, 2])
    await source.fetch([1], cache_read=False)
    await source.fetch([5], cache_write=False)
    assert source.asked == [[1], [1, 2], [1], [5]]
    assert await source.fetch.peek([5]) == {}
    info = source.fetch.info()
    assert (info.hits, info.misses, info.computations) == (0, 2, 4)


async def test_skip_ttl_and_none() -> None:
    source = Source(
        skip_cache_func=lambda key, value: key == 1,
        ttl=lambda value, *_, **__: {"value 2": 0, "value 3": 5}.get(value),
        clock=lambda: 0.0,
    )
    await source.fetch([1, 2, 3, 4])
    cache = source.fetch.cache
    assert await source.fetch.peek([1, 2, 3, 4]) == {3: "value 3", 4: "value 4"}
    assert [await cache.expires_in("3"), await cache.expires_in("4")] == [5, None]


async def test_switched_off_and_broken() -> None:
    source = Source()
    source.fetch.cache.enabled = False
    assert await source.fetch([1]) == {1: "value 1"}
    cache, store = held_cache(serializer="json")
    store.errors = {"get": BackendUnavailable("down"), "set": BackendUnavailable("down")}
    broken = Source(cache=cache)
    assert await broken.fetch([1]) == {1: "value 1"}
    assert store.commands == ["get"]
    store.errors.pop("get")
    assert await broken.fetch([1]) == {1: "value 1"}
    with pytest.raises(BackendUnavailable):
        store.errors["delete"] = BackendUnavailable("down")
        await broken.fetch.invalidate([1])


async def test_methods_of_0_12() -> None:
    class Own(multi_cached):
        async def get_from_cache(self, *keys: str) -> list[Any]:
            return [None] * len(keys)

    @Own("ids")
    async def fetch(ids: list[int]) -> dict[int, int]:
        return {key: key for key in ids}

    await fetch([1])
    assert await fetch([1]) == {1: 1}
    assert fetch.info().computations == 2


class Shop:
    @multi_cached("ids")
    async def fetch(self, ids: list[int]) -> dict[int, int]:
        return {key: key for key in ids}


async def test_methods() -> None:
    shop = Shop()
    assert await shop.fetch([1]) == {1: 1}
    assert await shop.fetch.peek([1, 2]) == {1: 1}
    assert shop.fetch.keys([1]) == ["1"]
    assert await shop.fetch.invalidate([1]) == 1
    assert Shop.fetch.keys(shop, [1]) == ["1"]


def test_what_is_refused_or_warned_about() -> None:
    async def further(ids: list[int], lang: str) -> dict[int, str]:
        return dict.fromkeys(ids, lang)

    with pytest.warns(UserWarning, match="'lang'.*vary="):
        multi_cached("ids")(further)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        multi_cached("ids", vary=["lang"])(further)
        multi_cached("ids", key_builder=lambda key, *_: key)(further)
    with pytest.raises(TypeError, match="no parameter 'keys'"):
        multi_cached("keys")(further)


async def test_hooks_are_told_of_the_store() -> None:
    cache = Cache(plugins=["timing"])
    source = Source(cache=cache)
    await source.fetch([1])
    assert cache.profiling["multi_set_total"] == 1
