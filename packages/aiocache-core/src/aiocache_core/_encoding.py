"""Write one argument as text: typed, injective, and the same in every process.

Two values have one text if and only if they are of exactly the same type and equal by the type's own fields. The text
is ASCII, and no separator in it can be forged: whatever is free text is written as a quoted literal. The forms of every
release are kept in ``tests/core/test_callkeys_forms.py``.

==========================================  ===========================================================================
value                                       written as
==========================================  ===========================================================================
None, True, 1, 1.0, "a", b"a"               ``None``, ``True``, ``1``, ``1.0``, ``'a'``, ``b'a'``; so that 0.0 and -0.0
                                            differ and NaN is NaN; an int of more than 64 bits in hexadecimal
..., 1j, range(9), slice(9)                 ``Ellipsis``, ``complex(0.0,1.0)``, ``range(0,9,1)``, ``slice(None,9,None)``
bytearray, timedelta                        ``bytearray(b'a')``, ``timedelta(0,7200,0)``
(1,), [1], deque([1])                       ``(1,)``, ``[1]``, ``deque(None,[1])`` with its greatest length
{1}, frozenset({1}), {1: 2}                 ``set(1)``, ``frozenset(1)``, ``{1=2}``, sorted by their texts
OrderedDict, defaultdict                    ``OrderedDict((1,2))`` in its order, ``defaultdict(builtins:list,{1=2})``
date, time, datetime                        ``date('2024-05-01')``, ``datetime('2024-05-01T12:00:00+02:00')``: with an
                                            offset, by time and offset alone; else with fold and zone, if any
timezone, ZoneInfo                          ``timezone(timedelta(0,7200,0),'UTC+02:00')``, ``ZoneInfo('Europe/Rome')``
Decimal, Fraction, UUID, ipaddress' types   ``Decimal('1.00')``, ``Fraction(1,3)``, ``IPv6Address('::1')``
pathlib's paths                             ``PosixPath('a/b')``: as spelled, whatever the file system makes of it
classes and functions                       ``shop.models:Point``
members of an Enum, of a Flag               ``shop.models:Color.RED``, ``shop.models:Access(3)``
dataclasses, attrs and pydantic objects     ``shop.models:Point(x=1,y=2)``: the fields that take part in ``==``; for a
                                            dataclass with ``eq=False`` all
a subclass of one of the types above        ``shop.models:Celsius(21.5,place='Rome')``: its part of that type, and the
                                            attributes that it has beyond
a class with ``__cache_key__(self)``        ``shop.models:Shop('Rome')``: what the method returns
==========================================  ===========================================================================

All else has no stable text: an address is none, nor is the ``repr`` of an unknown object. A class or function counts by
its name only where that name leads to it, so one made inside a function has none (``__cache_key__`` gives its instances
one).
"""

from __future__ import annotations

import enum
import sys
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import fields
from datetime import date, datetime, time, timedelta, timezone
from functools import cached_property
from types import BuiltinFunctionType, EllipsisType, FunctionType, MemberDescriptorType, NoneType, NotImplementedType
from typing import Any, Final, TypeAlias

from aiocache_core.exceptions import UnstableKeyError

DEEPEST: Final = 100
"""How many levels values may be nested, so that one that contains itself ends with an error."""

Writer: TypeAlias = Callable[[Any, int], str]
"""Writes a value of one type, or the part of a subclass that is of that type, at a depth."""

_HEAP_TYPE: Final = 1 << 9  # Py_TPFLAGS_HEAPTYPE: set for what a class statement makes, not for a static type of C


def encode(value: object) -> str:
    """Return the text of one argument. Raises ``UnstableKeyError``, with the reason, for a value that has none."""
    try:
        return _encode(value, 0)
    except RecursionError:
        raise _too_deep() from None


def quoted(name: str) -> str:
    """Return a dotted name as it is, any other as a literal, so that nothing in it reads as a separator."""
    return name if name.isascii() and name.replace(".", "").isidentifier() else ascii(name)


