"""Give the tests of redis a backend and a plain client, both on a database of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from aiocache_redis import RedisBackend
from tests.servers import HOST, Server

DB = 2

Make = Callable[..., RedisBackend]


@pytest.fixture
async def redis(redis_server: Server) -> AsyncIterator[Any]:
    """Another program's client of the same database, empty at first."""
    async with Redis(host=HOST, port=redis_server.port, db=DB) as client:
        await client.flushdb()
        yield client


@pytest.fixture
async def make(redis_server: Server, redis: Any) -> AsyncIterator[Make]:
    """Make backends, which are closed in the end."""
    made: list[RedisBackend] = []

    def make(**options: Any) -> RedisBackend:
        chosen: dict[str, Any] = {"port": redis_server.port, "db": DB, **options}
        backend = RedisBackend(**chosen)
        made.append(backend)
        return backend

    yield make
    for backend in made:
        await backend.close()


@pytest.fixture
def backend(make: Make) -> RedisBackend:
    """One backend."""
    return make()
