"""Drive a cache and a plain model of the interface through the same commands, and compare every answer."""

from __future__ import annotations

import asyncio
import enum
import math
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Final, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from aiocache_core import MISS, UNSET, Cache

T = TypeVar("T")

OWN: Final = "own"
"""The namespace of the cache under test."""
DEFAULT_TTL: Final = 4.0

Place = tuple[str, str]
"""A namespace ("" for none) and a key's text."""


class Name(enum.Enum):
    ONE = "1"


KEYS: Final[dict[object, str]] = {"": "", "k": "k", b"k": "k", 1: "1", "1": "1", Name.ONE: "1", "own:k": "own:k"}
"""Keys as they are given, and the text that they stand for."""
NAMESPACES: Final[dict[str | None, str]] = {None: OWN, "": "", "own": OWN, "ow": "ow"}
PLACES: Final = sorted({(space, text) for space in NAMESPACES.values() for text in KEYS.values()})
VALUES: Final = (None, 0, 5, -3, "", "text", [1, None], {"a": 1.5}, 2**63 - 1)

keys = st.sampled_from(list(KEYS))
namespaces = st.sampled_from(list(NAMESPACES))
values = st.sampled_from(VALUES)
ttls = st.sampled_from((UNSET, None, 0, math.inf, 2, 2.5, timedelta(seconds=3), 1_000))


def place(key: object, namespace: str | None) -> Place:
    return (NAMESPACES[namespace], KEYS[key])


