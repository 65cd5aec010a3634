"""Drive a backend and a plain model of it through the same commands, and compare every answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, precondition, rule

from aiocache_core import KEEP, MISS, Backend, Busy, Keep, Key, Lease

T = TypeVar("T")

LONG: Final = 1_000.0
SMALLEST: Final = -(2**63)
LARGEST: Final = 2**63 - 1

NAMESPACES = ("a", "a*")
KEYS: tuple[Key, ...] = ("k", ("a", "k"), ("a", "bc"), ("a*", "k"))
"""Few, so that commands meet."""
VALUES = (b"", b"0", b"5", b"-7", b"text", b"\x00\r\n\xff", b"9223372036854775807", "words", "12")

keys = st.sampled_from(KEYS)
values = st.sampled_from(VALUES)
namespaces = st.none() | st.sampled_from((*NAMESPACES, "absent"))
deltas = st.sampled_from((1, -1, 0, 7, -20, LARGEST, SMALLEST))
leases = Bundle[tuple[Lease, int]]("leases")
versions = Bundle["Read"]("versions")


class Read(NamedTuple):
    """Be a version that was read, and the model's number for it."""

    key: Key
    version: Any
    value: bytes | None
    number: int


@dataclass
class Entry:
    """Be what the model holds under a key: a value, or None for a lease's mark."""

    value: bytes | None
    deadline: float | None
    number: int
    uncertain: set[int] = field(default_factory=set)
    """Numbers of versions that a store may or may not tell from the present one."""


def plain(found: Any) -> Any:
    """Return what a store gave as bytes: it may give text as text, and a counter as a number."""
    if isinstance(found, str):
        return found.encode()
    return b"%d" % found if isinstance(found, int) and not isinstance(found, bool) else found


