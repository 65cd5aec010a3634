"""Speak memcached's text protocol: write requests, read replies in whatever pieces they come, name the server's errors.

Classic commands are used wherever they are enough, so that every server knows them; those that begin with ``meta_`` need
memcached 1.6. (The commands are told in ``doc/protocol.txt`` of the server's sources.)
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

from aiocache_core import BackendError, ValueTooLarge

MARK: Final = 0x6C656173
"""The client flags of a lease mark; values have none."""

GONE: Final = -1
"""The exptime of what is to be missing at once."""

LARGEST: Final = 2**30
"""The size (bytes) of the largest value that any server can be told to take (``-I``)."""

_LONGEST_RELATIVE: Final = 30 * 24 * 3600
_LAST_DATE: Final = 2**31 - 1
_LONGEST_LINE: Final = 2**16


class Item(NamedTuple):
    """Hold an entry that the server has sent (or a line of ``stats``: its name and text)."""

    name: bytes
    flags: int
    data: bytes
    unique: int = 0
    """What tells this state of the entry from every other one, if it was asked for (``gets``)."""


Reply: TypeAlias = bytes | list[Item]
"""A line, or the entries that were found."""


# -- requests ----------------------------------------------------------------------------------------------------------


def exptime(ttl: float | None) -> int:
    """Return how the server is told a ttl (s): 0 for none, whole seconds rounded up, a date for more than 30 days.

    A date past January 2038 is more than the protocol can tell and is sent as "no expiry".
    """
    if ttl is None:
        return 0
    seconds = math.ceil(ttl)
    if seconds <= _LONGEST_RELATIVE:
        return seconds
    date = int(time.time()) + seconds
    return date if date <= _LAST_DATE else 0


def get(names: Sequence[bytes]) -> bytes:
    """Ask for entries."""
    return b"get %b\r\n" % b" ".join(names)


def gets(name: bytes) -> bytes:
    """Ask for an entry with its unique number."""
    return b"gets %b\r\n" % name


def store(command: bytes, name: bytes, data: bytes, expiry: int, flags: int = 0) -> bytes:
    """Store by ``set`` (always) or ``add`` (only what is missing)."""
    return b"%b %b %d %d %d\r\n%b\r\n" % (command, name, flags, expiry, len(data), data)


def cas(name: bytes, unique: int, data: bytes, expiry: int, flags: int = 0) -> bytes:
    """Replace an entry that is still in the state of this unique number."""
    return b"cas %b %d %d %d %d\r\n%b\r\n" % (name, flags, expiry, len(data), unique, data)


def remove(name: bytes, unique: int) -> bytes:
    """Remove an entry that is still in the state of this unique number: it is replaced by one that has expired."""
    return cas(name, unique, b"", GONE)


def delete(name: bytes) -> bytes:
    """Remove an entry."""
    return b"delete %b\r\n" % name


def touch(name: bytes, expiry: int) -> bytes:
    """Change when an entry expires."""
    return b"touch %b %d\r\n" % (name, expiry)


def meta_peek(name: bytes) -> bytes:
    """Ask for an entry's flags, unique number and seconds left, not for its data; see :class:`Peek`."""
    return b"mg %b f c t\r\n" % name


def meta_touch(name: bytes, expiry: int) -> bytes:
    """Change when an entry expires, and ask for its flags; see :class:`Peek`."""
    return b"mg %b T%d f\r\n" % (name, expiry)


def meta_count(name: bytes, unique: int, delta: int) -> bytes:
    """Count on an entry that is still in the state of this unique number; it keeps its expiry."""
    mode = b"MD " if delta < 0 else b""
    return b"ma %b C%d %bD%d\r\n" % (name, unique, mode, abs(delta))


# -- replies -------------------------------------------------------------------------------------------------------------


class Peek(NamedTuple):
    """Hold what a server with meta commands tells of an entry without its data."""

    flags: int
    unique: int = 0
    seconds: int = -1
    """The seconds left, -1 without expiry."""

    @property
    def is_mark(self) -> bool:
        """True for a lease mark."""
        return self.flags == MARK


def peek(reply: Reply) -> Peek | None:
    """Return what the reply to ``meta_peek`` or ``meta_touch`` tells, None for a missing entry."""
    line = told(reply)
    if line.startswith(b"EN"):
        return None
    tokens = {token[:1]: int(token[1:]) for token in line.split()[1:]}
    return Peek(tokens[b"f"], tokens.get(b"c", 0), tokens.get(b"t", -1))


