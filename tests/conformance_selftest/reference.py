"""Be a small correct store over a dict, which several clients share: what the broken ones are made from."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from aiocache_core import (
    KEEP,
    MISS,
    Abilities,
    Backend,
    Busy,
    Keep,
    Key,
    Lease,
    Miss,
    Stored,
    added,
    counter,
    keys,
    records,
)

_versions = itertools.count(1)


class Clock:
    """Stand still until told."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def advance(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Entry:
    """Be what the server holds under a name."""

    stored: bytes
    deadline: float | None
    version: int


class Server:
    """Be the store that its clients share."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.entries: dict[str, Entry] = {}

    def find(self, name: str) -> Entry | None:
        """Return a live entry."""
        entry = self.entries.get(name)
        if entry is not None and entry.deadline is not None and entry.deadline <= self.clock.now:
            del self.entries[name]
            return None
        return entry

    def put(self, name: str, stored: Stored, ttl: float | Keep | None) -> None:
        """Write an entry."""
        stored = stored.encode("utf-8", "surrogatepass") if isinstance(stored, str) else bytes(stored)
        old = self.find(name)
        deadline = (old.deadline if old else None) if ttl is KEEP else ttl and self.clock.now + ttl
        self.entries[name] = Entry(stored, deadline, next(_versions))


class EightMethods(Backend):
    """Write the eight methods that a store must have for all but leases, ``expires_in`` and ``scan``."""

    abilities: ClassVar[Abilities] = Abilities(compare_and_set=True)

    def __init__(self, server: Server) -> None:
        self.server = server

    def name(self, key: Key) -> str:
        return keys.join(key)

    def value(self, key: Key) -> Entry | None:
        entry = self.server.find(self.name(key))
        return None if entry is None or records.is_mark(entry.stored) else entry

    async def turn(self) -> None:
        """Be on the way to the server, so that commands overlap."""
        await asyncio.sleep(0)

    async def get(self, key: Key) -> Stored | Miss:
        await self.turn()
        entry = self.value(key)
        return MISS if entry is None else entry.stored

    async def set(self, key: Key, stored: Stored, ttl: float | None) -> None:
        await self.turn()
        self.server.put(self.name(key), stored, ttl)

    async def add(self, key: Key, stored: Stored, ttl: float | None) -> bool:
        await self.turn()
        if self.value(key) is not None:
            return False
        self.server.put(self.name(key), stored, ttl)
        return True

    async def delete(self, key: Key) -> bool:
        await self.turn()
        there = self.value(key) is not None
        self.server.entries.pop(self.name(key), None)
        return there

    async def expire(self, key: Key, ttl: float | None) -> bool:
        await self.turn()
        entry = self.value(key)
        if entry is not None:
            entry.deadline = ttl and self.server.clock.now + ttl
        return entry is not None

    async def clear(self, namespace: str | None) -> None:
        await self.turn()
        for name in [name for name in self.server.entries if self.in_namespace(name, namespace)]:
            del self.server.entries[name]

    def in_namespace(self, name: str, namespace: str | None) -> bool:
        return namespace is None or name.startswith(keys.prefix(namespace))

    async def gets(self, key: Key) -> tuple[Stored | Miss, Any]:
        await self.turn()
        entry = self.server.find(self.name(key))
        if entry is None:
            return MISS, None
        return MISS if records.is_mark(entry.stored) else entry.stored, entry.version

    async def cas(self, key: Key, version: Any, stored: Stored | Miss, ttl: float | Keep | None) -> bool:
        await self.turn()
        entry = self.server.find(self.name(key))
        if entry is None or entry.version != version:
            return False
        if stored is MISS:
            del self.server.entries[self.name(key)]
        else:
            self.server.put(self.name(key), stored, ttl)
        return True


class Reference(EightMethods):
    """Have every ability but those of local stores."""

    abilities: ClassVar[Abilities] = Abilities(compare_and_set=True, leases=True, expires_in=True, scan=True)

    async def multi_get(self, keys: Sequence[Key]) -> list[Stored | Miss]:
        await self.turn()
        found = [self.value(key) for key in keys]
        return [MISS if entry is None else entry.stored for entry in found]

    async def multi_set(self, pairs: Iterable[tuple[Key, Stored]], ttl: float | None) -> None:
        await self.turn()
        for key, stored in pairs:
            self.server.put(self.name(key), stored, ttl)

    async def multi_delete(self, keys: Iterable[Key]) -> int:
        await self.turn()
        found = [(self.value(key), self.server.entries.pop(self.name(key), None)) for key in keys]
        return len([value for value, _ in found if value is not None])

    async def increment(self, key: Key, delta: int, ttl: float | None) -> int:
        await self.turn()
        entry = self.value(key)
        total = delta if entry is None else added(counter(entry.stored), delta)
        self.server.put(self.name(key), b"%d" % total, ttl if entry is None else KEEP)
        return total

    async def expires_in(self, key: Key) -> float | Miss | None:
        await self.turn()
        entry = self.value(key)
        if entry is None:
            return MISS
        return None if entry.deadline is None else entry.deadline - self.server.clock.now

    async def scan(self, namespace: str | None, prefix: str = "") -> AsyncIterator[list[Key]]:
        found = [keys.split(name) for name in self.server.entries]
        ours = [key for key in found if (key[0] if isinstance(key, tuple) else None) == namespace]
        ours = [key for key in ours if (key[1] if isinstance(key, tuple) else key).startswith(prefix)]
        for start in range(0, len(ours), 500):
            await self.turn()
            yield ours[start : start + 500]

    # -- leases --------------------------------------------------------------------------------------------------------

    def ours(self, lease: Lease) -> bool:
        entry = self.server.find(self.name(lease.key))
        return entry is not None and entry.stored == lease.token

    async def lease(self, key: Key, seconds: float) -> Stored | Lease | Busy:
        await self.turn()
        entry = self.server.find(self.name(key))
        if entry is None:
            mark = records.new_mark(seconds)
            self.server.put(self.name(key), mark, seconds)
            return Lease(key, seconds, mark)
        if records.is_mark(entry.stored):
            return Busy((entry.deadline or 0) - self.server.clock.now)
        return entry.stored

    async def renew(self, lease: Lease) -> bool:
        await self.turn()
        if self.ours(lease):
            self.server.put(self.name(lease.key), lease.token, lease.seconds)
            return True
        return False

    async def store_leased(self, lease: Lease, stored: Stored, ttl: float | None) -> bool:
        await self.turn()
        if self.ours(lease):
            self.server.put(self.name(lease.key), stored, ttl)
            return True
        return False

    async def release(self, lease: Lease) -> None:
        await self.turn()
        if self.ours(lease):
            del self.server.entries[self.name(lease.key)]

    async def changed(self, key: Key, timeout: float) -> None:
        await asyncio.sleep(min(timeout, 0.005))
