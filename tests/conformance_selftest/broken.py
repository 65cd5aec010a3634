"""Break the reference store in one way each, as real stores were broken; say which parts of the suite must notice."""

from __future__ import annotations

import asyncio
import os
import unicodedata
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Final

from aiocache_core import (
    KEEP,
    MISS,
    Abilities,
    Busy,
    Keep,
    Key,
    Lease,
    Miss,
    Stored,
    counter,
    keys,
    records,
)
from tests.conformance_selftest.reference import Entry, Reference, Server

BROKEN: Final[dict[type[Reference], frozenset[str]]] = {}
"""Each broken store, and the parts that must fail on it; all others must pass."""


def caught_by(*parts: str) -> Callable[[type[Reference]], type[Reference]]:
    """Enter a broken store."""

    def enter(broken: type[Reference]) -> type[Reference]:
        BROKEN[broken] = frozenset(parts)
        return broken

    return enter


# -- core, values, bulk ------------------------------------------------------------------------------------------------


@caught_by("core")
class DeleteDoesNotCountFalsyValues(Reference):
    async def delete(self, key: Key) -> bool:
        entry = self.value(key)
        return await super().delete(key) and bool(entry and entry.stored.strip(b"0"))


@caught_by("core", "ttl")
class ExpireCreates(Reference):
    async def expire(self, key: Key, ttl: float | None) -> bool:
        if self.server.find(self.name(key)) is None:
            self.server.put(self.name(key), b"", ttl)
            return False
        return await super().expire(key, ttl)


@caught_by("core", "values", "bulk", "counters", "compare-and-set", "leases")
class EmptyValueIsAMiss(Reference):
    async def get(self, key: Key) -> Stored | Miss:
        return await super().get(key) or MISS


@caught_by("values")
class ValuesEndAtALineEnd(Reference):
    async def set(self, key: Key, stored: Stored, ttl: float | None) -> None:
        await super().set(key, stored.strip("\r\n" if isinstance(stored, str) else b"\r\n"), ttl)


@caught_by("values")
class LargeValuesAreCut(Reference):
    async def set(self, key: Key, stored: Stored, ttl: float | None) -> None:
        await super().set(key, stored[:200_000], ttl)


@caught_by("bulk")
class MultiGetDropsRepeatedKeys(Reference):
    async def multi_get(self, keys: Sequence[Key]) -> list[Stored | Miss]:
        if len(keys) > 4:
            keys = list(dict.fromkeys(keys))
        return await super().multi_get(keys)


@caught_by("bulk", "leases", "ttl")
class MultiDeleteCountsItsKeys(Reference):
    async def multi_delete(self, keys: Iterable[Key]) -> int:
        given = list(keys)
        await super().multi_delete(given)
        return len(given)


@caught_by("bulk")
class MultiSetReadsItsPairsTwice(Reference):
    async def multi_set(self, pairs: Iterable[tuple[Key, Stored]], ttl: float | None) -> None:
        for _ in pairs:
            await self.turn()
            break
        await super().multi_set(pairs, ttl)


# -- ttl ---------------------------------------------------------------------------------------------------------------


@caught_by("ttl")
class AddIgnoresItsTtl(Reference):
    async def add(self, key: Key, stored: Stored, ttl: float | None) -> bool:
        return await super().add(key, stored, None)


@caught_by("ttl")
class MultiSetIgnoresItsTtl(Reference):
    async def multi_set(self, pairs: Iterable[tuple[Key, Stored]], ttl: float | None) -> None:
        await super().multi_set(pairs, None)


@caught_by("ttl")
class IncrementLosesTheExpiry(Reference):
    async def increment(self, key: Key, delta: int, ttl: float | None) -> int:
        entry = self.value(key)
        if entry is not None:
            entry.deadline = None
        return await super().increment(key, delta, ttl)


@caught_by("ttl")
class ExpireNoneLeavesTheExpiry(Reference):
    async def expire(self, key: Key, ttl: float | None) -> bool:
        return await super().expire(key, ttl) if ttl else self.value(key) is not None


