"""Provide the plugins that come with the core, and the base of those written for aiocache 0.12."""

from __future__ import annotations

from typing import Any

from aiocache_core._types import MISS
from aiocache_core.hooks import Command, hookimpl


class BasePlugin:
    """Call the methods ``pre_<command>`` and ``post_<command>`` of a subclass around each command, as aiocache 0.12 did.

    ``pre_get(self, client, key, **kwargs)`` gets the cache and the call's arguments, ``post_get(self, client, key, *, took, ret,
    **kwargs)`` also the seconds it took and what it returned. New plugins rather mark methods with ``hookimpl``; see
    :mod:`aiocache_core.hooks`.
    """

    async def do_nothing(self, *args: Any, **kwargs: Any) -> None:
        """Be what a subclass overrides, and what its ``super().post_get(…)`` ends in."""

    pre_add: Any = do_nothing
    pre_get: Any = do_nothing
    pre_multi_get: Any = do_nothing
    pre_set: Any = do_nothing
    pre_multi_set: Any = do_nothing
    pre_delete: Any = do_nothing
    pre_multi_delete: Any = do_nothing
    pre_exists: Any = do_nothing
    pre_expire: Any = do_nothing
    pre_expires_in: Any = do_nothing
    pre_increment: Any = do_nothing
    pre_clear: Any = do_nothing
    pre_raw: Any = do_nothing
    post_add: Any = do_nothing
    post_get: Any = do_nothing
    post_multi_get: Any = do_nothing
    post_set: Any = do_nothing
    post_multi_set: Any = do_nothing
    post_delete: Any = do_nothing
    post_multi_delete: Any = do_nothing
    post_exists: Any = do_nothing
    post_expire: Any = do_nothing
    post_expires_in: Any = do_nothing
    post_increment: Any = do_nothing
    post_clear: Any = do_nothing
    post_raw: Any = do_nothing

    @hookimpl
    async def pre_command(self, command: Command) -> None:
        """Call ``pre_<command>``."""
        await getattr(self, f"pre_{command.name}")(command.cache, *command.args, **command.kwargs)

    @hookimpl
    async def post_command(self, command: Command) -> None:
        """Call ``post_<command>`` with ``took`` (s) and ``ret``."""
        method = getattr(self, f"post_{command.name}")
        result = None if command.result is MISS else command.result
        await method(command.cache, *command.args, took=command.took, ret=result, **command.kwargs)


class TimingPlugin(BasePlugin):
    """Keep count, mean, least and greatest time (s) of each command in ``cache.profiling``.

    Its keys are ``<command>_total``, ``_avg``, ``_min`` and ``_max``. Failed commands are not counted.
    """

    @hookimpl
    async def post_command(self, command: Command) -> None:
        """Count the command in."""
        profiling = _record(command.cache, "profiling")
        name, took = command.name, command.took
        total = profiling.get(f"{name}_total", 0) + 1
        mean = profiling.get(f"{name}_avg", 0.0)
        profiling[f"{name}_total"] = total
        profiling[f"{name}_avg"] = mean + (took - mean) / total
        profiling[f"{name}_max"] = max(took, profiling.get(f"{name}_max", took))
        profiling[f"{name}_min"] = min(took, profiling.get(f"{name}_min", took))
        await super().post_command(command)


class HitMissRatioPlugin(BasePlugin):
    """Keep ``total``, ``hits`` and ``hit_ratio`` of the keys read by ``get`` and ``multi_get`` in ``cache.hit_miss_ratio``.

    A default that is returned is a miss, a stored ``None`` a hit.
    """

    @hookimpl
    async def post_command(self, command: Command) -> None:
        """Count the keys in."""
        if command.name in ("get", "multi_get"):
            ratio = _record(command.cache, "hit_miss_ratio")
            total = ratio.get("total", 0) + (1 if command.name == "get" else len(command.result))
            ratio["total"] = total
            ratio["hits"] = ratio.get("hits", 0) + (command.hits or 0)
            ratio["hit_ratio"] = ratio["hits"] / total if total else 0.0
        await super().post_command(command)


def _record(cache: Any, name: str) -> dict[str, Any]:
    """Return the dict that a cache keeps for a plugin, made at the first command."""
    record: dict[str, Any] | None = cache.__dict__.get(name)
    if record is None:
        record = {}
        setattr(cache, name, record)
    return record
