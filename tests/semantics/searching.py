"""Run state machines, and give them a clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

_SLOW: Final = [HealthCheck.too_slow, HealthCheck.data_too_large]  # nothing is decided by the time it takes
SEARCH: Final = settings(max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=_SLOW)
SEARCH_SERVER: Final = settings(SEARCH, max_examples=20)


def search(machine: Callable[[], RuleBasedStateMachine], how: settings = SEARCH) -> None:
    """Look for commands after which a machine and its model differ; raise what the machine raises then."""
    factory: Any = machine  # typed as a class there, and called only
    run_state_machine_as_test(factory, settings=how)


class Clock:
    """Give the time (s) to a memory store, and stand still until told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Move on by seconds."""
        self.now += seconds
