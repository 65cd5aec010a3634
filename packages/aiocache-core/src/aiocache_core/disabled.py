"""Take the store's place while a cache is switched off."""

from __future__ import annotations

from typing import Any

from aiocache_core._types import MISS, Key, Miss, Stored
from aiocache_core.backend import Abilities, Backend


class DisabledBackend(Backend):
    """Answer as an empty store that accepts everything and keeps nothing."""

    def __init__(self, instead_of: Backend) -> None:
        own = instead_of.abilities
        self.abilities: Abilities = Abilities(  # type: ignore[misc]  # an instance's own, as it stands for any backend
            stores_objects=own.stores_objects, default_serializer=own.default_serializer, expires_in=True
        )

    async def get(self, key: Key) -> Stored | Miss:
        """Return MISS."""
        return MISS

    async def set(self, key: Key, stored: Stored, ttl: float | None) -> None:
        """Do nothing."""

    async def add(self, key: Key, stored: Stored, ttl: float | None) -> bool:
        """Return True."""
        return True

    async def delete(self, key: Key) -> bool:
        """Return False."""
        return False

    async def expire(self, key: Key, ttl: float | None) -> bool:
        """Return False."""
        return False

    async def expires_in(self, key: Key) -> float | Miss | None:
        """Return MISS."""
        return MISS

    async def clear(self, namespace: str | None) -> None:
        """Do nothing."""

    async def increment(self, key: Key, delta: int, ttl: float | None) -> int:
        """Return the delta, as for a new counter."""
        return delta

    async def raw(self, command: str, *args: Any, **kwargs: Any) -> Any:
        """Return None."""
        return None
