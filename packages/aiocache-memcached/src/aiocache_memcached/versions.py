"""Replace, remove and count entries only in the state in which they were read, told by memcached's unique numbers (CAS)."""

from __future__ import annotations

from typing import Final

from aiocache_core import KEEP, MISS, Keep, Key, Miss, added, counter
from aiocache_memcached import protocol
from aiocache_memcached.namespaces import Namespaces, Version, parts
from aiocache_memcached.protocol import MARK, Item, Reply

_STATISTICS: Final = b"stats\r\n"


class Versions:
    """Read entries with their versions, and write by version."""

    def __init__(self, namespaces: Namespaces) -> None:
        self._namespaces = namespaces

    async def read(self, key: Key) -> tuple[Item | None, Version | None]:
        """Return an entry, be it a value or a mark, and its version; two None if it is missing."""
        namespace, text = parts(key)
        told = await self._namespaces.ask(namespace, lambda name: protocol.gets(name(text)))
        found = protocol.item(told.replies[0])
        return found, None if found is None else Version(told.generation, told.server, found.unique)

    async def replace(self, key: Key, version: Version, data: bytes, ttl: float | Keep | None) -> bool:
        """Put a value in the place of what has this version; return False if it is another one or gone."""
        expiry = await self._expiry(key, version) if isinstance(ttl, Keep) else protocol.exptime(ttl)
        if expiry is None:
            return False
        replies = await self._namespaces.ask_under(
            key, version, lambda name: protocol.cas(name, version.unique, data, expiry)
        )
        if replies is not None and protocol.is_too_large(replies[0]):
            await self.remove(key, version)
            raise protocol.too_large(len(data))
        return _stored(replies)

    async def remove(self, key: Key, version: Version) -> bool:
        """Remove what has this version; return False if it is another one or gone."""
        return _stored(
            await self._namespaces.ask_under(key, version, lambda name: protocol.remove(name, version.unique))
        )

    async def count(self, key: Key, delta: int) -> int | Miss:
        """Add to a counter, which keeps its expiry, and return the result; MISS if there is none.

        The server counts itself where that is exact: not below zero, and not to fewer digits, where it would leave spaces.
        Raises ``TypeError`` if the entry holds no integer, ``OverflowError`` past signed 64 bits.
        """
        while True:
            found, version = await self.read(key)
            if found is None or version is None or found.flags == MARK:
                return MISS
            value = counter(found.data)
            total = added(value, delta)
            if value >= 0 and total >= 0 and len(str(total)) >= len(found.data):
                done = await self._count_there(key, version, delta)
            else:
                done = await self.replace(key, version, b"%d" % total, KEEP)
            if done:
                return total

    async def _count_there(self, key: Key, version: Version, delta: int) -> bool:
        replies = await self._namespaces.ask_under(
            key, version, lambda name: protocol.meta_count(name, version.unique, delta), meta=True
        )
        return replies is not None and protocol.told(replies[0]).startswith(b"HD")

    async def _expiry(self, key: Key, version: Version) -> int | None:
        """Return the exptime that keeps an entry's expiry as it is; None if it has another version.

        The server tells the seconds left, and counts them from its own clock when they are sent back; a tick in between would
        make the entry live longer. So its clock is read between two looks at the seconds left: if these are equal, no tick
        was there, and the expiry can be sent as a date.
        """
        while True:
            replies = await self._namespaces.ask_under(
                key,
                version,
                lambda name: protocol.meta_peek(name) + _STATISTICS + protocol.meta_peek(name),
                3,
                meta=True,
            )
            if replies is None:
                return None
            before, after = protocol.peek(replies[0]), protocol.peek(replies[2])
            if before is None or after is None or {before.unique, after.unique} != {version.unique}:
                return None
            if before.is_mark or before.seconds < 0:
                return 0
            if before.seconds == after.seconds:
                return _clock(replies[1]) + before.seconds


def _stored(replies: list[Reply] | None) -> bool:
    return replies is not None and protocol.told(replies[0]) == b"STORED"


def _clock(statistics: Reply) -> int:
    """Return the server's time (seconds since 1970)."""
    return next(int(line.data) for line in protocol.items(statistics) if line.name == b"time")
