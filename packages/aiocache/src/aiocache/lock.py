"""Lock keys."""

from aiocache_core import LockLost, OptimisticLock, OptimisticLockError, RedLock

__all__ = ["LockLost", "OptimisticLock", "OptimisticLockError", "RedLock"]
