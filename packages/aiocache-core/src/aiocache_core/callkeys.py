"""Make the key of each call of a function: its name and its arguments, as text.

A key reads ``shop.prices.get_price(1,'EUR',lang='de')``: module and qualified name, the positional parameters in their
order, then all others by name, defaults included, so that all spellings of a call have one key. How an argument is
written is told in :mod:`aiocache_core._encoding`. Where a key would be longer than ``max_length``, the BLAKE2b digest
(RFC 7693) of the arguments stands in their place, ``shop.prices.get_price(#8c7a...)``; nothing else is written with a
leading "#".
"""

from __future__ import annotations

import inspect
import itertools
import weakref
from collections.abc import Callable
from enum import Enum
from operator import itemgetter
from types import NoneType
from typing import Any, Final, TypeAlias

from aiocache_core._encoding import encode as encode
from aiocache_core._encoding import name_of, quoted
from aiocache_core.exceptions import UnstableKeyError

MEMO_SIZE: Final = 2048
"""How many calls of a function are remembered with their keys."""

_MISSING: Final = object()
_ATOMS: Final = frozenset({NoneType, bool, int, str, bytes})
"""Immutable types of which two equal values are the same value."""

Arguments: TypeAlias = tuple[Any, ...]
Options: TypeAlias = dict[str, Any]


class Token:
    """Stand for one living object in keys; no other object of the process ever has an equal one."""

    __slots__ = ("text",)
    _serials = itertools.count(1)

    def __init__(self, instance: object) -> None:
        kind = instance if isinstance(instance, type) else type(instance)
        self.text: str = f"{name_of(kind)}#{next(self._serials)}"


class InstanceTokens:
    """Give objects a token each, found by identity, and forget it when the object dies."""

    def __init__(self) -> None:
        self._tokens: dict[int, tuple[weakref.ref[Any], Token]] = {}

    def stand_in(self, instance: object) -> object:
        """Return the token of an object, or the object itself if it was given none."""
        entry = self._tokens.get(id(instance))
        return entry[1] if entry is not None and entry[0]() is instance else instance

    def give(self, instance: object) -> Token:
        """Return the token of an object, a new one if it has none.

        Raises ``TypeError`` for an object that cannot be weakly referred to.
        """
        address = id(instance)
        tokens = self._tokens

        def forget(dead: weakref.ref[Any]) -> None:
            entry = tokens.get(address)
            if entry is not None and entry[0] is dead:
                del tokens[address]

        entry = weakref.ref(instance, forget), Token(instance)
        found = tokens.setdefault(address, entry)  # one step, should two threads ask at once
        if found[0]() is not instance:  # what lived at this address is dead and not yet forgotten
            tokens[address] = found = entry
        return found[1]

    def __len__(self) -> int:
        return len(self._tokens)


TOKENS: Final = InstanceTokens()
"""The tokens of the objects whose methods are cached in this process's memory."""


