"""Measure the redis backend against raw redis-py with hiredis, on a server of its own."""

from __future__ import annotations

import asyncio
from typing import Any

from aiocache import Cache
from benchmarks.harness import Row
from benchmarks.memory import repeat


async def rows(port: int) -> tuple[list[Row], list[Any]]:
    """Return the rows, and what is to be closed when they have been measured."""
    from redis.asyncio import Redis

    raw = Redis(host="127.0.0.1", port=port)
    cache = Cache("redis", port=port, serializer="null", pool_max_size=100)
    await raw.set("key", b"value")

    async def raw_hundred() -> None:
        await asyncio.gather(*[raw.get("key") for _ in range(100)])

    async def cache_hundred() -> None:
        await asyncio.gather(*[cache.get("key") for _ in range(100)])

    pairs = {f"key{number}": b"value" for number in range(100)}

    async def raw_pipeline() -> None:
        async with raw.pipeline(transaction=False) as pipeline:
            for key, value in pairs.items():
                pipeline.set(key, value, ex=60)
            await pipeline.execute()

    calls = [
        ("get, sequential", lambda: raw.get("key"), lambda: cache.get("key"), 1.15),
        ("set, sequential", lambda: raw.set("key", b"value"), lambda: cache.set("key", b"value"), 1.15),
        ("100 concurrent gets", raw_hundred, cache_hundred, None),
        ("multi_get of 100", lambda: raw.mget(list(pairs)), lambda: cache.multi_get(list(pairs)), None),
        ("multi_set of 100 with ttl", raw_pipeline, lambda: cache.multi_set(pairs, ttl=60), None),
    ]
    floor = "raw redis-py"
    made = [
        Row(name, "call", floor, {floor: repeat(bare), "aiocache": repeat(ours)}, wall=True, most=most)
        for name, bare, ours, most in calls
    ]
    return made, [raw.aclose, cache.close]
