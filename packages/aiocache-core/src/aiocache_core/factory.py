"""Turn ``Cache("redis", …)`` into a cache of the class that the name stands for."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aiocache_core import registry
from aiocache_core.backend import Backend
from aiocache_core.exceptions import InvalidCacheType


class CacheName(str):
    """Be the name of a cache class, for which ``isinstance(cache, Cache.REDIS)`` can be asked, as in aiocache 0.12."""

    __slots__ = ()

    def __instancecheck__(self, instance: object) -> bool:
        """Return True for a cache of the class that this name stands for. Raises ``InvalidCacheType`` if there is none."""
        return isinstance(instance, registry.resolve("backends", str(self)))


class CacheType(type):
    """Let ``Cache(cache_class, **options)`` give an object of the class asked for, as ``pathlib.Path()`` gives a ``PosixPath``."""

    if not TYPE_CHECKING:  # type checkers read Cache.__init__ instead

        def __call__(cls, *args: Any, **options: Any) -> Any:
            """Make a cache; on ``Cache`` itself the first argument says of which class."""
            if not cls.__dict__.get("names_others", False):
                return super().__call__(*args, **options)
            named = options.pop("cache_class", args[0] if args else "memory")
            if len(args) > 1:
                message = "Cache takes the name or class of the cache, and options by keyword: Cache('redis', namespace='main')"
                raise TypeError(message)
            return class_of(cls, named)(**options)


def class_of(root: CacheType, named: object) -> Any:
    """Return the cache class that a name, a dotted name, a cache class or a bare backend class stands for.

    Raises ``InvalidCacheType`` for anything else.
    """
    if isinstance(named, str | type) and named is not root:
        found = registry.resolve("backends", named)
        return _made(root, found) if issubclass(found, Backend) else found
    usable = ", ".join(registry.names("backends"))
    message = f"{named!r} is no cache: use one of these names ({usable}), a subclass of Cache, or a subclass of Backend"
    raise InvalidCacheType(message)


@lru_cache(maxsize=128)
def _made(root: CacheType, backend: type[Backend]) -> CacheType:
    name = backend.__name__.removesuffix("Backend") + "Cache"
    return CacheType(
        name, (root,), {"backend_class": backend, "__module__": backend.__module__, "__doc__": backend.__doc__}
    )
