"""Hold the suite itself: it passes correct stores, and each broken one fails in the part that is meant for it."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

from aiocache_core import Backend
from tests.conformance import BackendConformance, Store
from tests.conformance.harness import CASES
from tests.conformance_selftest.broken import BROKEN
from tests.conformance_selftest.reference import EightMethods, Reference, Server


def failures(tested: type[EightMethods]) -> dict[str, BaseException]:
    """Run the whole suite on a store; return the error of each test that failed."""

    class Suite(BackendConformance):
        backend_class = tested

    found: dict[str, BaseException] = {}
    for name in CASES:
        test: Any = getattr(Suite(), name)
        if test is None:
            continue
        server = Server()
        store = Store(lambda server=server: tested(server), server.clock.advance)  # type: ignore[misc]
        try:
            if inspect.iscoroutinefunction(test):
                asyncio.run(test(store))
            else:
                test(store)
        except (Exception, pytest.fail.Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - of whichever kind
            found[name] = error
    return found


@pytest.mark.parametrize("correct", [Reference, EightMethods])
def test_a_correct_store_passes(correct: type[EightMethods]) -> None:
    assert failures(correct) == {}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_store_fails_in_its_part_alone(broken: type[Reference]) -> None:
    found = failures(broken)
    assert {CASES[name].part for name in found} == BROKEN[broken], found


def test_a_store_gets_the_tests_of_what_it_declares() -> None:
    class Eight(BackendConformance):
        backend_class = EightMethods

    class Full(BackendConformance):
        backend_class = Reference

    eight = {name for name in CASES if getattr(Eight, name) is not None}
    full = {name for name in CASES if getattr(Full, name) is not None}
    assert {CASES[name].part for name in full - eight} == {"leases", "ttl", "cancellation", "abilities"}
    assert {CASES[name].part for name in eight - full} == {"abilities"}
    assert {"test_without_leases", "test_without_expires_in", "test_without_scan"} == eight - full
    assert "leases" not in {CASES[name].part for name in eight}


def test_every_case_is_a_test_of_the_suite() -> None:
    assert set(CASES) == {name for name in dir(BackendConformance) if name.startswith("test_")}


def test_a_suite_without_a_backend_class_says_so() -> None:
    with pytest.raises(TypeError, match="backend_class"):
        type("TestNothing", (BackendConformance,), {})


def test_a_backend_class_is_a_backend() -> None:
    assert all(issubclass(broken, Backend) for broken in BROKEN)