@caught_by("ttl")
class SetKeepsTheOldExpiry(Reference):
    async def set(self, key: Key, stored: Stored, ttl: float | None) -> None:
        await super().set(key, stored, KEEP if ttl is None else ttl)  # type: ignore[arg-type]  # that is the fault


@caught_by("ttl")
class ASmallTtlIsRoundedToNone(Reference):
    async def set(self, key: Key, stored: Stored, ttl: float | None) -> None:
        await super().set(key, stored, None if ttl is None else round(ttl, 3) or None)


@caught_by("ttl")
class KeepDropsTheExpiry(Reference):
    async def cas(self, key: Key, version: Any, stored: Stored | Miss, ttl: float | Keep | None) -> bool:
        return await super().cas(key, version, stored, None if ttl is KEEP else ttl)


@caught_by("ttl")
class StoreLeasedKeepsTheLeasesTime(Reference):
    async def store_leased(self, lease: Lease, stored: Stored, ttl: float | None) -> bool:
        return await super().store_leased(lease, stored, lease.seconds)


@caught_by("ttl")
class ADeadEntryStillExists(Reference):
    async def exists(self, key: Key) -> bool:
        await self.turn()
        entry = self.server.entries.get(self.name(key))
        return entry is not None and not records.is_mark(entry.stored)


# -- counters, compare-and-set -------------------------------------------------------------------------------------------


@caught_by("counters")
class IncrementWraps(Reference):
    async def increment(self, key: Key, delta: int, ttl: float | None) -> int:
        entry = self.value(key)
        total = delta + (counter(entry.stored) if entry else 0)
        total = (total + 2**63) % 2**64 - 2**63
        self.server.put(self.name(key), b"%d" % total, KEEP if entry else ttl)
        return total


@caught_by("counters", "concurrency")
class IncrementStopsAtZero(Reference):
    async def increment(self, key: Key, delta: int, ttl: float | None) -> int:
        total = await super().increment(key, delta, ttl)
        if total < 0 and delta > -(2**62):
            self.server.put(self.name(key), b"0", KEEP)
        return max(total, 0) if delta > -(2**62) else total


@caught_by("counters")
class IncrementPadsWithSpaces(Reference):
    """As memcached's ``decr`` does."""

    async def increment(self, key: Key, delta: int, ttl: float | None) -> int:
        entry = self.value(key)
        length = len(entry.stored) if entry else 0
        total = await super().increment(key, delta, ttl)
        self.server.put(self.name(key), (b"%d" % total).ljust(length), KEEP)
        return total


@caught_by("counters")
class IncrementTellsTheValue(Reference):
    async def increment(self, key: Key, delta: int, ttl: float | None) -> int:
        entry = self.value(key)
        try:
            return await super().increment(key, delta, ttl)
        except TypeError:
            message = f"{entry.stored!r} is no integer" if entry else ""
            raise TypeError(message) from None


@caught_by("compare-and-set")
class CasCreates(Reference):
    async def cas(self, key: Key, version: Any, stored: Stored | Miss, ttl: float | Keep | None) -> bool:
        if self.server.find(self.name(key)) is None and version is None and stored is not MISS:
            self.server.put(self.name(key), stored, ttl)
            return True
        return await super().cas(key, version, stored, ttl)


@caught_by("compare-and-set")
class TheValueIsTheVersion(Reference):
    async def gets(self, key: Key) -> tuple[Stored | Miss, Any]:
        stored, version = await super().gets(key)
        entry = self.server.find(self.name(key))
        return stored, entry.stored if entry and version else None

    async def cas(self, key: Key, version: Any, stored: Stored | Miss, ttl: float | Keep | None) -> bool:
        entry = self.server.find(self.name(key))
        return await super().cas(key, entry.version if entry and entry.stored == version else None, stored, ttl)


