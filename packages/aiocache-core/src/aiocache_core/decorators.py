"""Cache what coroutine functions return: ``cached`` and ``cached_stampede``."""

from __future__ import annotations

import copy
import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, Self, TypeVar, overload

from aiocache_core._types import MISS, TTL, UNSET, Miss, Unset
from aiocache_core.cache import Cache
from aiocache_core.callkeys import CallKeys
from aiocache_core.decorated import USUAL, Bound, Decorated, Switches
from aiocache_core.exceptions import UnsupportedCommand
from aiocache_core.keys import text
from aiocache_core.policy import Policy, plan_of, planned, store_all

if TYPE_CHECKING:
    from aiocache_core.flight import Right

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")


class CachedFunction(Decorated[P, R]):
    """Be a coroutine function whose results are kept in a cache.

    Every method takes the function's own arguments, by position or keyword; on an instance, ``obj.method.invalidate(x)`` knows
    its ``self``. The call-time switches of aiocache 0.12 (``cache_read``, ``cache_write``, ``aiocache_wait_for_write``) work as
    keywords; :meth:`options` is their typed spelling. A value is computed in a task of the cache's, in a copy of the first
    caller's context: ``asyncio.current_task()`` inside the function is that task.
    """

    _policy: cached

    def _arrange(self, cache: Cache) -> None:
        cache.check_lease(self._policy.lease)
        own = self._policy.own_key(self._function)
        self._text: Callable[[tuple[Any, ...], dict[str, Any]], str] = self._keys.key if own is None else own
        self._namespace = self._policy.call_namespace
        self._direct = not self._policy.overrides(cached, "get_from_cache")

    async def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the stored value of this call, or compute it, once for all callers that wait, and store it."""
        switches = self._taken(kwargs) if kwargs else USUAL
        cache = self._cache or self.cache
        lookup = cache.lookup
        if lookup is not None and switches.read and self._direct:
            value = lookup(cache._finish(self._text(args, kwargs), self._namespace))  # build_key, without its cost
            if value is not MISS:
                self._counts.hits += 1
                return value  # type: ignore[no-any-return]  # whatever was stored
        return await self._call(args, kwargs, switches)

    async def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any], switches: Switches) -> R:
        cache, policy = self.cache, self._policy
        if not cache.enabled:
            return await self._compute(args, kwargs)
        key = self._text(args, kwargs)
        finished_key = cache.build_key(key, self._namespace)
        usable = True
        ended = self._flights.ended
        if switches.read:
            value, usable = await cache.read(functools.partial(policy.found, key))
            if value is not MISS:
                self._counts.hits += 1
                return value  # type: ignore[no-any-return]  # whatever was stored
            self._counts.misses += 1
        lives: float | Miss | None = MISS

        async def compute() -> R:
            nonlocal lives
            result = await self._compute(args, kwargs)
            lives = MISS if policy.skip_cache_func(result) else policy.lives(result, args, kwargs)
            return result

        async def store(result: R, right: Right, _: object) -> None:
            if lives is not MISS:
                with planned(right, lives):
                    await policy.set_in_cache(key, result)

        again = self._flights.ended != ended
        job = cache.job([finished_key], compute, store, lease=policy.lease, fresh=not switches.read, again=again)
        wanted = switches.write and usable
        return await self._flights.run(job, wanted=wanted, wait_for_write=switches.wait_for_write)

    def key(self, /, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key of a call, to be passed to :attr:`cache` (before the namespace). Raises ``UnstableKeyError``."""
        return self._key(args, kwargs)

    async def peek(self, /, *args: P.args, **kwargs: P.kwargs) -> R | Miss:
        """Return the stored value of a call, or ``MISS``; nothing is computed, joined or counted. Raises if the store fails."""
        key = self._key(args, kwargs)
        return await self.cache.get(key, default=MISS, namespace=self._namespace)  # type: ignore[no-any-return]  # whatever was stored

    async def invalidate(self, /, *args: P.args, **kwargs: P.kwargs) -> int:
        """Remove the stored value of a call and end a running computation's right to store; return the number removed.

        Raises if the store fails: a lost invalidation is never silent.
        """
        key = self._key(args, kwargs)
        return await self.cache.delete(key, namespace=self._namespace)

    async def clear(self) -> bool:
        """Remove this function's entries and no others; return True.

        Raises ``UnsupportedCommand`` where they cannot be told from others: the store cannot list its keys, or the keys come
        from a key builder.
        """
        cache, policy = self.cache, self._policy
        if policy.key is not None:
            await cache.delete(policy.key, namespace=self._namespace)
        elif policy.own_key(self._function) is None and not cache.own_keys and cache.abilities.scan:
            await cache.clear_prefix(self._keys.prefix, self._namespace)
        else:
            message = (
                f"the entries of {self.__qualname__} cannot be told from others in {cache!r}; "
                f"give it a namespace= of its own and clear that: {self.__name__}.cache.clear()"
            )
            raise UnsupportedCommand(message)
        return True

    def _key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        self.cache  # noqa: B018 - whether an instance can be told apart depends on the store
        return self._text(args, kwargs)

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(self: CachedFunction[Concatenate[S, Q], R], instance: S, owner: type | None = None) -> Bound[Q, R]: ...
    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Bind a method to its instance, a classmethod to its class."""
        return self._bind(instance, owner)


class _ClassMethod(Protocol[Q, R]):
    """Be a decorated classmethod, for type checkers."""

    def __get__(self, instance: object, owner: type | None = None) -> Bound[Q, R]: ...


class _StaticMethod(Protocol[Q, R]):
    """Be a decorated staticmethod, for type checkers."""

    def __get__(self, instance: object, owner: type | None = None) -> CachedFunction[Q, R]: ...


class cached(Policy):  # noqa: N801 - the name that applications know
    """Keep what a coroutine function returns, under a key made of its name and arguments.

    - ``ttl``: seconds, a timedelta, or ``ttl(result, *args, **kwargs)`` giving them (0 or less from a function: do not store);
      the cache's own ttl if not given.
    - ``key``: one key for all calls; ``key_builder(function, *args, **kwargs)``: gives the key of a call; otherwise module,
      qualified name and the bound arguments.
    - ``skip_cache_func(result)``: returns True for what is not to be stored.
    - ``cache``: a name, class, or a Cache object; ``alias``: an alias of ``caches``, looked up at the first call.
      A memory cache made here holds 10,000 entries unless ``max_entries`` says otherwise.
    - ``serializer``, ``plugins``, ``namespace`` and further options are the cache's.
    - ``noself``: leave the first argument (``self``) out of the key.
    - ``lease``: the seconds of the lease under which all processes compute once; needs a store with leases.

    Concurrent callers share one computation. An error of the store is logged and the function called; an error of use (a wrong
    name, option or key) is raised.
    """

    key: str | None

    def __init__(
        self,
        ttl: TTL | Callable[..., TTL] | Unset = UNSET,
        key: object = None,
        namespace: str | None = None,
        key_builder: Callable[..., Any] | None = None,
        skip_cache_func: Callable[[Any], bool] = store_all,
        cache: Any = Cache.MEMORY,
        serializer: Any = None,
        plugins: Any = None,
        alias: str | None = None,
        noself: bool = False,
        *,
        lease: float | None = None,
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
            noself=noself,
            lease=lease,
            options=options,
        )
        self.key = None if key is None or key == "" else text(key)

    if TYPE_CHECKING:

        @overload
        def __call__(self, f: classmethod[Any, Q, Coroutine[Any, Any, R]]) -> _ClassMethod[Q, R]: ...
        @overload
        def __call__(  # type: ignore[overload-overlap]  # a staticmethod is callable, too: the first one that fits is meant
            self,
            f: staticmethod[Q, Coroutine[Any, Any, R]],  # pyright: ignore[reportOverlappingOverload] - the same
        ) -> _StaticMethod[Q, R]: ...
        @overload
        def __call__(self, f: Callable[P, Awaitable[R]]) -> CachedFunction[P, R]: ...

    def __call__(self, f: Any) -> Any:
        """Decorate a function. Raises ``TypeError`` for what cannot be cached, and for an option the cache does not know."""
        own = copy.copy(self)
        decorated: CachedFunction[..., Any] = CachedFunction(own, f)
        self._adopt(own)
        return decorated

    # -- what a subclass may replace -----------------------------------------------------------------------------------

    def get_cache_key(self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """Return the key of a call (before the namespace)."""
        if self.key is not None:
            return self.key
        if self.key_builder is not None:
            return text(self.key_builder(f, *args, **kwargs))
        if isinstance(f, CachedFunction):
            return f.key(*args, **kwargs)
        if self.cache is None:  # nothing was decorated yet
            return CallKeys(f, noself=self.noself).key(args, kwargs)
        return self.function_key(args, kwargs)

    async def get_from_cache(self, key: str) -> Any:
        """Return the stored value of a key, or ``MISS``; a replacement may return None for a miss, as in aiocache 0.12."""
        return await self.cache.get(key, default=MISS, namespace=self.call_namespace)

    async def set_in_cache(self, key: str, value: Any) -> None:
        """Store a computed value, if it still may be stored; errors of the store are logged."""
        right, lives = plan_of(self.cache)
        await self.cache.fill(right, key, value, lives, self.call_namespace)

    # -- how CachedFunction asks ---------------------------------------------------------------------------------------

    def own_key(self, f: Callable[..., Any]) -> Callable[[tuple[Any, ...], dict[str, Any]], str] | None:
        """Return the function that makes keys, or None where they are made of name and arguments."""
        if self.key is None and self.key_builder is None and not self.overrides(cached, "get_cache_key"):
            return None
        return functools.partial(self.get_cache_key, f)

    def apart(self) -> bool:
        """Return True if this function's entries cannot meet those of another of the same name."""
        return (
            bool(self.key is not None or self.key_builder or self.overrides(cached, "get_cache_key")) or super().apart()
        )

    async def found(self, key: str) -> Any:
        """Return the stored value of a key, or MISS; None from a replaced ``get_from_cache`` is a miss."""
        value = await self.get_from_cache(key)
        return MISS if value is None and self.overrides(cached, "get_from_cache") else value


class cached_stampede(cached):  # noqa: N801 - the name that applications know
    """Be ``cached`` with a lease (2 s unless told), so that all processes that share the store compute a missing value once.

    The lease is renewed while the function runs, and passes on when its process dies. With ``lease`` 0 or None, or on a memory
    cache, one process computes once.
    """

    def __init__(self, lease: float | None = 2, **options: Any) -> None:
        """Take the lease (s) and the arguments of ``cached``."""
        super().__init__(lease=lease, **options)
