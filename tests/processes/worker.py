"""Be one of several processes that call a decorated function: ``worker.py store port callers lease seconds``.

Prints how many of its callers got the right value, then waits to be ended.
"""

from __future__ import annotations

import asyncio
import sys

from aiocache import Cache, cached_stampede


async def main(store: str, port: int, callers: int, lease: float, seconds: float) -> None:
    calls = Cache(store, port=port, namespace="calls")

    @cached_stampede(cache=store, port=port, namespace="values", key="k", lease=lease, timeout=10)
    async def work() -> str:
        number = await calls.increment("calls")
        print(f"computing {number}", flush=True)
        await asyncio.sleep(seconds)
        return f"value {number}"

    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    values = await asyncio.gather(*[work() for _ in range(callers)])
    print(f"got {len(values)} {sorted(set(values))}", flush=True)
    await work.cache.close()
    await calls.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5])))
