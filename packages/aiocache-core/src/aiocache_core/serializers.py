"""Turn values into what a store holds and back: the core's serializers, and the pipeline that a cache runs them in."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, ClassVar, Final, Literal, Protocol, TypeAlias

from aiocache_core import records, registry
from aiocache_core._types import Key, Stored
from aiocache_core.exceptions import DecodeError

_NOT_SET: Final[Any] = object()


class Serializer(Protocol):
    """Turn a value into text or bytes and back; ``loads`` never sees a miss."""

    @property
    def encoding(self) -> str | None:
        """What ``loads`` wants: None for bytes, else text that was decoded so; "utf-8" for an object without it."""

    def dumps(self, value: Any, /) -> Any:
        """Return the ``str`` or ``bytes`` to store for a value."""

    def loads(self, stored: Any, /) -> Any:
        """Return the value of what ``dumps`` has given."""


class KeyedSerializer(Protocol):
    """Be a serializer that is told the finished key, so that a value stored for one key is not accepted for another."""

    keyed: Literal[True]

    @property
    def encoding(self) -> str | None:
        """What ``loads`` wants, as in :class:`Serializer`."""

    def dumps(self, value: Any, /, *, key: Key) -> Any:
        """Return the ``str`` or ``bytes`` to store for a value under this key."""

    def loads(self, stored: Any, /, *, key: Key) -> Any:
        """Return the value of what ``dumps`` has given for this key."""


Step: TypeAlias = Serializer | KeyedSerializer


class BaseSerializer:
    """Be the base of serializers. Works in multiple inheritance: arguments it does not know go to the next class.

    ``encoding`` is how stored bytes are decoded before ``loads``, None if it wants the bytes.
    """

    DEFAULT_ENCODING: ClassVar[str | None] = "utf-8"
    encoding: str | None

    def __init__(self, *args: Any, encoding: str | None = _NOT_SET, **kwargs: Any) -> None:
        self.encoding = self.DEFAULT_ENCODING if encoding is _NOT_SET else encoding
        mro = type(self).__mro__
        if (args or kwargs) and mro[mro.index(BaseSerializer) + 1] is object:
            options = ", ".join(kwargs) or f"{len(args)} arguments without a name"
            message = f"{type(self).__name__} does not know these options: {options}"
            raise TypeError(message)
        super().__init__(*args, **kwargs)

    def dumps(self, value: Any, /) -> Any:
        """Return the ``str`` or ``bytes`` to store for a value; subclasses write it."""
        message = f"{type(self).__name__} must define dumps(self, value)"
        raise NotImplementedError(message)

    def loads(self, stored: Any, /) -> Any:
        """Return the value of what ``dumps`` has given; subclasses write it."""
        message = f"{type(self).__name__} must define loads(self, stored)"
        raise NotImplementedError(message)


class NullSerializer(BaseSerializer):
    """Leave values as they are.

    In memory the very object is kept, so that changing it changes what the cache returns. Over a network it takes str,
    bytes and int, and gives str (bytes with ``encoding=None``).
    """

    def dumps(self, value: Any, /) -> Any:
        """Return the value."""
        return value

    def loads(self, stored: Any, /) -> Any:
        """Return what was stored."""
        return stored


class StringSerializer(BaseSerializer):
    """Store ``str(value)``; what comes back is text, whatever the value was."""

    def dumps(self, value: Any, /) -> str:
        """Return the value as text."""
        return str(value)

    def loads(self, stored: Any, /) -> Any:
        """Return the text."""
        return stored


_json_text: Final = json.JSONEncoder(separators=(",", ":")).encode


class JsonSerializer(BaseSerializer):
    """Store JSON, which programs in other languages can read. Tuples come back as lists, and keys of dicts as text."""

    def dumps(self, value: Any, /) -> str:
        """Return compact JSON. Raises ``TypeError`` for a type that JSON does not have."""
        try:
            return _json_text(value)
        except TypeError as error:
            message = f"JSON cannot carry this value ({error}); convert it, or give the cache serializer='pickle'"
            raise TypeError(message) from None

    def loads(self, stored: Any, /) -> Any:
        """Return the value of JSON text; None for None."""
        return None if stored is None else json.loads(stored)


class PickleSerializer(BaseSerializer):
    """Store any Python object by :mod:`pickle`. Whoever can write to the store can then run code in this program."""

    DEFAULT_ENCODING: ClassVar[str | None] = None

    def __init__(self, *args: Any, protocol: int = pickle.DEFAULT_PROTOCOL, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.protocol = protocol

    def dumps(self, value: Any, /) -> bytes:
        """Return the pickled value. Raises what :func:`pickle.dumps` raises for an object that cannot be pickled."""
        return pickle.dumps(value, protocol=self.protocol)

    def loads(self, stored: Any, /) -> Any:
        """Return the unpickled value; None for None."""
        return None if stored is None else pickle.loads(stored)  # noqa: S301 - chosen by the user, who is told the risk


def make_steps(spec: object) -> list[Step]:
    """Return the serializers that ``serializer=`` stands for.

    Each is an object, a class, a name, a dotted name, or a configuration ``{"class": …, **options}``; several come in
    a list. Raises ``TypeError`` for anything else, and the registry's errors for a name that leads nowhere.
    """
    if not isinstance(spec, list | tuple):
        return [_make_step(spec)]
    if not spec:
        message = "serializer=[] holds no serializer; use serializer='null' to store values as they are"
        raise TypeError(message)
    return [_make_step(one) for one in spec]


def _make_step(spec: object) -> Step:
    step: Any = spec() if isinstance(spec, type) and registry.resolve("serializers", spec) else spec
    step = registry.build("serializers", step)
    if isinstance(step, ModuleType):
        message = (
            f"a serializer is an object with dumps and loads, not the module {step.__name__}; is there one by name?"
        )
        raise TypeError(message)
    for method in ("dumps", "loads"):
        if not callable(getattr(step, method, None)):
            called = "; have you forgotten the () of a function that makes one?" if callable(step) else ""
            message = (
                f"a serializer is a name such as 'json', or an object with dumps and loads; "
                f"{type(step).__name__} has no {method}{called}"
            )
            raise TypeError(message)
    return step  # type: ignore[no-any-return]  # a protocol is checked by its methods, which was done


class Pipeline:
    """Turn a cache's values into what its store holds and back.

    ``dumps`` goes through the steps left to right, ``loads`` right to left; the steps from the second on get and give
    bytes.
    """

    def __init__(self, steps: Sequence[Step], *, stores_objects: bool) -> None:
        self.steps: tuple[Any, ...] = tuple(steps)
        self._first, self._others = self.steps[0], self.steps[1:]
        self.stores_objects = stores_objects
        self.plain: bool = stores_objects and [type(step) for step in self.steps] == [NullSerializer]
        """True if values are stored and read as they are, so that a cache need not call the pipeline."""
        self._gives_integers = False

    def dumps(self, value: Any, key: Key, dumps_fn: Callable[[Any], Any] | None = None) -> Stored:
        """Return what to store for a value; ``dumps_fn`` takes the place of the first step only.

        Raises ``TypeError`` if a store that keeps no objects would get anything but text or bytes.
        """
        first, others = self._first, self._others
        stored = dumps_fn(value) if dumps_fn is not None else _dump(first, value, key)
        if not others and self.stores_objects:
            self._gives_integers |= type(stored) is int
            return stored
        stored = _to_bytes(stored, first, dumps_fn)
        for step in others:
            stored = _to_bytes(_dump(step, stored, key), step)
        return stored if self.stores_objects else records.protect(stored)

    def loads(self, stored: Stored, key: Key, loads_fn: Callable[[Any], Any] | None = None) -> Any:
        """Return the value of what is stored; ``loads_fn`` takes the place of the first step only.

        Raises ``DecodeError`` if it cannot be decoded. The error hides its cause, whose text and attributes may hold
        the value; a debugger finds it in ``__context__``.
        """
        if self.plain and loads_fn is None:
            return stored
        first, others = self._first, self._others
        step = first
        try:
            if not self.stores_objects:
                stored = records.reveal(stored)
            elif type(stored) is int and not self.plain and not self._gives_integers:
                stored = b"%d" % stored  # a counter: increment puts integers there, past the serializers
                if not others:
                    stored = _to_text(stored, first)
            for step in reversed(others):
                stored = _load(step, _to_bytes(stored, step), key)
            step = first
            if others or not self.stores_objects:
                stored = _to_text(stored, first)
            return loads_fn(stored) if loads_fn is not None else _load(first, stored, key)
        except Exception as error:  # noqa: BLE001 - a serializer may raise anything
            told = "loads_fn" if step is first and loads_fn is not None else type(step).__name__
            message = (
                f"what is stored for the key {key!r} cannot be decoded by {told} ({type(error).__name__}); "
                f"delete the key, or read it with the serializer that has written it"
            )
            raise DecodeError(message) from None


def _dump(step: Any, value: Any, key: Key) -> Any:
    return step.dumps(value, key=key) if getattr(step, "keyed", False) else step.dumps(value)


def _load(step: Any, stored: Any, key: Key) -> Any:
    return step.loads(stored, key=key) if getattr(step, "keyed", False) else step.loads(stored)


def _encoding(step: Any) -> str | None:
    encoding: str | None = getattr(step, "encoding", _NOT_SET)
    return getattr(step, "DEFAULT_ENCODING", "utf-8") if encoding is _NOT_SET else encoding


def _to_bytes(stored: Any, step: Any, dumps_fn: Callable[[Any], Any] | None = None) -> bytes:
    """Return a step's output as bytes; text in the step's encoding, which carries lone surrogates where it can."""
    if isinstance(stored, bytes):
        return stored
    if isinstance(stored, str):
        return stored.encode(_encoding(step) or "utf-8", "surrogatepass")
    if isinstance(stored, bytearray | memoryview):
        return bytes(stored)
    if isinstance(step, NullSerializer):
        if isinstance(stored, int) and not isinstance(stored, bool):
            return b"%d" % stored
        if dumps_fn is None:
            message = (
                f"the null serializer takes str, bytes and int for a store that keeps no objects, "
                f"not {type(stored).__name__}; give the cache serializer='json', or 'pickle'"
            )
            raise TypeError(message)
    told = "dumps_fn" if dumps_fn is not None else f"{type(step).__name__}.dumps"
    message = (
        f"{told} gave {type(stored).__name__}, where str or bytes were expected; return one of these, without await"
    )
    raise TypeError(message)


def _to_text(stored: Any, step: Any) -> Any:
    """Return what is stored as the first step wants it: text in its encoding, or bytes if that is None."""
    encoding = _encoding(step)
    if encoding is None:
        return stored.encode("utf-8", "surrogatepass") if isinstance(stored, str) else stored
    return stored.decode(encoding, "surrogatepass") if isinstance(stored, bytes) else stored
