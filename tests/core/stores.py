"""Provide stores for tests: a third party's, of the fewest methods, and one whose commands can be held back."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from aiocache_core import MISS, Abilities, Backend, Cache, Key, Miss, Stored


class DictBackend(Backend):
    """Be a store of six methods over a dict that keeps bytes, as a network store would."""

    def __init__(self, *, label: str = "") -> None:
        self.label = label
        self.entries: dict[Key, Stored] = {}
        self.closed = 0

    async def get(self, key: Key) -> Stored | Miss:
        await self.reached("get")
        return self.entries.get(key, MISS)

    async def set(self, key: Key, stored: Stored, ttl: float | None) -> None:
        await self.reached("set")
        self.entries[key] = stored

    async def add(self, key: Key, stored: Stored, ttl: float | None) -> bool:
        await self.reached("add")
        return self.entries.setdefault(key, stored) is stored

    async def delete(self, key: Key) -> bool:
        await self.reached("delete")
        return self.entries.pop(key, MISS) is not MISS

    async def expire(self, key: Key, ttl: float | None) -> bool:
        await self.reached("expire")
        return key in self.entries

    async def clear(self, namespace: str | None) -> None:
        await self.reached("clear")
        for key in list(self.entries):
            if namespace is None or (isinstance(key, tuple) and key[0] == namespace):
                del self.entries[key]

    async def close(self) -> None:
        self.closed += 1

    async def reached(self, command: str) -> None:
        """Be called by every command before it touches the entries."""


class DictCache(Cache):
    """Be the cache class of the dict store."""

    backend_class = DictBackend


class HeldBackend(DictBackend):
    """Let a test hold commands back, and fail them."""

    abilities: ClassVar[Abilities] = Abilities()

    def __init__(self) -> None:
        super().__init__()
        self.gates: dict[str, asyncio.Event] = {}
        self.waiting: dict[str, asyncio.Event] = {}
        self.errors: dict[str, BaseException] = {}
        self.commands: list[str] = []

    def hold(self, command: str) -> asyncio.Event:
        """Hold a command until the returned event is set; ``waiting[command]`` tells that it has arrived."""
        self.gates[command] = asyncio.Event()
        self.waiting[command] = asyncio.Event()
        return self.gates[command]

    async def reached(self, command: str) -> None:
        self.commands.append(command)
        if command in self.errors:
            raise self.errors[command]
        gate = self.gates.get(command)
        if gate is not None:
            self.waiting[command].set()
            await gate.wait()


def held_cache(**options: Any) -> tuple[Any, HeldBackend]:
    """Return a cache over a new held store, and the store."""

    class Own(HeldBackend):
        """Be a class of its own, so that nothing is shared with other tests."""

    cache = Cache(Own, **options)
    assert isinstance(cache.backend, Own)
    return cache, cache.backend
