"""Hold that types survive decoration: the type checkers read this file, and the tests run it.

A ``type: ignore`` that is not needed is an error of mypy's, so each of them is a case that must be refused.
"""

from __future__ import annotations

from typing import assert_type

from aiocache_core import MISS, Cache, CacheInfo, Miss, cached, cached_stampede, multi_cached


@cached(ttl=5)
async def numbers(first: int, second: str = "") -> list[int]:
    return [first]


@cached_stampede(lease=2)
async def text() -> str:
    return "text"


@multi_cached("ids")
async def items(ids: list[int]) -> dict[int, str]:
    return dict.fromkeys(ids, "item")


class Shop:
    @cached()
    async def method(self, number: int) -> str:
        return str(number)

    @cached()
    @staticmethod
    async def outer_static(number: int) -> str:
        return str(number)

    @staticmethod
    @cached()
    async def inner_static(number: int) -> str:
        return str(number)

    @multi_cached("ids")
    async def items(self, ids: list[int]) -> dict[int, str]:
        return dict.fromkeys(ids, "item")


async def test_functions() -> None:
    assert_type(await numbers(1), list[int])
    assert_type(await numbers(first=1, second=""), list[int])
    assert_type(await numbers.refresh(1), list[int])
    assert_type(await numbers.invalidate(1), int)
    assert_type(await numbers.options(cache_read=False)(1), list[int])
    assert_type(numbers.key(1), str)
    assert_type(numbers.info(), CacheInfo)
    assert_type(await numbers.clear(), bool)
    assert_type(numbers.cache, Cache)
    assert_type(await text(), str)
    found = await numbers.peek(1)
    assert_type(found, list[int] | Miss)
    if found is not MISS:
        assert_type(found, list[int])


async def test_methods() -> None:
    shop = Shop()
    assert_type(await shop.method(1), str)
    assert_type(await shop.method.peek(number=1), str | Miss)
    assert_type(await shop.method.refresh(1), str)
    assert_type(await shop.method.invalidate(1), int)
    assert_type(await shop.method.options(cache_write=False)(1), str)
    assert_type(shop.method.key(1), str)
    assert_type(await Shop.method(shop, 1), str)
    assert_type(await Shop.method.invalidate(shop, 1), int)


async def test_staticmethods() -> None:
    assert_type(await Shop.outer_static(1), str)
    assert_type(await Shop.outer_static.peek(1), str | Miss)
    assert_type(await Shop.inner_static(1), str)


async def test_functions_of_many_keys() -> None:
    assert_type(await items([1]), dict[int, str])
    assert_type(await items.peek([1]), dict[int, str])
    assert_type(items.keys([1]), list[str])
    assert_type(await Shop().items([1]), dict[int, str])


async def test_get_or_set() -> None:
    cache = Cache()

    async def later() -> int:
        return 1

    assert_type(await cache.get_or_set("a", later), int)
    assert_type(await cache.get_or_set("b", lambda: "b"), str)


async def refused() -> None:
    """Be read by the type checkers alone."""
    await numbers("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await numbers()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await numbers(1, third=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await numbers.peek("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    numbers.key()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await Shop().method("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await Shop().method.invalidate()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await items("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
