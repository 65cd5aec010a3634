"""What an import brings with it, in a fresh interpreter."""

from __future__ import annotations

import sys

import pytest

from tests.packaging.distributions import run

HEAVY = ("aiomcache", "importlib.metadata", "importlib_metadata", "msgpack", "redis")


def modules(code: str) -> set[str]:
    return set(run(sys.executable, "-c", code).split())


@pytest.mark.parametrize("module", ["aiocache", "aiocache_core"])
def test_an_import_brings_no_client_and_no_metadata(module: str) -> None:
    loaded = modules(f"import {module}, sys; print(*sorted(sys.modules))")
    assert module in loaded
    assert [name for name in HEAVY if name in loaded] == []


def test_the_built_in_names_need_no_metadata() -> None:
    loaded = modules(
        "import aiocache, sys; aiocache.Cache('memory', serializer='json', plugins=['timing']);"
        "print(*sorted(sys.modules))"
    )
    assert "aiocache_core.plugins" in loaded
    assert [name for name in HEAVY if name in loaded] == []


@pytest.mark.parametrize(
    ("make", "client", "others"),
    [
        ("Cache('redis')", "redis", ["aiomcache", "msgpack"]),
        ("Cache('memcached')", "aiomcache", ["redis", "msgpack"]),
        ("Cache('memory', serializer='msgpack')", "msgpack", ["redis", "aiomcache"]),
    ],
)
def test_a_name_brings_its_own_client_only(make: str, client: str, others: list[str]) -> None:
    loaded = modules(f"import sys; from aiocache import Cache; {make}; print(*sorted(sys.modules))")
    assert client in loaded
    assert [name for name in others if name in loaded] == []
