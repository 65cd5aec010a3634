"""Hold the stored form of records. The stored bytes of every release stay in this file."""

from __future__ import annotations

import json
import pickle
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocache_core import records
from aiocache_core.records import LEASE, PLAIN, VALUE, Record

msgpack: Any = import_module("msgpack")  # it has no types

TOKEN = bytes(range(16))

STORED_1_0: list[tuple[Record, str]] = [
    (Record(VALUE, b""), "ff6163 01 56 0000000000000000 0000000000000000 00000000"),
    (
        Record(VALUE, b'{"a":1}', created=1_700_000_000_000, fresh_until=1_700_000_060_500),
        "ff6163 01 56 0000018bcfe56800 0000018bcfe65454 00000000 7b2261223a317d",
    ),
    (Record(VALUE, b"x", 1, 2, b"fields"), "ff6163 01 56 0000000000000001 0000000000000002 00000006 6669656c6473 78"),
    (
        Record(LEASE, TOKEN, fields=(2500).to_bytes(8, "big")),
        "ff6163 01 4c 0000000000000000 0000000000000000 00000008 00000000000009c4 000102030405060708090a0b0c0d0e0f",
    ),
    (Record(PLAIN, b"\xffac"), "ff6163 01 50 0000000000000000 0000000000000000 00000000 ff6163"),
]
"""Records, and the bytes (as hex) that release 1.0 stores for them."""

MILLISECONDS = st.integers(0, 2**64 - 1)
RECORDS = st.builds(
    Record, st.sampled_from([VALUE, LEASE, PLAIN]), st.binary(), MILLISECONDS, MILLISECONDS, st.binary(max_size=40)
)
OUTPUTS = st.text() | st.binary() | st.binary().map(records.PREFIX.__add__) | RECORDS.map(records.pack)


@pytest.mark.parametrize(("record", "stored"), STORED_1_0)
def test_the_stored_form_of_release_1_0(record: Record, stored: str) -> None:
    assert records.pack(record).hex() == stored.replace(" ", "")
    assert records.unpack(bytes.fromhex(stored)) == record


@given(RECORDS)
def test_unpacking_is_the_inverse_of_packing(record: Record) -> None:
    stored = records.pack(record)
    assert records.unpack(stored) == record
    assert stored.startswith(records.PREFIX)
    assert records.is_mark(stored) == (record.kind == LEASE)


@given(OUTPUTS)
def test_revealing_is_the_inverse_of_protecting(stored: str | bytes) -> None:
    protected = records.protect(stored)
    assert records.reveal(protected) == stored
    assert not records.is_mark(protected)


@given(st.text() | st.binary().filter(lambda stored: not stored.startswith(records.PREFIX)))
def test_what_does_not_begin_like_a_record_is_stored_as_it_is(stored: str | bytes) -> None:
    assert records.protect(stored) is stored
    assert records.reveal(stored) is stored


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary(), st.lists))
def test_no_serializers_output_begins_like_a_record(value: Any) -> None:
    outputs = [pickle.dumps(value, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    outputs.append(repr(value).encode("utf-8", "surrogatepass"))
    outputs.append(json.dumps(repr(value)).encode())
    outputs.append(msgpack.dumps(value, unicode_errors="surrogatepass"))
    assert [records.protect(stored) for stored in outputs] == outputs


@given(RECORDS, st.integers(3, 40))
def test_a_truncated_record_is_refused(record: Record, length: int) -> None:
    stored = records.pack(record)
    whole = len(stored) - len(record.payload)
    cut = stored[: min(length, whole - 1)]
    for read in (records.unpack, records.reveal):
        with pytest.raises(ValueError, match="the stored record is truncated"):
            read(cut)


@pytest.mark.parametrize(("place", "byte"), [(3, 2), (3, 0), (4, ord("?"))])
def test_a_record_of_another_version_or_kind_is_refused(place: int, byte: int) -> None:
    stored = bytearray(records.pack(Record(VALUE, b"x")))
    stored[place] = byte
    with pytest.raises(ValueError, match=r"the stored record is of version .*; this release reads version 1"):
        records.unpack(bytes(stored))


def test_every_mark_has_a_token_of_its_own_and_carries_its_lease() -> None:
    marks = {records.new_mark(2.5) for _ in range(100)}
    assert len(marks) == 100
    for mark in marks:
        assert records.is_mark(mark)
        assert mark.startswith(records.MARK_PREFIX)
        assert records.mark_lease(mark) == 2.5
        assert len(records.unpack(mark).payload) == 16
    assert records.mark_lease(records.new_mark()) == 0


@pytest.mark.parametrize("stored", [b"", b"\xff", records.PREFIX, "text", None, 5, bytearray(records.MARK_PREFIX)])
def test_nothing_else_is_a_mark(stored: object) -> None:
    assert not records.is_mark(stored)