class CallKeys:
    """Make the key of each call of one function.

    - ``name``: what the keys begin with; module and qualified name if not given. No two functions may share one.
    - ``noself``: leave the first argument out.
    - ``method``: the first argument is an instance or a class. Where it has no stable encoding and ``instance_scope``
      is True (the entries are in this process's memory), a token of that very object stands for it: no other object
      has it, and it keeps none alive.
    - ``max_length``: how many characters a key may have before its arguments are digested.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        noself: bool = False,
        method: bool = False,
        instance_scope: bool = False,
        max_length: int = 200,
    ) -> None:
        self.name: str = f"{function.__module__}.{function.__qualname__}" if name is None else name
        self.prefix: str = f"{self.name.replace('%', '%25').replace('(', '%28')}("
        """What the keys of this function, and of no other, begin with."""
        self._called: str = getattr(function, "__qualname__", self.name)
        self._noself = noself
        self._method = method and not noself
        self._instance_scope = instance_scope
        self._stand_in: Callable[[object], object] | None = None
        """Gives what is put in the first argument's place before its key is looked up."""
        if noself:
            self._stand_in = _nothing
        elif method and instance_scope:
            self._stand_in = TOKENS.stand_in
        self._max_length = max_length
        self._signature = inspect.signature(function)
        self._read_parameters()
        self._by_position: dict[Any, str] = {}
        self._by_name: dict[Any, str] = {}

    def _read_parameters(self) -> None:
        """Sort the parameters by how they can be given."""
        parameters = list(self._signature.parameters.values())
        kinds = [each.kind for each in parameters]
        defaults = {each.name: _MISSING if each.default is each.empty else each.default for each in parameters}
        by_position = [each.name for each in parameters if each.kind <= each.POSITIONAL_OR_KEYWORD]
        by_name = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]
        self._positional = [(name, defaults[name]) for name in by_position]
        self._named = [(name, defaults[name]) for name in by_name]
        self._nameless = kinds.count(inspect.Parameter.POSITIONAL_ONLY)
        self._star = inspect.Parameter.VAR_POSITIONAL in kinds
        self._double_star = inspect.Parameter.VAR_KEYWORD in kinds
        self._remember = all(value is _MISSING or _lasts(value) for value in defaults.values())
        self._count = len(by_position) + len(by_name)
        self._takers: list[Callable[[Options], Arguments] | None] = []
        """Take the values of all parameters that were not given by position; by the number of those that were."""
        for given in range(self._count + 1):
            usable = self._nameless <= given <= len(by_position) and not self._star and not self._double_star
            self._takers.append(_taker(by_position[given:] + by_name) if usable else None)

    def key(self, args: Arguments, kwargs: Options) -> str:  # noqa: C901, PLR0912 - each helper would cost a call
        """Return the key of a call.

        Raises ``TypeError`` for arguments that do not fit the signature, and ``UnstableKeyError``, naming the function,
        the argument and the ways out, for one that has no stable encoding.
        """
        if self._stand_in is not None:
            if not args:
                args, kwargs = self._first_by_position(kwargs)
            if args:
                args = (self._stand_in(args[0]), *args[1:])
        values, memo = args, self._by_position
        if kwargs:  # if they name just what was not given by position, take them into its order
            given = len(args)
            take = self._takers[given] if given + len(kwargs) == self._count else None
            if take is None:
                return self._make(args, kwargs)
            try:
                values, memo = args + take(kwargs), self._by_name
            except KeyError:
                return self._make(args, kwargs)
        count = len(values)
        try:  # Equal values need not be the same (1, 1.0, True): their types are looked up with them.
            if count == 0:
                call: Any = values
            elif count == 1:
                call = type(values[0]), values
            elif count == 2:
                first, second = values
                call = type(first), type(second), values
            elif count == 3:
                first, second, third = values
                call = type(first), type(second), type(third), values
            else:
                call = *map(type, values), values
            found = memo.get(call)
        except Exception:  # noqa: BLE001 - an argument cannot be hashed, or its own __hash__ or __eq__ raises anything
            return self._make(args, kwargs)
        if found is not None:
            return found
        key = self._make(args, kwargs)
        digested = key.startswith("#", len(self.prefix))  # of large arguments, which are not to be kept
        if self._remember and not digested and all(map(_is_atom, values)):
            if len(memo) >= MEMO_SIZE:
                memo.clear()
            memo[call] = key
        return key

    # -- from arguments to text ----------------------------------------------------------------------------------------

    def _make(self, args: Arguments, kwargs: Options) -> str:
        """Bind a call's arguments and write its key."""
        positional, named = self._bind(args, kwargs)
        if self._noself:
            del positional[:1]
        parts = [self._write(name, value) for name, value in positional[self._method :]]
        if self._method:
            parts[:0] = [self._write_first(name, value) for name, value in positional[:1]]
        parts += [f"{quoted(name)}={self._write(name, value)}" for name, value in named]
        text = ",".join(parts)
        if len(self.prefix) + len(text) >= self._max_length:
            from hashlib import blake2b  # few keys need it, and OpenSSL comes with it

            text = f"#{blake2b(text.encode('ascii'), digest_size=32).hexdigest()}"
        return f"{self.prefix}{text})"

    def _write(self, name: str, value: object) -> str:
        """Write one argument. Raises ``UnstableKeyError`` with all that the caller should know."""
        try:
            return encode(value)
        except UnstableKeyError as error:
            raise self._unstable(name, error) from None

    def _write_first(self, name: str, value: object) -> str:
        """Write the instance or class of a method; if it has no encoding and may have a token, give it one."""
        if isinstance(value, Token):
            return value.text
        try:
            return encode(value)
        except UnstableKeyError as error:
            if not self._instance_scope:
                raise self._unstable(name, error) from None
            reason = error
        try:
            return TOKENS.give(value).text
        except TypeError:
            message = f"{reason}, and cannot be weakly referred to (add '__weakref__' to its __slots__)"
            raise self._unstable(name, message) from None

    def _unstable(self, name: str, reason: object) -> UnstableKeyError:
        message = (
            f"no key can be made of this call of {self.name}: its argument {name!r} {reason}; give the decorator key= "
            f"or key_builder=, or noself=True to leave the first argument out, or the class a method __cache_key__(self)"
        )
        return UnstableKeyError(message)

    # -- from a call to its arguments ----------------------------------------------------------------------------------

    def _first_by_position(self, kwargs: Options) -> tuple[Arguments, Options]:
        """Return a call's arguments with the first one by position, even if it was named (``self=shop``)."""
        if self._positional and not self._nameless and self._positional[0][0] in kwargs:
            kwargs = dict(kwargs)
            return (kwargs.pop(self._positional[0][0]),), kwargs
        return (), kwargs

    def _bind(self, args: Arguments, kwargs: Options) -> tuple[list[tuple[str, Any]], list[tuple[str, Any]]]:
        """Return name and value of all positional arguments, and of all others.

        As ``inspect.Signature.bind`` with ``apply_defaults``, at a fraction of their cost.
        """
        names = self._positional
        rest = dict(kwargs)
        positional = [(name, value) for (name, _), value in zip(names, args, strict=False)]
        for index in range(len(positional), len(names)):
            name, default = names[index]
            value = default if index < self._nameless else rest.pop(name, default)
            if value is _MISSING:
                raise self._misfit(args, kwargs)
            positional.append((name, value))
        named = []
        for name, default in self._named:
            value = rest.pop(name, default)
            if value is _MISSING:
                raise self._misfit(args, kwargs)
            named.append((name, value))
        if rest:
            if not self._double_star or any(name in rest for name, _ in names[self._nameless :]):
                raise self._misfit(args, kwargs)
            named += sorted(rest.items())
        if len(args) > len(names):
            if not self._star:
                raise self._misfit(args, kwargs)
            positional += [("*args", value) for value in args[len(names) :]]
        return positional, named

    def _misfit(self, args: Arguments, kwargs: Options) -> TypeError:
        """Return the error of a call whose arguments do not fit."""
        try:
            self._signature.bind(*args, **kwargs)
        except TypeError as error:
            return TypeError(f"{self._called}() {error}")
        return TypeError(f"{self._called}() does not take these arguments")


def _nothing(_: object) -> None:
    """Stand for an argument that is left out."""


def _taker(names: list[str]) -> Callable[[Options], Arguments] | None:
    """Return a function that takes the values of these names out of a dict, as a tuple."""
    if len(names) == 1:
        (name,) = names
        return lambda kwargs: (kwargs[name],)
    return itemgetter(*names) if names else None


def _is_atom(value: object) -> bool:
    """Return True if no other value of this type is equal; 0.0 equals -0.0, and NaN not even itself."""
    kind = type(value)
    return kind in _ATOMS or kind is Token or (kind is float and value == value and value != 0.0)  # noqa: PLR0124 - NaN


def _lasts(value: object) -> bool:
    """Return True if a default can never be encoded differently."""
    if isinstance(value, Enum):
        return True
    if type(value) is tuple:
        return all(map(_lasts, value))
    return type(value) in _ATOMS or type(value) is float
