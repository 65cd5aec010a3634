"""Hold the memcached backend to the contract of all stores."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aiocache_memcached import MemcachedBackend
from tests.conformance import BackendConformance, Factory
from tests.servers import Server, memcached_server


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """A server of this module alone: the suite empties it."""
    with memcached_server() as server:
        yield server


class TestMemcached(BackendConformance):
    """Be the suite over a server with meta commands."""

    backend_class = MemcachedBackend

    @pytest.fixture
    def factory(self, own_server: Server) -> Factory:
        """Make a backend as another process would."""
        return lambda: MemcachedBackend(port=own_server.port)
