"""Cache what coroutine functions return."""

from aiocache_core import cached, cached_stampede, multi_cached

__all__ = ["cached", "cached_stampede", "multi_cached"]
