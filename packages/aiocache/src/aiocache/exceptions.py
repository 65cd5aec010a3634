"""Name what can go wrong."""

from aiocache_core import (
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

__all__ = [
    "BackendError",
    "BackendUnavailable",
    "CacheError",
    "CommandTimeout",
    "DecodeError",
    "InvalidCacheType",
    "LockLost",
    "NotInstalled",
    "OptimisticLockError",
    "PluginConflict",
    "PluginLoadError",
    "UnstableKeyError",
    "UnsupportedCommand",
    "ValueTooLarge",
]
