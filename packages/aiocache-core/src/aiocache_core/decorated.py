"""Be a decorated function: something that is called, bound, inspected and pickled as the function itself would be."""

from __future__ import annotations

import functools
import inspect
import itertools
import threading
import types
import typing
import warnings
from asyncio import coroutines
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Generic, ParamSpec, TypeVar
from weakref import WeakKeyDictionary, ref

from aiocache_core._types import Miss
from aiocache_core.backend import Backend
from aiocache_core.cache import Cache
from aiocache_core.callkeys import CallKeys
from aiocache_core.flight import SingleFlight
from aiocache_core.policy import Policy

P = ParamSpec("P")
R = TypeVar("R")

SWITCHES: Final = {"cache_read": "read", "cache_write": "write", "aiocache_wait_for_write": "wait_for_write"}
"""The call-time switches of aiocache 0.12, and what they are called in :class:`Switches`."""


@dataclass(frozen=True, slots=True)
class Switches:
    """Say how one call uses the cache."""

    read: bool = True
    """False: compute now, whatever is stored or being computed."""
    write: bool = True
    """False: this caller does not want the value stored."""
    wait_for_write: bool = True
    """False: return before the value is stored."""


USUAL: Final = Switches()
FRESH: Final = Switches(read=False)


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """Count what a decorated function has done in this process."""

    hits: int
    """Keys answered by a stored value."""
    misses: int
    """Keys that had none."""
    computations: int
    """Times the function itself was called."""
    failures: int
    """Times it raised."""
    in_flight: int
    """Computations that are running now."""


class Counts:
    """Hold the counters of one decorated function."""

    __slots__ = ("computations", "failures", "hits", "misses")

    def __init__(self) -> None:
        self.hits: int = 0
        self.misses: int = 0
        self.computations: int = 0
        self.failures: int = 0


_serials = itertools.count(2)
_named: WeakKeyDictionary[Backend, dict[str, tuple[ref[Decorated[..., Any]], str]]] = WeakKeyDictionary()
"""The first function of each name over each store, and where it stands, to tell its namesakes (closures) apart.

It keeps its name when it is gone, as the store keeps its entries.
"""

# What inspect.markcoroutinefunction (from Python 3.12) sets on one object stands on a class here.
_marking: Any = getattr(inspect, "markcoroutinefunction", None)
_mark: Any = None if _marking is None else vars(_marking(lambda: None))["_is_coroutine_marker"]


