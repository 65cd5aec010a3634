"""Find expired entries without looking at all of them, and free them in small slices by one timer of a running loop.

The keys of entries with a deadline stand in buckets by the time at which they are looked at again: those that expire
soon in buckets of an eighth of a second, later ones in coarser buckets, from which they move to finer ones
(hierarchical timing wheels: Varghese and Lauck, *Hashed and Hierarchical Timing Wheels*, SOSP 1987, scheme 7). So there
are few buckets, however many deadlines; and a key stands in one bucket only, so that a key set again and again leaves
nothing behind.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import weakref
from collections.abc import Callable
from typing import Any, Final, Protocol

from aiocache_core._cells import Bucket, Cell, Waiters, replace
from aiocache_core._types import MISS, Key

TICK: Final = 0.125
"""The width (s) of the finest buckets: an expired entry is freed at most about this late."""
SPAN: Final = 64
"""The number of buckets of one width, before those of the next, as many times wider, are used."""
SLICE: Final = 1000
"""The entries that are looked at without a pause."""
LONGEST_PAUSE: Final = 1.0
"""The seconds after which the timer looks at the clock again, which may be a test's."""
GONE: Final = -math.inf
"""The time at which a timer that does not stand has failed to come."""


class Wheel:
    """Hold the keys of entries with a deadline, under the store's lock but for one exception.

    A new cell may be stored without the lock, so: store it, put its key into a bucket, and then see if the bucket is
    retired. Whoever takes keys out of a bucket retires it before, or looks at the key's entry afterwards, and puts the
    key back if it is needed there. So at least one of both sees the other.
    """

    def __init__(self, clock: Callable[[], float], waiters: Waiters) -> None:
        self.buckets: dict[float, Bucket] = {}
        """The buckets by the time (s) at which they are due."""
        self.recent = Bucket(math.inf, -math.inf)
        """The bucket that was chosen last."""
        self._order: list[float] = []
        self._clock = clock
        self._waiters = waiters
        self._draining = False

    def choose(self, deadline: float, now: float) -> Bucket:
        """Return the bucket of a deadline."""
        left = deadline - now
        width = TICK
        while left >= SPAN * width:
            width *= SPAN
        first = deadline // width * width
        self.recent = self._bucket(first, width, first if width > TICK else first + TICK)
        return self.recent

    def _bucket(self, first: float, width: float, due: float) -> Bucket:
        bucket = self.buckets.get(due)
        if bucket is None:
            new = Bucket(first, first + width)
            bucket = self.buckets.setdefault(due, new)
            if bucket is new:
                heapq.heappush(self._order, due)
        return bucket

    def file(self, entries: dict[Key, Any], key: Key, cell: Cell, now: float) -> None:
        """Enter a key for its cell's deadline; take it out of the bucket that the cell knows, if that is another one."""
        before = cell.bucket
        if cell.deadline is None:
            cell.bucket = None
        else:
            cell.bucket = self.choose(cell.deadline, now)
            cell.bucket[key] = None
        if before is not None and before is not cell.bucket:
            self.forget(entries, key, before)

    def forget(self, entries: dict[Key, Any], key: Key, bucket: Bucket) -> None:
        """Take a key out of a bucket, unless a cell that was stored meanwhile needs it there."""
        bucket.pop(key, None)
        cell = entries.get(key)
        if isinstance(cell, Cell) and cell.bucket is bucket:
            bucket[key] = None

    def pause(self) -> float:
        """Return the seconds until a bucket is due, but at most ``LONGEST_PAUSE``."""
        return min(max(self._order[0] - self._clock(), 0.0), LONGEST_PAUSE) if self._order else LONGEST_PAUSE

    def drain(self, entries: dict[Key, Any], limit: int = SLICE) -> bool:
        """Look at no more than ``limit`` of the entries whose time has come; return True if one was freed."""
        if self._draining:  # freeing a value has run code of the user's, which has used the cache
            return False
        self._draining = True
        try:
            now = self._clock()
            freed = False
            while self._order and self._order[0] <= now:
                bucket = self.buckets[self._order[0]]
                bucket.retired = True
                while bucket:
                    if not limit:
                        return freed
                    limit -= 1
                    key, _ = bucket.popitem()
                    freed |= self._visit(entries, key, bucket, now)
                del self.buckets[heapq.heappop(self._order)]
            return freed
        finally:
            self._draining = False

    def reclaim(self, entries: dict[Key, Any]) -> bool:
        """Free an entry or more that has expired, even in the present tick; return False if none was found."""
        if not self._order:
            return False
        if self.drain(entries):
            return True
        now = self._clock()
        due = self._order[0] if self._order else now
        if now < due <= now + TICK:
            bucket = self.buckets[due]
            for _ in range(min(16, len(bucket))):
                key, _ = bucket.popitem()
                if self._visit(entries, key, bucket, now, due):
                    return True
        return False

    def retire(self) -> None:
        """Be replaced by another wheel."""
        for bucket in tuple(self.buckets.values()):
            bucket.retired = True

    def _visit(self, entries: dict[Key, Any], key: Key, bucket: Bucket, now: float, later: float | None = None) -> bool:
        """Free the entry of a key taken from a bucket if it has expired, else enter it anew (for a tick later)."""
        cell = entries.get(key)
        if not isinstance(cell, Cell) or cell.bucket is not bucket or cell.deadline is None:
            return False
        if cell.deadline > now:
            cell.bucket = self.choose(cell.deadline, now) if later is None else self._bucket(later, TICK, later + TICK)
            cell.bucket[key] = None
            return False
        freed = replace(entries, key, cell, MISS)
        if freed and cell.value is MISS:
            self._waiters.wake(key)
        return freed


class Owner(Protocol):
    """Be what a timer works for."""

    def _reclaim(self) -> None:
        """Free a slice of what has expired, and start the timer again while there is more to come."""


class Timer:
    """Come to its owner from one running loop, and keep neither the loop nor the owner alive."""

    def __init__(self, owner: Owner) -> None:
        self._owner = weakref.ref(owner)
        self._turn = 0
        self._handle: Callable[[], asyncio.TimerHandle | None] = _nothing
        """Weak, as a loop's timer knows its loop."""
        self._loop: Callable[[], asyncio.AbstractEventLoop | None] = _nothing
        self.late = GONE
        """The time (of the owner's clock) at which the timer has failed to come, its loop being stopped or closed."""

    def start(self, pause: float, now: float) -> bool:
        """Come in so many seconds, and not as told before; return False where no loop runs."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        self._turn += 1
        timer: weakref.ref[Timer] = weakref.ref(self)
        handle = loop.call_later(pause, _come, timer, self._turn)
        self._handle = weakref.ref(handle, self._dropped)
        self._loop = weakref.ref(loop)
        self.late = now + pause + 2 * LONGEST_PAUSE
        return True

    def _dropped(self, _: object) -> None:
        """Notice that the loop was closed, as it drops its timers then, or that there was no reason to start anew."""
        self.late = GONE

    def stop(self) -> None:
        """Leave the running loop, if it stands there."""
        handle = self._handle()
        if handle is not None and self._loop() is asyncio.get_running_loop():
            handle.cancel()
            self._handle = _nothing
            self.late = GONE

    def come(self, turn: int) -> None:
        """Come to the owner, unless told otherwise since."""
        owner = self._owner()
        if owner is not None and turn == self._turn:
            owner._reclaim()


def _come(timer: weakref.ref[Timer], turn: int) -> None:
    found = timer()
    if found is not None:
        found.come(turn)


def _nothing() -> None:
    return None
