"""Keep entries in this process's memory.

The entries are one dict. An entry without expiry is the bare value, so that reading it costs one look into the dict. One
with an expiry or a version is a private :class:`~aiocache_core._cells.Cell`; a lease's mark is a cell without a value.

Threads: ``lookup`` takes no lock, as it reads one entry once. ``assign`` into an unbounded store takes none either, as
it is one write into the dict. Everything else takes the lock, so that only assigns can come between its steps; whatever
depends on what was there is written by :func:`~aiocache_core._cells.replace` or ``setdefault``, which see if one has
come. The lock may be taken again by its holder: freeing a value may run code of the user's, which may use the cache.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, MutableMapping, Sequence
from typing import Any, ClassVar, Final

from aiocache_core._cells import Cell, Waiters, replace
from aiocache_core._eviction import BoundedEntries, Node, Weigher, check_bounds
from aiocache_core._expiry import GONE, SLICE, Timer, Wheel
from aiocache_core._types import KEEP, MISS, Keep, Key, Miss, Stored
from aiocache_core.backend import Abilities, Backend, Busy, Lease, added, counter
from aiocache_core.exceptions import UnsupportedCommand

BATCH: Final = 1000
"""The keys in one batch of ``scan``."""
RAW: Final = (
    *("get", "keys", "values", "items", "pop", "popitem", "setdefault", "update", "clear"),
    *("__getitem__", "__setitem__", "__delitem__", "__contains__", "__iter__", "__len__"),
)
"""The commands of ``raw``."""


class MemoryBackend(Backend):
    """Be a store of objects in this process, for all its loops and threads.

    - ``max_entries`` bounds the number of entries; ``max_weight`` that of what ``weigher(key, stored)`` gives for each.
      Expired entries leave first, then those that eviction chooses; a value heavier than ``max_weight`` is not kept.
      Unbounded by default.
    - ``clock`` gives the time (s); monotonic by default.
    """

    abilities: ClassVar[Abilities] = Abilities(
        local=True,
        stores_objects=True,
        compare_and_set=True,
        leases=True,
        scan=True,
        expires_in=True,
        ttl_step=0.0,
        default_serializer="null",
    )

    def __init__(
        self,
        *,
        max_entries: int | None = None,
        max_weight: float | None = None,
        weigher: Weigher | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make an empty store. Raises ``TypeError`` or ``ValueError`` for a bound that is none."""
        check_bounds(max_entries, max_weight, weigher)
        self.max_entries = max_entries
        self.max_weight = max_weight
        self.weigher = weigher
        self.clock = clock
        bounded = max_entries is not None or max_weight is not None
        self._cell: type[Cell] = Node if bounded else Cell
        self._lock = threading.RLock()
        self._waiters = Waiters()
        self._timer = Timer(self)
        self._begin()

    def _begin(self) -> None:
        """Begin without entries."""
        self._wheel = Wheel(self.clock, self._waiters)
        self._buckets = self._wheel.buckets
        """Not empty while any entry has a deadline."""
        self._entries: dict[Key, Any] = {}
        if self._cell is Node:
            self._entries = BoundedEntries(
                self.max_entries, self.max_weight, self.weigher, self._wheel, self._waiters, self._lock
            )

    @property
    def held(self) -> int:
        """The number of entries in memory, those that have expired and are not yet freed included."""
        return len(self._entries)

    # -- without a coroutine -------------------------------------------------------------------------------------------

    def lookup(self, key: Key) -> Stored | Miss:
        """Return what is stored, or MISS."""
        found = self._entries.get(key, MISS)
        if type(found) is self._cell:
            deadline = found.deadline
            if deadline is not None and deadline <= self.clock():
                self._tend(self.clock())
                return MISS
            found.visited = True
            return found.value
        return found

    def assign(self, key: Key, stored: Stored, ttl: float | None) -> None:
        """Store a value and its ttl, whatever was there."""
        if ttl is None:
            if not self._buckets:
                self._entries[key] = stored
            else:
                self._assign_beside(key, stored)
            return
        now = self.clock()
        deadline = now + ttl
        bucket = self._wheel.recent
        if not bucket.first <= deadline < bucket.last:
            with self._lock:
                bucket = self._wheel.choose(deadline, now)
        kind = self._cell
        cell = kind()
        cell.value, cell.deadline, cell.bucket = stored, deadline, bucket
        entries = self._entries
        old: Any = entries.get(key)
        entries[key] = cell
        bucket[key] = None
        if bucket.retired:
            self._enter_again(key, cell, now)
        if type(old) is kind and (old.bucket is not bucket or old.value is MISS):
            with self._lock:
                self._gone(key, old)
        if now >= self._timer.late:
            self._tend(now)

    def _assign_beside(self, key: Key, stored: Stored) -> None:
        """Store without expiry, while other entries have one."""
        old: Any = self._entries.get(key)
        self._entries[key] = stored
        if type(old) is self._cell:
            with self._lock:
                self._gone(key, old)
        if self._timer.late == GONE:
            self._tend(self.clock())

    def _enter_again(self, key: Key, cell: Cell, now: float) -> None:
        """Enter a key into another bucket, its own having been retired while its cell was stored."""
        with self._lock:
            if self._entries.get(key) is cell:
                self._wheel.file(self._entries, key, cell, now)

    # -- steps under the lock ------------------------------------------------------------------------------------------

    def _find(self, key: Key) -> tuple[Any, Any]:
        """Return the entry of a key (a bare value, a cell or MISS) and its live value (or MISS)."""
        found: Any = self._entries.get(key, MISS)
        if type(found) is not self._cell:
            return found, found
        return found, found.value if self._alive(found) else MISS

    def _alive(self, cell: Any) -> bool:
        return cell.deadline is None or cell.deadline > self.clock()

    def _is_mark(self, found: Any) -> bool:
        return isinstance(found, Cell) and found.value is MISS and found.deadline is not None and self._alive(found)

    def _swap(self, key: Key, old: Any, new: Any, ttl: float | Keep | None) -> bool:
        """Put an entry in the place of another one, unless that has changed; MISS for either is none."""
        now = self.clock()
        if ttl is KEEP:
            deadline = old.deadline if isinstance(old, Cell) and old.value is not MISS else None
        else:
            deadline = None if ttl is None else now + ttl
        if deadline is not None:
            new = self._cell.of(new, deadline)
        entries = self._entries
        done = (old is MISS and entries.setdefault(key, new) is new) or replace(entries, key, old, new)
        if done:
            if isinstance(new, Cell):
                self._wheel.file(entries, key, new, now)
            if isinstance(old, Cell):
                self._gone(key, old)
            self._tend(now)
        return done

    def _gone(self, key: Key, old: Cell) -> None:
        """Forget the deadline of a cell that was replaced or removed; if it was a mark, tell who waited for that."""
        if old.bucket is not None:
            self._wheel.forget(self._entries, key, old.bucket)
        if old.value is MISS:
            self._waiters.wake(key)

    def _tend(self, now: float) -> None:
        """See to it that a timer stands while an entry has a deadline; where no loop runs, free a slice now."""
        if self._buckets and now >= self._timer.late:
            with self._lock:
                if not self._timer.start(self._wheel.pause(), now):
                    self._wheel.drain(self._entries)

    def _reclaim(self) -> None:
        """Free a slice of what has expired, as the timer."""
        with self._lock:
            self._wheel.drain(self._entries)
            if self._buckets:
                self._timer.start(self._wheel.pause(), self.clock())

    # -- commands ------------------------------------------------------------------------------------------------------

    async def get(self, key: Key) -> Stored | Miss:
        """Return what is stored, or MISS."""
        return self.lookup(key)

    async def multi_get(self, keys: Sequence[Key]) -> list[Stored | Miss]:
        """Return what is stored for each key, in order, MISS for a miss."""
        return list(map(self.lookup, keys))

    async def set(self, key: Key, stored: Stored, ttl: float | None) -> None:
        """Store a value and its ttl, whatever was there."""
        self.assign(key, stored, ttl)

    async def multi_set(self, pairs: Iterable[tuple[Key, Stored]], ttl: float | None) -> None:
        """Store pairs with one ttl."""
        for key, stored in pairs:
            self.assign(key, stored, ttl)

    async def add(self, key: Key, stored: Stored, ttl: float | None) -> bool:
        """Store only if no value is there; return True if stored."""
        with self._lock:
            while True:
                old, value = self._find(key)
                if value is not MISS:
                    return False
                if self._swap(key, old, stored, ttl):
                    return True

    async def delete(self, key: Key) -> bool:
        """Remove whatever is there; return True if it was a value."""
        with self._lock:
            return self._pop(key) is not MISS

    async def expire(self, key: Key, ttl: float | None) -> bool:
        """Give an entry a new ttl, None for no expiry; return True if a value was there."""
        with self._lock:
            while True:
                old, value = self._find(key)
                if value is MISS:
                    return False
                if type(old) is self._cell:
                    self._postpone(key, old, ttl)
                    return True
                if ttl is None or self._swap(key, old, value, ttl):
                    return True

    def _postpone(self, key: Key, cell: Cell, ttl: float | None) -> None:
        """Change the deadline of a cell, which stays what it was."""
        now = self.clock()
        cell.deadline = None if ttl is None else now + ttl
        self._wheel.file(self._entries, key, cell, now)
        self._tend(now)

    async def expires_in(self, key: Key) -> float | Miss | None:
        """Return the seconds an entry has left, None without expiry, MISS for a missing key."""
        with self._lock:
            old, value = self._find(key)
            missing = value is MISS
            deadline: float | None = old.deadline if isinstance(old, Cell) else None
            if missing or deadline is None:
                return MISS if missing else None
            return max(deadline - self.clock(), 0.0)

    async def increment(self, key: Key, delta: int, ttl: float | None) -> int:
        """Add to a counter and return the result; a new one is an int, one that a serializer made text stays text."""
        with self._lock:
            while True:
                old, value = self._find(key)
                if value is MISS:
                    if self._swap(key, old, delta, ttl):
                        return delta
                    continue
                total = added(counter(value), delta)
                if self._swap(key, old, _like(value, total), KEEP):
                    return total

    async def gets(self, key: Key) -> tuple[Stored | Miss, Any]:
        """Return what is stored and its version: a cell, put into the place of a bare value at the first call."""
        with self._lock:
            while True:
                old, value = self._find(key)
                if type(old) is self._cell:
                    return (value, old) if self._alive(old) else (MISS, None)
                cell = self._cell.of(value)
                if old is MISS or replace(self._entries, key, old, cell):
                    return (MISS, None) if old is MISS else (value, cell)

    async def cas(self, key: Key, version: Any, stored: Stored | Miss, ttl: float | Keep | None) -> bool:
        """Replace (or with MISS remove) what has this version; return False if it is another one or gone."""
        if not isinstance(version, Cell):
            return False
        with self._lock:
            return self._alive(version) and self._swap(key, version, stored, None if stored is MISS else ttl)

    # -- all entries ---------------------------------------------------------------------------------------------------

    async def clear(self, namespace: str | None) -> None:
        """Remove all entries of one namespace, or at once all of the store for None; the loop goes on meanwhile."""
        if namespace is None:
            await self._free(self._empty())
            return
        for keys in _batches(list(self._entries), SLICE):
            with self._lock:
                for key in keys:
                    if type(key) is tuple and key[0] == namespace:
                        self._pop(key)
            await asyncio.sleep(0)

    def _empty(self) -> dict[Key, Any]:
        """Begin anew; return what the entries were."""
        with self._lock:
            old = self._entries
            self._wheel.retire()
            self._begin()
            for key in tuple(self._waiters):
                self._waiters.wake(key)
            return old

    async def _free(self, entries: dict[Key, Any]) -> None:
        """Free entries that nobody can reach any more, a slice at a time."""
        while entries:
            with self._lock:  # a writer that has found them before may still be there
                for _ in range(min(SLICE, len(entries))):
                    _, entry = dict.popitem(entries)
                    if isinstance(entry, Node):
                        entry.queue.take(entry)
            await asyncio.sleep(0)

    def _pop(self, key: Key) -> Any:
        """Remove whatever is there, and return it if it was a value, else MISS."""
        old: Any = self._entries.pop(key, MISS)
        if not isinstance(old, Cell):
            return old
        value = old.value if self._alive(old) else MISS
        self._gone(key, old)
        return value

    async def scan(self, namespace: str | None, prefix: str = "") -> AsyncIterator[list[Key]]:
        """Yield the keys of a namespace (None: those without one) that begin with a prefix, in batches."""
        for keys in _batches(list(self._entries), BATCH):
            found = [
                key
                for key in keys
                if (isinstance(key, str) if namespace is None else type(key) is tuple and key[0] == namespace)
                and (key if isinstance(key, str) else key[1]).startswith(prefix)
                and self._find(key)[1] is not MISS
            ]
            if found:
                yield found
            await asyncio.sleep(0)

    async def raw(self, command: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of a ``MutableMapping`` over the live entries by finished key, and return what it returns.

        ``raw("__setitem__", key, value)`` stores without expiry.
        """
        if command not in RAW:
            message = f"the memory store has no raw command {command!r}; it has those of a mapping: {', '.join(RAW)}"
            raise UnsupportedCommand(message)
        with self._lock:
            return getattr(LiveEntries(self), command)(*args, **kwargs)

    # -- leases --------------------------------------------------------------------------------------------------------

    async def lease(self, key: Key, seconds: float) -> Stored | Lease | Busy:
        """Return the value, or else the right to compute it, or Busy if another one has it."""
        with self._lock:
            while True:
                old, value = self._find(key)
                if value is not MISS:
                    return value
                now = self.clock()
                if self._is_mark(old) and old.deadline > now:
                    return Busy(old.deadline - now)
                mark = self._cell.of(MISS, now + seconds)
                if self._swap(key, old, mark, None):
                    return Lease(key, seconds, mark)

    async def renew(self, lease: Lease) -> bool:
        """Begin the lease anew if it is still ours."""
        with self._lock:
            if not self._holds(lease):
                return False
            self._postpone(lease.key, lease.token, lease.seconds)
            return True

    async def store_leased(self, lease: Lease, stored: Stored, ttl: float | None) -> bool:
        """Replace our mark by the value; return False, storing nothing, if it is not ours."""
        with self._lock:
            return self._holds(lease) and self._swap(lease.key, lease.token, stored, ttl)

    async def release(self, lease: Lease) -> None:
        """Remove our mark."""
        with self._lock:
            self._swap(lease.key, lease.token, MISS, None)

    def _holds(self, lease: Lease) -> bool:
        return self._entries.get(lease.key) is lease.token and self._alive(lease.token)

    async def changed(self, key: Key, timeout: float) -> None:
        """Return when the key's mark is replaced or removed, at once if there is none, after ``timeout`` s at most."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._lock:
            if not self._is_mark(self._entries.get(key)):
                return
            self._waiters.setdefault(key, set()).add(future)
        try:
            await asyncio.wait((future,), timeout=timeout)
        finally:
            with self._lock:
                self._waiters.leave(key, future)

    async def close(self) -> None:
        """Take the timer out of this loop; the entries stay."""
        with self._lock:
            self._timer.stop()


class LiveEntries(MutableMapping[Key, Any]):
    """Be a mapping of a store's live entries by finished key."""

    def __init__(self, backend: MemoryBackend) -> None:
        self._backend = backend

    def __getitem__(self, key: Key) -> Any:
        value = self._backend.lookup(key)
        if value is MISS:
            raise KeyError(key)
        return value

    def __setitem__(self, key: Key, value: Any) -> None:
        self._backend.assign(key, value, None)

    def __delitem__(self, key: Key) -> None:
        self.pop(key)

    def __iter__(self) -> Iterator[Key]:
        return (key for key in list(self._backend._entries) if self._backend._find(key)[1] is not MISS)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def clear(self) -> None:
        """Remove all entries."""
        self._backend._empty()

    def pop(self, key: Key, *default: Any) -> Any:
        """Remove a key and return its value, or the default; raises ``KeyError`` without one."""
        with self._backend._lock:
            value = self._backend._pop(key)
        if value is not MISS:
            return value
        if default:
            return default[0]
        raise KeyError(key)


def _like(value: object, total: int) -> int | str | bytes:
    if isinstance(value, bytes):
        return b"%d" % total
    return str(total) if isinstance(value, str) else total


def _batches(keys: list[Key], size: int) -> Iterator[list[Key]]:
    """Yield the last keys of a list and take them out, until it is empty: freeing them all at once would take long."""
    while keys:
        batch = keys[-size:]
        del keys[-size:]
        yield batch
