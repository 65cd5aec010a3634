"""Hold what the msgpack serializer carries, and how hostile bytes end."""

from __future__ import annotations

import math
import struct
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta, timezone
from importlib import import_module
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiocache_core import BaseSerializer, Cache, DecodeError
from aiocache_msgpack import MsgPackSerializer

msgpack: Any = import_module("msgpack")  # it has no types

KEYS = st.one_of(
    st.text(),
    st.binary(),
    st.integers(),
    st.floats(allow_nan=False),
    st.booleans(),
    st.none(),
    st.datetimes(timezones=st.just(UTC)),
)
LEAVES = st.one_of(
    KEYS,
    st.text(st.characters()),  # lone surrogates too
    st.datetimes(),
    st.datetimes(timezones=st.timezones(), allow_imaginary=False),
    st.integers(-(2**300), 2**300),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)


@settings(max_examples=200)
@given(VALUES)
def test_values_come_back(value: Any) -> None:
    serializer = MsgPackSerializer()
    assert same(serializer.loads(serializer.dumps(value)), value)


def same(left: Any, right: Any) -> bool:
    """Return True if two values are of the same types and equal, datetimes by their offsets too."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return len(left) == len(right) and all(map(same, left.items(), right.items()))
    if isinstance(left, tuple):
        return all(map(same, left, right))
    if isinstance(left, datetime):
        return bool(
            left.replace(tzinfo=None, fold=0) == right.replace(tzinfo=None, fold=0)
            and left.utcoffset() == right.utcoffset()
        )
    return bool(left == right)


@pytest.mark.parametrize(
    "value",
    [
        b"\x00\xff",
        "text é \ud800",
        datetime(2026, 11, 25, 12, 30, 15, 123456, tzinfo=UTC),
        datetime(2026, 11, 25, 12, 30, tzinfo=timezone(timedelta(hours=-5, minutes=-30))),
        datetime(2026, 7, 1, 12, 30, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(1931, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        datetime(2026, 11, 25, 12, 30),  # noqa: DTZ001 - one without a zone is a value too
        datetime(1, 1, 1),  # noqa: DTZ001
        datetime.max.replace(tzinfo=UTC),
        2**64,
        -(2**63) - 1,
        10**100,
        [1, [2, [3, {"a": [b"x", None, True, 1.5]}]]],
        {2: "int", None: "none", b"bytes": "bytes", 2.5: "float", True: "bool", 2**70: "big"},
        -0.0,
        math.inf,
    ],
    ids=repr,
)
def test_a_value_comes_back(value: Any) -> None:
    found = MsgPackSerializer().loads(MsgPackSerializer().dumps(value))
    assert same(found, value)
    assert not isinstance(value, float) or math.copysign(1, found) == math.copysign(1, value)


def test_tuples_come_back_as_lists_unless_told() -> None:
    value = {"a": (1, (2, [3])), "b": []}
    assert MsgPackSerializer().loads(MsgPackSerializer().dumps(value)) == {"a": [1, [2, [3]]], "b": []}
    tuples = MsgPackSerializer(use_list=False)
    assert tuples.loads(tuples.dumps(value)) == {"a": (1, (2, (3,))), "b": ()}
    assert tuples.loads(tuples.dumps({(1, 2): 3})) == {(1, 2): 3}


def test_another_encoding_gives_text_as_bytes() -> None:
    assert MsgPackSerializer(encoding=None).loads(b"\xa2hi") == b"hi"
    assert MsgPackSerializer(encoding="latin-1").loads(b"\xa2hi") == b"hi"
    assert MsgPackSerializer().loads(b"\xa2hi") == "hi"


def test_what_is_stored_is_msgpack_that_others_read() -> None:
    serializer = MsgPackSerializer()
    assert isinstance(serializer, BaseSerializer)
    assert serializer.dumps("hi") == b"\xa2hi"
    value = {"a": [1, 2.5, b"x", None]}
    assert msgpack.unpackb(serializer.dumps(value)) == value
    assert serializer.loads(msgpack.packb(value)) == value
    when = datetime(2026, 11, 25, tzinfo=UTC)
    assert msgpack.unpackb(serializer.dumps(when), timestamp=3) == when
    assert serializer.loads(msgpack.packb(msgpack.ExtType(42, b"x"))) == msgpack.ExtType(42, b"x")


def test_none_is_none() -> None:
    assert MsgPackSerializer().loads(None) is None
    assert MsgPackSerializer().loads(MsgPackSerializer().dumps(None)) is None


@pytest.mark.parametrize("value", [{1, 2}, object(), 1j, timedelta(1)], ids=lambda value: type(value).__name__)
def test_a_type_that_cannot_be_carried_is_named(value: Any) -> None:
    with pytest.raises(TypeError, match=type(value).__name__):
        MsgPackSerializer().dumps([value])


def test_unknown_options_are_refused() -> None:
    with pytest.raises(TypeError, match="colour"):
        MsgPackSerializer(colour="red")


def test_it_works_beside_another_base() -> None:
    class Other:
        def __init__(self, *, many: bool) -> None:
            self.many = many

    class Both(MsgPackSerializer, Other):
        pass

    both = Both(many=True, use_list=False)
    assert both.many
    assert both.loads(both.dumps([1])) == (1,)


@pytest.mark.parametrize("name", ["msgpack", MsgPackSerializer, "aiocache_msgpack.MsgPackSerializer"])
async def test_a_cache_takes_it_by_name_and_by_class(name: Any) -> None:
    async with Cache("memory", serializer=name) as cache:
        value = {"a": [1, b"\xff\x00", datetime(2026, 1, 1, tzinfo=UTC)]}
        await cache.set("key", value)
        assert await cache.get("key") == value
        assert isinstance(await cache.backend.get("key"), bytes)


async def test_a_store_of_bytes_hands_it_bytes() -> None:
    from tests.core.stores import DictCache

    async with DictCache(serializer="msgpack") as cache:
        await cache.set("key", b"\xff\x00\x80")
        assert await cache.get("key") == b"\xff\x00\x80"


LONG = 1_000_000
HOSTILE = {
    "empty": b"",
    "truncated": b"\x93\x01",
    "more than one": b"\x01\x02",
    "no msgpack": b"\xc1",
    "deep arrays": b"\x91" * LONG,
    "deep maps": b"\x81\x01" * LONG,
    "deep but short": b"\x91" * 3000,
    "deep in extensions": b"\x91" * 900 + b"\xc7\x03\x01abc",
    "arrays that say they are long": b"\xdd\x00\x0f\x42\x40" * 900 + b"\x01" * LONG,
    "maps that say they are long": b"\xdf\x00\x0f\x42\x40\x01" * 900 + b"\x01" * LONG,
    "short arrays that say they are long": b"\xdc\x10\x00" * 1000 + b"\x01" * 1000,
    "huge text": b"\xdb\xff\xff\xff\xff",
    "huge bytes": b"\xc6\xff\xff\xff\xffx",
    "huge extension": b"\xc9\xff\xff\xff\xff\x05",
    "huge array": b"\xdd\xff\xff\xff\xff",
    "huge map": b"\xdf\xff\xff\xff\xff",
    "text that is no UTF-8": b"\xa2\xff\xfe",
    "a date that is none": b"\xc7\x03\x01abc",
    "a time out of range": b"\xc7\x0c\xff" + b"\xff" * 12,
    "a list as a key": b"\x81\x91\x01\x01",
    "keys of one hash": b"\xdf"
    + struct.pack(">I", 100_000)
    + b"".join(b"\xc7\x11\x02" + (n * (2**61 - 1)).to_bytes(17, "big") + b"\xc0" for n in range(100_000)),
}
"""Payloads that must be refused, and soon."""


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE)
def test_hostile_payloads_end_in_a_value_error(payload: bytes) -> None:
    for use_list in (True, False):
        if use_list or payload != HOSTILE["a list as a key"]:  # a tuple may be one
            with pytest.raises(ValueError, match="not valid msgpack"):
                MsgPackSerializer(use_list=use_list).loads(payload)


def test_hostile_payloads_take_little_memory_and_time() -> None:
    """In a process of its own, which the system ends if it takes more: 200 MB besides what it had, and two seconds each."""
    program = textwrap.dedent("""
        import resource, signal
        from aiocache_msgpack import MsgPackSerializer
        from tests.msgpack_.test_serializer import HOSTILE
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for name, payload in HOSTILE.items():
            for use_list in (True, False):
                resource.setrlimit(resource.RLIMIT_CPU, (int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2])) + 2, -1))
                try:
                    MsgPackSerializer(use_list=use_list).loads(payload)
                except ValueError:
                    pass
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(done.stdout) * unit < 200 * 2**20


async def test_a_cache_makes_the_decode_error_which_tells_no_value() -> None:
    async with Cache("memory", serializer="msgpack") as cache:
        await cache.backend.set("key", b"\x92\xa6secret", None)
        with pytest.raises(DecodeError) as caught:
            await cache.get("key")
    assert "MsgPackSerializer" in str(caught.value)
    assert "secret" not in str(caught.value)