def name_of(kind: type) -> str:
    """Return a class's name as it is written, whether or not it leads to the class."""
    return f"{quoted(kind.__module__)}:{quoted(kind.__qualname__)}"


def _encode(value: object, depth: int) -> str:
    if depth > DEEPEST:
        raise _too_deep()
    write = _WRITERS.get(type(value))
    return _encode_object(value, type(value), depth + 1) if write is None else write(value, depth)


def _too_deep() -> UnstableKeyError:
    return UnstableKeyError(f"is nested too deeply (more than {DEEPEST} levels), or contains itself")


def _encode_object(value: Any, kind: type, depth: int) -> str:
    """Write an instance of a class that is not in the table."""
    own = getattr(kind, "__cache_key__", None)
    if own is not None:
        return f"{name_of(kind)}({_encode(own(value), depth)})"
    if isinstance(value, enum.Enum):
        return _encode_member(value, kind, depth)
    if isinstance(value, type):
        return _encode_class(value, depth)
    base = _known_base(kind)
    if base is kind:  # entered into the table just now
        return _WRITERS[kind](value, depth)
    attributes = _fields(value, kind)
    if attributes is None:
        if base is None:
            message = f"is of type {kind.__module__}.{kind.__qualname__}, which has no stable encoding"
            raise UnstableKeyError(message)
        attributes = _further_attributes(value, kind, base)
    parts = [f"{quoted(name)}={_encode(each, depth)}" for name, each in sorted(attributes.items())]
    if base is not None:
        parts.insert(0, _WRITERS[base](value, depth))
    return f"{_encode_class(kind, depth)}({','.join(parts)})"


# -- classes and functions ---------------------------------------------------------------------------------------------


def _encode_named(value: Any, _: int) -> str:
    """Write a class or a function by its name, if that leads to it."""
    module, qualified = value.__module__, value.__qualname__
    if not _leads_to(module, qualified, value):
        what = "the class" if isinstance(value, type) else "the function"
        message = f"depends on {what} {module}.{qualified}, a name that does not lead to it and may be another's"
        raise UnstableKeyError(message)
    return f"{quoted(module)}:{quoted(qualified)}"


def _leads_to(module: str, qualified: str, value: object) -> bool:
    """Return True if a module (one that is imported) holds a value under a name."""
    found: object = sys.modules.get(module)
    for name in qualified.split("."):
        found = getattr(found, name, None)
    return found is value


def _encode_class(kind: type, depth: int) -> str:
    generic: Any = getattr(kind, "__pydantic_generic_metadata__", None)
    if generic and generic["origin"] is not None:  # Page[Item], which no module holds, is named by its parts
        return f"{_encode_class(generic['origin'], depth)}[{_each(generic['args'], depth)}]"
    return _encode_named(kind, depth)


def _encode_member(member: enum.Enum, kind: type, depth: int) -> str:
    if isinstance(member, enum.Flag):  # combinations need have no name
        return f"{_encode_named(kind, depth)}({_encode(member._value_, depth)})"
    return f"{_encode_named(kind, depth)}.{quoted(member._name_)}"


# -- what an object consists of ----------------------------------------------------------------------------------------


