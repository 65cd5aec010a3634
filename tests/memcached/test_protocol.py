"""Hold that replies are read whatever pieces they come in, and what is sent for a ttl."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocache_core import BackendError
from aiocache_memcached import protocol
from aiocache_memcached.protocol import Item, Parser, Reply

STREAM = (
    b"STORED\r\n"
    b"VALUE a 0 2\r\nhi\r\nEND\r\n"
    b"END\r\n"
    b"VALUE b 7 12 99\r\n\r\nEND\r\nSTOR\r\r\nVALUE c 0 0 18446744073709551615\r\n\r\nEND\r\n"
    b"HD f0 c1 t-1\r\n"
    b"STAT pid 12\r\nSTAT version 1.6 x\r\nEND\r\n"
    b"VALUE a 0 2\r\nhi\r\nSERVER_ERROR out of memory writing get response\r\n"
    b"VALUE big 0 5000\r\n" + b"x" * 5000 + b"\r\nEND\r\n"
)
REPLIES: list[Reply] = [
    b"STORED",
    [Item(b"a", 0, b"hi")],
    [],
    [Item(b"b", 7, b"\r\nEND\r\nSTOR\r", 99), Item(b"c", 0, b"", 2**64 - 1)],
    b"HD f0 c1 t-1",
    [Item(b"pid", 0, b"12"), Item(b"version", 0, b"1.6 x")],
    b"SERVER_ERROR out of memory writing get response",
    [Item(b"big", 0, b"x" * 5000)],
]


@given(st.lists(st.integers(0, len(STREAM))))
def test_replies_are_the_same_in_any_pieces(cuts: list[int]) -> None:
    parser = Parser()
    replies: list[Reply] = []
    places = [0, *sorted(cuts), len(STREAM)]
    for start, end in pairwise(places):
        replies += parser.feed(STREAM[start:end])
    assert replies == REPLIES
    assert parser.idle


def test_replies_are_the_same_byte_by_byte() -> None:
    parser = Parser()
    assert [reply for byte in STREAM for reply in parser.feed(bytes([byte]))] == REPLIES


@pytest.mark.parametrize(
    "stream",
    [
        b"VALUE a 0 x\r\n",
        b"VALUE a 0 -1\r\n\r\n",
        b"VALUE a 0 99999999999\r\n",
        b"VALUE a\r\n",
        b"VALUE a 0 2\r\nhello\r\n",
        b"x" * 70_000,
    ],
)
def test_what_is_no_reply_is_an_error(stream: bytes) -> None:
    with pytest.raises(ValueError):
        Parser().feed(stream)


def test_errors_tell_the_servers_reason_and_no_value() -> None:
    with pytest.raises(BackendError, match="out of memory storing object"):
        protocol.told(b"SERVER_ERROR out of memory storing object")
    with pytest.raises(BackendError) as caught:
        protocol.told([Item(b"k", 0, b"hush")])
    assert "hush" not in str(caught.value)
    with pytest.raises(BackendError):
        protocol.items(b"hush")


@pytest.mark.parametrize(
    ("ttl", "sent"),
    [(None, 0), (0.001, 1), (0.5, 1), (1.0, 1), (1.001, 2), (59.9, 60), (2592000.0, 2592000), (2591999.5, 2592000)],
)
def test_a_ttl_is_rounded_up_to_seconds(ttl: float | None, sent: int) -> None:
    assert protocol.exptime(ttl) == sent


@pytest.mark.parametrize("ttl", [2592000.001, 2592001.0, 365 * 86400.0])
def test_a_ttl_over_thirty_days_is_sent_as_a_date(ttl: float) -> None:
    before = int(time.time())
    sent = protocol.exptime(ttl)
    assert before + ttl <= sent <= int(time.time()) + ttl + 1


def test_a_date_that_the_protocol_cannot_tell_is_no_expiry() -> None:
    assert protocol.exptime(1e9) == 0
    assert protocol.exptime(1e300) == 0
