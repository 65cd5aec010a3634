from __future__ import annotations

import pytest

from aiocache_core import MemoryBackend
from tests.conformance import Advance, BackendConformance, Factory


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class TestMemory(BackendConformance):
    backend_class = MemoryBackend

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def factory(self, clock: Clock) -> Factory:
        return lambda: MemoryBackend(clock=clock)

    @pytest.fixture
    def advance(self, clock: Clock) -> Advance:
        return clock.advance


class TestBoundedMemory(TestMemory):
    @pytest.fixture
    def factory(self, clock: Clock) -> Factory:
        return lambda: MemoryBackend(clock=clock, max_entries=10_000)
