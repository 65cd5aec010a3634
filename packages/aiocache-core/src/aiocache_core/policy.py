"""Say how a decorated function uses its cache: which cache, which key, what is stored and for how long."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, Final

from aiocache_core import registry
from aiocache_core._types import MISS, TTL, UNSET, Miss, Unset, seconds
from aiocache_core.aliases import caches
from aiocache_core.cache import Cache
from aiocache_core.factory import class_of
from aiocache_core.flight import Right

logger: Final = logging.getLogger("aiocache.core")

MAX_ENTRIES: Final = 10_000
"""What the memory cache of a decorated function holds unless ``max_entries`` says otherwise."""

_plan: ContextVar[tuple[Right, float | None] | None] = ContextVar("aiocache_plan", default=None)


@contextmanager
def planned(right: Right, lives: float | None) -> Iterator[None]:
    """Let the stores inside be made with a right and a ttl (s), past methods that know nothing of them."""
    token = _plan.set((right, lives))
    try:
        yield
    finally:
        _plan.reset(token)


def plan_of(cache: Cache) -> tuple[Right, float | None]:
    """Return the right and the ttl (s) of the running store; outside of one, no right and the cache's ttl."""
    return _plan.get() or (None, cache.ttl)


def store_all(*_: object) -> bool:
    """Be the ``skip_cache_func`` that skips nothing."""
    return False


class Policy:
    """Hold what the arguments of a decorator say; the base of ``cached`` and ``multi_cached``."""

    def __init__(
        self,
        *,
        ttl: TTL | Callable[..., TTL] | Unset,
        namespace: str | None,
        key_builder: Callable[..., Any] | None,
        skip_cache_func: Callable[..., bool],
        cache: Any,
        serializer: Any,
        plugins: Any,
        alias: str | None,
        noself: bool,
        lease: float | None,
        options: dict[str, Any],
    ) -> None:
        if inspect.iscoroutinefunction(ttl):
            message = f"ttl is a number or a plain function, not {ttl.__name__}; write @cached(), with parentheses"
            raise TypeError(message)
        if not callable(ttl) and ttl is not UNSET:
            seconds(ttl)
        self.ttl = ttl
        self.key_builder = key_builder
        self.skip_cache_func = skip_cache_func
        self.alias = alias
        self.noself = noself
        self.lease: float | None = seconds(lease, "lease")
        self.cache: Any = None
        """The cache, once the function has been called for the first time (or at once where it can be made)."""
        self.function_key: Callable[[tuple[Any, ...], dict[str, Any]], str]
        """Makes a call's key of the function's name and the arguments."""
        self._namespace = namespace
        self._cache = cache
        self._given = {"serializer": serializer, "plugins": plugins, "namespace": namespace}
        self._options = options

    # -- which cache -----------------------------------------------------------------------------------------------------

    def ready(self) -> bool:
        """Return True if the cache can be made at once: its class is given or built in, not to be looked up."""
        return self.alias is None and (not isinstance(self._cache, str) or self._cache in registry.BUILT_IN["backends"])

    def make_cache(self) -> Cache:
        """Return the cache of one decorated function. Raises ``InvalidCacheType``, ``KeyError`` or ``TypeError``."""
        if self.alias is not None:
            for name, given in self._given.items():
                if given is not None:
                    logger.warning("Using cache alias; ignoring '%s' argument.", name)
            return caches.get(self.alias)
        if isinstance(self._cache, Cache):
            return self._cache
        chosen = class_of(Cache, self._cache)
        options = dict(self._options)
        if chosen.backend_class.abilities.local and "max_entries" in chosen.options():
            options.setdefault("max_entries", MAX_ENTRIES)
        made: Cache = chosen(**self._given, **options)
        return made

    def apart(self) -> bool:
        """Return True if this function's entries cannot meet those of another of the same name."""
        return self._namespace is not None

    @property
    def call_namespace(self) -> str | None:
        """The namespace of each command; None where it is the cache's own."""
        return self._namespace if isinstance(self._cache, Cache) and self.alias is None else None

    def _adopt(self, own: Policy) -> None:
        """Know the cache and the keys of the function that was decorated last, as the decorators of aiocache 0.12 do."""
        vars(self).update(vars(own))

    # -- what is stored ----------------------------------------------------------------------------------------------------

    def lives(self, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> float | Miss | None:
        """Return the seconds for which a result is to be kept, None for no expiry, MISS if it is not to be stored."""
        if not callable(self.ttl):
            return self.cache.ttl if isinstance(self.ttl, Unset) else seconds(self.ttl)
        ttl = self.ttl(result, *args, **kwargs)
        if isinstance(ttl, timedelta):
            ttl = ttl.total_seconds()
        if ttl is not None and ttl <= 0:
            return MISS
        return seconds(ttl)

    def overrides(self, base: type, name: str) -> bool:
        """Return True if a subclass of a decorator has its own method of this name."""
        return getattr(type(self), name) is not getattr(base, name)
