"""Measure the memory backend and the decorators against bare coroutines."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiocache import Cache, cached
from benchmarks.harness import Row, Work


def repeat(call: Callable[[], Awaitable[Any]]) -> Work:
    """Return the work of awaiting a call without arguments again and again."""

    async def work(number: int) -> None:
        for _ in range(number):
            await call()

    return work


def repeat_one(call: Callable[[Any], Awaitable[Any]], argument: Any) -> Work:
    """Return the work of awaiting a call with one argument; written out, so that the loop adds nothing to the call."""

    async def work(number: int) -> None:
        for _ in range(number):
            await call(argument)

    return work


def repeat_two(call: Callable[[Any, Any], Awaitable[Any]], one: Any, two: Any) -> Work:
    """Return the work of awaiting a call with two arguments."""

    async def work(number: int) -> None:
        for _ in range(number):
            await call(one, two)

    return work


def repeat_keywords(call: Callable[..., Awaitable[Any]]) -> Work:
    """Return the work of awaiting a call with three keywords."""

    async def work(number: int) -> None:
        for _ in range(number):
            await call(one=1, two="a", three=0.5)

    return work


async def rows() -> list[Row]:
    """Return the rows, with their caches filled."""
    store: dict[str, object] = {}

    async def bare_get(key: str) -> object:
        return store.get(key)

    async def bare_set(key: str, value: object) -> None:
        store[key] = value

    store["key"] = 1
    plain, timed, named = Cache(), Cache(), Cache(namespace="main")
    await plain.set("key", 1)
    await timed.set("key", 1, ttl=3600)
    await named.set("key", 1)

    floor = "a bare coroutine over a dict"
    gets = [
        ("hit", plain, "key", 4),
        ("miss", plain, "other", 4),
        ("with ttl", timed, "key", 4),
        ("with namespace", named, "key", 4),
    ]
    sets = [("plain", plain, 4), ("with ttl", Cache(ttl=3600), 5)]
    return [
        *[
            Row(
                f"get {name}",
                "get",
                floor,
                {floor: repeat_one(bare_get, key), "aiocache": repeat_one(cache.get, key)},
                most=most,
            )
            for name, cache, key, most in gets
        ],
        *[
            Row(
                f"set {name}",
                "set",
                floor,
                {floor: repeat_two(bare_set, "key", 1), "aiocache": repeat_two(cache.set, "key", 1)},
                most=most,
            )
            for name, cache, most in sets
        ],
        *decorated(),
    ]


def decorated() -> list[Row]:
    """Return the rows of decorated functions that hit."""

    async def bare(one: int = 0, two: str = "", three: float = 0.0) -> int:  # noqa: ARG001 - they are for the key
        return one

    kept = cached()(bare)
    floor = "the undecorated coroutine"
    calls = [
        ("0 arguments", repeat(bare), repeat(kept), 5),
        ("2 arguments", repeat_two(bare, 1, "a"), repeat_two(kept, 1, "a"), 6),
        ("3 keywords", repeat_keywords(bare), repeat_keywords(kept), 7),
    ]
    return [
        Row(f"@cached hit, {name}", "call", floor, {floor: undecorated, "aiocache": hit}, most=most)
        for name, undecorated, hit, most in calls
    ]
