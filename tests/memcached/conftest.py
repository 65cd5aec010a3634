"""Provide the stores of these tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from aiocache_memcached import MemcachedBackend
from tests.memcached.proxy import Proxy, proxy_of
from tests.servers import Server, memcached_server


@pytest.fixture(scope="package")
def own_server() -> Iterator[Server]:
    """A server of these tests alone, which may empty it."""
    with memcached_server() as server:
        yield server


@pytest.fixture
def server_apart() -> Iterator[Server]:
    """A server of one test, which may stop it."""
    with memcached_server() as server:
        yield server


@pytest.fixture
async def backend(own_server: Server) -> AsyncIterator[MemcachedBackend]:
    """A backend over an empty server."""
    backend = MemcachedBackend(port=own_server.port)
    await backend.clear(None)
    yield backend
    await backend.close()


@pytest.fixture
async def other(own_server: Server) -> AsyncIterator[MemcachedBackend]:
    """Another backend over the same server, which knows nothing of the first one."""
    backend = MemcachedBackend(port=own_server.port)
    yield backend
    await backend.close()


@pytest.fixture
async def proxy(own_server: Server) -> AsyncIterator[Proxy]:
    """A proxy in front of the server."""
    async with proxy_of(own_server.port) as proxy:
        yield proxy


@pytest.fixture
async def behind(proxy: Proxy) -> AsyncIterator[MemcachedBackend]:
    """A backend that reaches the server through the proxy, on one connection."""
    backend = MemcachedBackend(port=proxy.port, pool_size=1)
    yield backend
    await backend.close()
