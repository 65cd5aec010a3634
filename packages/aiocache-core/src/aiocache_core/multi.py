"""Cache the items of what a coroutine function of many keys returns: ``multi_cached``."""

from __future__ import annotations

import copy
import functools
import inspect
import warnings
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar, overload

from aiocache_core._types import MISS, TTL, UNSET, Key, Unset
from aiocache_core.cache import Cache
from aiocache_core.callkeys import encode
from aiocache_core.decorated import Bound, Decorated, Switches
from aiocache_core.exceptions import UnsupportedCommand
from aiocache_core.flight import Job
from aiocache_core.keys import text
from aiocache_core.policy import Policy, plan_of, planned, store_all

if TYPE_CHECKING:
    from aiocache_core.flight import Right

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R", bound=Mapping[Any, Any])
S = TypeVar("S")


class _Request:
    """Hold one call: the keys asked for, and how the function gets fewer of them."""

    def __init__(self, function: MultiCachedFunction[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        bound = function.bind(args, kwargs)
        self._bound = bound
        self._name = function.keys_from_attr
        self._place: dict[str, Any] = bound.arguments if function.rest is None else bound.arguments[function.rest]
        """Holds the keys: the arguments, or those of them that ``**kwargs`` takes."""
        given = self._place.get(self._name)
        self._form = _form_of(given)
        keys = dict.fromkeys(given) if given is not None else {}
        if isinstance(given, Iterator):  # it gives its keys once
            self._place[self._name] = list(keys)
        self.args: tuple[Any, ...] = bound.args
        self.kwargs: dict[str, Any] = bound.kwargs
        self.keys = {key: function.item_key(key, self.args, self.kwargs) for key in keys}
        """The cache's key of each key asked for, in the order asked."""

    def restricted(self, keys: Iterable[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments that ask the function for these keys only, in the form in which they were given."""
        if self._name in self._place:
            self._place[self._name] = self._form(keys)
        return self._bound.args, self._bound.kwargs


def _form_of(given: Any) -> Callable[[Iterable[Any]], Any]:
    if isinstance(given, list | tuple | set | frozenset):
        return type(given)
    return _generate if isinstance(given, Iterator) else list


def _generate(keys: Iterable[Any]) -> Iterator[Any]:
    yield from keys


class MultiCachedFunction(Decorated[P, R]):
    """Be a coroutine function of many keys that returns a dict, each item of which is cached under its key.

    Each method takes the function's own arguments. The function is called with the missing keys only, in the form (list, tuple,
    set, generator; else list) and the order given; hits and new items are merged in the order asked. A key that it does not
    return is not cached, nor is one that was not asked for. Concurrent callers share one computation for each key.
    """

    _policy: multi_cached

    def __init__(self, policy: multi_cached, function: Any) -> None:
        self.keys_from_attr: str = policy.keys_from_attr
        self.rest: str | None = None
        """The name of the parameter that takes further keywords, if the keys are among them."""
        super().__init__(policy, function)
        self._check_parameters()

    def _arrange(self, cache: Cache) -> None:
        self._policy.item_key = self.item_key

    def _check_parameters(self) -> None:
        names = list(self.__signature__.parameters)
        takers = [name for name, each in self.__signature__.parameters.items() if each.kind is each.VAR_KEYWORD]
        if takers and self.keys_from_attr not in names:
            self.rest = takers[0]
        for name in (self.keys_from_attr, *self._policy.vary):
            if name not in names and not takers:
                message = f"{self.__qualname__} has no parameter {name!r}; it has: {', '.join(names)}"
                raise TypeError(message)
        others = [name for name in names if name not in (self.keys_from_attr, self.rest, *self._policy.vary)]
        if others and (others[0] in ("self", "cls")) and names[0] == others[0]:
            del others[0]
        if others and not self._policy.vary and self._policy.key_builder is None:
            message = (
                f"the items of {self.__qualname__} are cached by {self.keys_from_attr!r} alone, whatever "
                f"{', '.join(map(repr, others))} may be; name what they depend on in vary=, or give a key_builder"
            )
            warnings.warn(message, UserWarning, stacklevel=4)

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments:
        """Return a call's arguments by name, defaults included. Raises ``TypeError`` as the call would."""
        bound = self.__signature__.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound

    def item_key(self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """Return the cache's key of one key of a call; the one place where it is made."""
        policy = self._policy
        if policy.key_builder is not None:
            return text(policy.key_builder(key, self._function, *args, **kwargs))
        if not policy.vary:
            return text(key)
        bound = self.bind(args, kwargs)
        arguments = {**bound.kwargs, **bound.arguments}  # the former hold what **kwargs takes
        return f"{encode(tuple(arguments.get(name) for name in policy.vary))}{text(key)}"

    async def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any], switches: Switches) -> R:
        cache, policy = self.cache, self._policy
        if not cache.enabled:
            return await self._compute(args, kwargs)
        request = _Request(self, args, kwargs)
        if not request.keys:
            return await self._compute(*request.restricted(()))
        namespace = policy.call_namespace
        found: dict[Any, Any] = {}
        usable = True
        if switches.read:
            values, usable = await cache.read(functools.partial(policy.found, list(request.keys.values())))
            if values is not MISS:
                found = {key: value for key, value in zip(request.keys, values, strict=True) if value is not MISS}
            self._counts.hits += len(found)
            self._counts.misses += len(request.keys) - len(found)
        finished_keys = {
            key: cache.build_key(name, namespace) for key, name in request.keys.items() if key not in found
        }
        missing: dict[Key, Any] = {}
        for key, finished in finished_keys.items():  # of keys that are one to the cache (1 and "1"), ask for the first
            missing.setdefault(finished, key)
        if not missing:
            return found  # type: ignore[return-value]  # a dict, as the function gives
        extra: dict[Any, Any] = {}

        def job(keys: list[Key]) -> Job[dict[Key, Any]]:
            return self._job(request, {key: missing[key] for key in keys}, extra, fresh=not switches.read)

        computed = await self._flights.run_many(
            missing,
            job,
            backend=cache.backend,
            fresh=not switches.read,
            wanted=switches.write and usable,
            wait_for_write=switches.wait_for_write,
        )
        found.update({key: computed[finished] for key, finished in finished_keys.items() if finished in computed})
        merged = {key: found[key] for key in request.keys if key in found}
        return {**merged, **extra}  # type: ignore[return-value]  # a dict, as the function gives

    def _job(
        self, request: _Request, missing: dict[Key, Any], extra: dict[Any, Any], *, fresh: bool
    ) -> Job[dict[Key, Any]]:
        """Return the job of computing some keys of a call together; ``extra`` takes what was returned unasked."""
        cache = self.cache
        policy = self._policy
        by_key = {key: finished for finished, key in missing.items()}
        lives: dict[Key, float | None] = {}
        """The seconds that the items live which are to be stored."""

        async def compute() -> dict[Key, Any]:
            result = await self._compute(*request.restricted(by_key))
            extra.update({key: value for key, value in result.items() if key not in by_key})
            for key in by_key.keys() & result.keys():
                ttl = (
                    MISS
                    if policy.skip_cache_func(key, result[key])
                    else policy.lives(result[key], request.args, request.kwargs)
                )
                if ttl is not MISS:
                    lives[by_key[key]] = ttl
            return {by_key[key]: value for key, value in result.items() if key in by_key}

        async def store(result: dict[Key, Any], right: Right, allowed: Collection[Key]) -> None:
            by_ttl: dict[float | None, dict[Any, Any]] = {}  # those of one ttl are stored together
            for finished in allowed:
                if finished in lives:
                    by_ttl.setdefault(lives[finished], {})[missing[finished]] = result[finished]
            for ttl, group in by_ttl.items():
                with planned(right, ttl):
                    await policy.set_in_cache(group, self._function, request.args, request.kwargs)

        return cache.job(list(missing), compute, store, fresh=fresh)

    # -- what it can be asked ----------------------------------------------------------------------------------------------

    def keys(self, /, *args: P.args, **kwargs: P.kwargs) -> list[str]:
        """Return the keys of a call's items, to be passed to :attr:`cache` (before the namespace)."""
        return list(_Request(self, args, kwargs).keys.values())

    async def peek(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the items of a call that are stored, without those that are missing; nothing is computed, joined or counted.

        Raises if the store fails.
        """
        request = _Request(self, args, kwargs)
        values = await self.cache.multi_get(request.keys.values(), default=MISS, namespace=self._policy.call_namespace)
        pairs = zip(request.keys, values, strict=True)
        return {key: value for key, value in pairs if value is not MISS}  # type: ignore[return-value]  # as the function gives

    async def invalidate(self, /, *args: P.args, **kwargs: P.kwargs) -> int:
        """Remove what is stored for a call's keys and end running computations' right to store; return the number removed.

        Raises if the store fails: a lost invalidation is never silent.
        """
        names = _Request(self, args, kwargs).keys.values()
        return await self.cache.multi_delete(names, namespace=self._policy.call_namespace)

    async def clear(self) -> bool:
        """Raise ``UnsupportedCommand``: keys are the caller's own, so that the function's entries cannot be told from others.

        With a ``namespace=`` of its own, ``fn.cache.clear()`` does it.
        """
        message = (
            f"the entries of {self.__qualname__} cannot be told from others: its keys are the caller's own; "
            f"give it a namespace= of its own and clear that: {self.__name__}.cache.clear()"
        )
        raise UnsupportedCommand(message)

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(
        self: MultiCachedFunction[Concatenate[S, Q], R], instance: S, owner: type | None = None
    ) -> Bound[Q, R]: ...
    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Bind a method to its instance, a classmethod to its class."""
        return self._bind(instance, owner)


class multi_cached(Policy):  # noqa: N801 - the name that applications know
    """Keep each item of the dict that a coroutine function of many keys returns.

    - ``keys_from_attr``: the name of the parameter that takes the keys. With an empty collection the function is just called.
    - ``key_builder(key, function, *args, **kwargs)``: gives the cache's key of one of them; otherwise the keys are used as they
      are, so that ``fn.cache.delete(key)`` works, and functions are set apart by ``namespace``.
    - ``vary``: the names of further parameters that the items depend on.
    - ``skip_cache_func(key, value)``: returns True for what is not to be stored.
    - ``ttl``: as for ``cached``; a function gets ``(value, *args, **kwargs)``.

    All else is as for ``cached``.
    """

    def __init__(
        self,
        keys_from_attr: str,
        namespace: str | None = None,
        key_builder: Callable[..., Any] | None = None,
        skip_cache_func: Callable[[Any, Any], bool] = store_all,
        ttl: TTL | Callable[..., TTL] | Unset = UNSET,
        cache: Any = Cache.MEMORY,
        serializer: Any = None,
        plugins: Any = None,
        alias: str | None = None,
        *,
        vary: Iterable[str] = (),
        **options: Any,
    ) -> None:
        """Take the arguments; see the class."""
        super().__init__(
            ttl=ttl,
            namespace=namespace,
            key_builder=key_builder,
            skip_cache_func=skip_cache_func,
            cache=cache,
            serializer=serializer,
            plugins=plugins,
            alias=alias,
            noself=True,
            lease=None,
            options=options,
        )
        self.keys_from_attr = keys_from_attr
        self.item_key: Callable[[Any, tuple[Any, ...], dict[str, Any]], str]
        """Makes the cache's key of one key of a call."""
        self.vary: tuple[str, ...] = (vary,) if isinstance(vary, str) else tuple(vary)

    def __call__(self, f: Callable[P, Awaitable[R]]) -> MultiCachedFunction[P, R]:
        """Decorate a function. Raises ``TypeError`` for what cannot be cached, and for an option the cache does not know."""
        own = copy.copy(self)
        decorated: MultiCachedFunction[P, R] = MultiCachedFunction(own, f)
        self._adopt(own)
        return decorated

    # -- what a subclass may replace -----------------------------------------------------------------------------------

    async def get_from_cache(self, *keys: str) -> list[Any]:
        """Return the stored values of keys in order, ``MISS`` for a miss; a replacement may return None for it."""
        found: list[Any] = await self.cache.multi_get(keys, default=MISS, namespace=self.call_namespace)
        return found

    async def set_in_cache(
        self, result: dict[Any, Any], fn: Callable[..., Any], fn_args: tuple[Any, ...], fn_kwargs: dict[str, Any]
    ) -> None:
        """Store computed items by the function's own keys, if they still may be stored; errors of the store are logged."""
        _, lives = plan_of(self.cache)
        pairs = [(self.item_key(key, fn_args, fn_kwargs), value) for key, value in result.items()]
        await self.cache.fill_many(pairs, lives, self.call_namespace)

    # -- how MultiCachedFunction asks ----------------------------------------------------------------------------------

    def apart(self) -> bool:
        """Return True: the keys are the caller's own, whatever the function is called."""
        return True

    async def found(self, keys: list[str]) -> list[Any]:
        """Return the stored values of keys; None from a replaced ``get_from_cache`` is a miss."""
        values = await self.get_from_cache(*keys)
        if self.overrides(multi_cached, "get_from_cache"):
            return [MISS if value is None else value for value in values]
        return values