def _fields(value: Any, kind: type) -> dict[str, Any] | None:
    """Return the fields that take part in the ``==`` of a dataclass, attrs or pydantic object; None for any other."""
    if hasattr(kind, "__dataclass_fields__"):
        all_of_them = not kind.__dataclass_params__.eq  # type: ignore[attr-defined]  # a dataclass, and a pydantic model, has it
        known = {field.name: field.compare or all_of_them for field in fields(value)}
        found = _present(value, (name for name, compared in known.items() if compared))
        return found | _of_plain_subclass(value, kind, "__dataclass_fields__", known)
    if hasattr(kind, "__attrs_attrs__"):
        attributes: dict[str, Any] = {each.name: each for each in kind.__attrs_attrs__}
        found = _present(value, (name for name, each in attributes.items() if each.eq))
        for name in found:
            if attributes[name].eq_key is not None:
                found[name] = attributes[name].eq_key(found[name])
        return found | _of_plain_subclass(value, kind, "__attrs_attrs__", attributes)
    if hasattr(kind, "__pydantic_private__") and hasattr(kind, "__pydantic_generic_metadata__"):
        names = getattr(kind, "__pydantic_fields__", None)  # since pydantic 2.10; model_fields before
        found = _present(value, kind.model_fields if names is None else names)  # type: ignore[attr-defined]  # a dataclass, and a pydantic model, has it
        for part in ("extra", "private"):
            if content := getattr(value, f"__pydantic_{part}__", None):
                found[f"+{part}"] = content  # no field has such a name
        return found
    return None


def _of_plain_subclass(value: object, kind: type, mark: str, known: Collection[str]) -> dict[str, Any]:
    """Return what an object has beyond the fields if its class was not decorated itself: the mark is then a base's."""
    decorated = next((each for each in kind.__mro__ if mark in vars(each)), object)
    if decorated is kind:
        return {}
    return {name: each for name, each in _further_attributes(value, kind, decorated).items() if name not in known}


def _present(value: object, names: Iterable[str]) -> dict[str, Any]:
    """Return the attributes of these names, without those that were never set."""
    return {name: getattr(value, name) for name in names if hasattr(value, name)}


def _further_attributes(value: object, kind: type, base: type) -> dict[str, Any]:
    """Return what an object holds beyond a base of its class: ``__dict__`` and slots, without cached properties."""
    names: set[str] = set(getattr(value, "__dict__", ()))
    for each in kind.__mro__:
        if each in base.__mro__:
            continue
        if not each.__flags__ & _HEAP_TYPE and each.__basicsize__ != base.__basicsize__:
            message = f"is of type {kind.__module__}.{kind.__qualname__}, which may hold more than Python can read"
            raise UnstableKeyError(message)
        names.update(name for name, found in vars(each).items() if isinstance(found, MemberDescriptorType))
    return _present(value, (name for name in names if not isinstance(getattr(kind, name, None), cached_property)))


def _known_base(kind: type) -> type | None:
    """Return the first class of the method resolution order that has its place in the table, or None."""
    for each in kind.__mro__:
        if each in _WRITERS:
            return each
        make = _WRITERS_BY_NAME.get(f"{each.__module__}.{each.__qualname__}")
        if make is not None and _leads_to(each.__module__, each.__name__, each):
            _WRITERS[each] = make(each)
            return each
    return None


# -- the table ---------------------------------------------------------------------------------------------------------
# Each writer reads with the methods of its own type, since a subclass may have others.


def _each(values: Iterable[object], depth: int) -> str:
    """Write the items of a container."""
    depth += 1
    return ",".join([_encode(value, depth) for value in values])


def _sorted(values: Iterable[object], depth: int) -> str:
    depth += 1
    return ",".join(sorted([_encode(value, depth) for value in values]))


def _int(value: int, _: int) -> str:
    return int.__repr__(value) if int.bit_length(value) <= 64 else hex(value)  # Python refuses decimals of 4,301 digits


def _tuple(value: tuple[object, ...], depth: int) -> str:
    written = _each(tuple.__iter__(value), depth)
    return f"({written},)" if tuple.__len__(value) == 1 else f"({written})"


def _dict(value: dict[object, object], depth: int) -> str:
    depth += 1
    items = [f"{_encode(key, depth)}={_encode(each, depth)}" for key, each in dict.items(value)]
    return f"{{{','.join(sorted(items))}}}"


def _zone(value: datetime | time, depth: int) -> str:
    """Write what tells two times apart that have no offset: the fold, and a zone that gives none."""
    if value.tzinfo is None:
        return ",fold=1" if value.fold else ""
    if value.utcoffset() is not None:
        return ""
    return f"{',fold=1' if value.fold else ''},{_encode(value.tzinfo, depth)}"


