"""Run caches over each store beside the plain model of the interface."""

from __future__ import annotations

import pytest

from aiocache_core import Cache
from tests.semantics.front_machine import FrontMachine
from tests.semantics.searching import SEARCH_SERVER, Clock, search
from tests.servers import Server


@pytest.mark.parametrize("serializer", ["null", "json"])
def test_a_cache_in_memory_is_the_model(serializer: str) -> None:
    def machine() -> FrontMachine:
        clock = Clock()
        return FrontMachine(Cache("memory", clock=clock, serializer=serializer), clock.advance)

    search(machine)


def test_a_cache_in_redis_is_the_model(redis_server: Server) -> None:
    search(lambda: FrontMachine(Cache("redis", port=redis_server.port, db=13)), SEARCH_SERVER)


def test_a_cache_in_memcached_is_the_model(memcached_server: Server) -> None:
    search(lambda: FrontMachine(Cache("memcached", port=memcached_server.port)), SEARCH_SERVER)
