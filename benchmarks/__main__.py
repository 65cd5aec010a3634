"""Run benchmarks: ``python -m benchmarks [memory|redis|all] [--quick]``; prints tables, decides nothing."""

from __future__ import annotations

import argparse
import asyncio
import platform

from benchmarks import harness, memory, redis


async def run(what: str, *, quick: bool) -> None:
    """Measure and print."""
    rounds, seconds = (5, 0.02) if quick else (11, 0.3)
    print(f"{platform.python_implementation()} {platform.python_version()}; median of {rounds} alternating rounds\n")
    if what in ("memory", "all"):
        rows = await memory.rows()
        for row in rows:
            await harness.measure(row, rounds=rounds, seconds=seconds)
        print(harness.table("memory: process CPU time", rows), end="\n\n")
    if what in ("redis", "all"):
        from tests.servers import redis_server

        with redis_server() as server:
            rows, closers = await redis.rows(server.port)
            for row in rows:
                await harness.measure(row, rounds=rounds, seconds=seconds)
            for close in closers:
                await close()
        print(harness.table("redis: wall time", rows), end="\n\n")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", nargs="?", choices=["memory", "redis", "all"], default="all")
    parser.add_argument("--quick", action="store_true", help="take seconds instead of minutes")
    arguments = parser.parse_args()
    asyncio.run(run(arguments.what, quick=arguments.quick))


if __name__ == "__main__":
    main()
