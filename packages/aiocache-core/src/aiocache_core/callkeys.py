"""Make the key of each call of a function: its name and its arguments, as text.

A key reads ``shop.prices.get_price(1,'EUR',lang='de')``: the function's module and qualified name, its positional parameters
in order, then the keyword-only ones by name, defaults included, so that all spellings of a call have one key. How an argument
is written is told in :mod:`aiocache_core._encoding`. A key longer than ``max_length`` characters has the BLAKE2b digest (RFC 7693) of
the arguments in their place, ``shop.prices.get_price(#8c7a...)``; no argument is written with a leading "#".
"""

from __future__ import annotations

import inspect
import itertools
import weakref
from collections.abc import Callable
from operator import itemgetter
from types import NoneType
from typing import Any, Final

from aiocache_core._encoding import encode as encode
from aiocache_core._encoding import name_of, quoted
from aiocache_core.exceptions import UnstableKeyError

MEMO_SIZE: Final = 2048
"""How many calls of a function are remembered with their keys."""

_EMPTY: Final = inspect.Parameter.empty
_ATOMS: Final = frozenset({NoneType, bool, int, str, bytes})
"""Immutable types of which two equal values are the same value."""


class Token:
    """Stand for one living object in keys; no other object of the process ever has an equal one."""

    __slots__ = ("text",)
    _serials = itertools.count(1)

    def __init__(self, instance: object) -> None:
        self.text = f"{name_of(type(instance))}#{next(self._serials)}"


class InstanceTokens:
    """Give each object a token of its own, found by identity, and forget it when the object dies."""

    def __init__(self) -> None:
        self._tokens: dict[int, tuple[weakref.ref[Any], Token]] = {}

    def find(self, instance: object) -> Token | None:
        """Return the token of an object, or None if it was given none."""
        entry = self._tokens.get(id(instance))
        return entry[1] if entry is not None and entry[0]() is instance else None

    def give(self, instance: object) -> Token:
        """Return the token of an object, a new one if it has none. Raises ``TypeError`` if it cannot be weakly referred to."""
        address = id(instance)
        tokens = self._tokens

        def forget(dead: weakref.ref[Any]) -> None:
            entry = tokens.get(address)
            if entry is not None and entry[0] is dead:
                del tokens[address]

        entry = weakref.ref(instance, forget), Token(instance)
        found = tokens.setdefault(address, entry)  # one step, should two threads ask at once
        if found[0]() is not instance:  # what lived here before is dead and not yet forgotten
            tokens[address] = found = entry
        return found[1]

    def __len__(self) -> int:
        return len(self._tokens)


TOKENS: Final = InstanceTokens()
"""The tokens of the objects whose methods are cached in memory."""


