"""Cache in redis; needs ``pip install aiocache[redis]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocache._siblings import installed, lazily

if TYPE_CHECKING:
    from aiocache_redis import RedisBackend as RedisBackend
    from aiocache_redis import RedisCache as RedisCache

_SIBLINGS = {"RedisBackend": ("aiocache_redis", "redis"), "RedisCache": ("aiocache_redis", "redis")}

__all__ = installed(_SIBLINGS)

_sibling = lazily(__name__, _SIBLINGS)


def __getattr__(name: str) -> Any:
    """Import the classes of aiocache-redis when they are first asked for."""
    return _sibling(name)
