"""Define the contract between a cache and a store, version 1.

A store subclasses :class:`Backend` and writes ``get``, ``set``, ``add``, ``delete``, ``expire`` and ``clear``; with ``gets`` and
``cas`` it has atomic counters and compare-and-set too. Everything else has a plain default. Each answer is a fact (found or
not, stored or not); what a caller is told of it is the front's matter. A backend knows namespaces, nothing of serializers,
hooks or policy.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Self

from aiocache_core._types import KEEP, MISS, Keep, Key, Miss, Stored
from aiocache_core.exceptions import UnsupportedCommand
from aiocache_core.overtaking import Flights

CONTRACT: Final = 1
"""The contract version that this core speaks."""

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """Declare what a backend can do; a field that a later contract adds has a default, so that older backends stay valid."""

    contract: int = CONTRACT
    local: bool = False
    """Has the plain functions ``lookup`` and ``assign``, never waits, and belongs to one cache object."""
    stores_objects: bool = False
    """Keeps any object as it is; else ``str | bytes`` go in and ``bytes`` (or ``str``) come out."""
    compare_and_set: bool = False
    versions_by_value: bool = False
    """Tells versions apart by the stored bytes alone: a value that was replaced and has come back counts as unchanged."""
    leases: bool = False
    scan: bool = False
    expires_in: bool = False
    ttl_step: float = 0.001
    """The grain (s) of its ttl: an entry lives no longer than its ttl rounded up to this, and at most one step less."""
    max_value: int | None = None
    """The largest value (bytes) it takes, None for no bound."""
    default_serializer: str = "json"


@dataclass(slots=True, eq=False)
class Lease:
    """Be the right to compute a key's value, until its seconds pass unrenewed."""

    key: Key
    seconds: float
    token: Any = field(repr=False)
    """What the store recognises its owner by; ``renew`` may change it."""


@dataclass(frozen=True, slots=True)
class Busy:
    """Say that another one holds the lease."""

    retry_after: float
    """The seconds after which asking again is worth while, unless ``changed`` returns before."""


def counter(stored: Stored) -> int:
    """Return the integer that a stored counter holds: decimal text of at most 64 bits.

    Raises ``TypeError`` for anything else.
    """
    value: object = stored
    if isinstance(value, bytes | str) and len(value) <= 20:
        try:
            value = int(value)
        except ValueError:
            pass
        else:
            if str(value) != (stored.decode() if isinstance(stored, bytes) else stored):
                value = stored
    if isinstance(value, bool) or not isinstance(value, int) or not INT64_MIN <= value <= INT64_MAX:
        message = "increment needs an entry that holds an integer of 64 bits; this one holds something else"
        raise TypeError(message)
    return value


def added(value: int, delta: int) -> int:
    """Return the sum of a counter and a delta. Raises ``OverflowError`` past signed 64 bits."""
    total = value + delta
    if not INT64_MIN <= total <= INT64_MAX:
        message = f"increment by {delta} leaves the range of signed 64 bits; nothing was changed"
        raise OverflowError(message)
    return total


