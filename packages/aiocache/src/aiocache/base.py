"""Keep the names that annotations and ``isinstance`` know from aiocache 0.12."""

from aiocache_core import UNSET as SENTINEL
from aiocache_core import Cache as BaseCache

__all__ = ["SENTINEL", "BaseCache"]
