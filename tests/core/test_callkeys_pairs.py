"""Hold, over pairs of generated values and calls, that two are written the same if and only if they are the same."""

from __future__ import annotations

import datetime as dt
import enum
import itertools
import math
import random
import struct
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import attrs
import pydantic
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from aiocache_core.callkeys import CallKeys, encode

VALUES = 60  # in each example, which makes 60 * 59 / 2 = 1,770 pairs of it; more than 100,000 for the last test alone


class Whole(int):
    pass


class Word(str):
    __slots__ = ()


class Row(tuple[Any, ...]):
    __slots__ = ()


class Color(enum.Enum):
    RED = 1
    BLUE = "1"


class Level(enum.IntEnum):
    LOW = 1


@dataclass
class Point:
    x: Any
    y: Any = 1


@attrs.define
class Place:
    x: Any
    y: Any = 1


class Spot(pydantic.BaseModel):
    x: Any
    y: Any = 1


def same(a: Any, b: Any) -> bool:
    """Return True if two values are of one type and equal field by field: the rule that is tested, told another way."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or struct.pack("d", a) == struct.pack("d", b)
    if isinstance(a, complex):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, Decimal):
        return bool(a.as_tuple() == b.as_tuple())
    if isinstance(a, dt.datetime | dt.time):
        return a == b and a.utcoffset() == b.utcoffset() and (a.fold == b.fold or a.utcoffset() is not None)
    if isinstance(a, dict) and not isinstance(a, OrderedDict):
        return same_in_any_order(a.items(), b.items())
    if isinstance(a, OrderedDict):
        return same(list(a.items()), list(b.items()))
    if isinstance(a, set | frozenset):
        return same_in_any_order(a, b)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, Point | Place | Spot):
        return same(a.x, b.x) and same(a.y, b.y)
    if isinstance(a, range):
        return (a.start, a.stop, a.step) == (b.start, b.stop, b.step)
    return bool(a == b)


def same_in_any_order(a: Any, b: Any) -> bool:
    rest = list(b)
    for each in a:
        found = next((index for index, other in enumerate(rest) if same(each, other)), None)
        if found is None:
            return False
        del rest[found]
    return not rest


def respelled(value: Any) -> Any:
    """Return a value that is the same, made anew, its sets and dicts in another order."""
    if type(value) in {list, tuple, Row}:
        return type(value)(map(respelled, value))
    if type(value) is OrderedDict:
        return OrderedDict((respelled(key), respelled(each)) for key, each in value.items())
    if type(value) is dict:
        return {respelled(key): respelled(each) for key, each in reversed(value.items())}
    if type(value) in {set, frozenset}:
        return type(value)(sorted(value, key=lambda _: random.random()))
    if isinstance(value, Point | Place | Spot):
        return type(value)(x=respelled(value.x), y=respelled(value.y))
    if type(value) is str:
        return "".join(list(value))
    if type(value) is float:
        return float(repr(value))
    return value


# Few and near values, so that pairs which could meet are met often; the texts hold what separates.
TEXTS = st.text(alphabet="1,()[]{}='\"\\:#*é", max_size=4) | st.sampled_from(
    ["1", "1.0", "True", "None", "nan", "b'1'"]
)
OFFSETS = st.sampled_from([dt.UTC, dt.timezone(dt.timedelta(0), "Z"), dt.timezone(dt.timedelta(hours=1))])
TIMES = st.builds(
    dt.datetime,
    st.just(2024),
    st.just(5),
    st.just(1),
    st.integers(11, 13),
    fold=st.integers(0, 1),
    tzinfo=st.none() | OFFSETS,
)
HASHABLE_ATOMS = (
    st.sampled_from([None, ..., True, False, Color.RED, Color.BLUE, Level.LOW, int, str, Whole, b"1", b"", 2**70])
    | st.integers(-2, 2)
    | st.sampled_from([0.0, -0.0, 1.0, 2.0, math.nan, -math.nan, math.inf, 0j, -0j, complex(0.0, -0.0), 1j])
    | st.sampled_from([Decimal(1), Decimal("1.0"), Decimal("1.00"), Decimal("-0"), Decimal(0), Decimal("NaN")])
    | TEXTS
    | TEXTS.map(Word)
    | st.integers(0, 1).map(Whole)
    | TIMES
    | TIMES.map(dt.datetime.timetz)
    | st.sampled_from([dt.date(2024, 5, 1), dt.timedelta(1), dt.timedelta(0), range(1), range(2), range(0, 2, 2)])
)
HASHABLE = st.recursive(
    HASHABLE_ATOMS,
    lambda inner: (
        st.lists(inner, max_size=2).map(tuple) | st.lists(inner, max_size=2).map(Row) | st.frozensets(inner, max_size=2)
    ),
    max_leaves=3,
)
VALUE = st.recursive(
    HASHABLE | st.binary(max_size=1).map(bytearray),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.lists(inner, max_size=2).map(tuple)
        | st.sets(HASHABLE, max_size=3)
        | st.dictionaries(HASHABLE, inner, max_size=3)
        | st.dictionaries(HASHABLE, inner, max_size=3).map(OrderedDict)
        | st.builds(Point, inner, inner)
        | st.builds(Place, inner, inner)
        | st.builds(lambda x, y: Spot(x=x, y=y), inner, inner)
    ),
    max_leaves=4,
)
MANY = settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # the assertion names the pair: nothing to shrink
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@MANY
@given(st.lists(VALUE, min_size=VALUES, max_size=VALUES))
def test_values_are_written_the_same_iff_they_are_the_same(values: list[Any]) -> None:
    texts = [encode(value) for value in values]
    for (a, text), (b, other) in itertools.combinations(zip(values, texts, strict=True), 2):
        assert (text == other) == same(a, b), (a, b, text, other)
    for value, text in zip(values, texts, strict=True):
        assert encode(respelled(value)) == text
        assert text.isascii()


# Plain functions, which tell what the language bound; a coroutine function's parameters are the same.
def _plain(a: Any, b: Any = 1, c: Any = "1") -> Any:
    return locals()


def _bare() -> Any:
    return locals()


def _nameless(a: Any, b: Any = 1, /, c: Any = 1) -> Any:
    return locals()


def _named(a: Any = 1, *, b: Any, c: Any = 1) -> Any:
    return locals()


def _open(a: Any = 1, *args: Any, b: Any = 1, **kwargs: Any) -> Any:
    return locals()


def _nameless_open(a: Any = 1, /, b: Any = 1, **kwargs: Any) -> Any:
    return locals()


def _odd(self: Any, key: Any = 1, cache: Any = 1, args: Any = 1) -> Any:
    return locals()


FUNCTIONS = [_plain, _bare, _nameless, _named, _open, _nameless_open, _odd]
NAMES = ["a", "b", "c", "d", "self", "key", "cache", "args", "b=1"]
CALLS = st.tuples(st.lists(VALUE, max_size=4).map(tuple), st.dictionaries(st.sampled_from(NAMES), VALUE, max_size=3))
ATOMIC_CALLS = st.tuples(
    st.lists(HASHABLE_ATOMS, max_size=3).map(tuple), st.dictionaries(st.sampled_from(NAMES), HASHABLE_ATOMS, max_size=3)
)
Call = tuple[tuple[Any, ...], dict[str, Any]]


def arguments(function: Callable[..., Any], call: Call) -> Any:
    """Return what the language binds, or None for a call that does not fit."""
    try:
        return function(*call[0], **call[1])
    except TypeError:
        return None


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
@settings(MANY, max_examples=5)
@given(calls=st.lists(CALLS | ATOMIC_CALLS, min_size=VALUES, max_size=VALUES))
def test_calls_have_one_key_iff_their_arguments_are_the_same(function: Callable[..., Any], calls: list[Call]) -> None:
    keys = CallKeys(function)
    made: list[tuple[str, Any]] = []
    for call in calls:
        bound = arguments(function, call)
        if bound is None:
            with pytest.raises(TypeError, match=rf"^{function.__name__}\(\) "):
                keys.key(*call)
        else:
            key = keys.key(*call)
            assert keys.key(*call) == key  # from the memo, if it is there
            assert CallKeys(function).key(*call) == key
            assert key.startswith(keys.prefix)
            made.append((key, bound))
    for (key, a), (other, b) in itertools.combinations(made, 2):
        assert (key == other) == same(a, b), (a, b, key, other)


ATOMS = st.sampled_from([0, 1, True, False, 0.0, -0.0, 1.0, math.nan, "1", b"1", None, Whole(1), Word("1"), Level.LOW])


@settings(MANY, max_examples=60)
@given(st.lists(st.tuples(ATOMS, ATOMS, ATOMS), min_size=VALUES, max_size=VALUES))
def test_spellings_of_a_call_have_one_key_and_equal_values_of_other_types_have_others(calls: list[Any]) -> None:
    keys = CallKeys(_plain)
    made = []
    for a, b, c in calls:
        spellings: list[Call] = [
            ((a, b, c), {}),
            ((a, b), {"c": c}),
            ((a,), {"c": c, "b": b}),
            ((), {"b": b, "a": a, "c": c}),
        ]
        if same(c, "1"):
            spellings += [((a, b), {}), ((a,), {"b": b})]
        (key,) = {keys.key(*spelling) for spelling in spellings}
        made.append((key, (a, b, c)))
    for (key, a), (other, b) in itertools.combinations(made, 2):
        assert (key == other) == same(a, b), (a, b, key, other)