class Backend(ABC):
    """Be a store. Keys are finished (text, or a namespace and text); a ttl is positive seconds or None for no expiry.

    An entry that holds only a lease mark is missing in every command but ``delete`` and ``clear``, which remove it.
    """

    abilities: ClassVar[Abilities] = Abilities()
    flights: Flights
    """The computations that run on this object, by whoever shares it; see :mod:`aiocache_core.overtaking`."""

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Give each store its computations, so that a subclass's ``__init__`` need not."""
        self = super().__new__(cls)
        self.flights = Flights()
        return self

    # -- what every store writes -----------------------------------------------------------------------------------

    @abstractmethod
    async def get(self, key: Key) -> Stored | Miss:
        """Return what is stored, or MISS."""

    @abstractmethod
    async def set(self, key: Key, stored: Stored, ttl: float | None) -> None:
        """Store a value and its ttl in one step, whatever was there. Raises ``ValueTooLarge``."""

    @abstractmethod
    async def add(self, key: Key, stored: Stored, ttl: float | None) -> bool:
        """Store only if no value is there, atomically; return True if stored. A lease mark counts as absent."""

    @abstractmethod
    async def delete(self, key: Key) -> bool:
        """Remove whatever is there; return True if it was a value (a removed lease mark is False)."""

    @abstractmethod
    async def expire(self, key: Key, ttl: float | None) -> bool:
        """Give an entry a new ttl, None for no expiry; return True if a value was there. A lease mark is left alone."""

    @abstractmethod
    async def clear(self, namespace: str | None) -> None:
        """Remove all entries of one namespace exactly, or of the whole store for None; never block other clients."""

    # -- with plain defaults -----------------------------------------------------------------------------------------

    async def multi_get(self, keys: Sequence[Key]) -> list[Stored | Miss]:
        """Return what is stored for each key, in order, MISS for a miss; keys may repeat."""
        return [await self.get(key) for key in keys]

    async def multi_set(self, pairs: Iterable[tuple[Key, Stored]], ttl: float | None) -> None:
        """Store pairs with one ttl; not atomic as a whole, the last of a repeated key stays."""
        for key, stored in pairs:
            await self.set(key, stored, ttl)

    async def multi_delete(self, keys: Iterable[Key]) -> int:
        """Remove the keys; return how many values were there."""
        return sum([await self.delete(key) for key in dict.fromkeys(keys)])

    async def exists(self, key: Key) -> bool:
        """Return True if a value is there."""
        return await self.get(key) is not MISS

    async def expires_in(self, key: Key) -> float | Miss | None:
        """Return the seconds an entry has left, None without expiry, MISS for a missing key."""
        raise self._unsupported("expires_in")

    async def increment(self, key: Key, delta: int, ttl: float | None) -> int:
        """Add to a counter atomically and return the result; create it with ``delta`` and ``ttl``, else keep its expiry.

        Raises ``TypeError`` if the entry holds no integer, ``OverflowError`` past signed 64 bits (nothing is changed).
        """
        while True:
            stored, version = await self.gets(key)
            if stored is MISS:
                if await self.add(key, b"%d" % delta, ttl):
                    return delta
            else:
                total = added(counter(stored), delta)
                if await self.cas(key, version, b"%d" % total, KEEP):
                    return total

    async def gets(self, key: Key) -> tuple[Stored | Miss, Any]:
        """Return what is stored and an opaque version for ``cas``; a lease mark is MISS with a version, absence is (MISS, None)."""
        raise self._unsupported("gets", "compare_and_set")

    async def cas(self, key: Key, version: Any, stored: Stored | Miss, ttl: float | Keep | None) -> bool:
        """Replace (or with MISS remove) what has this version, atomically; return False if it is another one or gone.

        Never creates an entry. KEEP leaves the expiry as it is.
        """
        raise self._unsupported("cas", "compare_and_set")

    # -- leases --------------------------------------------------------------------------------------------------------

    async def lease(self, key: Key, seconds: float) -> Stored | Lease | Busy:
        """Return the value, or else the right to compute it (atomically: one winner), or Busy if another one has it."""
        raise self._unsupported("lease", "leases")

    async def renew(self, lease: Lease) -> bool:
        """Begin the lease anew if it is still ours, atomically with the check; may change its token."""
        raise self._unsupported("renew", "leases")

    async def store_leased(self, lease: Lease, stored: Stored, ttl: float | None) -> bool:
        """Replace our mark by the value, atomically with the check; return False, storing nothing, if it is not ours.

        Tells the waiters in either case.
        """
        raise self._unsupported("store_leased", "leases")

    async def release(self, lease: Lease) -> None:
        """Remove our mark, atomically with the check, and tell the waiters."""
        raise self._unsupported("release", "leases")

    async def changed(self, key: Key, timeout: float) -> None:
        """Return when the entry may have changed, at the latest after ``timeout`` seconds; a hint, may be early."""
        await asyncio.sleep(timeout)

    # -- the rest ------------------------------------------------------------------------------------------------------

    def scan(self, namespace: str | None, prefix: str = "") -> AsyncIterator[list[Key]]:
        """Return the keys of a namespace (None: those without one) that begin with a prefix, in bounded batches."""
        raise self._unsupported("scan", "scan")

    async def raw(self, command: str, *args: Any, **kwargs: Any) -> Any:
        """Call the client's own method ``command`` and return what it returns."""
        raise self._unsupported("raw")

    async def close(self) -> None:  # noqa: B027 - a store that holds nothing has nothing to close
        """Close what the running loop has opened; usable again afterwards."""

    def lookup(self, key: Key) -> Stored | Miss:
        """Return what is stored, or MISS, without a coroutine; only where ``abilities.local``."""
        raise self._unsupported("lookup", "local")

    def assign(self, key: Key, stored: Stored, ttl: float | None) -> None:
        """Store a value without a coroutine; only where ``abilities.local``."""
        raise self._unsupported("assign", "local")

    def _unsupported(self, command: str, ability: str | None = None) -> UnsupportedCommand:
        because = f" (its abilities say {ability}=False)" if ability else ""
        return UnsupportedCommand(
            f"{type(self).__name__} cannot do {command}(){because}; choose another backend for it"
        )
