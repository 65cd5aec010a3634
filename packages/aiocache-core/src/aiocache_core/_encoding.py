"""Write one argument as text: typed, injective, and the same in every process.

Two values have one text if and only if they are of exactly the same type and equal by the type's own fields. The text is ASCII
and no separator in it can be forged, since whatever is free text is written as a quoted literal
(the forms of every release are kept in ``tests/core/test_callkeys_forms.py``):

=========================================  ==========================================================================
value                                      written as
=========================================  ==========================================================================
None, True, 1, 1.0, "a", b"a", ...         ``None``, ``True``, ``1``, ``1.0``, ``'a'``, ``b'a'``; ints over 64 bits in hexadecimal
1j                                         ``complex(0.0,1.0)``; -0.0 and 0.0 differ, NaN is NaN
(1,), [1], {1}, frozenset({1}), {1: 2}     ``(1,)``, ``[1]``, ``set(1)``, ``frozenset(1)``, ``{1=2}``; sets and dicts sorted
bytearray, range, slice, deque,            ``bytearray(b'a')``, ``range(0,9,1)``, ``slice(0,9,None)``, ``deque(2,[1])``,
OrderedDict (in its order), defaultdict    ``OrderedDict((1,2))``, ``defaultdict(builtins:list,{1=2})``
date, time, datetime, timedelta            ``date('2024-05-01')``, ``datetime('2024-05-01T12:00:00+02:00')``; with an offset by time
                                           and offset alone, else with ``fold=1`` and the zone, if there are any
timezone, ZoneInfo                         ``timezone(timedelta(0,7200,0),'UTC+02:00')``, ``ZoneInfo('Europe/Paris')``
Decimal, Fraction, UUID                    ``Decimal('1.00')``, ``Fraction(1,3)``, ``UUID('...')``
pathlib's paths                            ``PosixPath('a/b')``: as written, whatever the file system makes of it
ipaddress' addresses, interfaces, networks ``IPv4Address('127.0.0.1')``
classes and functions of a module          ``shop.models:Point``
members of an Enum                         ``shop.models:Color.RED``; of a Flag ``shop.models:Access(3)``
dataclasses, attrs, pydantic               ``shop.models:Point(x=1,y=2)``: the fields that take part in ``==``; all of them for a
                                           dataclass with ``eq=False``
subclass of one of the types above         ``shop.models:Celsius(21.5,place='Rome')``, with the attributes that it has beyond
a class with ``__cache_key__(self)``       ``shop.models:Shop('Rome')``, with what the method returns
=========================================  ==========================================================================

All else has no stable text: an address is none, nor is the ``repr`` of an unknown object. A class counts by its name only where
that name leads to it: a class or function made inside a function has none (but ``__cache_key__`` gives its instances one).
"""

from __future__ import annotations

import enum
import sys
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
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
    write = _WRITERS.get(type(value))
    if write is not None:
        return write(value, depth)
    if depth > DEEPEST:
        raise _too_deep()
    return _encode_object(value, type(value), depth + 1)


def _too_deep() -> UnstableKeyError:
    return UnstableKeyError(f"is nested more than {DEEPEST} levels deep, or contains itself")


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
    parts = [f"{quoted(name)}={_encode(each, depth)}" for name, each in attributes.items()]
    if base is not None:
        parts.insert(0, _WRITERS[base](value, depth))
    return f"{_encode_class(kind, depth)}({','.join(parts)})"


# -- classes and functions -----------------------------------------------------------------------------------------------------


def _encode_named(value: Any, depth: int) -> str:
    """Write a class or a function by its name, if that leads to it."""
    module, qualified = value.__module__, value.__qualname__
    found: Any = sys.modules.get(module)
    for name in qualified.split("."):
        found = getattr(found, name, None)
    if found is not value:
        what = "the class" if isinstance(value, type) else "the function"
        message = f"depends on {what} {module}.{qualified}, which cannot be told from others: that name does not lead to it"
        raise UnstableKeyError(message)
    return f"{quoted(module)}:{quoted(qualified)}"


def _encode_class(kind: type, depth: int) -> str:
    generic: Any = getattr(kind, "__pydantic_generic_metadata__", None)
    if generic and generic["origin"] is not None:  # Page[Item], which no module holds, is named by its parts
        return f"{_encode_class(generic['origin'], depth)}[{_each(generic['args'], depth)}]"
    return _encode_named(kind, depth)


def _encode_member(member: enum.Enum, kind: type, depth: int) -> str:
    if isinstance(member, enum.Flag):  # combinations need have no name
        return f"{_encode_named(kind, depth)}({_encode(member.value, depth)})"
    return f"{_encode_named(kind, depth)}.{quoted(member.name)}"


# -- what an object consists of ------------------------------------------------------------------------------------------------


def _fields(value: Any, kind: type) -> dict[str, Any] | None:
    """Return the fields of a dataclass, attrs or pydantic object that take part in its ``==``; None for any other."""
    found: dict[str, Any]
    if hasattr(kind, "__dataclass_fields__"):
        all_of_them = not kind.__dataclass_params__.eq  # type: ignore[attr-defined]
        found = _present(value, (field.name for field in fields(value) if field.compare or all_of_them))
        decorated = "__dataclass_fields__" in vars(kind)
        known = set(kind.__dataclass_fields__)
    elif hasattr(kind, "__attrs_attrs__"):
        attributes: Any = kind.__attrs_attrs__
        found = _present(value, (each.name for each in attributes if each.eq))
        for each in attributes:
            if each.eq_key is not None and each.name in found:
                found[each.name] = each.eq_key(found[each.name])
        decorated = "__attrs_attrs__" in vars(kind)
        known = {each.name for each in attributes}
    elif hasattr(kind, "__pydantic_private__") and hasattr(kind, "__pydantic_generic_metadata__"):
        names = getattr(kind, "__pydantic_fields__", None)  # since pydantic 2.10; model_fields before
        found = _present(value, kind.model_fields if names is None else names)  # type: ignore[attr-defined]
        for part in ("extra", "private"):
            if content := getattr(value, f"__pydantic_{part}__", None):
                found[f"+{part}"] = content  # no field has such a name
        return found
    else:
        return None
    if not decorated:  # a plain subclass may have more than the decorator knew of
        further = _further_attributes(value, kind, object)
        found.update({name: further[name] for name in further.keys() - known})
    return dict(sorted(found.items()))


