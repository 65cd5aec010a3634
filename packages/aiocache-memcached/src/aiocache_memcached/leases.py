"""Give the right to compute a value to one of all processes: a mark in the value's own key, recognised by a client flag.

A mark is created by ``add``, and is its owner's as long as the entry has both the owner's random token and the unique number
that was read with it; whoever writes or removes the key, by any client, thereby ends the lease. A short lease cannot rest on
the server's seconds: a mark lives long there and carries its lease. It is dead when somebody who waits has seen it unchanged
for a whole lease by a clock of its own, since a living owner renews it, which changes its unique number; it is then taken over
in one atomic step. No clocks of two machines are compared.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from aiocache_core import MISS, Busy, Key, Lease, Stored, records
from aiocache_memcached import protocol
from aiocache_memcached.connection import Answer
from aiocache_memcached.namespaces import Namespaces, Version, parts
from aiocache_memcached.protocol import MARK, Item, Reply

_SPARE: Final = 60.0
"""The seconds that a mark outlives its lease in the server, so that the server's coarse clock never ends one."""

_MOST_SEEN: Final = 10_000
"""The marks of others that are watched at once."""


class Token(NamedTuple):
    """Be what a lease's owner is recognised by."""

    version: Version
    mark: bytes


class Sighting(NamedTuple):
    """Say since when a mark of another owner has been seen unchanged."""

    version: Version
    since: float


class Leases:
    """Take, renew and give back leases."""

    def __init__(self, namespaces: Namespaces, clock: Callable[[], float] = time.monotonic) -> None:
        self._namespaces = namespaces
        self._clock = clock
        self._seen: dict[Key, Sighting] = {}

    async def take(self, key: Key, seconds: float) -> Stored | Lease | Busy:
        """Return the value, or else a lease, or Busy if another one holds it.

        While another one is known to hold it, a call asks only once; ``add`` comes when the key is found empty.
        """
        namespace, text = parts(key)
        mark = records.new_mark(seconds)
        expiry = _lives(seconds)
        while True:
            asked = self._clock()
            if key in self._seen:
                told = await self._namespaces.ask(namespace, lambda name: protocol.gets(name(text)))
            else:
                told = await self._namespaces.ask(
                    namespace,
                    lambda name: protocol.store(b"add", name(text), mark, expiry, MARK) + protocol.gets(name(text)),
                    2,
                )
                protocol.told(told.replies[0])  # the server may have no memory even for this
            answer = self._read(key, seconds, mark, told, asked)
            if isinstance(answer, Sighting):
                answer = await self._take_over(key, seconds, mark, answer.version)
            if answer is not MISS:
                return answer

    async def renew(self, lease: Lease) -> bool:
        """Begin a lease anew if it is still ours; changes its token."""
        token = lease.token
        if not isinstance(token, Token):
            return False
        replies = await self._put(lease.key, token.mark, lease.seconds, token.version)
        lease.token = None
        if replies is None or protocol.told(replies[0]) != b"STORED":
            return False
        found = protocol.item(replies[1])
        if found is None or found.data != token.mark:
            return False
        lease.token = Token(token.version._replace(unique=found.unique), token.mark)
        return True

    async def store(self, lease: Lease, data: bytes, expiry: int) -> bool:
        """Replace our mark by a value; return False if it is not ours any more."""
        token = lease.token
        if not isinstance(token, Token):
            return False
        replies = await self._namespaces.ask_under(
            lease.key, token.version, lambda name: protocol.cas(name, token.version.unique, data, expiry)
        )
        if replies is None:
            lease.token = None
            return False
        if protocol.is_too_large(replies[0]):
            await self.release(lease)
            raise protocol.too_large(len(data))
        stored = protocol.told(replies[0]) == b"STORED"
        lease.token = None
        return stored

    async def release(self, lease: Lease) -> None:
        """Remove our mark if it is still ours."""
        token, lease.token = lease.token, None
        if isinstance(token, Token):
            await self._namespaces.ask_under(
                lease.key, token.version, lambda name: protocol.remove(name, token.version.unique)
            )

    # -- what was found ----------------------------------------------------------------------------------------------------

    def _read(
        self, key: Key, seconds: float, mark: bytes, told: Answer, asked: float
    ) -> Stored | Lease | Busy | Sighting:
        """Return what an entry means: a value, our lease, another's, a dead one's sighting, or MISS for "ask again"."""
        found = protocol.item(told.replies[-1])
        if found is None or found.flags != MARK:
            self._seen.pop(key, None)
            return MISS if found is None else found.data
        version = Version(told.generation, told.server, found.unique)
        if found.data == mark:
            self._seen.pop(key, None)
            return Lease(key, seconds, Token(version, mark))
        sighting = self._seen.get(key)
        if sighting is None or sighting.version != version:
            sighting = self._watch(key, Sighting(version, self._clock()))
        lease = _lease_of(found, seconds)
        left = sighting.since + lease - asked
        return Busy(min(left, lease)) if left > 0 else sighting

    async def _take_over(
        self, key: Key, seconds: float, mark: bytes, version: Version
    ) -> Stored | Lease | Busy | Sighting:
        asked = self._clock()
        replies = await self._put(key, mark, seconds, version)
        self._seen.pop(key, None)
        if replies is None:
            return MISS
        protocol.told(replies[0])
        answer = self._read(key, seconds, mark, Answer(replies, version.server, version.generation), asked)
        return MISS if isinstance(answer, Sighting) else answer

    async def _put(self, key: Key, mark: bytes, seconds: float, version: Version) -> list[Reply] | None:
        """Put a mark in the place of another one, and read it back with its new unique number."""
        return await self._namespaces.ask_under(
            key,
            version,
            lambda name: protocol.cas(name, version.unique, mark, _lives(seconds), MARK) + protocol.gets(name),
            2,
        )

    def _watch(self, key: Key, sighting: Sighting) -> Sighting:
        if len(self._seen) >= _MOST_SEEN:
            self._seen.clear()  # they are seen anew, at the cost of one more lease
        self._seen[key] = sighting
        return sighting


def _lives(seconds: float) -> int:
    return protocol.exptime(seconds + _SPARE)


def _lease_of(mark: Item, seconds: float) -> float:
    """Return the lease (s) that a mark carries; our own where another program has written what only looks like one."""
    try:
        return records.mark_lease(mark.data) or seconds
    except (ValueError, struct.error):
        return seconds
