"""Make caches by name, class, URL or alias."""

from aiocache_core import Cache, CacheHandler, caches

__all__ = ["Cache", "CacheHandler", "caches"]
