"""Hold what the memory store puts in the place of a bare value, and replace an entry only if it is unchanged."""

from __future__ import annotations

import asyncio
from itertools import compress
from operator import is_
from typing import Any, Self

from aiocache_core._types import MISS, Key


class Bucket(dict[Key, None]):
    """Hold the keys of cells whose deadlines lie between ``first`` and ``last``."""

    __slots__ = ("first", "last", "retired")

    def __init__(self, first: float, last: float) -> None:
        super().__init__()
        self.first = first
        self.last = last
        self.retired = False
        """True as soon as its keys are being taken out."""


class Cell:
    """Hold a value that has a deadline or a version; with MISS for its value, be the mark of a lease.

    Every write makes a new cell, so that its identity is the entry's version; only the deadline is changed in place. It
    has no ``__init__``, which would be half of the cost of making one.
    """

    __slots__ = ("bucket", "deadline", "value", "visited")

    value: Any
    deadline: float | None
    bucket: Bucket | None
    """Where its key stands for its deadline."""
    visited: bool
    """True if it was read; eviction takes note of it."""

    @classmethod
    def of(cls, value: Any, deadline: float | None = None) -> Self:
        """Return a cell that stands in no bucket yet."""
        cell = cls()
        cell.value = value
        cell.deadline = deadline
        cell.bucket = None
        return cell


def replace(entries: dict[Key, Any], key: Key, seen: object, new: object) -> bool:
    """Put ``new`` (MISS: nothing) in the place of ``seen`` and return True; return False if another object is there.

    One step as seen from other threads: ``list`` draws the whole chain (look up, compare, write) inside of one call of
    C code, and the interpreter changes threads only between its own instructions. So a bare ``entries[key] = value``
    needs no lock. (A bounded store's entries are written under the lock, and need no such care.)
    """
    unchanged = compress((key,), map(is_, map(entries.get, (key,)), (seen,)))
    write = map(entries.pop, unchanged) if new is MISS else map(entries.__setitem__, unchanged, (new,))
    return bool(list(write))


class Waiters(dict[Key, set["asyncio.Future[None]"]]):
    """Hold who waits until a key's mark is gone, in any loop and thread."""

    def wake(self, key: Key) -> None:
        """Wake those who wait for a key."""
        for future in self.pop(key, ()):
            try:
                future.get_loop().call_soon_threadsafe(_resolve, future)
            except RuntimeError:  # its loop was closed while it waited
                continue

    def leave(self, key: Key, future: asyncio.Future[None]) -> None:
        """Wait no longer."""
        waiting = self.get(key)
        if waiting is not None:
            waiting.discard(future)
            if not waiting:
                del self[key]


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
