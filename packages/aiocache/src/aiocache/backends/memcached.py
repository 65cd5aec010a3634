"""Cache in memcached; needs ``pip install aiocache[memcached]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocache._siblings import installed, lazily

if TYPE_CHECKING:
    from aiocache_memcached import MemcachedBackend as MemcachedBackend
    from aiocache_memcached import MemcachedCache as MemcachedCache

_SIBLINGS = {
    "MemcachedBackend": ("aiocache_memcached", "memcached"),
    "MemcachedCache": ("aiocache_memcached", "memcached"),
}

__all__ = installed(_SIBLINGS)

_sibling = lazily(__name__, _SIBLINGS)


def __getattr__(name: str) -> Any:
    """Import the classes of aiocache-memcached when they are first asked for."""
    return _sibling(name)
