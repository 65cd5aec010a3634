"""Let aiomcache's own client use a connection of ours, for ``cache.raw(command, …)``."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import aiomcache
from aiomcache.client import FlagClient
from aiomcache.exceptions import ClientException, ValidationException
from aiomcache.pool import Connection as StreamPair

from aiocache_core import BackendError
from aiocache_memcached.connection import Connection


async def call(connection: Connection, command: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call the method ``command`` of aiomcache's client over a connection and return what it returns.

    Raises ``AttributeError`` for a method that it does not have, ``ValueError`` for arguments that it does not take,
    ``BackendError`` if the server refuses, ``BackendUnavailable`` if the connection is lost.
    """
    if command.startswith("_") or command == "close" or not hasattr(aiomcache.Client, command):
        usable = sorted(name for name in dir(aiomcache.Client) if not name.startswith("_") and name != "close")
        message = f"aiomcache's client has no command {command!r}; it has: {', '.join(usable)}"
        raise AttributeError(message)
    if connection.closed:
        raise connection.lost()
    reader = connection.stream = _Reader()
    try:
        return await getattr(_Client(connection, reader), command)(*args, **kwargs)
    except ValidationException as error:
        message = f"raw({command!r}) was called with what memcached does not take: {error}"
        raise ValueError(message) from error
    except ClientException as error:
        message = f"memcached refused raw({command!r}): {error}"
        raise BackendError(message) from error
    except (EOFError, OSError) as error:
        raise connection.lost() from error
    finally:
        reader.feed_eof()
        connection.stream = None
        if not reader.at_eof():
            connection.close("a raw command left a part of its reply unread")


class _Reader(asyncio.StreamReader):
    """Say that the stream has ended where aiomcache would read the end again and again, without ever giving way."""

    async def readline(self) -> bytes:
        line = await super().readline()
        if not line.endswith(b"\n"):
            message = "the server has closed the connection"
            raise EOFError(message)
        return line


class _Writer:
    """Send what aiomcache writes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def write(self, data: bytes) -> None:
        self._connection.write(data)

    async def drain(self) -> None:
        """Do nothing: nothing more is written before the reply."""


class _Borrowed:
    """Stand where aiomcache has its pool, and give it the one connection that is lent to it."""

    def __init__(self, pair: StreamPair) -> None:
        self._pair = pair

    async def acquire(self) -> StreamPair:
        return self._pair

    def release(self, conn: StreamPair) -> None:
        """Do nothing: who has lent the connection takes it back."""


class _Client(FlagClient[bytes]):
    """Be aiomcache's client over one connection."""

    def __init__(self, connection: Connection, reader: asyncio.StreamReader) -> None:
        super().__init__("", get_flag_handler=_as_stored)
        pair = StreamPair(reader, cast("asyncio.StreamWriter", _Writer(connection)))
        self._pool = cast("Any", _Borrowed(pair))


async def _as_stored(data: bytes, _flags: int) -> bytes:
    """Return a value that another client has marked with flags, as it is stored."""
    return data
