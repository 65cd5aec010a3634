"""Exclude others from a key for a while (:class:`RedLock`), or notice that they were there (:class:`OptimisticLock`)."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any, Final, Self
from weakref import WeakValueDictionary

from aiocache_core._types import MISS, TTL, UNSET, Key, Unset, seconds
from aiocache_core.backend import Backend, Busy, Lease
from aiocache_core.cache import Cache
from aiocache_core.exceptions import LockLost, OptimisticLockError, UnsupportedCommand
from aiocache_core.flight import LONGEST_WAIT, Renewal
from aiocache_core.keys import text

_POLL: Final = 0.05
"""The seconds between two tries where a store has no leases."""

_turns: WeakValueDictionary[tuple[asyncio.AbstractEventLoop, int, Key], asyncio.Lock] = WeakValueDictionary()
"""One of the waiters of a lock asks the store at a time, in each loop; the others queue behind it."""


class RedLock:
    """Hold a key exclusively among all tasks and processes that use the same store, as ``async with RedLock(cache, key, lease)``.

    Waits until the lock is released, or until the lease (s) of an owner that died has passed. While it is held the lease is
    renewed each third of its time; with ``renew=False`` it ends after ``lease`` seconds, and others may enter. Only the owner
    releases it. ``lost`` tells that the lease has passed to nobody or somebody else while it was held (the process was stopped
    for longer than its lease, say); what the lock protected may then have been entered twice. A single store holds the lock,
    so it is as reliable as that store. Raises ``BackendError`` if the store fails, ``UnsupportedCommand`` if it has neither
    leases nor compare-and-set.
    """

    def __init__(self, client: Cache, key: object, lease: float, *, renew: bool = True) -> None:
        limit = seconds(lease, "lease")
        if limit is None:
            message = f"a lock needs a lease of some seconds, not {lease!r}; it is renewed while the owner lives"
            raise ValueError(message)
        self.client = client
        self.key: Key = client.build_key(f"{text(key)}-lock")
        self.lease = limit
        self.renew = renew
        self.lost: bool = False
        self._held: Lease | None = None
        self._renewal: Renewal | None = None

    async def __aenter__(self) -> Self:
        await self.acquire()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.release()

    async def acquire(self) -> None:
        """Wait for the lock and take it. Raises ``RuntimeError`` if this object holds it already."""
        if self._held is not None:
            message = f"this RedLock of {self.key!r} is held already; use one object for each holder"
            raise RuntimeError(message)
        store = _leases(self.client.backend)
        place = (asyncio.get_running_loop(), id(self.client.backend), self.key)
        turn = _turns.setdefault(place, asyncio.Lock())
        async with turn:
            self._held = await self._take(store)
        self.lost = False
        if self.renew:
            self._renewal = Renewal(store, self._held, self._within, self._lose)

    async def release(self, *, strict: bool = False) -> None:
        """Give the lock back, if it is still ours. With ``strict`` raises ``LockLost`` if it was not."""
        held, renewal = self._held, self._renewal
        self._held = self._renewal = None
        if held is None:
            if strict:
                message = f"the lock of {self.key!r} is not held"
                raise LockLost(message)
            return
        store = _leases(self.client.backend)
        if renewal is not None:
            await renewal.end()
        if strict and not self.lost and not await self._within(store.renew(held)):
            self.lost = True
        await self._within(store.release(held))
        if strict and self.lost:
            message = f"the lock of {self.key!r} was lost: its lease of {self.lease:g} s ran out before it was released"
            raise LockLost(message)

    async def _take(self, store: Any) -> Lease:
        while True:
            answer = await self._within(store.lease(self.key, self.lease))
            if isinstance(answer, Lease):
                return answer
            wait = min(LONGEST_WAIT, answer.retry_after) if isinstance(answer, Busy) else LONGEST_WAIT
            try:
                async with asyncio.timeout(wait):
                    await store.changed(self.key, wait)
            except TimeoutError:
                pass

    def _within(self, operation: Any) -> Any:
        return self.client.within(operation)

    def _lose(self) -> None:
        self.lost = True


def _leases(backend: Backend) -> Any:
    if backend.abilities.leases:
        return backend
    if backend.abilities.compare_and_set:
        return _TokenLeases(backend)
    message = f"{type(backend).__name__} has neither leases nor compare-and-set; choose another backend for locks"
    raise UnsupportedCommand(message)


class _TokenLeases:
    """Make the leases of a lock from ``add`` and ``cas``: the lock's key holds its owner's token."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def lease(self, key: Key, lives: float) -> Lease | Busy:
        token = secrets.token_hex(16)
        if await self._backend.add(key, token, lives):
            return Lease(key, lives, token)
        return Busy(_POLL)

    async def renew(self, lease: Lease) -> bool:
        version = await self._version(lease)
        return version is not None and await self._backend.cas(lease.key, version, lease.token, lease.seconds)

    async def release(self, lease: Lease) -> None:
        version = await self._version(lease)
        if version is not None:
            await self._backend.cas(lease.key, version, MISS, None)

    async def changed(self, key: Key, timeout: float) -> None:
        await asyncio.sleep(timeout)

    async def _version(self, lease: Lease) -> Any:
        stored, version = await self._backend.gets(lease.key)
        token = stored.decode() if isinstance(stored, bytes) else stored
        return version if token == lease.token else None


class OptimisticLock:
    """Replace a value only if nobody has changed it since, as ``async with OptimisticLock(cache, key) as lock: await lock.cas(…)``.

    Entering notes the entry's version. A key that was missing must still be missing: a creation meanwhile is a conflict.
    """

    def __init__(self, client: Cache, key: object) -> None:
        self.client = client
        self.key = key
        self.ns_key: Key = client.build_key(key)
        self._version: Any = None
        self._missing = True

    async def __aenter__(self) -> Self:
        stored, self._version = await self.client.within(self.client.backend.gets(self.ns_key))
        self._missing = stored is MISS
        return self

    async def __aexit__(self, *_: object) -> None:
        """Do nothing: nothing was locked."""

    async def cas(self, value: Any, *, ttl: TTL | Unset = UNSET, dumps_fn: Any = None, timeout: Any = UNSET) -> bool:
        """Store the value for ``ttl`` seconds (the cache's if not given) and return True.

        Raises ``OptimisticLockError`` if the entry is not what it was on entering.
        """
        client = self.client
        stored = client.dumps(value, self.ns_key, dumps_fn)
        lives = client.ttl if ttl is UNSET else seconds(ttl)
        if self._missing:
            operation = client.backend.add(self.ns_key, stored, lives)
        else:
            operation = client.backend.cas(self.ns_key, self._version, stored, lives)
        if not await client.write((self.ns_key,), operation, timeout):
            message = f"the value of {self.key!r} has changed since the lock was entered; read it again and retry"
            raise OptimisticLockError(message)
        return True
