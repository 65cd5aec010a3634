"""Hold a bounded number of connections to one server, given out in the order in which they were asked for."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from aiocache_core import BackendUnavailable, UnsupportedCommand
from aiocache_memcached.connection import Connection, Request
from aiocache_memcached.protocol import Reply

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Answer(NamedTuple):
    """Hold a server's replies to a request."""

    server: bytes
    """The life of the server that gave them."""
    replies: list[Reply]


class AnotherServer(Exception):
    """Say that a request was meant for a server that has ended; nothing was sent."""


class Pool:
    """Hold at most ``size`` connections, opened when they are needed, for one loop."""

    def __init__(self, endpoint: str, port: int, size: int) -> None:
        self._endpoint = endpoint
        self._port = port
        self._place = f"[{endpoint}]:{port}" if ":" in endpoint else f"{endpoint}:{port}"
        self._turns = asyncio.Semaphore(size)
        """First come, first served; a connection is opened or used only by who holds a turn, which bounds their number."""
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._opening: set[asyncio.Timeout] = set()
        self._closed = False

    async def exchange(self, request: Request) -> Answer:
        """Send a request on a connection of its own and return the replies.

        Raises ``BackendUnavailable`` if there is none to be had or it is lost, ``UnsupportedCommand`` if the server lacks
        meta commands that are needed, ``AnotherServer`` if it is not the one asked for.
        """
        connection = await self._take()
        try:
            if request.server is not None and request.server != connection.server:
                raise AnotherServer
            if request.meta and not connection.meta:
                message = "this needs a server with meta commands, memcached 1.6 or later"
                raise UnsupportedCommand(message)
            return Answer(connection.server, await connection.exchange(request))
        finally:
            self._give_back(connection)

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[Connection]:
        """Lend a connection for a use of its own; it is closed if that does not end well."""
        connection = await self._take()
        try:
            yield connection
        except BaseException:
            connection.close("a command on it was given up")
            raise
        finally:
            self._give_back(connection)

    async def close(self) -> None:
        """Close all connections; commands that wait for a reply or a turn end with ``BackendUnavailable``."""
        self._closed = True
        now = asyncio.get_running_loop().time()
        for opening in self._opening:
            opening.reschedule(now)
        for connection in [*self._idle, *self._busy]:
            connection.close("the cache was closed")
        self._idle.clear()
        await asyncio.sleep(0)  # the sockets are closed by the loop's next turn

    async def _take(self) -> Connection:
        await self._turns.acquire()
        try:
            connection = self._find() or await self._open()
        except BaseException:
            self._turns.release()
            raise
        self._busy.add(connection)
        return connection

    def _find(self) -> Connection | None:
        while self._idle and not self._closed:
            connection = self._idle.pop()
            if not connection.closed:
                return connection
        return None

    def _give_back(self, connection: Connection) -> None:
        self._busy.discard(connection)
        connection.check()
        if not connection.closed:
            self._idle.append(connection)
        self._turns.release()

    async def _open(self) -> Connection:
        scope = asyncio.timeout(None)
        connection = Connection(self._place)
        try:
            async with scope:
                self._check_open()
                self._opening.add(scope)
                loop = asyncio.get_running_loop()
                await loop.create_connection(lambda: connection, self._endpoint, self._port)
                await connection.greet()
        except BackendUnavailable:
            raise
        except OSError as error:  # TimeoutError is one, be it of the network or of close()
            self._check_open()
            message = f"cannot connect to memcached at {self._place}: {error}"
            raise BackendUnavailable(message) from error
        finally:
            self._opening.discard(scope)
        return connection

    def _check_open(self) -> None:
        if self._closed:
            message = f"the connection to memcached at {self._place} is closed: the cache was closed"
            raise BackendUnavailable(message)
