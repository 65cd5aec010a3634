"""Let a write overtake the computations of its keys, so that an invalidation wins over a value computed from old data.

Each backend object has one :class:`Flights`. A computation is entered there while it runs; a write is entered there while it
runs. A computation loses its right to store when a write of its key overlaps with it, whichever began first; a store that is
already under way is waited for. (Nishtala et al., *Scaling Memcache at Facebook*, NSDI 2013, section 3.2.1, solves the same
for a store that is shared by machines; there the lease mark in the store takes this part.)

Everything here may be called from any thread. What is looked at is one operation on a dict, list or set, atomic under the GIL;
what is changed in more than one step is changed under a lock.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Container, Iterable
from concurrent.futures import Future
from contextvars import ContextVar

from aiocache_core._types import Key

_storing: ContextVar[tuple[Computation, ...]] = ContextVar("aiocache_storing", default=())
"""The computations whose store the running task carries out; a write made from inside of it is a part of it."""


class Computation:
    """Be a computation of one key's value, with the right to store it unless a write overtakes it."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self.overtaken: bool = False
        self._store: Future[None] | None = None

    def begin_store(self) -> bool:
        """Announce a store; return False, and store nothing, if a write has overtaken this computation.

        Announcing comes first and looking second, and a write does it the other way round: at least one sees the other.
        """
        store: Future[None] = Future()
        store.set_running_or_notify_cancel()  # a writer that is cancelled while it waits must not cancel the store
        self._store = store
        _storing.set((*_storing.get(), self))
        if self.overtaken:
            self.end_store()
            return False
        return True

    def end_store(self) -> None:
        """Let the writes that wait for the store go on."""
        if self._store is not None:
            self._store.set_result(None)
            self._store = None
            _storing.set(tuple(other for other in _storing.get() if other is not self))

    def overtake(self) -> Future[None] | None:
        """End the right to store; return the store that is under way, if any, to be waited for."""
        self.overtaken = True
        return self._store


class Namespace(Container[Key]):
    """Hold every key of one namespace, or every key for None."""

    def __init__(self, name: str | None) -> None:
        self._name = name

    def __contains__(self, key: object) -> bool:
        return self._name is None or (isinstance(key, tuple) and key[0] == self._name)


class Prefix(Container[Key]):
    """Hold the keys of one namespace (None: those without one) that begin with a text."""

    def __init__(self, namespace: str | None, prefix: str) -> None:
        self._namespace = namespace
        self._prefix = prefix

    def __contains__(self, key: object) -> bool:
        namespace, name = key if isinstance(key, tuple) else (None, key)
        return namespace == self._namespace and isinstance(name, str) and name.startswith(self._prefix)


Keys = Collection[Key] | Namespace | Prefix


class Flights(dict[Key, set[Computation]]):
    """Hold the computations that are running for each key, and the writes that are under way."""

    def __init__(self) -> None:
        super().__init__()
        self._writes: list[Keys] = []
        self._lock = threading.Lock()

    def enter(self, computation: Computation) -> None:
        """Enter a computation; one that begins during a write of its key is overtaken from the start."""
        with self._lock:  # else the last one to leave, in another thread, could take the set away just now
            self.setdefault(computation.key, set()).add(computation)
        if any(computation.key in keys for keys in tuple(self._writes)):
            computation.overtaken = True

    def leave(self, computation: Computation) -> None:
        """Take a computation out."""
        with self._lock:
            others = self.get(computation.key)
            if others is not None:
                others.discard(computation)
                if not others:
                    del self[computation.key]

    def begin_write(self, keys: Keys) -> list[Future[None]]:
        """Enter a write and overtake the computations of its keys; return the stores under way, to be waited for."""
        self._writes.append(keys)
        return self.overtake(keys) if self else []

    def end_write(self, keys: Keys) -> None:
        """Take a write out."""
        with self._lock:
            for position, other in enumerate(self._writes):
                if other is keys:
                    del self._writes[position]
                    return

    def overtake(self, keys: Keys) -> list[Future[None]]:
        """Overtake the computations that run for the keys; return their stores under way."""
        if isinstance(keys, Collection) and len(keys) < len(self):
            touched: Iterable[Key] = keys
        else:
            touched = [key for key in tuple(self) if key in keys]
        own = _storing.get()
        others = [other for key in touched for other in tuple(self.get(key, ())) if other not in own]
        return [store for store in [other.overtake() for other in others] if store is not None]


async def finished(stores: list[Future[None]]) -> None:
    """Wait for stores, which may run in other loops."""
    for store in stores:
        await asyncio.wrap_future(store)