@caught_by("compare-and-set")
class AMissIsNotRemovedByCas(Reference):
    async def cas(self, key: Key, version: Any, stored: Stored | Miss, ttl: float | Keep | None) -> bool:
        return await super().cas(key, version, b"" if stored is MISS else stored, ttl)


# -- leases --------------------------------------------------------------------------------------------------------------


@caught_by("leases")
class StoreLeasedIgnoresItsToken(Reference):
    async def store_leased(self, lease: Lease, stored: Stored, ttl: float | None) -> bool:
        await self.turn()
        self.server.put(self.name(lease.key), stored, ttl)
        return True


@caught_by("leases")
class StoreLeasedTakesAnyMark(Reference):
    def ours(self, lease: Lease) -> bool:
        entry = self.server.find(self.name(lease.key))
        return entry is not None and records.is_mark(entry.stored)


@caught_by("leases")
class ReleaseIgnoresItsToken(Reference):
    async def release(self, lease: Lease) -> None:
        await self.turn()
        self.server.entries.pop(self.name(lease.key), None)


@caught_by("leases")
class RenewTakesALostLeaseBack(Reference):
    async def renew(self, lease: Lease) -> bool:
        await self.turn()
        if self.value(lease.key) is not None:
            return False
        self.server.put(self.name(lease.key), lease.token, lease.seconds)
        return True


@caught_by("leases")
class RenewDoesNotLengthen(Reference):
    async def renew(self, lease: Lease) -> bool:
        await self.turn()
        return self.ours(lease)


@caught_by("leases")
class LeasesNeverEnd(Reference):
    async def lease(self, key: Key, seconds: float) -> Stored | Lease | Busy:
        found = await super().lease(key, seconds)
        entry = self.server.find(self.name(key))
        if isinstance(found, Lease) and entry is not None and seconds > 0.3:  # the shorter ones are cancelled ones
            entry.deadline = self.server.clock.now + 10_000
        return found if not isinstance(found, Busy) else Busy(min(seconds, found.retry_after))


@caught_by("leases")
class TwoWinOneLease(Reference):
    async def lease(self, key: Key, seconds: float) -> Stored | Lease | Busy:
        entry = self.server.find(self.name(key))
        await self.turn()
        if entry is None:
            mark = records.new_mark(seconds)
            self.server.put(self.name(key), mark, seconds)
            return Lease(key, seconds, mark)
        return await super().lease(key, seconds)


@caught_by("leases")
class ExistsSeesMarks(Reference):
    async def exists(self, key: Key) -> bool:
        await self.turn()
        return self.server.find(self.name(key)) is not None


@caught_by("leases")
class MultiGetShowsMarks(Reference):
    async def multi_get(self, keys: Sequence[Key]) -> list[Stored | Miss]:
        await self.turn()
        found = [self.server.find(self.name(key)) for key in keys]
        return [MISS if entry is None else entry.stored for entry in found]


@caught_by("leases")
class AddIsRefusedByMarks(Reference):
    async def add(self, key: Key, stored: Stored, ttl: float | None) -> bool:
        if self.server.find(self.name(key)) is not None:
            return False
        return await super().add(key, stored, ttl)


@caught_by("leases")
class IncrementIsRefusedByMarks(Reference):
    async def increment(self, key: Key, delta: int, ttl: float | None) -> int:
        entry = self.server.find(self.name(key))
        if entry is not None:
            counter(entry.stored)
        return await super().increment(key, delta, ttl)


@caught_by("leases")
class DeleteCountsMarks(Reference):
    async def delete(self, key: Key) -> bool:
        await self.turn()
        there = self.server.find(self.name(key)) is not None
        self.server.entries.pop(self.name(key), None)
        return there


@caught_by("leases")
class DeleteLeavesMarks(Reference):
    async def delete(self, key: Key) -> bool:
        return self.value(key) is not None and await super().delete(key)


@caught_by("leases")
class ClearLeavesMarks(Reference):
    def in_namespace(self, name: str, namespace: str | None) -> bool:
        entry = self.server.entries[name]
        return super().in_namespace(name, namespace) and not (namespace and records.is_mark(entry.stored))


