"""The built wheels, each installed in a fresh environment: alone, with its extras, and over the released 0.12.3.

These tests install from ``dist/`` and from the package index, so they run by themselves: ``./hatchw run test-wheels``.
"""

from __future__ import annotations

import os
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.packaging.distributions import DISTRIBUTIONS, ROOT, Distribution, run

pytestmark = pytest.mark.index

DIST = ROOT / "dist"
UV = os.environ.get("HATCH_UV", "uv")
Install = Callable[..., None]

WORKS = """
import asyncio
from {package} import Cache, cached

async def main():
    async with Cache("memory", serializer="json") as cache:
        await cache.set("key", [1], ttl=10)
        assert await cache.get("key") == [1]

    @cached(ttl=10)
    async def double(number):
        return 2 * number

    assert [await double(2), await double(2)] == [4, 4]

asyncio.run(main())
"""

OFFERS = {
    "redis": "assert type({package}.Cache('redis')).__module__.startswith('aiocache_redis')",
    "memcached": "assert type({package}.Cache('memcached')).__module__.startswith('aiocache_memcached')",
    "msgpack": (
        "serializer = {package}.Cache('memory', serializer='msgpack').serializer;"
        "assert serializer.loads(serializer.dumps([1, 'a'])) == [1, 'a']"
    ),
}

LACKS = """
import aiocache

for make, line in [
    (lambda: aiocache.Cache("redis"), "pip install aiocache-redis"),
    (lambda: aiocache.Cache("memcached"), "pip install aiocache-memcached"),
    (lambda: aiocache.Cache.from_url("redis://127.0.0.1"), "pip install aiocache-redis"),
    (lambda: aiocache.Cache("memory", serializer="msgpack"), "pip install aiocache-msgpack"),
    (lambda: aiocache.RedisCache, "pip install aiocache[redis]"),
    (lambda: aiocache.MemcachedCache, "pip install aiocache[memcached]"),
]:
    try:
        make()
    except ImportError as error:
        assert line in str(error), error
    else:
        raise AssertionError(line)
"""


def fresh(folder: Path, *, pip: bool = False) -> Path:
    """Make an environment with nothing in it but pip, if that is asked for, and return its interpreter."""
    venv.create(folder, with_pip=pip)
    return folder / "bin" / "python"


def with_pip(python: Path, *requirements: str) -> None:
    run(python, "-m", "pip", "install", "-q", "--find-links", DIST, *requirements)


def with_uv(python: Path, *requirements: str) -> None:
    run(UV, "pip", "install", "-q", "-p", python, "--find-links", DIST, *requirements)


def execute(python: Path, code: str) -> str:
    return run(python, "-I", "-W", "error", "-c", code)


def listing(python: Path) -> str:
    return run(python, "-I", "-W", "error", "-m", "aiocache_core")


@pytest.fixture(scope="session", autouse=True)
def wheels() -> list[Path]:
    found = [DIST / f"{distribution.stem}-py3-none-any.whl" for distribution in DISTRIBUTIONS]
    assert all(path.is_file() for path in found), "the wheels are not in dist/; type: ./hatchw run wheels"
    return found


@pytest.mark.parametrize(
    ("requirement", "offers"),
    [
        ("aiocache-core", []),
        ("aiocache-redis", ["redis"]),
        ("aiocache-memcached", ["memcached"]),
        ("aiocache-msgpack", ["msgpack"]),
        ("aiocache", []),
        ("aiocache[redis]", ["redis"]),
        ("aiocache[memcached]", ["memcached"]),
        ("aiocache[msgpack]", ["msgpack"]),
        ("aiocache[redis,memcached]", ["redis", "memcached"]),
        ("aiocache[all]", ["redis", "memcached", "msgpack"]),
    ],
)
def test_a_distribution_works_alone(tmp_path: Path, requirement: str, offers: list[str]) -> None:
    python = fresh(tmp_path / "env")
    with_uv(python, requirement)
    run(UV, "pip", "check", "-p", python)
    package = "aiocache" if requirement.startswith("aiocache[") or requirement == "aiocache" else "aiocache_core"
    execute(python, WORKS.format(package=package))
    for name in offers:
        execute(python, f"import {package}; {OFFERS[name].format(package=package)}")
    told = listing(python)
    for name in OFFERS:
        assert (f"aiocache-{name}" in told) is (name in offers), told


def test_what_is_not_installed_names_the_line_to_type(tmp_path: Path) -> None:
    python = fresh(tmp_path / "env")
    with_uv(python, "aiocache")
    execute(python, LACKS)


@pytest.mark.parametrize("install", [with_pip, with_uv])
@pytest.mark.parametrize("requirement", ["aiocache", "aiocache[all]"])
def test_an_upgrade_from_0_12_3_works(tmp_path: Path, install: Install, requirement: str) -> None:
    python = fresh(tmp_path / "env", pip=install is with_pip)
    install(python, "aiocache==0.12.3")
    assert execute(python, "import aiocache; print(aiocache.__version__)").strip() == "0.12.3"
    install(python, "-U", requirement)
    assert execute(python, "import aiocache; print(aiocache.__version__)").strip() == Distribution("aiocache").version
    execute(python, WORKS.format(package="aiocache"))
    assert "0.12.3" not in listing(python)


@pytest.mark.parametrize("install", [with_pip, with_uv])
def test_the_core_stands_beside_0_12_3_and_says_so(tmp_path: Path, install: Install) -> None:
    python = fresh(tmp_path / "env", pip=install is with_pip)
    install(python, "aiocache==0.12.3")
    install(python, "aiocache-core")
    assert execute(python, "import aiocache; print(aiocache.__version__)").strip() == "0.12.3"
    execute(python, WORKS.format(package="aiocache_core"))
    assert "0.12.3" in listing(python)


def test_these_are_the_wheels_of_this_checkout(tmp_path: Path) -> None:
    python = fresh(tmp_path / "env")
    with_uv(python, "aiocache[all]")
    where = execute(python, "import aiocache_core; print(aiocache_core.__file__)").strip()
    installed = Path(where).read_bytes()
    assert str(tmp_path) in where
    assert installed == (ROOT / "packages/aiocache-core/src/aiocache_core/__init__.py").read_bytes()
