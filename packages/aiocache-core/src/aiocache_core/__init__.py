"""Cache from asyncio with one interface over many stores; the core that stores, serializers and plugins build on.

Applications import from ``aiocache``; plugins and libraries import from here.
"""

from aiocache_core import keys, records, urls
from aiocache_core.__about__ import __version__
from aiocache_core._types import KEEP, MISS, TTL, UNSET, Keep, Key, Miss, Stored, Unset
from aiocache_core.aliases import CacheHandler, caches
from aiocache_core.backend import CONTRACT, Abilities, Backend, Busy, Lease, added, counter
from aiocache_core.cache import Cache, MemoryCache
from aiocache_core.clients import Clients
from aiocache_core.decorated import Bound, CacheInfo
from aiocache_core.decorators import CachedFunction, cached, cached_stampede
from aiocache_core.exceptions import (
    BackendError,
    BackendUnavailable,
    CacheError,
    CommandTimeout,
    DecodeError,
    InvalidCacheType,
    LockLost,
    NotInstalled,
    OptimisticLockError,
    PluginConflict,
    PluginLoadError,
    UnstableKeyError,
    UnsupportedCommand,
    ValueTooLarge,
)
from aiocache_core.front import FrontOptions
from aiocache_core.hooks import Command, hookimpl
from aiocache_core.lock import OptimisticLock, RedLock
from aiocache_core.memory import MemoryBackend
from aiocache_core.multi import MultiCachedFunction, multi_cached
from aiocache_core.plugins import BasePlugin, HitMissRatioPlugin, TimingPlugin
from aiocache_core.serializers import (
    BaseSerializer,
    JsonSerializer,
    NullSerializer,
    PickleSerializer,
    Serializer,
    StringSerializer,
)

__all__ = [
    "CONTRACT",
    "KEEP",
    "MISS",
    "TTL",
    "UNSET",
    "Abilities",
    "Backend",
    "BackendError",
    "BackendUnavailable",
    "BasePlugin",
    "BaseSerializer",
    "Bound",
    "Busy",
    "Cache",
    "CacheError",
    "CacheHandler",
    "CacheInfo",
    "CachedFunction",
    "Clients",
    "Command",
    "CommandTimeout",
    "DecodeError",
    "FrontOptions",
    "HitMissRatioPlugin",
    "InvalidCacheType",
    "JsonSerializer",
    "Keep",
    "Key",
    "Lease",
    "LockLost",
    "MemoryBackend",
    "MemoryCache",
    "Miss",
    "MultiCachedFunction",
    "NotInstalled",
    "NullSerializer",
    "OptimisticLock",
    "OptimisticLockError",
    "PickleSerializer",
    "PluginConflict",
    "PluginLoadError",
    "RedLock",
    "Serializer",
    "Stored",
    "StringSerializer",
    "TimingPlugin",
    "Unset",
    "UnstableKeyError",
    "UnsupportedCommand",
    "ValueTooLarge",
    "__version__",
    "added",
    "cached",
    "cached_stampede",
    "caches",
    "counter",
    "hookimpl",
    "keys",
    "multi_cached",
    "records",
    "urls",
]
