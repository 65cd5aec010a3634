"""Be one connection to a server. It answers one request at a time, or it is closed: no reply is ever left for another."""

from __future__ import annotations

import asyncio
from typing import NamedTuple, cast

from aiocache_core import BackendError, BackendUnavailable
from aiocache_memcached.protocol import Parser, Reply


class Request(NamedTuple):
    """Say what is sent and how many replies are expected."""

    payload: bytes
    replies: int = 1
    meta: bool = False
    """True if it needs a server with meta commands."""
    server: bytes | None = None
    """The life of a server that alone may get it, None for any: unique numbers begin anew when a server does."""


class Connection(asyncio.Protocol):
    """Send requests and read their replies.

    Whatever ends an exchange early (a cancellation, a deadline, an end of the stream, a reply that makes no sense) closes the
    connection, so that a late reply has nobody to be given to.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        """The server's host and port, for messages."""
        self.server = b""
        """Tells one life of the server, from its start to its end, from another."""
        self.meta = False
        """True if the server has meta commands."""
        self.stream: asyncio.StreamReader | None = None
        """Gets what arrives instead, while aiomcache's own client uses this connection."""
        self._closed = ""
        """Why it is closed; empty while it is open."""
        self._cause: BaseException | None = None
        self._transport: asyncio.Transport | None = None
        self._parser = Parser()
        self._replies: list[Reply] = []
        self._expected = 0
        self._waiter: asyncio.Future[list[Reply]] | None = None

    @property
    def closed(self) -> bool:
        """True if it cannot be used any more."""
        return bool(self._closed)

    async def greet(self) -> None:
        """Learn which server this is. Raises ``BackendUnavailable`` if it has no place for another client."""
        no_op, statistics = await self.exchange(Request(b"mn\r\nstats\r\n", 2))
        self.meta = no_op == b"MN"
        self._parser.lost = False  # an old server answers "mn" in one line, and a proxy "stats"
        if isinstance(statistics, list):
            told = {line.name: line.data for line in statistics}
            try:
                began = int(told.get(b"time", 0)) - int(told.get(b"uptime", 0))
            except ValueError as error:
                self._broken("its statistics hold no numbers", error)
                raise self.lost() from error
            self.server = b"%b.%d" % (told.get(b"pid", b""), began)

    async def exchange(self, request: Request) -> list[Reply]:
        """Send a request and return its replies. Raises ``BackendUnavailable`` if the connection is lost."""
        if self._closed or self._transport is None:
            raise self.lost()
        self._waiter = asyncio.get_running_loop().create_future()
        self._replies = []
        self._expected = request.replies
        self._transport.write(request.payload)
        try:
            replies = await self._waiter
        except BaseException:
            self.close("a command on it was given up")
            raise
        finally:
            self._waiter = None
            self._replies = []
        return replies

    def check(self) -> None:
        """Close if the server has not understood a command: what comes next may belong to anything."""
        if self._parser.lost:
            self.close("the server did not understand a command on it")

    def write(self, data: bytes) -> None:
        """Send bytes for aiomcache's own client."""
        if self._transport is not None:
            self._transport.write(data)

    def close(self, reason: str, cause: BaseException | None = None) -> None:
        """Close at once, dropping what is not yet sent; whoever waits for a reply gets ``BackendUnavailable``."""
        if not self._closed:
            self._closed, self._cause = reason, cause
            if self._transport is not None:
                self._transport.abort()
            self._fail(self.lost())

    def lost(self) -> BackendUnavailable:
        """Return the error that says why this connection cannot be used."""
        error = BackendUnavailable(
            f"the connection to memcached at {self.place} is closed: {self._closed or 'not open'}"
        )
        error.__cause__ = self._cause
        return error

    # -- called by the loop ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take what the server has sent."""
        if self.stream is not None:
            self.stream.feed_data(data)
            return
        if self._closed:
            return
        try:
            self._replies += self._parser.feed(data)
        except ValueError as error:
            self._broken("it sent what is no reply", error)
            return
        if self._waiter is None:
            self.close(self._said("it sent what nobody had asked for"))
        elif len(self._replies) >= self._expected:
            if len(self._replies) > self._expected or not self._parser.idle:
                self._broken("it sent more than was asked for")
            elif not self._waiter.done():
                self._waiter.set_result(self._replies)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end, which is an error at once for whoever waits."""
        self.close(self._said("the server has closed it" if exc is None else f"{type(exc).__name__}: {exc}"), exc)
        if self.stream is not None:
            self.stream.feed_eof()

    def _broken(self, reason: str, cause: BaseException | None = None) -> None:
        error = BackendError(f"memcached at {self.place} does not speak its protocol: {reason}")
        error.__cause__ = cause
        self._fail(error)
        self.close(reason, cause)

    def _fail(self, error: BackendError) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    def _said(self, reason: str) -> str:
        """Return a reason, or better the error with which the server itself took leave."""
        last = self._replies[-1] if self._replies else b""
        return (
            f"it said {last.decode('ascii', 'replace')!r}"
            if isinstance(last, bytes) and b"ERROR" in last[:13]
            else reason
        )