class CallKeys:
    """Make the key of each call of one function.

    - ``name``: what the keys begin with, module and qualified name if not given. No two functions may share one.
    - ``noself``: leave the first argument out.
    - ``method``: the first argument is an instance or class. Where it has no stable encoding and ``instance_scope`` is True (in
      memory), a token of that very object stands for it, which dies with it and does not keep it alive.
    - ``max_length``: the number of characters from which a digest stands for the arguments.
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
        self.name = f"{function.__module__}.{function.__qualname__}" if name is None else name
        self.prefix = f"{self.name.replace('%', '%25').replace('(', '%28')}("
        """What the keys of this function, and of no other, begin with."""
        self._noself = noself
        self._instance_scope = instance_scope
        self._max_length = max_length
        self._stands_in = noself or method
        self._signature = inspect.signature(function)
        self._read_parameters()
        self._by_position: dict[Any, str] = {}
        self._by_name: dict[Any, str] = {}

    def _read_parameters(self) -> None:
        """Sort the parameters by how they can be given."""
        parameters = list(self._signature.parameters.values())
        kinds = [parameter.kind for parameter in parameters]
        self._positional = [(each.name, each.default) for each in parameters if each.kind <= each.POSITIONAL_OR_KEYWORD]
        self._nameless = kinds.count(inspect.Parameter.POSITIONAL_ONLY)
        self._named = [(each.name, each.default) for each in parameters if each.kind is each.KEYWORD_ONLY]
        self._star = inspect.Parameter.VAR_POSITIONAL in kinds
        self._double_star = inspect.Parameter.VAR_KEYWORD in kinds
        names = [name for name, _ in self._positional + self._named]
        self._rest: list[Callable[[dict[str, Any]], Any] | None] = []
        """Takes the values of the remaining parameters out of the keyword arguments, by the number of positional ones."""
        for given in range(len(self._positional) + 1):
            rest = names[given:]
            by_name = rest and given >= self._nameless and not self._star and not self._double_star
            self._rest.append((itemgetter(*rest) if len(rest) > 1 else _one(rest[0])) if by_name else None)
        self._count = len(names)

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """Return the key of a call.

        Raises ``TypeError`` for arguments that do not fit the signature, and ``UnstableKeyError``, naming the function, the
        argument and the ways out, for one that has no stable encoding.
        """
        if self._stands_in:
            args, kwargs = self._put_stand_in(args, kwargs)
        values, memo = args, self._by_position
        if kwargs:
            # A call that names all that it does not give by position: take it as if all had been given in order.
            given = len(args)
            take = self._rest[given] if given + len(kwargs) == self._count and given < len(self._rest) else None
            if take is None:
                return self._make(args, kwargs)
            try:
                values, memo = args + take(kwargs), self._by_name
            except KeyError:
                return self._make(args, kwargs)
        # Equal is not the same (1, 1.0, True), so the types are looked up as well; written out because this is every hit.
        count = len(values)
        try:
            if count == 0:
                call: Any = ()
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
        except TypeError:  # not hashable
            return self._make(args, kwargs)
        if found is not None:
            return found
        key = self._make(args, kwargs)
        if len(key) <= self._max_length and all(map(_is_atom, values)):
            if len(memo) >= MEMO_SIZE:
                memo.clear()
            memo[call] = key
        return key

    # -- the first argument of a method ---------------------------------------------------------------------------------------

    def _put_stand_in(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Replace the first argument by what stands for it in the key."""
        if not args:  # Shop.price(self=shop), or missing
            if self._nameless or not self._positional or self._positional[0][0] not in kwargs:
                return args, kwargs
            kwargs = dict(kwargs)
            args = (kwargs.pop(self._positional[0][0]),)
        first = args[0]
        if self._noself:
            return (None, *args[1:]), kwargs
        token = TOKENS.find(first) if self._instance_scope else None
        return (args if token is None else (token, *args[1:])), kwargs

    def _encode_first(self, value: object, name: str) -> str:
        """Write the first argument of a method; give it a token if it has no encoding and the store is this process's."""
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

    # -- from arguments to text -------------------------------------------------------------------------------------------------

    def _make(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """Bind a call's arguments and write its key."""
        positional, extra, named = self._bind(args, kwargs)
        parts = []
        for index, (name, value) in enumerate(itertools.chain(positional, (("*args", value) for value in extra))):
            if index == 0 and self._stands_in:
                if not self._noself:
                    parts.append(self._encode_first(value, name))
            else:
                parts.append(self._encode(value, name))
        parts += [f"{quoted(name)}={self._encode(value, name)}" for name, value in named]
        text = ",".join(parts)
        if len(self.prefix) + len(text) >= self._max_length:
            from hashlib import blake2b  # noqa: PLC0415 - few keys need it, and OpenSSL comes with it

            text = f"#{blake2b(text.encode('ascii'), digest_size=32).hexdigest()}"
        return f"{self.prefix}{text})"

    def _bind(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[list[tuple[str, Any]], tuple[Any, ...], list[tuple[str, Any]]]:
        """Return name and value of each positional parameter, what goes to ``*args``, and name and value of all others.

        As ``inspect.Signature.bind`` with defaults, at a fifth of its cost.
        """
        rest = dict(kwargs)
        count = len(self._positional)
        positional = [(name, value) for (name, _), value in zip(self._positional, args, strict=False)]
        for index in range(len(positional), count):
            name, default = self._positional[index]
            positional.append((name, rest.pop(name, default) if index >= self._nameless else default))
        named = [(name, rest.pop(name, default)) for name, default in self._named]
        extra = args[count:]
        fits = (
            (self._star or not extra)
            and (self._double_star or not rest)
            and not any(name in rest for name, _ in self._positional[self._nameless :])
            and not any(value is _EMPTY for _, value in itertools.chain(positional, named))
        )
        if not fits:
            raise self._misfit(args, kwargs)
        return positional, extra, named + sorted(rest.items())

    def _misfit(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> TypeError:
        """Return the error of a call whose arguments do not fit."""
        reason: object = "was called with arguments that it does not take"
        try:
            self._signature.bind(*args, **kwargs)
        except TypeError as error:
            reason = error
        return TypeError(f"{self.name.rpartition('.')[2]}() {reason}")

    def _encode(self, value: object, name: str) -> str:
        try:
            return encode(value)
        except UnstableKeyError as error:
            raise self._unstable(name, error) from None

    def _unstable(self, name: str, reason: object) -> UnstableKeyError:
        message = (
            f"no key can be made of this call of {self.name}: its argument {name!r} {reason}; give the decorator key= or "
            f"key_builder=, or noself=True to leave the first argument out, or give the class a method __cache_key__(self)"
        )
        return UnstableKeyError(message)


def _one(name: str) -> Callable[[dict[str, Any]], tuple[Any]]:
    return lambda kwargs: (kwargs[name],)


def _is_atom(value: object) -> bool:
    """Return True if a value of this exact type that is equal is the same; 0.0 equals -0.0 and NaN not itself."""
    return type(value) in _ATOMS or type(value) is Token or (type(value) is float and value == value and value != 0.0)  # noqa: PLR0124 - NaN
