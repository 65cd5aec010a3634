"""Hold what every part of the suite stands on: the store under test, its time, and which tests a backend gets."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import pytest

from aiocache_core import MISS, Abilities, Backend, Key, Stored

DEADLINE: Final = 30.0
"""The seconds after which a command that should end is taken for one that hangs."""

C = TypeVar("C", bound=type[Any])

When = Callable[[type[Backend]], bool]


class Store:
    """Be the store under test: make backends over it, and let its time pass.

    ``factory`` makes a new backend object over one and the same store, as another process would; for a local store each
    object has its own entries, so there the suite makes one only. ``advance`` moves an injected clock by seconds; without
    it the suite sleeps.
    """

    def __init__(self, factory: Callable[[], Backend], advance: Callable[[float], None] | None = None) -> None:
        self.factory = factory
        self.exact = advance is not None
        """True if time stands still between two calls of :meth:`wait`."""
        self._advance = advance
        self._backends: list[Backend] = []

    @property
    def backend(self) -> Backend:
        """The first backend over the store."""
        return self._backends[0] if self._backends else self._make()

    @property
    def abilities(self) -> Abilities:
        """What the backend declares."""
        return self.backend.abilities

    @property
    def step(self) -> float:
        """The grain (s) of the store's ttl."""
        return self.abilities.ttl_step

    def another(self) -> Backend:
        """Return another client of the store; a local store has but one."""
        return self.backend if self.abilities.local else self._make()

    def clients(self, number: int) -> list[Backend]:
        """Return several clients of the store, the first backend among them."""
        return [self.backend, *(self.another() for _ in range(number - 1))]

    async def wait(self, seconds: float) -> None:
        """Let time pass for the store."""
        if self._advance is not None:
            self._advance(seconds)
        else:
            await asyncio.sleep(seconds)

    async def begin(self) -> None:
        """Empty the store."""
        await self.backend.clear(None)

    async def end(self) -> None:
        """Close what was opened in this loop."""
        for backend in self._backends:
            await backend.close()

    def _make(self) -> Backend:
        backend = self.factory()
        self._backends.append(backend)
        return backend


# -- which tests there are -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """Say of a test to which part it belongs, and which backends get it."""

    part: str
    when: When


CASES: Final[dict[str, Case]] = {}
"""Every test of the suite by its name, which no two parts share."""

_own_conditions: Final[dict[Callable[..., Any], When]] = {}


def always(backend_class: type[Backend]) -> bool:
    """Hold for every backend."""
    return True


def has(ability: str) -> When:
    """Hold for a backend that declares an ability."""
    return lambda backend_class: bool(getattr(backend_class.abilities, ability))


def lacks(ability: str) -> When:
    """Hold for a backend that does not declare an ability."""
    return lambda backend_class: not getattr(backend_class.abilities, ability)


def counts(backend_class: type[Backend]) -> bool:
    """Hold for a backend with counters: its own ``increment``, or the default one over compare-and-set."""
    return backend_class.abilities.compare_and_set or backend_class.increment is not Backend.increment


F = TypeVar("F", bound=Callable[..., Any])


def when(condition: When) -> Callable[[F], F]:
    """Give a test to those backends alone for which a condition holds."""

    def mark(test: F) -> F:
        _own_conditions[test] = condition
        return test

    return mark


def part(name: str, condition: When = always) -> Callable[[C], C]:
    """Make a class a part of the suite: its tests begin with an empty store and close what they opened."""

    def register(cls: C) -> C:
        for test_name, test in list(vars(cls).items()):
            if not test_name.startswith("test_"):
                continue
            if test_name in CASES:
                message = f"two parts have a test {test_name!r}; rename one of them"
                raise TypeError(message)
            CASES[test_name] = Case(name, _both(condition, _own_conditions.pop(test, always)))
            if inspect.iscoroutinefunction(test):
                setattr(cls, test_name, _in_a_loop(test))
        return cls

    return register


def _both(first: When, second: When) -> When:
    return lambda backend_class: first(backend_class) and second(backend_class)


def _in_a_loop(test: Callable[[Any, Store], Awaitable[None]]) -> Callable[[Any, Store], Coroutine[Any, Any, None]]:
    @functools.wraps(test)
    async def run(self: Any, store: Store) -> None:
        await store.begin()
        try:
            await test(self, store)
        finally:
            await store.end()

    marked: Callable[[Any, Store], Coroutine[Any, Any, None]] = pytest.mark.asyncio(run)
    return marked


# -- words of the tests ----------------------------------------------------------------------------------------------


def plain(found: Stored) -> Any:
    """Return what was read as bytes if it is text: a store may give either."""
    return found.encode("utf-8", "surrogatepass") if isinstance(found, str) else found


async def read(backend: Backend, key: Key) -> Any:
    """Return what is stored, text as bytes, or MISS."""
    return plain(await backend.get(key))


async def read_many(backend: Backend, keys: list[Key]) -> list[Any]:
    """Return what is stored under the keys, text as bytes, MISS for a miss."""
    return [plain(found) for found in await backend.multi_get(keys)]


async def missing(backend: Backend, key: Key) -> bool:
    """Return True if a key is missing."""
    return await backend.get(key) is MISS
