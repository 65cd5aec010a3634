"""Cache in memcached: ``Cache("memcached")`` of aiocache."""

from aiocache_memcached.__about__ import __version__
from aiocache_memcached.backend import MemcachedBackend
from aiocache_memcached.cache import MemcachedCache

__all__ = ["MemcachedBackend", "MemcachedCache", "__version__"]
