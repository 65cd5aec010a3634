"""Run the backends beside the plain model of the contract."""

from __future__ import annotations

from aiocache_core import MemoryBackend
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.semantics.backend_machine import BackendMachine


class Clock:
    """Stand still until told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


SEARCH = settings(max_examples=60, stateful_step_count=40, deadline=None)


def _memory(max_entries: int | None) -> BackendMachine:
    clock = Clock()
    return BackendMachine(lambda: MemoryBackend(clock=clock, max_entries=max_entries), clock.advance)


def test_memory_is_the_model() -> None:
    run_state_machine_as_test(lambda: _memory(None), settings=SEARCH)


def test_bounded_memory_is_the_model_as_long_as_nothing_is_evicted() -> None:
    run_state_machine_as_test(lambda: _memory(100), settings=SEARCH)
