"""Let plugins observe the commands of a cache: before, after, and when one fails.

A plugin is an object with coroutine methods marked :data:`hookimpl`: ``pre_command``, ``post_command``, ``command_error``; each
takes the same :class:`Command`, or no argument. pluggy registers and checks them once, when plugins are given to a cache; from
then on they are awaited directly, in the order of the plugins, in the caller's own task. Hooks observe, they change nothing.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableSequence
from typing import Any, ClassVar, Final, Self, TypeVar, overload
from weakref import WeakMethod

import pluggy

from aiocache_core._types import MISS

logger: Final = logging.getLogger("aiocache.core")

T = TypeVar("T")
Hook = Callable[["Command"], Awaitable[None]]

hookspec: Final = pluggy.HookspecMarker("aiocache")
hookimpl: Final = pluggy.HookimplMarker("aiocache")
"""Mark a coroutine method of a plugin as an implementation of one of the hooks in :class:`Hooks`."""

PARAMETERS: Final[dict[str, tuple[str, ...]]] = {
    "add": ("key", "value", "ttl", "dumps_fn", "namespace", "timeout"),
    "get": ("key", "default", "loads_fn", "namespace", "timeout"),
    "multi_get": ("keys", "loads_fn", "namespace", "default", "timeout"),
    "set": ("key", "value", "ttl", "dumps_fn", "namespace", "timeout"),
    "multi_set": ("pairs", "ttl", "dumps_fn", "namespace", "timeout"),
    "delete": ("key", "namespace", "timeout"),
    "multi_delete": ("keys", "namespace", "timeout"),
    "exists": ("key", "namespace", "timeout"),
    "expire": ("key", "ttl", "namespace", "timeout"),
    "expires_in": ("key", "namespace", "timeout"),
    "increment": ("key", "delta", "namespace", "ttl", "timeout"),
    "clear": ("namespace", "timeout"),
    "raw": ("command",),
}
"""The commands that hooks are told of, each with the names of its parameters in order."""

FOUND: Final[dict[str, Callable[[Any], int]]] = {
    "get": lambda result: result is not MISS,
    "multi_get": lambda result: sum(value is not MISS for value in result),
    "delete": int,
    "multi_delete": int,
    "exists": int,
    "expire": int,
    "expires_in": lambda result: result is not MISS,
}
"""How many entries a command has found, by its result."""


class Command:
    """Tell what a command is, and once it has run, what came of it. Plugins read it; ``slots`` alone is theirs to write."""

    __slots__ = ("args", "cache", "error", "hits", "kwargs", "name", "result", "slots", "took")

    def __init__(self, cache: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.cache: Any = cache
        """The cache whose command this is."""
        self.name: str = name
        """The command, such as ``"get"``; the reads and stores of decorators are told as ``get`` and ``set``."""
        self.args: tuple[Any, ...] = args
        """The positional arguments as the caller gave them."""
        self.kwargs: dict[str, Any] = kwargs
        """The keyword arguments as the caller gave them."""
        self.hits: int | None = None
        """How many entries the store had, or None where that has no meaning."""
        self.result: Any = None
        """What the command returns, once it has run."""
        self.error: BaseException | None = None
        """Why the command failed; a timeout and a cancellation count."""
        self.took: float = 0.0
        """The seconds it took, hooks not counted."""
        self.slots: dict[Any, Any] = {}
        """A place for what a plugin needs from one hook to the next, by a key of its own (the plugin itself, say)."""

    @property
    def arguments(self) -> dict[str, Any]:
        """All arguments by the names of the command's parameters."""
        return dict(zip(PARAMETERS[self.name], self.args, strict=False)) | self.kwargs

    @property
    def key(self) -> Any:
        """The key as the caller gave it, None for a command of several keys or none."""
        return self.arguments.get("key")

    @property
    def keys(self) -> list[Any]:
        """The keys as the caller gave them."""
        arguments = self.arguments
        if "key" in arguments:
            return [arguments["key"]]
        if "pairs" in arguments:
            return [key for key, _ in arguments["pairs"]]
        return list(arguments.get("keys", ()))

    @property
    def value(self) -> Any:
        """The value to be stored, or None."""
        return self.arguments.get("value")

    @property
    def ttl(self) -> Any:
        """The ttl (s) of this call, or the cache's."""
        return self.arguments.get("ttl", self.cache.ttl)

    @property
    def namespace(self) -> str | None:
        """The namespace of this call, or the cache's."""
        given: str | None = self.arguments.get("namespace")
        return self.cache.namespace if given is None else given

    def __repr__(self) -> str:
        return f"<Command {self.name} keys={self.keys!r}>"


class Specifications:
    """Specify the hooks; each implementation is a coroutine that takes ``command``, or nothing."""

    @hookspec
    async def pre_command(self, command: Command) -> None:
        """Be told that a command begins. Raising here stops it."""

    @hookspec
    async def post_command(self, command: Command) -> None:
        """Be told that a command has run; ``result``, ``hits`` and ``took`` are set."""

    @hookspec
    async def command_error(self, command: Command) -> None:
        """Be told that a command whose ``pre_command`` has run failed; ``error`` and ``took`` are set."""