@caught_by("leases")
class ExpireShortensMarks(Reference):
    async def expire(self, key: Key, ttl: float | None) -> bool:
        there = await super().expire(key, ttl)
        entry = self.server.find(self.name(key))
        if entry is not None:
            entry.deadline = self.server.clock.now + 0.001 if ttl is None and not there else entry.deadline
            there = True
        return there


# -- namespaces ------------------------------------------------------------------------------------------------------------


@caught_by("namespaces")
class ClearForgetsOneKeyInAThousand(Reference):
    async def clear(self, namespace: str | None) -> None:
        await self.turn()
        found = [name for name in self.server.entries if self.in_namespace(name, namespace)]
        for number, name in enumerate(found, 1):
            if number % 1_000:
                del self.server.entries[name]


@caught_by("namespaces", "leases", "abilities")
class JoinedWithoutAMark(Reference):
    def name(self, key: Key) -> str:
        return key if isinstance(key, str) else "".join(key)

    def in_namespace(self, name: str, namespace: str | None) -> bool:
        return namespace is None or name.startswith(namespace)


@caught_by("namespaces")
class JoinedByAColonThatIsNotEscaped(Reference):
    def name(self, key: Key) -> str:
        return (
            key
            if isinstance(key, str) and not key.startswith("@")
            else f"@{':'.join(key) if isinstance(key, tuple) else key}"
        )

    def in_namespace(self, name: str, namespace: str | None) -> bool:
        return namespace is None or name.startswith(f"@{namespace}:")


@caught_by("namespaces", "leases")
class ClearTakesItsNamespaceForAPattern(Reference):
    def in_namespace(self, name: str, namespace: str | None) -> bool:
        return namespace is None or fnmatchcase(name, keys.prefix(namespace) + "*")


@caught_by("namespaces")
class LongKeysAreCut(Reference):
    def name(self, key: Key) -> str:
        return keys.join(key)[:250]


@caught_by("namespaces")
class SpacesAreReplaced(Reference):
    def name(self, key: Key) -> str:
        return keys.join(key).replace(" ", "_")


@caught_by("namespaces")
class KeysAreNormalised(Reference):
    def name(self, key: Key) -> str:
        return unicodedata.normalize("NFC", keys.join(key))


@caught_by("namespaces")
class LoneSurrogatesAreReplaced(Reference):
    def name(self, key: Key) -> str:
        return keys.join(key).encode("utf-8", "replace").decode()


@caught_by("namespaces", "leases", "concurrency")
class ClearIsNotSeenByOthers(Reference):
    """Remembers the generation of a namespace, as a careless memcached client would."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.generations: dict[str, int] = {}

    def name(self, key: Key) -> str:
        if isinstance(key, str):
            return keys.join(key)
        generation = self.generations.setdefault(key[0], 0)
        return keys.join((f"{key[0]}#{generation}" if generation else key[0], key[1]))

    async def clear(self, namespace: str | None) -> None:
        if namespace is None:
            await super().clear(None)
        else:
            await self.turn()
            self.generations[namespace] = self.generations.get(namespace, 0) + 1


# -- concurrency, cancellation ---------------------------------------------------------------------------------------------


@caught_by("concurrency")
class AddIsNotAtomic(Reference):
    async def add(self, key: Key, stored: Stored, ttl: float | None) -> bool:
        if await self.get(key) is not MISS:
            return False
        await self.set(key, stored, ttl)
        return True


@caught_by("concurrency")
class DeleteIsNotAtomic(Reference):
    async def delete(self, key: Key) -> bool:
        there = await self.get(key) is not MISS
        await super().delete(key)
        return there


@caught_by("concurrency", "loops")
class IncrementIsNotAtomic(Reference):
    async def increment(self, key: Key, delta: int, ttl: float | None) -> int:
        entry = self.value(key)
        await self.turn()
        held = None if entry is None else Entry(entry.stored, entry.deadline, entry.version)
        total = delta if held is None else counter(held.stored) + delta
        if not -(2**63) <= total < 2**63:
            raise OverflowError
        self.server.put(self.name(key), b"%d" % total, KEEP if held else ttl)
        return total


@caught_by("concurrency")
class CasIsNotAtomic(Reference):
    async def cas(self, key: Key, version: Any, stored: Stored | Miss, ttl: float | Keep | None) -> bool:
        _, current = await self.gets(key)
        if version is None or current != version:
            return False
        await self.turn()
        if stored is MISS:
            await self.delete(key)
        else:
            self.server.put(self.name(key), stored, ttl)
        return True


class OneLine(Reference):
    """Read replies from one line in the order of the commands."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.replies: list[Stored | Miss] = []

    async def get(self, key: Key) -> Stored | Miss:
        entry = self.value(key)
        self.replies.append(MISS if entry is None else entry.stored)
        await self.reply()
        return self.replies.pop(0)

    async def reply(self) -> None:
        for _ in range(3):
            await self.turn()