def _zone_info(value: Any, _: int) -> str:
    if value.key is None:
        message = "is or has a ZoneInfo without a key, which has no stable encoding"
        raise UnstableKeyError(message)
    return f"ZoneInfo({value.key!a})"


def _by_text(kind: type) -> Writer:
    """Return a writer for a class whose ``str`` tells all."""
    text_of: Any = kind.__str__
    return lambda value, _: f"{kind.__name__}({text_of(value)!a})"


def _decimal(kind: type) -> Writer:
    text_of: Any = kind.__str__
    return lambda value, _: f"Decimal({text_of(value).upper()!a})"  # the context says whether it is "e" or "E"


_WRITERS: Final[dict[type, Writer]] = {
    NoneType: lambda _, __: "None",
    EllipsisType: lambda _, __: "Ellipsis",
    NotImplementedType: lambda _, __: "NotImplemented",
    bool: lambda value, _: "True" if value else "False",
    int: _int,
    float: lambda value, _: float.__repr__(value),
    complex: lambda value, _: f"complex({value.real!r},{value.imag!r})",
    str: lambda value, _: ascii(str.__str__(value)),  # what repr escapes differs with Python's version of Unicode
    bytes: lambda value, _: bytes.__repr__(value),
    bytearray: lambda value, _: f"bytearray({bytes(memoryview(value))!r})",
    tuple: _tuple,
    list: lambda value, depth: f"[{_each(list.__iter__(value), depth)}]",
    set: lambda value, depth: f"set({_sorted(set.__iter__(value), depth)})",
    frozenset: lambda value, depth: f"frozenset({_sorted(frozenset.__iter__(value), depth)})",
    dict: _dict,
    OrderedDict: lambda value, depth: f"OrderedDict({_each(OrderedDict.items(value), depth)})",
    defaultdict: lambda value, depth: f"defaultdict({_encode(value.default_factory, depth + 1)},{_dict(value, depth)})",
    deque: lambda value, depth: f"deque({value.maxlen},[{_each(deque.__iter__(value), depth)}])",
    range: lambda value, _: f"range({_int(value.start, 0)},{_int(value.stop, 0)},{_int(value.step, 0)})",
    slice: lambda value, depth: f"slice({_each((value.start, value.stop, value.step), depth)})",
    type: _encode_class,
    FunctionType: _encode_named,
    BuiltinFunctionType: _encode_named,
    date: lambda value, _: f"date('{date.isoformat(value)}')",
    time: lambda value, depth: f"time('{time.isoformat(value)}'{_zone(value, depth)})",
    datetime: lambda value, depth: f"datetime('{datetime.isoformat(value)}'{_zone(value, depth)})",
    timedelta: lambda value, _: f"timedelta({value.days},{value.seconds},{value.microseconds})",
    timezone: lambda value, depth: f"timezone({_encode(value.utcoffset(None), depth)},{value.tzname(None)!a})",
}
"""How each type is written."""

_PATHS: Final = ("PurePath", "PurePosixPath", "PureWindowsPath", "Path", "PosixPath", "WindowsPath")
_ADDRESSES: Final = ("IPv4Address", "IPv6Address", "IPv4Interface", "IPv6Interface", "IPv4Network", "IPv6Network")

_WRITERS_BY_NAME: Final[dict[str, Callable[[type], Writer]]] = {
    "decimal.Decimal": _decimal,
    "fractions.Fraction": lambda _: (
        lambda value, _: f"Fraction({_int(value.numerator, 0)},{_int(value.denominator, 0)})"
    ),
    "uuid.UUID": _by_text,
    "zoneinfo.ZoneInfo": lambda _: _zone_info,
    **{f"ipaddress.{name}": _by_text for name in _ADDRESSES},
    **{f"{module}.{name}": _by_text for module in ("pathlib", "pathlib._local") for name in _PATHS},
}
"""How a class of the standard library is written, by name: importing their modules would cost more than this one."""
