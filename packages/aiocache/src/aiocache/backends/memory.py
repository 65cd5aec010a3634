"""Cache in this process's memory."""

from aiocache_core import MemoryBackend as SimpleMemoryBackend
from aiocache_core import MemoryCache as SimpleMemoryCache

__all__ = ["SimpleMemoryBackend", "SimpleMemoryCache"]