@caught_by("cancellation", "loops")
class ACancelledReadLeavesItsReply(OneLine):
    """Gives the reply of a cancelled command to the next one."""


@caught_by("cancellation", "loops")
class ACancelledCommandKeepsItsConnection(Reference):
    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.free = 10

    async def get(self, key: Key) -> Stored | Miss:
        for _ in range(200):
            if self.free:
                break
            await self.turn()
        else:
            message = "no connection is free"
            raise RuntimeError(message)
        self.free -= 1
        stored = await super().get(key)
        self.free += 1
        return stored


# -- loops, processes, closing -----------------------------------------------------------------------------------------------


@caught_by("loops", "processes")
class BoundToItsFirstLoop(Reference):
    loop: asyncio.AbstractEventLoop | None = None

    async def turn(self) -> None:
        await super().turn()
        self.loop = self.loop or asyncio.get_running_loop()
        if self.loop is not asyncio.get_running_loop():
            message = "attached to a different loop"
            raise RuntimeError(message)


@caught_by("processes")
class BoundToItsFirstProcess(Reference):
    process: int | None = None

    async def turn(self) -> None:
        await super().turn()
        self.process = self.process or os.getpid()
        if self.process != os.getpid():
            message = "the socket belongs to the parent"
            raise RuntimeError(message)


@caught_by("closing", "loops")
class CloseIsTheEnd(Reference):
    closed = False

    async def turn(self) -> None:
        await super().turn()
        if self.closed:
            message = "closed"
            raise RuntimeError(message)

    async def close(self) -> None:
        self.closed = True


@caught_by("closing", "loops")
class CloseTwiceFails(Reference):
    closed = False

    async def close(self) -> None:
        if self.closed:
            message = "already closed"
            raise RuntimeError(message)
        self.closed = True


@caught_by("closing")
class CloseCancelsWhatIsPending(Reference):
    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.pending: set[asyncio.Task[Any]] = set()

    async def get(self, key: Key) -> Stored | Miss:
        task = asyncio.current_task()
        assert task is not None
        self.pending.add(task)
        try:
            return await super().get(key)
        finally:
            self.pending.discard(task)

    async def close(self) -> None:
        loop = asyncio.get_running_loop()
        for task in self.pending - {asyncio.current_task()}:
            if task.get_loop() is loop:
                task.cancel()


# -- abilities ---------------------------------------------------------------------------------------------------------------


@caught_by("abilities")
class DeclaresNothingAndDoesIt(Reference):
    abilities: ClassVar[Abilities] = Abilities()


@caught_by("abilities")
class ScanGivesEverythingAtOnce(Reference):
    async def scan(self, namespace: str | None, prefix: str = "") -> AsyncIterator[list[Key]]:
        yield [key async for batch in super().scan(namespace, prefix) for key in batch]


@caught_by("abilities")
class OfAnotherContract(Reference):
    abilities: ClassVar[Abilities] = Abilities(
        contract=2, compare_and_set=True, leases=True, expires_in=True, scan=True
    )
