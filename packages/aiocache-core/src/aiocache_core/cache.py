"""Be the front of every store: its commands, and the interface's answers to what the store says.

The path of a command is the same everywhere: finish the key, ask the backend within the deadline, decode. A store that never
waits (memory) is asked by a plain function, without another coroutine.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, overload

from aiocache_core import registry, urls
from aiocache_core._types import MISS, TTL, UNSET, Key, Miss, Stored, Unset, seconds
from aiocache_core.backend import Backend
from aiocache_core.exceptions import UnsupportedCommand
from aiocache_core.factory import CacheName, class_of
from aiocache_core.flight import Right
from aiocache_core.front import Front, Timeout, namespace_text
from aiocache_core.memory import MemoryBackend
from aiocache_core.overtaking import Namespace, Prefix

T = TypeVar("T")


class Cache(Front):
    """Be an asyncio cache over one store.

    ``Cache("redis", **options)``, ``Cache(RedisCache, …)``, ``Cache.from_url("redis://…")`` and ``RedisCache(…)`` are the same;
    ``Cache()`` is in memory, unbounded unless told (``max_entries``). Options of every cache:

    - ``serializer``: an instance, class, name (``"json"``, ``"pickle"``, …) or a list of these; the store's own by default.
    - ``plugins``: a list of instances (or names) whose hooks observe the commands.
    - ``namespace``: text that sets this cache's keys apart; None or "" for none.
    - ``key_builder(key, namespace)``: gives the finished key instead of the namespace rule.
    - ``timeout``: the seconds within which every command answers or raises ``CommandTimeout``; None or 0 for no limit.
    - ``ttl``: the seconds that entries live unless the command says otherwise; None, 0 or infinity for no expiry.

    All other options are the store's, and readable as attributes. Making a cache connects to nothing and needs no loop.
    Every command takes ``namespace`` (None: the cache's own, "": none) and ``timeout`` (s). Errors of the store are
    ``BackendError``, among them ``BackendUnavailable`` and its ``CommandTimeout``.
    """

    names_others: ClassVar[bool] = True
    """True for this class alone: called, it gives an object of the class asked for."""

    MEMORY: Final = CacheName("memory")
    REDIS: Final = CacheName("redis")
    MEMCACHED: Final = CacheName("memcached")

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Any:
        """Make a cache from a URL such as ``redis://user:password@host:6379/1?pool_max_size=10``.

        The scheme is the name of the cache; the query holds its options, which ``options`` override. User and password are
        percent-decoded. Raises ``InvalidCacheType`` for an unknown scheme, ``TypeError`` for an unknown option.
        """
        parts = urls.split(url)
        chosen = cls.get_scheme_class(parts.scheme) if cls.__dict__.get("names_others") else cls
        return chosen(**{**chosen.parse_url(parts), **options})

    @classmethod
    def get_scheme_class(cls, scheme: str) -> Any:
        """Return the cache class of a URL's scheme. Raises ``InvalidCacheType`` if there is none."""
        return class_of(Cache, registry.resolve_scheme(scheme))

    def _arrange(self) -> None:
        super()._arrange()
        unheard = self._plain and self._hooks is None and type(self).get is Cache.get
        self.lookup: Callable[[Key], Any] | None = self._lookup if unheard else None
        """Reads an entry by its finished key without a coroutine; None where anybody listens or the store can wait."""

    # -- commands --------------------------------------------------------------------------------------------------------

    async def get(
        self,
        key: object,
        default: Any = None,
        loads_fn: Callable[[Any], Any] | None = None,
        namespace: str | None = None,
        *,
        timeout: Timeout = UNSET,
    ) -> Any:
        """Return the value of a key, or ``default`` on a miss; a stored None is a value.

        ``loads_fn`` takes the (first) serializer's place. Raises ``DecodeError`` for what cannot be decoded.
        """
        finished_key = self._finish(key, namespace)
        if self._lookup is not None:
            if timeout is not UNSET:
                seconds(timeout, "timeout")
            stored = self._lookup(finished_key)
        else:
            stored = await self.within(self._store.get(finished_key), timeout)
        if stored is MISS:
            return default
        if self._plain and loads_fn is None:
            return stored
        return self._pipeline.loads(stored, finished_key, loads_fn)

    async def multi_get(
        self,
        keys: Iterable[object],
        loads_fn: Callable[[Any], Any] | None = None,
        namespace: str | None = None,
        *,
        default: Any = None,
        timeout: Timeout = UNSET,
    ) -> list[Any]:
        """Return the values of keys in order, ``default`` for each miss (pass ``MISS`` to tell it from a stored None).

        Keys may repeat; no keys give an empty list.
        """
        finished_keys = [self._finish(key, namespace) for key in keys]
        if not finished_keys:
            return []
        if self._lookup is not None:
            if timeout is not UNSET:
                seconds(timeout, "timeout")
            found = list(map(self._lookup, finished_keys))
        else:
            found = await self.within(self._store.multi_get(finished_keys), timeout)
        loads = self._pipeline.loads
        return [
            default if stored is MISS else loads(stored, key, loads_fn)
            for key, stored in zip(finished_keys, found, strict=True)
        ]

    async def set(
        self,
        key: object,
        value: Any,
        ttl: TTL | Unset = UNSET,
        dumps_fn: Callable[[Any], Any] | None = None,
        namespace: str | None = None,
        *,
        timeout: Timeout = UNSET,
    ) -> bool:
        """Store a value, for ``ttl`` seconds (the cache's ttl if not given); return True.

        ``dumps_fn`` takes the (first) serializer's place. Raises ``ValueTooLarge`` if the store takes no value so large.
        """
        finished_key = self._finish(key, namespace)
        stored = self.dumps(value, finished_key, dumps_fn)
        lives = self._ttl if ttl is UNSET else seconds(ttl)
        if self._lookup is not None and timeout is UNSET and not self._store.flights:
            self._store.assign(finished_key, stored, lives)
        else:
            await self.write((finished_key,), self._store.set(finished_key, stored, lives), timeout)
        return True

    async def multi_set(
        self,
        pairs: Iterable[tuple[object, Any]] | Mapping[Any, Any],
        ttl: TTL | Unset = UNSET,
        dumps_fn: Callable[[Any], Any] | None = None,
        namespace: str | None = None,
        *,
        timeout: Timeout = UNSET,
    ) -> bool:
        """Store pairs of key and value with one ttl (s); return True. Not atomic: when it raises, some may be stored."""
        lives = self._ttl if ttl is UNSET else seconds(ttl)
        ready: list[tuple[Key, Stored]] = []
        for key, value in pairs.items() if isinstance(pairs, Mapping) else pairs:
            finished_key = self._finish(key, namespace)
            ready.append((finished_key, self.dumps(value, finished_key, dumps_fn)))
        if ready:
            await self.write(dict(ready), self._store.multi_set(ready, lives), timeout)
        return True

    async def add(
        self,
        key: object,
        value: Any,
        ttl: TTL | Unset = UNSET,
        dumps_fn: Callable[[Any], Any] | None = None,
        namespace: str | None = None,
        *,
        timeout: Timeout = UNSET,
    ) -> bool:
        """Store a value only if the key is missing, atomically; return True. Raises ``ValueError`` if the key exists."""
        finished_key = self._finish(key, namespace)
        stored = self.dumps(value, finished_key, dumps_fn)
        lives = self._ttl if ttl is UNSET else seconds(ttl)
        if not await self.write((finished_key,), self._store.add(finished_key, stored, lives), timeout):
            message = f"Key {key!r} already exists, use .set to update the value"
            raise ValueError(message)
        return True

    async def delete(self, key: object, namespace: str | None = None, *, timeout: Timeout = UNSET) -> int:
        """Remove a key; return the number of entries removed, 0 on a miss."""
        finished_key = self._finish(key, namespace)
        return int(await self.write((finished_key,), self._store.delete(finished_key), timeout))

    async def multi_delete(
        self, keys: Iterable[object], namespace: str | None = None, *, timeout: Timeout = UNSET
    ) -> int:
        """Remove keys; return the number of entries removed."""
        finished_keys = dict.fromkeys(self._finish(key, namespace) for key in keys)
        if not finished_keys:
            return 0
        return await self.write(finished_keys, self._store.multi_delete(finished_keys), timeout)

    async def exists(self, key: object, namespace: str | None = None, *, timeout: Timeout = UNSET) -> bool:
        """Return True if the key has a value."""
        return await self.within(self._store.exists(self._finish(key, namespace)), timeout)

    async def expire(self, key: object, ttl: TTL, namespace: str | None = None, *, timeout: Timeout = UNSET) -> bool:
        """Give an entry a new ttl (s), None or 0 for no expiry; return True if it was there."""
        finished_key = self._finish(key, namespace)
        return await self.within(self._store.expire(finished_key, seconds(ttl)), timeout)

    async def expires_in(
        self, key: object, namespace: str | None = None, *, timeout: Timeout = UNSET
    ) -> float | Miss | None:
        """Return the seconds an entry has left, None without expiry, ``MISS`` for a missing key.

        Raises ``UnsupportedCommand`` where the store cannot tell.
        """
        return await self.within(self._store.expires_in(self._finish(key, namespace)), timeout)

    async def increment(
        self,
        key: object,
        delta: int = 1,
        namespace: str | None = None,
        *,
        ttl: TTL | Unset = UNSET,
        timeout: Timeout = UNSET,
    ) -> int:
        """Add to a counter atomically and return the result; a missing one begins at ``delta`` and gets the ttl (s).

        Raises ``TypeError`` if delta or the entry is no integer, ``OverflowError`` past signed 64 bits (nothing is changed).
        """
        if isinstance(delta, bool) or not isinstance(delta, int):
            message = f"increment takes an integer delta, not {delta!r} ({type(delta).__name__})"
            raise TypeError(message)
        if not -(2**63) <= delta < 2**63:
            message = f"increment by {delta} leaves the range of signed 64 bits; nothing was changed"
            raise OverflowError(message)
        finished_key = self._finish(key, namespace)
        lives = self._ttl if ttl is UNSET else seconds(ttl)
        return await self.write((finished_key,), self._store.increment(finished_key, delta, lives), timeout)

    async def clear(self, namespace: str | None = None, *, timeout: Timeout = UNSET) -> bool:
        """Remove every entry of the namespace, and of no other; a cache without a namespace clears its store.

        Returns True. Raises ``UnsupportedCommand`` for a namespace if the cache has its own key builder.
        """
        name = (self.namespace if namespace is None else namespace_text(namespace)) or None
        if name is not None and self.own_keys:
            message = (
                f"clear() of namespace {name!r} is not possible with an own key builder; delete the keys one by one"
            )
            raise UnsupportedCommand(message)
        await self.write(Namespace(name), self._store.clear(name), timeout)
        return True

    async def clear_prefix(self, prefix: str, namespace: str | None = None, *, timeout: Timeout = UNSET) -> bool:
        """Remove the entries of the namespace (a cache without one: of those without) whose keys begin with a prefix.

        Returns True. Raises ``UnsupportedCommand`` if the store cannot list its keys, or the cache has its own key builder.
        """
        name = (self.namespace if namespace is None else namespace_text(namespace)) or None
        if self.own_keys:
            message = "clear_prefix() is not possible with an own key builder; delete the keys one by one"
            raise UnsupportedCommand(message)

        async def remove() -> None:
            async for keys in self._store.scan(name, prefix):
                await self._store.multi_delete(keys)

        await self.write(Prefix(name, prefix), remove(), timeout)
        return True

    async def raw(self, command: str, *args: Any, timeout: TTL | Unset = UNSET, **kwargs: Any) -> Any:
        """Call a method of the store's own client (in memory: of a mapping over the live entries) by its name."""
        return await self.within(self._store.raw(command, *args, **kwargs), timeout)

    @overload
    async def get_or_set(
        self,
        key: object,
        factory: Callable[[], Awaitable[T]],
        ttl: TTL | Unset = ...,
        *,
        namespace: str | None = ...,
        timeout: Timeout = ...,
        lease: float | None = ...,
    ) -> T: ...
    @overload
    async def get_or_set(
        self,
        key: object,
        factory: Callable[[], T],
        ttl: TTL | Unset = ...,
        *,
        namespace: str | None = ...,
        timeout: Timeout = ...,
        lease: float | None = ...,
    ) -> T: ...
    async def get_or_set(
        self,
        key: object,
        factory: Callable[[], Any],
        ttl: TTL | Unset = UNSET,
        *,
        namespace: str | None = None,
        timeout: Timeout = UNSET,
        lease: float | None = None,
    ) -> Any:
        """Return the value of a key; on a miss call ``factory()``, once for all callers that wait, and store what it gives.

        ``factory`` returns the value or an awaitable of it; None is stored too. With ``lease`` (s) all processes compute once.
        When the store is down the factory answers. Raises what the factory raises.
        """
        finished_key = self._finish(key, namespace)
        lives = self._ttl if ttl is UNSET else seconds(ttl)

        async def compute() -> Any:
            result = factory()
            return await result if inspect.isawaitable(result) else result

        if not self._enabled:
            return await compute()
        lease = seconds(lease, "lease")
        self.check_lease(lease)
        ended = self._flights.ended
        value, usable = await self.read(partial(self.get, key, default=MISS, namespace=namespace, timeout=timeout))
        if value is not MISS:
            return value

        async def store(value: Any, right: Right, _: object) -> None:
            await self.fill(right, key, value, lives, namespace, timeout)

        job = self.job([finished_key], compute, store, timeout=timeout, lease=lease, again=self._flights.ended != ended)
        return await self._flights.run(job, wanted=usable)


class MemoryCache(Cache):
    """Be a cache in this process's memory, of the very objects unless a serializer is given.

    ``max_entries`` bounds it (unbounded by default); ``clock`` gives the time (s), monotonic by default. Each object has its
    own entries.
    """

    backend_class: ClassVar[type[Backend]] = MemoryBackend

    if TYPE_CHECKING:
        backend: MemoryBackend  # pyright: ignore[reportIncompatibleVariableOverride] - assigned once, in Front

    def __repr__(self) -> str:
        return f"{type(self).__name__}(max_entries={self.max_entries})"

    @property
    def max_entries(self) -> int | None:
        """The number of entries it holds at most, None for no bound."""
        bound: int | None = self.backend.max_entries
        return bound