class BackendMachine(RuleBasedStateMachine):
    """Hold the model: entries by key, a number for each write, and a clock of its own."""

    def __init__(self, make: Callable[[], Backend], advance: Callable[[float], None] | None = None) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.backend = make()
        self.move_clock = advance
        self.now = 0.0
        self.entries: dict[Key, Entry] = {}
        self.writes = 0
        self.run(self.backend.clear(None))

    def run(self, command: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(command)

    def teardown(self) -> None:
        self.run(self.backend.close())
        self.runner.close()

    # -- the model ------------------------------------------------------------

    def live(self, key: Key) -> Entry | None:
        entry = self.entries.get(key)
        if entry is not None and entry.deadline is not None and entry.deadline <= self.now:
            del self.entries[key]
            return None
        return entry

    def value(self, key: Key) -> Any:
        entry = self.live(key)
        return MISS if entry is None or entry.value is None else entry.value

    def put(self, key: Key, value: Any, ttl: float | Keep | None) -> int:
        old = self.live(key)
        deadline = (old.deadline if old else None) if isinstance(ttl, Keep) else self.after(ttl)
        self.writes += 1
        self.entries[key] = Entry(value, deadline, self.writes)
        return self.writes

    def after(self, ttl: float | None) -> float | None:
        return None if ttl is None else self.now + ttl

    def ttl(self, drawn: float | None) -> float | None:
        """Return a short ttl only where the clock is ours."""
        return drawn if drawn is None or self.move_clock is not None else LONG

    # -- one key ------------------------------------------------------------

    ttls = st.sampled_from((None, 1.0, 3.0, LONG))

    @rule(key=keys)
    def get(self, key: Key) -> None:
        assert plain(self.run(self.backend.get(key))) == self.value(key)
        assert self.run(self.backend.exists(key)) is (self.value(key) is not MISS)

    @rule(key=keys, value=values, ttl=ttls)
    def set(self, key: Key, value: Any, ttl: float | None) -> None:
        self.run(self.backend.set(key, value, self.ttl(ttl)))
        self.put(key, plain(value), self.ttl(ttl))

    @rule(key=keys, value=values, ttl=ttls)
    def add(self, key: Key, value: Any, ttl: float | None) -> None:
        free = self.value(key) is MISS
        assert self.run(self.backend.add(key, value, self.ttl(ttl))) is free
        if free:
            self.put(key, plain(value), self.ttl(ttl))

    @rule(key=keys)
    def delete(self, key: Key) -> None:
        assert self.run(self.backend.delete(key)) is (self.value(key) is not MISS)
        self.entries.pop(key, None)

    @rule(key=keys, ttl=ttls)
    def expire(self, key: Key, ttl: float | None) -> None:
        there = self.value(key) is not MISS
        assert self.run(self.backend.expire(key, self.ttl(ttl))) is there
        if there:
            entry = self.entries[key]
            entry.deadline = self.after(self.ttl(ttl))
            self.renumber(entry)

    def renumber(self, entry: Entry) -> None:
        """Leave open whether a change of the expiry alone is a new version."""
        self.writes += 1
        entry.uncertain.add(entry.number)
        entry.number = self.writes

    def check_expires_in(self, key: Key) -> None:
        left = self.run(self.backend.expires_in(key))
        if self.value(key) is MISS:
            assert left is MISS
            return
        deadline = self.entries[key].deadline
        if deadline is None:
            assert left is None
        else:
            assert isinstance(left, float)
            assert abs(left - (deadline - self.now)) <= (0.001 if self.move_clock else 0.9 * LONG)

    @rule(key=keys, delta=deltas, ttl=ttls)
    def increment(self, key: Key, delta: int, ttl: float | None) -> None:
        present = self.value(key)
        try:
            before = 0 if present is MISS else int(present)
            total = before + delta
            expected: Any = total if SMALLEST <= total <= LARGEST else OverflowError
        except ValueError:
            total, expected = 0, TypeError
        try:
            answer: Any = self.run(self.backend.increment(key, delta, self.ttl(ttl)))
        except (TypeError, OverflowError) as error:
            answer = type(error)
        assert answer == expected
        if expected == total and not isinstance(expected, type):
            self.put(key, b"%d" % total, self.ttl(ttl) if present is MISS else KEEP)

    # -- several keys ------------------------------------------------------------

    @rule(some=st.lists(keys, max_size=6))
    def multi_get(self, some: list[Key]) -> None:
        assert [plain(found) for found in self.run(self.backend.multi_get(some))] == [self.value(key) for key in some]

    @rule(pairs=st.lists(st.tuples(keys, values), max_size=5), ttl=ttls)
    def multi_set(self, pairs: list[tuple[Key, Any]], ttl: float | None) -> None:
        self.run(self.backend.multi_set(pairs, self.ttl(ttl)))
        for key, value in pairs:
            self.put(key, plain(value), self.ttl(ttl))

    @rule(some=st.lists(keys, max_size=5))
    def multi_delete(self, some: list[Key]) -> None:
        there = {key for key in some if self.value(key) is not MISS}
        assert self.run(self.backend.multi_delete(some)) == len(there)
        for key in some:
            self.entries.pop(key, None)

    @rule(namespace=namespaces)
    def clear(self, namespace: str | None) -> None:
        self.run(self.backend.clear(namespace))
        for key in list(self.entries):
            if namespace is None or (isinstance(key, tuple) and key[0] == namespace):
                del self.entries[key]

    @precondition(lambda self: self.backend.abilities.scan)
    @rule(namespace=namespaces, prefix=st.sampled_from(("", "k", "b", "*")))
    def scan(self, namespace: str | None, prefix: str) -> None:
        async def scan() -> list[Key]:
            return [key async for batch in self.backend.scan(namespace, prefix) for key in batch]

        expected: set[Key] = set()
        for key in KEYS:
            space, name = key if isinstance(key, tuple) else (None, key)
            if space == namespace and name.startswith(prefix) and self.value(key) is not MISS:
                expected.add(key)
        marks = {key for key in KEYS if (entry := self.live(key)) and entry.value is None}
        assert set(self.run(scan())) - marks == expected

    # -- compare-and-set ------------------------------------------------------------

    @precondition(lambda self: self.backend.abilities.compare_and_set)
    @rule(target=versions, key=keys)
    def gets(self, key: Key) -> Any:
        found, version = self.run(self.backend.gets(key))
        assert plain(found) == self.value(key)
        entry = self.live(key)
        assert (version is None) is (entry is None)
        return multiple() if entry is None else Read(key, version, entry.value, entry.number)

    @rule(read=versions, value=values | st.just(MISS), ttl=ttls | st.just(KEEP))
    def cas(self, read: Read, value: Any, ttl: float | Keep | None) -> None:
        entry = self.live(read.key)
        if entry is not None and (read.number in entry.uncertain or (entry.value is None and ttl is KEEP)):
            return
        if self.backend.abilities.versions_by_value and entry is not None and entry.value == read.value:
            return  # such a store cannot tell a value from one that came back
        ttl = ttl if isinstance(ttl, Keep) else self.ttl(ttl)
        same = entry is not None and entry.number == read.number
        assert self.run(self.backend.cas(read.key, read.version, value, ttl)) is same
        if same and value is MISS:
            del self.entries[read.key]
        elif same:
            self.put(read.key, plain(value), ttl)

    # -- leases ------------------------------------------------------------

    @precondition(lambda self: self.backend.abilities.leases)
    @rule(target=leases, key=keys, seconds=st.sampled_from((1.0, 3.0, LONG)))
    def lease(self, key: Key, seconds: float) -> Any:
        seconds = self.ttl(seconds) or LONG
        found = self.run(self.backend.lease(key, seconds))
        entry = self.live(key)
        if entry is None:
            assert isinstance(found, Lease)
            return (found, self.put(key, None, seconds))
        if entry.value is None:
            assert isinstance(found, Busy)
        else:
            assert plain(found) == entry.value
        return multiple()

    def holds(self, taken: tuple[Lease, int]) -> bool:
        entry = self.live(taken[0].key)
        return entry is not None and entry.value is None and taken[1] in {entry.number, *entry.uncertain}

    @rule(taken=leases)
    def renew(self, taken: tuple[Lease, int]) -> None:
        lease, _ = taken
        holds = self.holds(taken)
        assert self.run(self.backend.renew(lease)) is holds
        if holds:
            entry = self.entries[lease.key]
            entry.deadline = self.after(lease.seconds)
            self.renumber(entry)

    @rule(taken=leases, value=values, ttl=ttls)
    def store_leased(self, taken: tuple[Lease, int], value: Any, ttl: float | None) -> None:
        holds = self.holds(taken)
        assert self.run(self.backend.store_leased(taken[0], value, self.ttl(ttl))) is holds
        if holds:
            self.put(taken[0].key, plain(value), self.ttl(ttl))

    @rule(taken=consumes(leases))
    def release(self, taken: tuple[Lease, int]) -> None:
        holds = self.holds(taken)
        self.run(self.backend.release(taken[0]))
        if holds:
            del self.entries[taken[0].key]

    # -- time and life ------------------------------------------------------------

    @precondition(lambda self: self.move_clock is not None)
    @rule(seconds=st.sampled_from((0.5, 1.0, 2.0, LONG)))
    def pass_time(self, seconds: float) -> None:
        assert self.move_clock is not None
        self.move_clock(seconds)
        self.now += seconds

    @rule(anew=st.booleans())
    def close(self, anew: bool) -> None:
        self.run(self.backend.close())
        if anew:
            self.runner.close()
            self.runner = asyncio.Runner()

    @invariant()
    def every_key_is_as_in_the_model(self) -> None:
        found = [plain(stored) for stored in self.run(self.backend.multi_get(KEYS))]
        assert found == [self.value(key) for key in KEYS]
        if self.backend.abilities.expires_in:
            for key in KEYS:
                self.check_expires_in(key)