class Decorated(Generic[P, R]):
    """Be what ``cached`` and ``multi_cached`` make of a function; see :class:`~aiocache_core.decorators.CachedFunction`."""

    __name__: str
    __qualname__: str
    __wrapped__: Callable[P, Awaitable[R]]
    _is_coroutine = getattr(coroutines, "_is_coroutine", None)  # asyncio.iscoroutinefunction looks for it
    _is_coroutine_marker = _mark

    def __init__(self, policy: Policy, function: Any) -> None:
        self._kind: type[Any] | None = type(function) if isinstance(function, classmethod | staticmethod) else None
        plain: Any = function.__func__ if self._kind is not None else function
        check_function(plain)
        functools.update_wrapper(self, plain)
        if not hasattr(self, "__qualname__"):  # a partial, or an object with __call__
            inner = getattr(plain, "func", type(plain))
            self.__name__, self.__qualname__ = inner.__name__, inner.__qualname__
            self.__module__ = inner.__module__
        self.__signature__: inspect.Signature = inspect.signature(plain)
        self._function: Callable[P, Awaitable[R]] = plain
        self._policy = policy
        self._counts = Counts()
        self._lock = threading.RLock()
        self._cache: Cache | None = None
        self._keys: CallKeys
        self._flights: SingleFlight
        self._method = self._kind is classmethod
        self._switches = frozenset(SWITCHES) - frozenset(self.__signature__.parameters)
        if policy.ready():
            self._resolve(policy.make_cache())  # an option that the store does not know is an error here and now

    def __set_name__(self, owner: type, name: str) -> None:
        self._method = self._kind is not staticmethod
        if self._cache is not None:
            self._resolve(self._cache)

    # -- the cache -------------------------------------------------------------------------------------------------------

    @property
    def cache(self) -> Cache:
        """The cache that holds the results; looked up at first use where it is named or an alias."""
        if self._cache is None:
            with self._lock:
                if self._cache is None:
                    self._resolve(self._policy.make_cache())
        return self._cache  # type: ignore[return-value]  # resolved above

    @cache.setter
    def cache(self, cache: Cache) -> None:
        self._resolve(cache)

    def _resolve(self, cache: Cache) -> None:
        """Fit keys and paths to the cache."""
        self._keys = CallKeys(
            self._function,
            name=self._name_in(cache),
            noself=self._policy.noself,
            method=self._method,
            instance_scope=cache.abilities.local,
        )
        self._flights = cache.single_flight()
        self._policy.cache = cache
        self._policy.function_key = self._keys.key
        self._arrange(cache)
        self._cache = cache

    def _arrange(self, cache: Cache) -> None:
        """Be told of the cache before it is used."""

    def _name_in(self, cache: Cache) -> str:
        """Return the name that this function's keys begin with; one of several functions of a name gets a number in memory."""
        name = f"{self.__module__}.{self.__qualname__}"
        if self._policy.apart():
            return name
        first, place = _named.setdefault(cache.backend, {}).setdefault(name, (ref(self), _place(self._function)))
        if first() is self:
            return name
        if cache.abilities.local:
            return f"{name}#{next(_serials)}"
        message = (
            f"two functions named {name} ({place} and {_place(self._function)}) share their entries in "
            f"{cache!r}; give each its own key= or namespace="
        )
        warnings.warn(message, RuntimeWarning, stacklevel=2)
        return name

    # -- calling -------------------------------------------------------------------------------------------------------------

    async def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Answer a call from the cache, or compute."""
        return await self._call(args, kwargs, self._taken(kwargs))

    def _taken(self, kwargs: dict[str, Any]) -> Switches:
        """Take the call-time switches out of a call's keyword arguments."""
        if not kwargs or self._switches.isdisjoint(kwargs):
            return USUAL
        return Switches(**{SWITCHES[name]: bool(kwargs.pop(name)) for name in self._switches & kwargs.keys()})

    async def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any], switches: Switches) -> R:
        raise NotImplementedError

    async def _compute(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
        """Call the function itself and count it."""
        self._counts.computations += 1
        try:
            result: Any = self._function(*args, **kwargs)
            if not inspect.isawaitable(result):
                message = f"{self.__qualname__} returned {type(result).__name__}, which cannot be awaited; write it as 'async def'"
                raise TypeError(message)
            return await result  # type: ignore[no-any-return]  # what the function gives
        except Exception:
            self._counts.failures += 1
            raise

    def options(
        self, *, cache_read: bool = True, cache_write: bool = True, aiocache_wait_for_write: bool = True
    ) -> Callable[P, Coroutine[Any, Any, R]]:
        """Return the function with switches: not to read, not to write, or not to wait until the value is stored."""
        switches = Switches(cache_read, cache_write, aiocache_wait_for_write)

        async def call(*args: P.args, **kwargs: P.kwargs) -> R:
            return await self._call(args, kwargs, switches)

        return call

    async def refresh(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Compute now, store and return the value; the old one stays until then, and stays if this fails."""
        return await self._call(args, kwargs, FRESH)

    def info(self) -> CacheInfo:
        """Return the counts of this process."""
        counts = self._counts
        in_flight = len(self._flights) if self._cache is not None else 0
        return CacheInfo(counts.hits, counts.misses, counts.computations, counts.failures, in_flight)

    def _bind(self, instance: Any, owner: type | None) -> Any:
        if self._kind is staticmethod or (instance is None and self._kind is None):
            return self
        if (
            instance is owner and self._kind is None
        ):  # by a classmethod around it; Python 3.13 itself makes a method then
            return types.MethodType(self, instance)
        return Bound(self, (owner or type(instance)) if self._kind is classmethod else instance)

    # -- being a function ------------------------------------------------------------------------------------------------------

    def __reduce__(self) -> str:
        """Be pickled by qualified name, as functions are."""
        return self.__qualname__

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.__module__}.{self.__qualname__}>"


class Bound(Generic[P, R]):
    """Be a decorated method on its instance, or a classmethod on its class."""

    __slots__ = ("__self__", "_decorated")
    _is_coroutine = Decorated._is_coroutine
    _is_coroutine_marker = _mark

    def __init__(self, decorated: Any, instance: object) -> None:
        self._decorated = decorated
        self.__self__: object = instance

    async def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Answer a call from the cache, or compute."""
        return await self._decorated(self.__self__, *args, **kwargs)  # type: ignore[no-any-return]  # what the decorated function gives

    def options(
        self, *, cache_read: bool = True, cache_write: bool = True, aiocache_wait_for_write: bool = True
    ) -> Callable[P, Coroutine[Any, Any, R]]:
        """Return the method with switches: not to read, not to write, or not to wait until the value is stored."""
        switched = self._decorated.options(
            cache_read=cache_read, cache_write=cache_write, aiocache_wait_for_write=aiocache_wait_for_write
        )
        return functools.partial(switched, self.__self__)

    async def peek(self, /, *args: P.args, **kwargs: P.kwargs) -> R | Miss:
        """Return the stored value of a call, or ``MISS``; nothing is computed, joined or counted. Raises if the store fails."""
        return await self._decorated.peek(self.__self__, *args, **kwargs)  # type: ignore[no-any-return]  # what the decorated function gives

    async def invalidate(self, /, *args: P.args, **kwargs: P.kwargs) -> int:
        """Remove what is stored for a call; return the number removed. Raises if the store fails."""
        return await self._decorated.invalidate(self.__self__, *args, **kwargs)  # type: ignore[no-any-return]  # what the decorated function gives

    async def refresh(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Compute now, store and return the value; the old one stays until then, and stays if this fails."""
        return await self._decorated.refresh(self.__self__, *args, **kwargs)  # type: ignore[no-any-return]  # what the decorated function gives

    def key(self, /, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key of a call, to be passed to :attr:`cache` (before the namespace)."""
        return self._decorated.key(self.__self__, *args, **kwargs)  # type: ignore[no-any-return]  # what the decorated function gives

    def keys(self, /, *args: P.args, **kwargs: P.kwargs) -> list[str]:
        """Return the keys of a call of a ``multi_cached`` method, to be passed to :attr:`cache`."""
        return self._decorated.keys(self.__self__, *args, **kwargs)  # type: ignore[no-any-return]  # what the decorated function gives

    async def clear(self) -> bool:
        """Remove the entries of this method, of all instances; return True."""
        return await self._decorated.clear()  # type: ignore[no-any-return]  # what the decorated function gives

    def info(self) -> CacheInfo:
        """Return the counts of this process, of all instances."""
        return self._decorated.info()  # type: ignore[no-any-return]  # what the decorated function gives

    @property
    def cache(self) -> Cache:
        """The cache that holds the results."""
        return self._decorated.cache  # type: ignore[no-any-return]  # what the decorated function gives

    @property
    def __func__(self) -> Any:
        """The decorated function that is bound."""
        return self._decorated

    @property
    def __signature__(self) -> inspect.Signature:
        """The signature without the first parameter."""
        return inspect.signature(self.__wrapped__)

    @property
    def __wrapped__(self) -> Any:
        """The method as it would be without the decorator."""
        return self._decorated.__wrapped__.__get__(self.__self__)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decorated, name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Bound):
            return NotImplemented
        return self._decorated is other._decorated and self.__self__ is other.__self__

    def __hash__(self) -> int:
        return hash((id(self._decorated), id(self.__self__)))

    def __reduce__(self) -> Any:
        return getattr, (self.__self__, self._decorated.__name__)

    def __repr__(self) -> str:
        return f"<bound {self._decorated!r} of {self.__self__!r}>"


def check_function(function: Any) -> None:
    """Raise ``TypeError`` if calling this cannot give an awaitable, with what to do about it."""
    name = getattr(function, "__qualname__", repr(function))
    if not callable(function):
        message = f"a cache decorates a coroutine function, not {function!r}; write @cached(), with parentheses"
        raise TypeError(message)
    inner = inspect.unwrap(function)
    while isinstance(inner, functools.partial):
        inner = inspect.unwrap(inner.func)
    if inspect.isasyncgenfunction(inner):
        message = f"{name} is an async generator, whose items cannot be cached; return a list from an 'async def'"
        raise TypeError(message)
    call = inner if inspect.isroutine(inner) else getattr(inner, "__call__", inner)  # noqa: B004 - not whether, but which
    if inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(call) or _says_awaitable(inner):
        return
    message = f"{name} is a plain function; write it as 'async def', or annotate what it returns as an Awaitable if it gives one"
    raise TypeError(message)


def _says_awaitable(function: Any) -> bool:
    """Return True if a plain function's return annotation is a type of awaitables."""
    try:
        annotation = typing.get_type_hints(function).get("return")
    except Exception:  # noqa: BLE001 - names that exist for type checkers only: read the annotation as text
        annotation = getattr(function, "__annotations__", {}).get("return")
    if isinstance(annotation, str):
        return any(word in annotation for word in ("Awaitable", "Coroutine", "Future", "Task"))
    origin = typing.get_origin(annotation) or annotation
    return isinstance(origin, type) and issubclass(origin, Awaitable)


def _place(function: Any) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else repr(function)
