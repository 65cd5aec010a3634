"""Settings of all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests import servers
from tests.servers import Server

if os.environ.get("CI") != "true":  # there hypothesis has settings of its own, which make each run the same
    settings.register_profile("here", deadline=None)  # no test is decided by the time it takes
    settings.load_profile("here")


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Server]:
    """One redis-server for the whole run; tests keep apart by namespace or database."""
    with servers.redis_server() as server:
        yield server


@pytest.fixture(scope="session")
def memcached_server() -> Iterator[Server]:
    """One memcached for the whole run; tests keep apart by namespace."""
    with servers.memcached_server() as server:
        yield server
