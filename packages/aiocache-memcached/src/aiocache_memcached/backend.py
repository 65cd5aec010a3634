"""Keep entries in memcached."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, ClassVar, Final

from aiocache_core import (
    MISS,
    Abilities,
    Backend,
    Busy,
    Clients,
    Keep,
    Key,
    Lease,
    Miss,
    Stored,
    UnsupportedCommand,
)
from aiocache_memcached import protocol, raw
from aiocache_memcached.bulk import Bulk
from aiocache_memcached.connection import Answer, Request
from aiocache_memcached.leases import Leases
from aiocache_memcached.namespaces import Namespaces, parts
from aiocache_memcached.pool import Pool
from aiocache_memcached.protocol import LARGEST, MARK, Item
from aiocache_memcached.versions import Versions

_MARK_STAYS: Final = 24 * 3600
"""The seconds that a mark stays whose expiry was changed by mistake."""


class MemcachedBackend(Backend):
    """Be a store in one memcached server; works with 1.4 and later, in whole with 1.6.

    - ``endpoint`` and ``port`` say where the server is.
    - ``pool_size`` bounds the connections of one loop; a command waits its turn for one. They are opened when they are needed.
    - ``poll_interval`` is the time (s) between two looks at a key whose value another process computes, as memcached tells
      nobody of changes; a smaller one wakes the waiters sooner and asks the server more often.

    Numbers may be given as text. Before 1.6 a server cannot tell how long an entry has left: ``expires_in``, ``increment`` of
    a counter that exists and ``cas`` with ``KEEP`` raise ``UnsupportedCommand`` there.
    """

    abilities: ClassVar[Abilities] = Abilities(
        compare_and_set=True,
        leases=True,
        expires_in=True,
        ttl_step=1.0,
        max_value=2**20,  # of a server that was not told another -I; key and bookkeeping are a part of it
    )

    def __init__(
        self,
        *,
        endpoint: str = "127.0.0.1",
        port: int | str = 11211,
        pool_size: int | str = 10,
        poll_interval: float | str = 0.045,
    ) -> None:
        """Make a store; connects to nothing. Raises ``ValueError`` for a number that is none or out of range."""
        self.endpoint = endpoint
        self.port: int = int(port)
        self.pool_size: int = int(pool_size)
        self.poll_interval: float = float(poll_interval)
        if self.pool_size < 1:
            message = f"pool_size must be at least 1, got {pool_size!r}"
            raise ValueError(message)
        if not self.poll_interval > 0:
            message = f"poll_interval must be positive seconds, got {poll_interval!r}"
            raise ValueError(message)
        self._pools: Clients[Pool] = Clients(self._open_pool, Pool.close)
        self._namespaces = Namespaces(self._exchange)
        self._versions = Versions(self._namespaces)
        self._leases = Leases(self._namespaces)
        self._bulk = Bulk(self._namespaces)

    def _open_pool(self) -> Pool:
        return Pool(self.endpoint, self.port, self.pool_size)

    def _exchange(self, request: Request) -> Awaitable[Answer]:
        return self._pools.current().exchange(request)

    # -- one key -----------------------------------------------------------------------------------------------------------

    async def get(self, key: Key) -> Stored | Miss:
        """Return what is stored, as bytes, or MISS."""
        namespace, text = parts(key)
        told = await self._namespaces.ask(namespace, lambda name: protocol.get([name(text)]))
        return _value(protocol.item(told.replies[0]))

    async def set(self, key: Key, stored: Stored, ttl: float | None) -> None:
        """Store a value and its ttl in one step. Raises ``ValueTooLarge``; the key is empty then."""
        namespace, text = parts(key)
        data = _data(stored)
        if len(data) > LARGEST:
            await self.delete(key)
            raise protocol.too_large(len(data))
        expiry = protocol.exptime(ttl)
        told = await self._namespaces.ask(namespace, lambda name: protocol.store(b"set", name(text), data, expiry))
        protocol.stored(told.replies[0], len(data))

    async def add(self, key: Key, stored: Stored, ttl: float | None) -> bool:
        """Store only if no value is there, atomically; a lease mark is replaced. Return True if stored."""
        namespace, text = parts(key)
        data = _data(stored)
        if len(data) > LARGEST:
            raise protocol.too_large(len(data))
        expiry = protocol.exptime(ttl)
        while True:
            told = await self._namespaces.ask(namespace, lambda name: protocol.store(b"add", name(text), data, expiry))
            if protocol.stored(told.replies[0], len(data)):
                return True
            found, version = await self._versions.read(key)
            if found is not None and found.flags != MARK:
                return False
            if version is not None and await self._versions.replace(key, version, data, ttl):
                return True

    async def delete(self, key: Key) -> bool:
        """Remove whatever is there; return True if it was a value."""
        return await self.multi_delete([key]) == 1

    async def exists(self, key: Key) -> bool:
        """Return True if a value is there."""
        try:
            found = await self._peek(key)
        except UnsupportedCommand:
            return await super().exists(key)
        return found is not None and not found.is_mark

    async def expire(self, key: Key, ttl: float | None) -> bool:
        """Give an entry a new ttl, None for no expiry; return True if a value was there. A lease mark is left alone."""
        if not await self.exists(key):
            return False
        namespace, text = parts(key)
        expiry = protocol.exptime(ttl)
        try:
            told = await self._namespaces.ask(
                namespace, lambda name: protocol.meta_touch(name(text), expiry), meta=True
            )
        except UnsupportedCommand:
            told = await self._namespaces.ask(namespace, lambda name: protocol.touch(name(text), expiry))
            return protocol.told(told.replies[0]) == b"TOUCHED"
        found = protocol.peek(told.replies[0])
        if (
            found is not None and found.is_mark
        ):  # it came after the look; its lease does not depend on how long it stays
            await self._namespaces.ask(namespace, lambda name: protocol.touch(name(text), _MARK_STAYS))
            return False
        return found is not None

    async def expires_in(self, key: Key) -> float | Miss | None:
        """Return the whole seconds an entry has left, None without expiry, MISS for a missing key."""
        found = await self._peek(key)
        if found is None or found.is_mark:
            return MISS
        return None if found.seconds < 0 else float(found.seconds)

    async def clear(self, namespace: str | None) -> None:
        """Remove all entries of one namespace, or of the whole server for None, in one step."""
        if namespace is not None:
            await self._namespaces.clear(namespace)
            return
        answer = await self._exchange(Request(b"flush_all\r\n"))
        protocol.told(answer.replies[0])

    async def _peek(self, key: Key) -> protocol.Peek | None:
        namespace, text = parts(key)
        told = await self._namespaces.ask(namespace, lambda name: protocol.meta_peek(name(text)), meta=True)
        return protocol.peek(told.replies[0])

    # -- many keys ---------------------------------------------------------------------------------------------------------

    async def multi_get(self, keys: Sequence[Key]) -> list[Stored | Miss]:
        """Return what is stored for each key, in order, MISS for a miss; one round trip for 500 keys."""
        found = await self._bulk.read(keys)
        return [found.get(key, MISS) for key in keys]

    async def multi_set(self, pairs: Iterable[tuple[Key, Stored]], ttl: float | None) -> None:
        """Store pairs with one ttl; one round trip for 500 keys or a megabyte. When it raises, some may be stored."""
        ready = {key: _data(stored) for key, stored in pairs}
        for key, data in ready.items():
            if len(data) > LARGEST:
                await self.set(key, data, ttl)  # raises the error
        await self._bulk.store(ready, protocol.exptime(ttl))

    async def multi_delete(self, keys: Iterable[Key]) -> int:
        """Remove the keys; return how many values were there. One round trip for 500 keys."""
        return await self._bulk.remove(keys)

    # -- versions and counters -----------------------------------------------------------------------------------------------

    async def gets(self, key: Key) -> tuple[Stored | Miss, Any]:
        """Return what is stored and an opaque version for ``cas``; a lease mark is MISS with a version."""
        found, version = await self._versions.read(key)
        return _value(found), version

    async def cas(self, key: Key, version: Any, stored: Stored | Miss, ttl: float | Keep | None) -> bool:
        """Replace (or with MISS remove) what has this version, atomically; return False if it is another one or gone."""
        if version is None:
            return False
        if stored is MISS:
            return await self._versions.remove(key, version)
        data = _data(stored)
        if len(data) > LARGEST:
            await self._versions.remove(key, version)
            raise protocol.too_large(len(data))
        return await self._versions.replace(key, version, data, ttl)

    async def increment(self, key: Key, delta: int, ttl: float | None) -> int:
        """Add to a counter atomically and return the result; create it with ``delta`` and ``ttl``, else keep its expiry."""
        while True:
            total = await self._versions.count(key, delta)
            if total is not MISS:
                return total
            if await self.add(key, b"%d" % delta, ttl):
                return delta

    # -- leases --------------------------------------------------------------------------------------------------------------

    async def lease(self, key: Key, seconds: float) -> Stored | Lease | Busy:
        """Return the value, or else the right to compute it, or Busy if another one has it."""
        return await self._leases.take(key, seconds)

    async def renew(self, lease: Lease) -> bool:
        """Begin the lease anew if it is still ours; changes its token."""
        return await self._leases.renew(lease)

    async def store_leased(self, lease: Lease, stored: Stored, ttl: float | None) -> bool:
        """Replace our mark by the value, atomically with the check; return False, storing nothing, if it is not ours."""
        data = _data(stored)
        if len(data) > LARGEST:
            await self._leases.release(lease)
            raise protocol.too_large(len(data))
        return await self._leases.store(lease, data, protocol.exptime(ttl))

    async def release(self, lease: Lease) -> None:
        """Remove our mark, atomically with the check."""
        await self._leases.release(lease)

    async def changed(self, key: Key, timeout: float) -> None:
        """Return after the poll interval, or after ``timeout`` seconds if they are fewer: memcached tells nobody of changes."""
        await asyncio.sleep(min(timeout, self.poll_interval))

    # -- the rest ------------------------------------------------------------------------------------------------------------

    async def raw(self, command: str, *args: Any, encoding: str | None = "utf-8", **kwargs: Any) -> Any:
        """Call aiomcache's own method ``command``, with keys as bytes, and return what it returns.

        What ``get`` and ``multi_get`` have read is decoded, unless ``encoding`` is None. Raises ``AttributeError`` for a
        method that it does not have, ``ValueError`` for arguments that it does not take.
        """
        async with self._pools.current().lend() as connection:
            result = await raw.call(connection, command, args, kwargs)
        if encoding is not None and command == "get" and isinstance(result, bytes):
            return result.decode(encoding)
        if encoding is not None and command == "multi_get":
            return tuple(value.decode(encoding) if isinstance(value, bytes) else value for value in result)
        return result

    async def close(self) -> None:
        """Close the running loop's connections; commands under way end with ``BackendUnavailable``. Usable again afterwards."""
        await self._pools.close()


def _value(found: Item | None) -> Stored | Miss:
    """Return what an entry holds; a mark is a miss."""
    return MISS if found is None or found.flags == MARK else found.data


def _data(stored: Stored) -> bytes:
    """Return what is stored as bytes. Raises ``TypeError`` for anything but str and bytes."""
    if isinstance(stored, bytes):
        return stored
    if isinstance(stored, str):
        return stored.encode("utf-8", "surrogatepass")
    message = f"memcached stores str and bytes, not {type(stored).__name__}"
    raise TypeError(message)