class Hooks:
    """Hold the hooks of a cache's plugins, one place in each tuple for each plugin, in the plugins' order."""

    def __init__(self, plugins: Iterable[object]) -> None:
        manager = pluggy.PluginManager("aiocache")
        manager.add_hookspecs(Specifications)
        members = list(plugins)
        for position, plugin in enumerate(members):
            if isinstance(plugin, type):
                message = f"plugins takes instances, got the class {plugin.__name__}; have you forgotten the ()?"
                raise TypeError(message)
            manager.register(plugin, name=f"{position}")
        manager.check_pending()
        self.pre: tuple[Hook | None, ...] = self._in_order(manager.hook.pre_command, members)
        self.post: tuple[Hook | None, ...] = self._in_order(manager.hook.post_command, members)
        self.error: tuple[Hook | None, ...] = self._in_order(manager.hook.command_error, members)

    @staticmethod
    def _in_order(caller: pluggy.HookCaller, plugins: list[object]) -> tuple[Hook | None, ...]:
        found: dict[int, Hook] = {}
        for implementation in caller.get_hookimpls():
            function = implementation.function
            told = f"{type(implementation.plugin).__name__}.{caller.name}"
            if not inspect.iscoroutinefunction(function):
                message = f"{told} must be a coroutine function: write 'async def {caller.name}(self, command)'"
                raise TypeError(message)
            if implementation.hookwrapper or implementation.wrapper:
                message = (
                    f"{told} is marked as a wrapper; hooks observe: use pre_command, post_command and command_error"
                )
                raise TypeError(message)
            found[id(implementation.plugin)] = function if implementation.argnames else _without_argument(function)
        return tuple(found.get(id(plugin)) for plugin in plugins)


def _without_argument(function: Callable[[], Awaitable[None]]) -> Hook:
    return lambda _: function()


def observed(cache: Any, name: str, command: Callable[..., Awaitable[T]], hooks: Hooks) -> Callable[..., Awaitable[T]]:
    """Return a command of a cache with its hooks around it."""
    count = FOUND.get(name)
    reads = "default" in PARAMETERS[name]

    async def run(*args: Any, **kwargs: Any) -> Any:
        told = Command(cache, name, args, kwargs)
        begun = 0
        started = time.perf_counter()
        try:
            for hook in hooks.pre:
                if hook is not None:
                    await hook(told)
                begun += 1
            started = time.perf_counter()
            result: Any = await (_read(command, told) if reads else command(*args, **kwargs))
        except BaseException as error:
            told.took = time.perf_counter() - started
            told.error = error
            await _tell_error(hooks.error[:begun], told)
            raise
        told.took = time.perf_counter() - started
        if count is not None:
            told.hits = count(result)
        told.result = (
            _with_default(result, told.arguments.get("default"), many=name == "multi_get") if reads else result
        )
        for hook in hooks.post:
            if hook is not None:
                await hook(told)
        return told.result

    return run


def _read(command: Callable[..., Awaitable[T]], told: Command) -> Awaitable[T]:
    """Call a reading command so that its misses can be told from stored values."""
    if len(told.args) == 1 and not told.kwargs:
        return command(told.args[0], default=MISS)
    return command(**{**told.arguments, "default": MISS})


def _with_default(result: Any, default: Any, *, many: bool) -> Any:
    if many:
        return [default if value is MISS else value for value in result]
    return default if result is MISS else result


async def _tell_error(hooks: Iterable[Hook | None], command: Command) -> None:
    """Tell of a failed command; a hook that fails too is logged, so that the command's own error reaches the caller."""
    for hook in hooks:
        if hook is not None:
            try:
                await hook(command)
            except Exception:
                logger.exception("a command_error hook failed while %s was failing", command.name)


class Plugins(MutableSequence[Any]):
    """Be a cache's list of plugins, and say when it changes."""

    def __init__(self, plugins: Iterable[object], changed: Callable[[], None]) -> None:
        self._plugins = list(plugins)
        self._changed = WeakMethod(changed)  # a cache without hooks is freed as soon as it is dropped

    def _tell(self) -> None:
        changed = self._changed()
        if changed is not None:
            changed()

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return self._plugins[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self._plugins[index] = value
        self._tell()

    def __delitem__(self, index: int | slice) -> None:
        del self._plugins[index]
        self._tell()

    def __len__(self) -> int:
        return len(self._plugins)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._plugins)

    def insert(self, index: int, value: Any) -> None:
        """Put a plugin before the one at ``index``."""
        self._plugins.insert(index, value)
        self._tell()

    def __iadd__(self, plugins: Iterable[Any]) -> Self:
        self.extend(plugins)
        return self

    def __eq__(self, other: object) -> bool:
        return self._plugins == (other._plugins if isinstance(other, Plugins) else other)

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # a list has none either

    def __repr__(self) -> str:
        return repr(self._plugins)