def _present(value: object, names: Iterable[str]) -> dict[str, Any]:
    """Return the attributes of these names, without those that were never set."""
    return {name: getattr(value, name) for name in names if hasattr(value, name)}


def _further_attributes(value: object, kind: type, base: type) -> dict[str, Any]:
    """Return what an object of a subclass holds beyond its base: its ``__dict__`` and slots, without cached properties."""
    names = set(getattr(value, "__dict__", ()))
    for each in kind.__mro__:
        if each in base.__mro__:
            continue
        if not each.__flags__ & _HEAP_TYPE and each.__basicsize__ != base.__basicsize__:
            message = f"is of type {kind.__module__}.{kind.__qualname__}, whose fields of C cannot be read"
            raise UnstableKeyError(message)
        names.update(name for name, found in vars(each).items() if isinstance(found, MemberDescriptorType))
    return _present(value, sorted(name for name in names if not isinstance(getattr(kind, name, None), cached_property)))


def _known_base(kind: type) -> type | None:
    """Return the first class of the method resolution order that is in the table, after entering it if it has its place there."""
    for each in kind.__mro__:
        if each in _WRITERS:
            return each
        write = _WRITERS_BY_NAME.get(f"{each.__module__}.{each.__qualname__}")
        if write is not None and getattr(sys.modules.get(each.__module__), each.__name__, None) is each:
            _WRITERS[each] = write
            return each
    return None


# -- the table -----------------------------------------------------------------------------------------------------------------
# Each writer reads with the methods of its own type, since a subclass may have others.


def _each(values: Iterable[object], depth: int) -> str:
    """Write the items of a container."""
    if depth > DEEPEST:
        raise _too_deep()
    depth += 1
    return ",".join([_encode(value, depth) for value in values])


def _sorted(values: Iterator[object], depth: int) -> str:
    if depth > DEEPEST:
        raise _too_deep()
    depth += 1
    return ",".join(sorted([_encode(value, depth) for value in values]))


def _int(value: int, _: int) -> str:
    return int.__repr__(value) if int.bit_length(value) <= 64 else hex(value)  # decimals of thousands of digits are refused


def _tuple(value: tuple[object, ...], depth: int) -> str:
    written = _each(tuple.__iter__(value), depth)
    return f"({written},)" if tuple.__len__(value) == 1 else f"({written})"


def _dict(value: dict[object, object], depth: int) -> str:
    if depth > DEEPEST:
        raise _too_deep()
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
        message = "is a ZoneInfo without a key, which has no stable encoding"
        raise UnstableKeyError(message)
    return f"ZoneInfo({ascii(value.key)})"


def _text_form(name: str, write: Callable[[Any], str] = str) -> Writer:
    """Return a writer for a type whose ``str`` tells all."""
    return lambda value, _: f"{name}({ascii(write(value))})"


def _decimal(value: Any, _: int) -> str:
    sign, digits, exponent = value.as_tuple()  # str() depends on the context
    number = "".join(map(str, digits))
    return f"Decimal({'-' if sign else ''}{number},{exponent})"


_WRITERS: Final[dict[type, Writer]] = {
    NoneType: lambda _, __: "None",
    EllipsisType: lambda _, __: "Ellipsis",
    NotImplementedType: lambda _, __: "NotImplemented",
    bool: lambda value, _: "True" if value else "False",
    int: _int,
    float: lambda value, _: float.__repr__(value),
    complex: lambda value, _: f"complex({value.real!r},{value.imag!r})",
    str: lambda value, _: ascii(str.__str__(value)),  # not repr: what it escapes depends on the Unicode tables of the Python
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
    date: _text_form("date", date.isoformat),
    time: lambda value, depth: f"time('{time.isoformat(value)}'{_zone(value, depth)})",
    datetime: lambda value, depth: f"datetime('{datetime.isoformat(value)}'{_zone(value, depth)})",
    timedelta: lambda value, _: f"timedelta({value.days},{value.seconds},{value.microseconds})",
    timezone: lambda value, depth: f"timezone({_encode(value.utcoffset(None), depth)},{ascii(value.tzname(None))})",
}
"""How each type is written."""

_PATHS: Final = ("PurePath", "PurePosixPath", "PureWindowsPath", "Path", "PosixPath", "WindowsPath")
_ADDRESSES: Final = ("IPv4Address", "IPv6Address", "IPv4Interface", "IPv6Interface", "IPv4Network", "IPv6Network")

_WRITERS_BY_NAME: Final[dict[str, Writer]] = {
    "decimal.Decimal": _decimal,
    "fractions.Fraction": lambda value, _: f"Fraction({_int(value.numerator, 0)},{_int(value.denominator, 0)})",
    "uuid.UUID": _text_form("UUID"),
    "zoneinfo.ZoneInfo": _zone_info,
    **{f"ipaddress.{name}": _text_form(name) for name in _ADDRESSES},
    **{f"{module}.{name}": _text_form(name) for module in ("pathlib", "pathlib._local") for name in _PATHS},
}
"""How further types of the standard library are written, by name: importing their modules would cost more than this one."""
