"""Hold how arguments and calls are written. The forms of every release stay in this file."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import fractions
import ipaddress
import json
import os
import pathlib
import subprocess
import sys
import uuid
import zoneinfo
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import attrs
import pydantic
import pytest

from aiocache_core.callkeys import CallKeys, encode

T = TypeVar("T")


class Color(enum.Enum):
    RED = 1
    ROUGE = 1  # noqa: PIE796 - an alias
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1


class Access(enum.Flag):
    READ = 1
    WRITE = 2


@dataclass
class Point:
    x: int
    y: float = 0.0
    note: str = field(default="", compare=False)


@dataclass(eq=False)
class Node:
    name: str
    note: str = field(default="", compare=False)


@attrs.define
class User:
    id: int
    name: str = attrs.field(default="", eq=str.lower)
    seen: int = attrs.field(default=0, eq=False)


class Item(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    id: int
    tags: list[str] = []
    _origin: str = pydantic.PrivateAttr("web")


class Page(pydantic.BaseModel, Generic[T]):
    items: list[T]


class Celsius(float):
    place: str


class Name(str):
    __slots__ = ()


Pair = namedtuple("Pair", "left right")  # noqa: PYI024 - this spelling too


class Shop:
    def __init__(self, town: str) -> None:
        self.town = town

    def __cache_key__(self) -> str:
        return self.town

    async def price(self, item: int, *others: int, currency: str = "EUR", **options: object) -> None: ...


def _celsius() -> Celsius:
    value = Celsius(21.5)
    value.place = "Rome"
    return value


HERE = __name__
CEST = dt.timezone(dt.timedelta(hours=2))

ARGUMENTS_1_0: list[tuple[object, str]] = [
    (None, "None"),
    (..., "Ellipsis"),
    (NotImplemented, "NotImplemented"),
    (True, "True"),
    (1, "1"),
    (-1, "-1"),
    (2**64 - 1, "18446744073709551615"),
    (2**64, "0x10000000000000000"),
    (-(2**64), "-0x10000000000000000"),
    (1.0, "1.0"),
    (-0.0, "-0.0"),
    (1e300, "1e+300"),
    (float("nan"), "nan"),
    (float("-inf"), "-inf"),
    (1j, "complex(0.0,1.0)"),
    ("", "''"),
    ("it's", '"it\'s"'),
    ("a\\b\n\"'", "'a\\\\b\\n\"\\''"),
    ("é€😀\ud800", "'\\xe9\\u20ac\\U0001f600\\ud800'"),
    (b"\x00a", "b'\\x00a'"),
    (bytearray(b"a"), "bytearray(b'a')"),
    ((), "()"),
    ((1,), "(1,)"),
    ((1, "a"), "(1,'a')"),
    ([1, [2]], "[1,[2]]"),
    ({3, 1, "a"}, "set('a',1,3)"),
    (set(), "set()"),
    (frozenset({2, 1}), "frozenset(1,2)"),
    ({"b": 1, "a": {}}, "{'a'={},'b'=1}"),
    (OrderedDict(b=1, a=2), "OrderedDict(('b',1),('a',2))"),
    (defaultdict(list, {1: [2]}), "defaultdict(builtins:list,{1=[2]})"),
    (Counter("aab"), "collections:Counter({'a'=2,'b'=1})"),
    (deque([1, 2], 5), "deque(5,[1,2])"),
    (range(3), "range(0,3,1)"),
    (slice(3), "slice(None,3,None)"),
    (dt.date(2024, 5, 1), "date('2024-05-01')"),
    (dt.time(12, 30), "time('12:30:00')"),
    (dt.time(12, 30, fold=1), "time('12:30:00',fold=1)"),
    (dt.time(12, 30, tzinfo=CEST), "time('12:30:00+02:00')"),
    (dt.time(12, tzinfo=zoneinfo.ZoneInfo("Europe/Rome")), "time('12:00:00',ZoneInfo('Europe/Rome'))"),
    (dt.datetime(2024, 5, 1, 12, 0, 0, 7), "datetime('2024-05-01T12:00:00.000007')"),  # noqa: DTZ001 - naive ones too
    (dt.datetime(2024, 5, 1, fold=1), "datetime('2024-05-01T00:00:00',fold=1)"),  # noqa: DTZ001 - naive ones too
    (dt.datetime(2024, 5, 1, tzinfo=CEST), "datetime('2024-05-01T00:00:00+02:00')"),
    (dt.timedelta(1, 2, 3), "timedelta(1,2,3)"),
    (CEST, "timezone(timedelta(0,7200,0),'UTC+02:00')"),
    (zoneinfo.ZoneInfo("Europe/Rome"), "ZoneInfo('Europe/Rome')"),
    (decimal.Decimal("1.00"), "Decimal('1.00')"),
    (decimal.Decimal("1e50"), "Decimal('1E+50')"),
    (decimal.Decimal("-sNaN1"), "Decimal('-SNAN1')"),
    (fractions.Fraction(2, 6), "Fraction(1,3)"),
    (uuid.UUID(int=5), "UUID('00000000-0000-0000-0000-000000000005')"),
    (pathlib.PurePosixPath("a/b"), "PurePosixPath('a/b')"),
    (pathlib.PureWindowsPath("a/b"), "PureWindowsPath('a\\\\b')"),
    (ipaddress.ip_address("127.0.0.1"), "IPv4Address('127.0.0.1')"),
    (ipaddress.ip_address("::1"), "IPv6Address('::1')"),
    (ipaddress.ip_interface("10.0.0.1/8"), "IPv4Interface('10.0.0.1/8')"),
    (ipaddress.ip_network("::/64"), "IPv6Network('::/64')"),
    (int, "builtins:int"),
    (Shop, f"{HERE}:Shop"),
    (Shop.price, f"{HERE}:Shop.price"),
    (len, "builtins:len"),
    (Color.ROUGE, f"{HERE}:Color.RED"),
    (Level.LOW, f"{HERE}:Level.LOW"),
    (Access.READ | Access.WRITE, f"{HERE}:Access(3)"),
    (Point(1, note="n"), f"{HERE}:Point(x=1,y=0.0)"),
    (Node("a", note="n"), f"{HERE}:Node(name='a',note='n')"),
    (User(1, "Ann", seen=5), f"{HERE}:User(id=1,name='ann')"),
    (Item(id=1, extra=2), f"{HERE}:Item('+extra'={{'extra'=2}},'+private'={{'_origin'='web'}},id=1,tags=[])"),  # type: ignore[call-arg]  # an extra
    (Page[int](items=[1]), f"{HERE}:Page[builtins:int](items=[1])"),
    (_celsius(), f"{HERE}:Celsius(21.5,place='Rome')"),
    (Name("a"), f"{HERE}:Name('a')"),
    (Pair(1, 2), f"{HERE}:Pair((1,2))"),
    (Shop("Rome"), f"{HERE}:Shop('Rome')"),
]
"""Arguments, and what release 1.0 writes for them."""

CALLS_1_0: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
    ((Shop("Rome"), 7), {}, f"{HERE}.Shop.price({HERE}:Shop('Rome'),7,currency='EUR')"),
    ((Shop("Rome"), 7, 8), {"z": 1, "b": 2}, f"{HERE}.Shop.price({HERE}:Shop('Rome'),7,8,currency='EUR',b=2,z=1)"),
    ((Shop("Rome"), 7), {"not a name": 1}, f"{HERE}.Shop.price({HERE}:Shop('Rome'),7,currency='EUR','not a name'=1)"),
    (
        (Shop("Rome"), 7, "x" * 200),
        {},
        f"{HERE}.Shop.price(#e24d6dd367238f9186b438d178b63b34301cc252260dc1ec9e43d10c6491f2f9)",
    ),
]
"""Calls of ``Shop.price``, and the keys of release 1.0."""


@pytest.mark.parametrize(("value", "text"), ARGUMENTS_1_0, ids=[text for _, text in ARGUMENTS_1_0])
def test_the_form_of_an_argument_in_release_1_0(value: object, text: str) -> None:
    assert encode(value) == text


@pytest.mark.parametrize(("args", "kwargs", "key"), CALLS_1_0)
def test_the_form_of_a_call_in_release_1_0(args: tuple[Any, ...], kwargs: dict[str, Any], key: str) -> None:
    assert CallKeys(Shop.price, method=True).key(args, kwargs) == key


def test_no_two_of_the_forms_are_one() -> None:
    assert len({text for _, text in ARGUMENTS_1_0}) == len(ARGUMENTS_1_0)


@pytest.mark.parametrize("seed", ["0", "1"])
def test_other_processes_write_the_same(seed: str) -> None:
    program = (
        "import json; from aiocache_core.callkeys import encode; from tests.core.test_callkeys_forms import ARGUMENTS_1_0;"
        "print(json.dumps([encode(value) for value, _ in ARGUMENTS_1_0]))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == [text for _, text in ARGUMENTS_1_0]