def items(reply: Reply) -> list[Item]:
    """Return the entries of a reply. Raises ``BackendError`` if the server has answered with an error."""
    if isinstance(reply, list):
        return reply
    raise _error(reply)


def item(reply: Reply) -> Item | None:
    """Return the one entry that was asked for, None if it is missing."""
    found = items(reply)
    return found[0] if found else None


def told(reply: Reply) -> bytes:
    """Return the line of a reply, such as ``STORED``. Raises ``BackendError`` if it tells an error."""
    if isinstance(reply, list) or is_error(reply):
        raise _error(reply)
    return reply


def is_error(reply: Reply) -> bool:
    """Return True if the server has refused or not understood a command."""
    return isinstance(reply, bytes) and reply.startswith((b"SERVER_ERROR", b"CLIENT_ERROR", b"ERROR"))


def flags(reply: Reply) -> int | None:
    """Return the flags of the one entry that was looked at, with or without its data; None if it is missing."""
    found = item(reply) if isinstance(reply, list) else peek(reply)
    return None if found is None else found.flags


def stored(reply: Reply, size: int) -> bool:
    """Return True if a value of this size (bytes) was stored. Raises ``ValueTooLarge``, ``BackendError``."""
    if is_too_large(reply):
        raise too_large(size)
    return told(reply) == b"STORED"


def is_too_large(reply: Reply) -> bool:
    """Return True if the server takes no value so large."""
    return isinstance(reply, bytes) and reply.startswith(b"SERVER_ERROR object too large")


def too_large(size: int) -> ValueTooLarge:
    """Return the error for a value of a size (bytes)."""
    message = (
        f"memcached takes no value of {size} bytes, and the old one, which it was to replace, is gone; "
        f"compress it, split it, or start the server with a larger -I"
    )
    return ValueTooLarge(message)


def _error(reply: Reply) -> BackendError:
    if isinstance(reply, bytes) and is_error(reply):
        return BackendError(f"memcached refused the command: {reply.decode('ascii', 'replace')}")
    return BackendError("memcached gave a reply that does not belong to the command")


class Parser:
    """Cut what the server sends into replies."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._needed = 0
        """The bytes without which nothing more can be read; a large value is not looked at for each of its pieces."""
        self._items: list[Item] = []
        self.tolerant = False
        """True while it does no harm if the server does not understand."""
        self.lost: bool = False
        """True if the server said that it did not understand: what comes next may belong to anything."""

    @property
    def idle(self) -> bool:
        """True between two replies."""
        return not self._size and not self._items

    def feed(self, data: bytes) -> list[Reply]:
        """Return the replies that are complete with this piece. Raises ``ValueError`` for what is no reply."""
        self._size += len(data)
        if self._pieces or self._size < self._needed:
            self._pieces.append(data)
            if self._size < self._needed:
                return []
            data = b"".join(self._pieces)
        replies: list[Reply] = []
        try:
            rest = self._cut(data, replies)
        except IndexError:
            message = "a word is missing"
            raise ValueError(message) from None
        self._pieces = [data[rest:]] if rest < len(data) else []
        self._size = len(data) - rest
        return replies

    def _cut(self, data: bytes, replies: list[Reply]) -> int:
        """Append the complete replies; return where the rest begins."""
        start = 0
        self._needed = 0
        while True:
            end = data.find(b"\r\n", start)
            if end < 0:
                if len(data) - start > _LONGEST_LINE:
                    message = "the line is too long"
                    raise ValueError(message)
                return start
            line = data[start:end]
            if line.startswith(b"VALUE "):
                words = line.split(b" ")
                value, size = end + 2, int(words[3])
                stop = value + size
                if not 0 <= size <= LARGEST:
                    message = "the size is out of range"
                    raise ValueError(message)
                if len(data) < stop + 2:
                    self._needed = stop + 2 - start
                    return start
                if not data.startswith(b"\r\n", stop):
                    message = "the value does not end where it should"
                    raise ValueError(message)
                unique = int(words[4]) if len(words) > 4 else 0
                self._items.append(Item(words[1], int(words[2]), data[value:stop], unique))
                start = stop + 2
                continue
            if line == b"END":
                replies.append(self._items)
                self._items = []
            elif line.startswith(b"STAT "):
                name, _, text = line[5:].partition(b" ")
                self._items.append(Item(name, 0, text))
            else:
                self._items = []  # an error may come in the middle of them
                self.lost |= not self.tolerant and line.startswith((b"ERROR", b"CLIENT_ERROR"))
                replies.append(line)
            start = end + 2