class FrontMachine(RuleBasedStateMachine):
    """Hold the model: a value and a deadline for each namespace and key."""

    def __init__(self, cache: Cache, advance: Callable[[float], None] | None = None) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.cache = cache
        self.cache.namespace = OWN
        self.cache.ttl = DEFAULT_TTL if advance else 1_000 * DEFAULT_TTL
        self.move_clock = advance
        self.now = 0.0
        self.entries: dict[Place, tuple[Any, float | None]] = {}
        self.run(self.cache.clear(""))

    def run(self, command: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(command)

    def teardown(self) -> None:
        self.run(self.cache.close())
        self.runner.close()

    # -- the model ------------------------------------------------------------

    def value(self, where: Place) -> Any:
        value, deadline = self.entries.get(where, (MISS, None))
        if deadline is not None and deadline <= self.now:
            del self.entries[where]
            return MISS
        return value

    def deadline(self, ttl: Any) -> float | None:
        ttl = self.cache.ttl if ttl is UNSET else ttl
        seconds = ttl.total_seconds() if isinstance(ttl, timedelta) else ttl
        return None if seconds in {None, 0, math.inf} else self.now + seconds

    def given(self, ttl: Any) -> Any:
        """Return a ttl that the test outlives only where the clock is ours."""
        if self.move_clock is not None or ttl is UNSET or ttl is None or ttl in {0, math.inf}:
            return ttl
        return 1_000 * ttl

    # -- commands ------------------------------------------------------------

    @rule(key=keys, namespace=namespaces, default=st.sampled_from((None, "default")))
    def get(self, key: object, namespace: str | None, default: object) -> None:
        expected = self.value(place(key, namespace))
        found = self.run(self.cache.get(key, default, namespace=namespace))
        assert found == (default if expected is MISS else expected)
        assert self.run(self.cache.exists(key, namespace=namespace)) is (expected is not MISS)

    @rule(some=st.lists(keys, max_size=5), namespace=namespaces)
    def multi_get(self, some: list[object], namespace: str | None) -> None:
        expected = [self.value(place(key, namespace)) for key in some]
        assert self.run(self.cache.multi_get(some, namespace=namespace, default=MISS)) == expected
        plain = [None if value is MISS else value for value in expected]
        assert self.run(self.cache.multi_get(some, namespace=namespace)) == plain

    @rule(key=keys, value=values, ttl=ttls, namespace=namespaces)
    def set(self, key: object, value: Any, ttl: Any, namespace: str | None) -> None:
        ttl = self.given(ttl)
        assert self.run(self.cache.set(key, value, ttl, namespace=namespace)) is True
        self.entries[place(key, namespace)] = (value, self.deadline(ttl))

    @rule(pairs=st.lists(st.tuples(keys, values), max_size=4), ttl=ttls, namespace=namespaces)
    def multi_set(self, pairs: list[tuple[object, Any]], ttl: Any, namespace: str | None) -> None:
        ttl = self.given(ttl)
        assert self.run(self.cache.multi_set(pairs, ttl, namespace=namespace)) is True
        for key, value in pairs:
            self.entries[place(key, namespace)] = (value, self.deadline(ttl))

    @rule(key=keys, value=values, ttl=ttls, namespace=namespaces)
    def add(self, key: object, value: Any, ttl: Any, namespace: str | None) -> None:
        ttl = self.given(ttl)
        where = place(key, namespace)
        expected: object = True if self.value(where) is MISS else ValueError
        try:
            answer: object = self.run(self.cache.add(key, value, ttl, namespace=namespace))
        except ValueError as error:
            answer = type(error)
        assert answer is expected
        if expected is True:
            self.entries[where] = (value, self.deadline(ttl))

    @rule(key=keys, namespace=namespaces)
    def delete(self, key: object, namespace: str | None) -> None:
        where = place(key, namespace)
        assert self.run(self.cache.delete(key, namespace=namespace)) == int(self.value(where) is not MISS)
        self.entries.pop(where, None)

    @rule(some=st.lists(keys, max_size=4), namespace=namespaces)
    def multi_delete(self, some: list[object], namespace: str | None) -> None:
        there = {place(key, namespace) for key in some if self.value(place(key, namespace)) is not MISS}
        assert self.run(self.cache.multi_delete(some, namespace=namespace)) == len(there)
        for where in there:
            del self.entries[where]

    @rule(key=keys, delta=st.sampled_from((1, -4, 2**62)), ttl=ttls, namespace=namespaces)
    def increment(self, key: object, delta: int, ttl: Any, namespace: str | None) -> None:
        ttl = self.given(ttl)
        where = place(key, namespace)
        present = self.value(where)
        expected: Any
        if present is MISS:
            expected = delta
        elif isinstance(present, int):
            expected = present + delta if present + delta < 2**63 else OverflowError
        else:
            expected = TypeError
        try:
            answer: Any = self.run(self.cache.increment(key, delta, namespace=namespace, ttl=ttl))
        except (TypeError, OverflowError) as error:
            answer = type(error)
        assert answer == expected
        if not isinstance(expected, type):
            deadline = self.deadline(ttl) if present is MISS else self.entries[where][1]
            self.entries[where] = (expected, deadline)

    @rule(key=keys, ttl=ttls.filter(lambda ttl: ttl is not UNSET), namespace=namespaces)
    def expire(self, key: object, ttl: Any, namespace: str | None) -> None:
        ttl = self.given(ttl)
        where = place(key, namespace)
        there = self.value(where) is not MISS
        assert self.run(self.cache.expire(key, ttl, namespace=namespace)) is there
        if there:
            self.entries[where] = (self.entries[where][0], self.deadline(ttl))

    @rule(key=keys, value=values, ttl=ttls, namespace=namespaces)
    def get_or_set(self, key: object, value: Any, ttl: Any, namespace: str | None) -> None:
        ttl = self.given(ttl)
        where = place(key, namespace)
        present = self.value(where)
        answer = self.run(self.cache.get_or_set(key, lambda: value, ttl, namespace=namespace))
        assert answer == (value if present is MISS else present)
        if present is MISS:
            self.entries[where] = (value, self.deadline(ttl))

    @rule(namespace=namespaces)
    def clear(self, namespace: str | None) -> None:
        assert self.run(self.cache.clear(namespace)) is True
        cleared = NAMESPACES[namespace]
        for where in list(self.entries):
            if cleared in {"", where[0]}:
                del self.entries[where]

    # -- time and life ------------------------------------------------------------

    @precondition(lambda self: self.move_clock is not None)
    @rule(seconds=st.sampled_from((0.5, 1.0, 2.0)))
    def pass_time(self, seconds: float) -> None:
        assert self.move_clock is not None
        self.move_clock(seconds)
        self.now += seconds

    @rule(anew=st.booleans())
    def close(self, anew: bool) -> None:
        self.run(self.cache.close())
        if anew:
            self.runner.close()
            self.runner = asyncio.Runner()

    @invariant()
    def every_key_is_as_in_the_model(self) -> None:
        for space in sorted(set(NAMESPACES.values())):
            texts = sorted(set(KEYS.values()))
            expected = [self.value((space, text)) for text in texts]
            assert self.run(self.cache.multi_get(texts, namespace=space, default=MISS)) == expected

    @invariant()
    def every_expiry_is_as_in_the_model(self) -> None:
        if self.move_clock is None:
            return
        for where in PLACES:
            left = self.run(self.cache.expires_in(where[1], namespace=where[0]))
            if self.value(where) is MISS:
                assert left is MISS
            elif (deadline := self.entries[where][1]) is None:
                assert left is None
            else:
                assert isinstance(left, float)
                assert abs(left - (deadline - self.now)) < 1e-6
