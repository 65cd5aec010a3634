"""Own the one binary form of everything stored that is more than a serializer's plain output.

Layout, big-endian: ``ff 61 63``, version (1 byte), kind (1 byte), created and fresh-until (milliseconds since 1970, 8 bytes
each, 0 for "not told"), length of further fields (4 bytes), the fields, the payload. No UTF-8 text, JSON, pickle or msgpack
begins with ``ff 61 63``. Readers of version 1 skip fields they do not know.
"""

from __future__ import annotations

import secrets
import struct
from typing import Final, NamedTuple

PREFIX: Final = b"\xffac"
VERSION: Final = 1
VALUE: Final = b"V"
"""A value with a logical expiry of its own."""
LEASE: Final = b"L"
"""A running computation's mark; the payload is its random token."""
PLAIN: Final = b"P"
"""Plain bytes that happen to begin like a record."""

MARK_PREFIX: Final = PREFIX + bytes([VERSION]) + LEASE
"""What every lease mark, and nothing else, begins with."""

_HEADER: Final = struct.Struct(">3sB1sQQI")


class Record(NamedTuple):
    """Hold the parts of a stored record; times are milliseconds since 1970, 0 for "not told"."""

    kind: bytes
    payload: bytes
    created: int = 0
    fresh_until: int = 0
    fields: bytes = b""


def is_mark(stored: object) -> bool:
    """Return True if the stored bytes are a lease mark, which every command reads as a miss."""
    return isinstance(stored, bytes) and stored.startswith(MARK_PREFIX)


def new_mark(lease: float = 0) -> bytes:
    """Return a lease mark with a fresh random token, which carries its lease (s) for stores with coarse clocks."""
    fields = struct.pack(">Q", round(min(lease, 2.0**40) * 1000))
    return pack(Record(LEASE, secrets.token_bytes(16), fields=fields))


def mark_lease(mark: bytes) -> float:
    """Return the lease (s) that a mark carries."""
    (milliseconds,) = struct.unpack_from(">Q", unpack(mark).fields)
    return float(milliseconds) / 1000


def pack(record: Record) -> bytes:
    """Return the stored form of a record."""
    kind, payload, created, fresh_until, fields = record
    return _HEADER.pack(PREFIX, VERSION, kind, created, fresh_until, len(fields)) + fields + payload


def unpack(stored: bytes) -> Record:
    """Return the record in stored bytes. Raises ``ValueError`` if they are truncated or of a later version."""
    if len(stored) < _HEADER.size:
        message = "the stored record is truncated"
        raise ValueError(message)
    _, version, kind, created, fresh_until, length = _HEADER.unpack_from(stored)
    start = _HEADER.size + length
    if version != VERSION or kind not in (VALUE, LEASE, PLAIN):
        message = f"the stored record is of version {version}, kind {kind!r}; this release reads version {VERSION}"
        raise ValueError(message)
    if len(stored) < start:
        message = "the stored record is truncated"
        raise ValueError(message)
    return Record(kind, stored[start:], created, fresh_until, stored[_HEADER.size : start])


def protect(stored: str | bytes) -> str | bytes:
    """Return a serializer's output as it may be stored: as it is, unless it begins like a record."""
    if isinstance(stored, bytes) and stored.startswith(PREFIX):
        return pack(Record(PLAIN, stored))
    return stored


def reveal(stored: str | bytes) -> str | bytes:
    """Return a serializer's output from what was stored; the inverse of :func:`protect`.

    Raises ``ValueError`` for bytes that begin like a record and are none.
    """
    if isinstance(stored, bytes) and stored.startswith(PREFIX):
        return unpack(stored).payload
    return stored
