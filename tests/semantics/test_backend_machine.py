"""Run the backends beside the plain model of the contract."""

from __future__ import annotations

import pytest
from hypothesis import Phase, settings

from aiocache_core import MemoryBackend
from aiocache_memcached import MemcachedBackend
from aiocache_redis import RedisBackend
from tests.conformance_selftest import broken
from tests.conformance_selftest.reference import Reference
from tests.conformance_selftest.reference import Server as FakeServer
from tests.semantics.backend_machine import BackendMachine
from tests.semantics.searching import SEARCH, SEARCH_SERVER, Clock, search
from tests.servers import Server


def _memory(max_entries: int | None) -> BackendMachine:
    clock = Clock()
    return BackendMachine(lambda: MemoryBackend(clock=clock, max_entries=max_entries), clock.advance)


def test_memory_is_the_model() -> None:
    search(lambda: _memory(None))


def test_bounded_memory_is_the_model_as_long_as_nothing_is_evicted() -> None:
    search(lambda: _memory(100))


def test_redis_is_the_model(redis_server: Server) -> None:
    search(lambda: BackendMachine(lambda: RedisBackend(port=redis_server.port, db=13)), SEARCH_SERVER)


def test_memcached_is_the_model(memcached_server: Server) -> None:
    search(lambda: BackendMachine(lambda: MemcachedBackend(port=memcached_server.port)), SEARCH_SERVER)


@pytest.mark.parametrize(
    "faulty",
    [
        broken.AddIgnoresItsTtl,
        broken.ExpireCreates,
        broken.IncrementLosesTheExpiry,
        broken.IncrementStopsAtZero,
        broken.JoinedWithoutAMark,
        broken.SetKeepsTheOldExpiry,
        broken.MultiGetShowsMarks,
        broken.StoreLeasedIgnoresItsToken,
    ],
)
def test_the_model_notices_a_broken_store(faulty: type[Reference]) -> None:
    def machine() -> BackendMachine:
        server = FakeServer()
        return BackendMachine(lambda: faulty(server), server.clock.advance)

    how = settings(SEARCH, max_examples=300, phases=[Phase.generate], derandomize=True)
    with pytest.raises(AssertionError):
        search(machine, how)
