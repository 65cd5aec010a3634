"""Keep caches by alias: each alias names a configuration, and the cache made of it at first use."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

from aiocache_core.cache import Cache

DEFAULT: Final[dict[str, Any]] = {"cache": "memory", "serializer": {"class": "string"}}


class CacheHandler:
    """Make and keep caches from configurations by alias.

    A configuration is a dict of the arguments of ``Cache``; ``cache``, ``serializer`` and ``plugins`` may be names
    (``"redis"``), dotted names (``"aiocache.RedisCache"``), classes, or ``{"class": …, **options}``.
    """

    def __init__(self) -> None:
        self._config: dict[str, dict[str, Any]] = {"default": dict(DEFAULT)}
        self._caches: dict[str, Cache] = {}

    def add(self, alias: str, config: dict[str, Any]) -> None:
        """Add or replace one alias; a cache that was made of the old configuration is dropped."""
        self._config[alias] = config
        self._caches.pop(alias, None)

    def get(self, alias: str) -> Cache:
        """Return the cache of an alias, the same one each time. Raises ``KeyError`` for an unknown alias."""
        found = self._caches.get(alias)
        if found is None:
            found = self._caches.setdefault(alias, _made(self.get_alias_config(alias)))
        return found

    def create(self, alias: str, **overrides: Any) -> Cache:
        """Return a new cache of an alias's configuration with some options replaced. Raises ``KeyError``."""
        return _made({**self.get_alias_config(alias), **overrides})

    def get_alias_config(self, alias: str) -> dict[str, Any]:
        """Return a copy of an alias's configuration. Raises ``KeyError`` for an unknown alias."""
        if alias not in self._config:
            known = ", ".join(sorted(self._config))
            message = f"Could not find config for {alias!r}; known aliases: {known}. Add it with caches.add or caches.set_config"
            raise KeyError(message)
        return deepcopy(self._config[alias])

    def get_config(self) -> dict[str, dict[str, Any]]:
        """Return a copy of all configurations."""
        return deepcopy(self._config)

    def set_config(self, config: dict[str, dict[str, Any]]) -> None:
        """Replace all configurations and drop the caches made of the old ones. Raises ``ValueError`` without "default"."""
        if "default" not in config:
            message = "default config must be provided: set_config({'default': {'cache': 'memory'}, …})"
            raise ValueError(message)
        self._config = config
        self._caches = {}


def _made(config: dict[str, Any]) -> Cache:
    options = dict(config)
    made: Cache = Cache(options.pop("cache", "memory"), **options)
    return made


caches: CacheHandler = CacheHandler()
"""The aliases of this application; ``cached(alias=…)`` looks here."""
