"""Hold what every command of a cache stands on: options, keys, serializing, deadlines, hooks, and the end.

:class:`Front` is the base of :class:`~aiocache_core.cache.Cache`, which adds the commands.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypedDict, TypeVar
from urllib.parse import SplitResult
from weakref import WeakSet

from aiocache_core import registry, sharing, urls
from aiocache_core._types import MISS, TTL, UNSET, Key, Stored, Unset, seconds
from aiocache_core.backend import Abilities, Backend, Lease
from aiocache_core.disabled import DisabledBackend
from aiocache_core.exceptions import BackendError, BackendUnavailable, CommandTimeout, DecodeError, UnsupportedCommand
from aiocache_core.factory import CacheType
from aiocache_core.flight import Job, Right, SingleFlight, Version
from aiocache_core.hooks import PARAMETERS, Hooks, Plugins, observed
from aiocache_core.keys import text
from aiocache_core.overtaking import Keys, finished
from aiocache_core.serializers import Pipeline, make_steps

if TYPE_CHECKING:
    from concurrent.futures import Future

logger: Final = logging.getLogger("aiocache.core")

T = TypeVar("T")
KeyBuilder = Callable[..., Any]
Timeout = TTL | Unset


class FrontOptions(TypedDict, total=False):
    """Name the options that every cache takes, whatever its store."""

    serializer: Any
    plugins: Iterable[Any] | None
    namespace: str | None
    key_builder: KeyBuilder | None
    timeout: float | str | None
    ttl: TTL | str


class Front(metaclass=CacheType):
    """Be a cache but for its commands."""

    backend_class: ClassVar[type[Backend]]
    """The store's class."""

    profiling: dict[str, Any]
    """Times of the commands; filled by ``TimingPlugin``."""
    hit_miss_ratio: dict[str, Any]
    """Hits among the keys read; filled by ``HitMissRatioPlugin``."""

    def __init__(
        self,
        cache_class: str | type[Any] = "memory",
        *,
        serializer: Any = None,
        plugins: Iterable[Any] | None = None,
        namespace: str | None = None,
        key_builder: KeyBuilder | None = None,
        timeout: float | str | None = 5,
        ttl: TTL | str = None,
        **options: Any,
    ) -> None:
        """Make a cache; see the class. Raises ``TypeError`` for an option that the store does not know."""
        self.backend: Backend = self._backend(options)
        self.namespace: str | None = namespace_text(namespace)
        self.timeout = _number(timeout)
        self.ttl = _number(ttl)
        self._enabled = os.environ.get("AIOCACHE_DISABLE") != "1"
        self._pending: dict[asyncio.Timeout, asyncio.AbstractEventLoop] = {}
        self._closing: set[asyncio.Timeout] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._trouble: dict[str, type[BaseException]] = {}
        self._flights = SingleFlight()
        self._joined: WeakSet[SingleFlight] = WeakSet([self._flights])
        self.own_keys: bool = False
        """True if finished keys come from a builder of the user's."""
        if key_builder is not None:
            self._take_builder(key_builder)
        elif type(self).build_key is not Front.build_key:
            self._take_builder(type(self).build_key.__get__(self))
        self._hooks: Hooks | None = None
        self._plugins = Plugins([registry.build("plugins", plugin) for plugin in plugins or ()], self._arrange)
        self.serializer = self.backend.abilities.default_serializer if serializer is None else serializer

    # -- construction ----------------------------------------------------------------------------------------------

    @classmethod
    def parse_url(cls, parts: SplitResult) -> dict[str, Any]:
        """Return the options that a URL holds; a store whose URLs say more overrides this."""
        return urls.options(parts, cls.backend_class)

    @classmethod
    def options(cls) -> Mapping[str, inspect.Parameter]:
        """Return the options of the store by name."""
        return inspect.signature(cls.backend_class).parameters

    @classmethod
    def _backend(cls, options: dict[str, Any]) -> Backend:
        backend_class = getattr(cls, "backend_class", None)
        if backend_class is None:
            message = f"{cls.__name__} has no backend_class; a subclass of Cache must name its store's class there"
            raise TypeError(message)
        known = cls.options()
        unknown = sorted(set(options) - set(known))
        if unknown and not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
            usable = ", ".join([*FrontOptions.__annotations__, *known])
            message = f"{cls.__name__} got an unexpected option {unknown[0]!r}; it takes: {usable}"
            raise TypeError(message)
        defaults = {
            name: parameter.default for name, parameter in known.items() if parameter.default is not parameter.empty
        }
        return sharing.backend(cls.backend_class, {**defaults, **options})

    # -- what can be assigned ----------------------------------------------------------------------------------------

    @property
    def abilities(self) -> Abilities:
        """What the store can do."""
        return self.backend.abilities

    @property
    def serializer(self) -> Any:
        """The serializer, or the list of them, that turns values into what the store holds and back."""
        steps = self._pipeline.steps
        return steps[0] if len(steps) == 1 else list(steps)

    @serializer.setter
    def serializer(self, serializer: Any) -> None:
        self._pipeline = Pipeline(make_steps(serializer), stores_objects=self.backend.abilities.stores_objects)
        self._arrange()

    @property
    def plugins(self) -> Any:
        """The plugins, in the order in which their hooks are awaited; a list that may be changed."""
        return self._plugins

    @plugins.setter
    def plugins(self, plugins: Any) -> None:
        self._plugins = Plugins([registry.build("plugins", plugin) for plugin in plugins or ()], self._arrange)
        self._arrange()

    @property
    def enabled(self) -> bool:
        """False while the cache is switched off: commands answer as an empty store, decorated functions are called.

        True at first, unless the environment says ``AIOCACHE_DISABLE=1`` when the cache is made.
        """
        return self._enabled

    @enabled.setter
    def enabled(self, enabled: bool) -> None:
        self._enabled = bool(enabled)
        self._arrange()

    @property
    def ttl(self) -> float | None:
        """The seconds that entries live unless a command says otherwise; None for no expiry."""
        return self._ttl

    @ttl.setter
    def ttl(self, ttl: TTL) -> None:
        self._ttl = seconds(ttl)

    @property
    def timeout(self) -> float | None:
        """The seconds within which a command answers or raises ``CommandTimeout``; None for no limit."""
        return self._timeout

    @timeout.setter
    def timeout(self, timeout: TTL) -> None:
        self._timeout = seconds(timeout, "timeout")

    def _arrange(self) -> None:
        """Fit the paths of the commands to the present store, serializer and plugins."""
        self._store: Backend = self.backend if self._enabled else DisabledBackend(self.backend)
        self._local = self._store.abilities.local or not self._enabled
        self._plain = self._pipeline.plain
        self._lookup = self._store.lookup if self._store.abilities.local else None
        for name in PARAMETERS:
            vars(self).pop(name, None)
        self._hooks = Hooks(self._plugins) if len(self._plugins) else None
        if self._hooks is not None:
            for name in PARAMETERS:
                vars(self)[name] = observed(self, name, getattr(self, name), self._hooks)

    # -- keys ----------------------------------------------------------------------------------------------------------

    @property
    def build_key(self) -> Callable[..., Key]:
        """The function that gives a key and a namespace their finished key; assign another to replace the rule.

        The finished key is the key's text, or ``(namespace, text)``; an own builder gives the text, and ``clear`` of a
        namespace is then not possible.
        """
        return self._public_key

    @build_key.setter
    def build_key(self, builder: KeyBuilder) -> None:
        self._take_builder(builder)

    @build_key.deleter
    def build_key(self) -> None:
        vars(self).pop("_finish", None)
        self.own_keys = False

    def _public_key(self, key: object, namespace: str | None = None) -> Key:
        return self._finish(key, namespace)

    def _take_builder(self, builder: KeyBuilder) -> None:
        def finish(key: object, namespace: str | None) -> Key:
            return text(builder(key, namespace=self.namespace if namespace is None else namespace))

        self.own_keys = True
        vars(self)["_finish"] = finish

    def _finish(self, key: object, namespace: str | None) -> Key:
        namespace = self.namespace if namespace is None else namespace_text(namespace)
        name = key if type(key) is str else text(key)
        return (namespace, name) if namespace else name

    # -- computed values (for get_or_set and the decorators) ---------------------------------------------------------------

    def single_flight(self) -> SingleFlight:
        """Return the computations of one decorated function over this cache; ``close`` finishes their stores."""
        flights = SingleFlight()
        self._joined.add(flights)
        return flights

    def check_lease(self, lease: float | None) -> None:
        """Raise ``UnsupportedCommand`` if a lease is asked for and the store has none."""
        if lease and not self.abilities.leases:
            message = f"{type(self.backend).__name__} has no leases; leave lease= out to compute once in each process"
            raise UnsupportedCommand(message)

    async def read(self, get: Callable[[], Awaitable[Any]]) -> tuple[Any, bool]:
        """Read for a caller who can compute: return the value or MISS, and whether the store can be used at all."""
        try:
            value = await get()
        except DecodeError as error:
            self.failed("read", error)
            return MISS, True
        except BackendError as error:
            self.failed("read", error)
            return MISS, False
        except Exception as error:  # noqa: BLE001 - a hook's, or a serializer's: a broken cache never breaks a call
            self.failed("read", error)
            return MISS, True
        self._works("read")
        return value, True

    def job(
        self,
        finished_keys: list[Key],
        compute: Callable[[], Awaitable[T]],
        store: Callable[[T, Right, Collection[Key]], Awaitable[None]],
        *,
        timeout: Timeout = UNSET,
        lease: float | None = None,
        fresh: bool = False,
        again: bool = False,
    ) -> Job[T]:
        """Return the job of computing the value of a key (or several) and storing it in this cache."""
        return Job(
            backend=self.backend,
            keys=finished_keys,
            compute=compute,
            store=store,
            loads=lambda stored: self._pipeline.loads(stored, finished_keys[0], None),
            within=lambda operation: self.within(operation, timeout),
            lease=None if self.abilities.local else lease,  # one process: the single flight is enough
            fresh=fresh,
            again=again and not fresh,
            failed=partial(self.failed, "computation"),
        )

    async def fill(
        self,
        right: Right,
        key: object,
        value: Any,
        ttl: float | None,
        namespace: str | None,
        timeout: Timeout = UNSET,
    ) -> None:
        """Store a computed value if its right still holds, told to hooks as ``set``; an error is logged, not raised."""
        store: Callable[..., Awaitable[bool]] = partial(self._fill, right)
        if self._hooks is not None:
            store = observed(self, "set", store, self._hooks)
        try:
            await store(key, value, ttl=ttl, namespace=namespace, timeout=timeout)
        except Exception as error:  # noqa: BLE001 - a broken cache never breaks a call
            self.failed("store", error)
        else:
            self._works("store")

    async def _fill(
        self, right: Right, key: object, value: Any, ttl: float | None, namespace: str | None, timeout: Timeout
    ) -> bool:
        finished_key = self._finish(key, namespace)
        stored = self.dumps(value, finished_key, None)
        if isinstance(right, Lease):
            return await self.within(self._store.store_leased(right, stored, ttl), timeout)
        if isinstance(right, Version):
            return await self.within(self._store.cas(finished_key, right.version, stored, ttl), timeout)
        await self.within(self._store.set(finished_key, stored, ttl), timeout)
        return True

    async def fill_many(
        self, pairs: list[tuple[str, Any]], ttl: float | None, namespace: str | None, timeout: Timeout = UNSET
    ) -> None:
        """Store computed values, told to hooks as ``multi_set``; an error is logged, not raised."""

        async def store(pairs: list[tuple[str, Any]], ttl: float | None, namespace: str | None) -> bool:
            finished_keys = [(self._finish(key, namespace), value) for key, value in pairs]
            ready = [(key, self.dumps(value, key)) for key, value in finished_keys]
            await self.within(self._store.multi_set(ready, ttl), timeout)
            return True

        told = store if self._hooks is None else observed(self, "multi_set", store, self._hooks)
        try:
            await told(pairs, ttl=ttl, namespace=namespace)
        except Exception as error:  # noqa: BLE001 - a broken cache never breaks a call
            self.failed("store", error)
        else:
            self._works("store")

    def failed(self, where: str, error: BaseException) -> None:
        """Log an error of the store that a caller does not see, once for each change of its kind."""
        if self._trouble.get(where) is not type(error):
            self._trouble[where] = type(error)
            logger.warning("%r: %s failed, going on without: %s: %s", self, where, type(error).__name__, error)

    def _works(self, where: str) -> None:
        if self._trouble and self._trouble.pop(where, None) is not None:
            logger.warning("%r: %s works again", self, where)

    # -- how commands reach the store ----------------------------------------------------------------------------------------

    def dumps(self, value: Any, finished_key: Key, dumps_fn: Callable[[Any], Any] | None = None) -> Stored:
        """Return what the store holds for a value."""
        if value is MISS:
            message = "MISS stands for a missing entry and cannot be stored; delete the key, or store None"
            raise TypeError(message)
        if self._plain and dumps_fn is None:
            return value
        return self._pipeline.dumps(value, finished_key, dumps_fn)

    async def write(self, keys: Keys, operation: Coroutine[Any, Any, T], timeout: Timeout = UNSET) -> T:
        """Await a write so that it overtakes the computations of its keys; see :mod:`aiocache_core.overtaking`."""
        flights = self._store.flights
        stores = flights.begin_write(keys)
        try:
            return await self.within(_after(stores, operation) if stores else operation, timeout)
        finally:
            flights.end_write(keys)

    async def within(self, operation: Coroutine[Any, Any, T], timeout: Timeout = UNSET) -> T:
        """Await an operation of the store within the deadline; the one place that knows of deadlines and of ``close``."""
        try:
            limit = self._timeout if timeout is UNSET else seconds(timeout, "timeout")
        except (TypeError, ValueError):
            operation.close()
            raise
        if self._local:
            return await operation
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            sharing.use(self.backend, self)
            self._loop = loop
        scope = asyncio.timeout(limit)
        self._pending[scope] = loop
        try:
            async with scope:
                return await operation
        except TimeoutError as error:
            if not scope.expired():
                raise
            told = getattr(operation, "__name__", "a command")
            if scope in self._closing:
                message = f"{self!r} was closed while {told} was pending"
                raise BackendUnavailable(message) from error
            message = f"{self!r} did not finish {told} within {limit:g} s"
            raise CommandTimeout(message) from error
        finally:
            del self._pending[scope]
            self._closing.discard(scope)

    # -- the end -----------------------------------------------------------------------------------------------------------

    async def close(self, *, timeout: Timeout = UNSET) -> None:
        """End this cache's pending commands in this loop and close its connections, unless another cache uses them.

        Background stores are finished first. The cache can be used again afterwards, and a memory cache keeps its entries;
        closing twice does no harm.
        """
        loop = asyncio.get_running_loop()
        limit = self._timeout if timeout is UNSET else seconds(timeout, "timeout")
        background = [task for flights in self._joined for task in flights.background if task.get_loop() is loop]
        if background:
            await asyncio.wait(background, timeout=limit)
        for scope in [scope for scope, owner in list(self._pending.items()) if owner is loop and not scope.expired()]:
            self._closing.add(scope)
            scope.reschedule(loop.time())
        self._loop = None
        if sharing.leave(self.backend, self):
            await self.backend.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @asynccontextmanager
    async def get_connection(self) -> AsyncGenerator[Self]:
        """Give the cache itself: connections are the store's matter (kept from aiocache 0.12)."""
        yield self

    async def acquire_conn(self) -> Self:
        """Return the cache itself (kept from aiocache 0.12)."""
        return self

    async def release_conn(self, conn: object) -> None:
        """Do nothing (kept from aiocache 0.12)."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def __reduce__(self) -> Any:
        message = f"a {type(self).__name__} cannot be pickled or deep-copied; build it again from its configuration"
        raise TypeError(message)

    def __deepcopy__(self, memo: object) -> Any:
        return self.__reduce__()


def _after(stores: list[Future[None]], operation: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
    """Return a coroutine that waits for stores before the operation, and bears its name for the errors that tell it."""

    async def wait() -> T:
        try:
            await finished(stores)
        except BaseException:
            operation.close()
            raise
        return await operation

    waiting: Any = wait()
    waiting.__name__ = getattr(operation, "__name__", "a command")
    return waiting  # type: ignore[no-any-return]  # a coroutine, whose name mypy does not know


def namespace_text(namespace: object) -> str | None:
    """Return a namespace that is text or None. Raises ``TypeError`` for anything else."""
    if namespace is None or isinstance(namespace, str):
        return namespace
    message = f"a namespace must be a str or None, not {namespace!r} ({type(namespace).__name__})"
    raise TypeError(message)


def _number(option: Any) -> Any:
    """Return a number that was given as a string, as in a URL or a configuration of aiocache 0.12."""
    return float(option) if isinstance(option, str) else option
