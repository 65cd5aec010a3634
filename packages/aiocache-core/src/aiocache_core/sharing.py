"""Share one backend among the network caches of one class and equal options, and know who uses it in which loop."""

from __future__ import annotations

import asyncio
import threading
from typing import Any
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

from aiocache_core.backend import Backend

_backends: WeakValueDictionary[Any, Backend] = WeakValueDictionary()
_users: WeakKeyDictionary[Backend, WeakKeyDictionary[asyncio.AbstractEventLoop, WeakSet[Any]]] = WeakKeyDictionary()
_lock = threading.Lock()


def backend(backend_class: type[Backend], options: dict[str, Any]) -> Backend:
    """Return the backend of this class and these options; a local one is new each time, and so is one of unhashable options.

    Held weakly: it goes with the last cache that uses it.
    """
    if backend_class.abilities.local:
        return backend_class(**options)
    place = (backend_class, tuple(sorted(options.items(), key=lambda option: option[0])))
    try:
        hash(place)
    except TypeError:
        return backend_class(**options)
    with _lock:
        found = _backends.get(place)
        if found is None:
            found = _backends[place] = backend_class(**options)
        return found


def use(shared: Backend, user: object) -> None:
    """Note that a cache uses a backend in the running loop."""
    with _lock:
        loops = _users.setdefault(shared, WeakKeyDictionary())
        loops.setdefault(asyncio.get_running_loop(), WeakSet()).add(user)


def leave(shared: Backend, user: object) -> bool:
    """Note that a cache has closed a backend in the running loop; return True if no other cache uses it there."""
    with _lock:
        users = _users.get(shared, WeakKeyDictionary()).get(asyncio.get_running_loop(), WeakSet())
        users.discard(user)
        return not users
