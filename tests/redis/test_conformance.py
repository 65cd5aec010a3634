"""Hold redis to the contract."""

from __future__ import annotations

import pytest

from aiocache_redis import RedisBackend
from tests.conformance import BackendConformance, Factory
from tests.servers import Server


class TestRedis(BackendConformance):
    backend_class = RedisBackend

    @pytest.fixture
    def factory(self, redis_server: Server) -> Factory:
        return lambda: RedisBackend(port=redis_server.port, db=1)
