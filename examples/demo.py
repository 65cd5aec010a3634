"""Show the main job on the memory backend: a slow function, decorated; its misses, its hits, and the time each took."""

from __future__ import annotations

import asyncio
import time

from aiocache import Cache, cached

calls = 0


@cached(ttl=60, cache="memory")
async def price(article: str, currency: str = "EUR") -> float:
    """Return a price that takes a while to find out."""
    global calls
    calls += 1
    await asyncio.sleep(0.2)
    return {"apple": 1.2, "pear": 1.5}[article] * (1 if currency == "EUR" else 1.1)


async def timed(what: str, *args: str, **kwargs: str) -> None:
    """Call ``price`` and print what came of it."""
    before, started = calls, time.perf_counter()
    value = await price(*args, **kwargs)
    took = (time.perf_counter() - started) * 1000
    print(f"{what:<44} {'hit' if calls == before else 'miss':<5} {took:>9.3f} ms  {value:.2f}")


async def main() -> None:
    """Run the demo."""
    await timed("price('apple')", "apple")
    await timed("price('apple') again", "apple")
    await timed("price(article='apple', currency='EUR')", article="apple", currency="EUR")
    await timed("price('pear')", "pear")

    started = time.perf_counter()
    before = calls
    await asyncio.gather(*[price("pear", "USD") for _ in range(1000)])
    took = (time.perf_counter() - started) * 1000
    print(f"{'1,000 callers of one cold key at once':<44} {calls - before} call {took:>7.1f} ms")

    await price.invalidate("apple")
    await timed("price('apple') after invalidate", "apple")
    print(price.info())

    async with Cache("memory", namespace="main") as cache:
        await cache.set("key", "value", ttl=1)
        print(f"cache.get('key') -> {await cache.get('key')!r}, expires in {await cache.expires_in('key'):.2f} s")


if __name__ == "__main__":
    asyncio.run(main())
