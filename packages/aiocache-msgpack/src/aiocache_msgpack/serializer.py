"""Turn values into msgpack and back; also what msgpack itself lacks, and no more than the payload's size asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import Any, Final

import msgpack  # type: ignore[import-untyped]  # it ships no types

from aiocache_core import BaseSerializer

DATETIME: Final = 1
"""The extension type of a datetime that is not in UTC: its ISO 8601 text. One in UTC is msgpack's own timestamp."""
BIG_INTEGER: Final = 2
"""The extension type of an integer of more than 64 bits: two's complement, big-endian."""

_SMALL: Final = 4096
"""The size (bytes) up to which a payload is decoded without a look at its structure first."""
_MOST_COLLISIONS: Final = 64
"""The keys of one hash that a map may have; more are made by attackers, as each slows all others down."""


class MsgPackSerializer(BaseSerializer):
    """Store msgpack: smaller than JSON, and readable by programs in other languages.

    It takes what JSON takes, and bytes, datetimes, integers of any size, and maps whose keys are no text. Tuples come back as
    lists; with ``use_list=False`` lists and tuples come back as tuples. An ``encoding`` other than "utf-8" (None, say) gives
    text back as bytes. A datetime with a zone comes back with the zone's offset.
    """

    def __init__(self, *args: Any, encoding: str | None = "utf-8", use_list: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, encoding=None, **kwargs)  # a cache hands it the bytes as they are stored
        self.text_encoding = encoding
        """How text is given back: "utf-8", or as bytes for any other."""
        self.use_list = use_list

    def dumps(self, value: Any, /) -> bytes:
        """Return the value as msgpack. Raises ``TypeError`` for a type that it does not have."""
        packed: Any = msgpack.packb(value, default=_extend, unicode_errors="surrogatepass")
        return bytes(packed)

    def loads(self, stored: Any, /) -> Any:
        """Return the value of msgpack; None for None.

        Raises ``ValueError`` for anything that is not whole and valid, before it takes much memory or time.
        """
        if stored is None:
            return None
        try:
            if len(stored) > _SMALL:
                _check_structure(stored)
            try:
                return self._unpack(stored)
            except ValueError:
                return self._unpack(stored, strict_map_key=False, object_pairs_hook=_map)
        except Exception as error:  # noqa: BLE001 - hostile bytes lead to errors of many kinds
            message = f"these {len(stored)} bytes are not valid msgpack ({type(error).__name__})"
            raise ValueError(message) from None

    def _unpack(self, stored: Any, **options: Any) -> Any:
        return msgpack.unpackb(
            stored,
            raw=self.text_encoding != "utf-8",
            unicode_errors="surrogatepass",
            timestamp=3,  # as datetimes
            ext_hook=_shrink,
            list_hook=None if self.use_list else tuple,
            **options,
        )


def _extend(value: Any) -> Any:
    """Return what msgpack can hold for a value that it does not know."""
    if isinstance(value, datetime):
        if value.utcoffset() == timedelta(0):
            return msgpack.Timestamp.from_datetime(value)
        return msgpack.ExtType(DATETIME, value.isoformat().encode())
    if isinstance(value, int):
        return msgpack.ExtType(BIG_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))
    message = f"msgpack cannot carry a value of type {type(value).__name__}; convert it, or give the cache serializer='pickle'"
    raise TypeError(message)


def _shrink(code: int, data: bytes) -> Any:
    """Return the value that an extension holds; those of other programs as they are."""
    if code == DATETIME:
        return datetime.fromisoformat(data.decode())
    if code == BIG_INTEGER:
        return int.from_bytes(data, "big", signed=True)
    return msgpack.ExtType(code, data)


def _map(pairs: list[tuple[Hashable, Any]]) -> dict[Hashable, Any]:
    """Return a map whose keys need not be text; the hashes of numbers and tuples, unlike those of text, can be foreseen."""
    if len(pairs) > _MOST_COLLISIONS:
        ((_, most),) = Counter(hash(key) for key, _ in pairs).most_common(1)
        if most > _MOST_COLLISIONS:
            message = "too many keys of a map have one hash"
            raise ValueError(message)
    return dict(pairs)


def _check_structure(stored: bytes) -> None:
    """Raise an error unless the payload is whole.

    An array's memory is taken when its length is read, so that nested arrays that only say that they are long would take
    gigabytes; skipping takes none.
    """
    unpacker = msgpack.Unpacker(max_buffer_size=len(stored))
    unpacker.feed(stored)
    unpacker.skip()
