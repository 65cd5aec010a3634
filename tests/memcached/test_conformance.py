"""Hold the memcached backend to the contract of all stores."""

from __future__ import annotations

import pytest

from aiocache_memcached import MemcachedBackend
from tests.conformance import BackendConformance, Factory
from tests.servers import Server


class TestMemcached(BackendConformance):
    """Be the suite over a server with meta commands."""

    backend_class = MemcachedBackend

    @pytest.fixture
    def factory(self, own_server: Server) -> Factory:
        """Make a backend as another process would."""
        return lambda: MemcachedBackend(port=own_server.port)
