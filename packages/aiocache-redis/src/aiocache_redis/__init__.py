"""Cache in redis with aiocache: ``Cache("redis")``."""

from aiocache_redis.__about__ import __version__
from aiocache_redis.backend import RedisBackend
from aiocache_redis.cache import RedisCache

__all__ = ["RedisBackend", "RedisCache", "__version__"]
