"""Cache from asyncio with one interface over many stores: memory, redis, memcached, and what others publish.

Each store but memory is a distribution of its own: ``pip install aiocache[redis]`` makes ``Cache("redis")`` work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocache.__about__ import __version__
from aiocache._siblings import installed, lazily
from aiocache_core import (
    MISS,
    BackendError,
    BackendUnavailable,
    BasePlugin,
    Cache,
    CacheError,
    CacheInfo,
    CommandTimeout,
    DecodeError,
    InvalidCacheType,
    LockLost,
    Miss,
    NotInstalled,
    OptimisticLock,
    OptimisticLockError,
    RedLock,
    UnstableKeyError,
    UnsupportedCommand,
    ValueTooLarge,
    cached,
    cached_stampede,
    caches,
    multi_cached,
)
from aiocache_core import MemoryCache as SimpleMemoryCache

if TYPE_CHECKING:
    from aiocache_memcached import MemcachedCache as MemcachedCache
    from aiocache_msgpack import MsgPackSerializer as MsgPackSerializer
    from aiocache_redis import RedisCache as RedisCache

    AIOCACHE_CACHES: dict[str, type[Cache]]

_SIBLINGS = {
    "RedisCache": ("aiocache_redis", "redis"),
    "MemcachedCache": ("aiocache_memcached", "memcached"),
}

__all__ = [
    "MISS",
    "BackendError",
    "BackendUnavailable",
    "BasePlugin",
    "Cache",
    "CacheError",
    "CacheInfo",
    "CommandTimeout",
    "DecodeError",
    "InvalidCacheType",
    "LockLost",
    "Miss",
    "NotInstalled",
    "OptimisticLock",
    "OptimisticLockError",
    "RedLock",
    "SimpleMemoryCache",
    "UnstableKeyError",
    "UnsupportedCommand",
    "ValueTooLarge",
    "__version__",
    "cached",
    "cached_stampede",
    "caches",
    "multi_cached",
]
__all__ += installed(_SIBLINGS)

_sibling = lazily(__name__, _SIBLINGS)


def __getattr__(name: str) -> Any:
    """Import a sibling's class, or the table of installed caches, when it is first asked for."""
    if name == "AIOCACHE_CACHES":
        return {"memory": SimpleMemoryCache} | {_SIBLINGS[name][1]: _sibling(name) for name in installed(_SIBLINGS)}
    return _sibling(name)
