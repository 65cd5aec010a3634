"""Be one connection to a server: requests go out in batches, and each reply goes to the request that it answers.

A batch is sent when the one before it has been answered. Who gives up in the middle of a batch only drops its reply, as the
others still wait for theirs; when nobody waits any more the connection is closed, so that no late reply is ever left for
another. An end of the stream, or a reply that makes no sense, is an error at once for all who wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

from aiocache_core import BackendError, BackendUnavailable
from aiocache_memcached import protocol
from aiocache_memcached.protocol import Item, Parser, Reply


class Request(NamedTuple):
    """Say what is sent and how many replies are expected."""

    payload: bytes
    replies: int = 1
    meta: bool = False
    """True if it needs a server with meta commands."""
    server: bytes | None = None
    """The life of a server that alone may get it, None for any: unique numbers begin anew when a server does."""


class Answer(NamedTuple):
    """Hold a server's replies to a request."""

    replies: list[Reply]
    server: bytes
    """The life of the server that gave them."""
    generation: bytes | None = None
    """The generation of the namespace under which they were given."""


class Pending:
    """Be a request on its way and who waits for the answer."""

    __slots__ = ("connection", "request", "waiter")

    def __init__(self, request: Request, waiter: asyncio.Future[Answer]) -> None:
        self.request: Request = request
        self.waiter: asyncio.Future[Answer] = waiter
        self.connection: Connection | None = None
        """Where it was sent; None before."""


class Connection(asyncio.Protocol):
    """Send batches of requests and give out their replies.

    ``freed`` is called when a batch has been answered, and when the connection is closed.
    """

    def __init__(self, place: str, freed: Callable[[Connection], None]) -> None:
        self.server: bytes = b""
        """Tells one life of the server, from its start to its end, from another."""
        self.meta: bool = False
        """True if the server has meta commands."""
        self.stream: asyncio.StreamReader | None = None
        """Gets what arrives instead, while aiomcache's own client uses this connection."""
        self._place = place
        self._freed = freed
        self._closed = ""
        """Why it is closed; empty while it is open."""
        self._cause: BaseException | None = None
        self._transport: asyncio.Transport | None = None
        self._parser = Parser()
        self._pending: deque[Pending] = deque()
        self._replies: list[Reply] = []
        """The replies to the first of the pending requests, as far as they have come."""

    @property
    def closed(self) -> bool:
        """True if it cannot be used any more."""
        return bool(self._closed)

    async def greet(self) -> None:
        """Learn which server this is. Raises ``BackendUnavailable`` if it has no place for another client."""
        hello = Pending(Request(b"mn\r\nstats\r\n", 2), asyncio.get_running_loop().create_future())
        self._parser.tolerant = True  # an old server does not know "mn", a proxy no "stats"; each says so in one line
        self.send([hello])
        try:
            no_op, statistics = (await hello.waiter).replies
        except BaseException:
            self.close("it was given up while it was opened")
            raise
        self._parser.tolerant = False
        self.meta = no_op == b"MN"
        try:
            self.server = _life(statistics)
            if not self.meta and not protocol.is_error(no_op):
                message = "it does not greet as memcached does"
                raise ValueError(message)
        except ValueError as error:
            self._broken(str(error), error)
        if self._closed:
            raise self.lost()

    def send(self, batch: Sequence[Pending]) -> None:
        """Send a batch; each request's waiter gets its answer, or ``BackendUnavailable`` if the connection is lost."""
        self._pending.extend(batch)
        for pending in batch:
            pending.connection = self
        if self._closed or self._transport is None:
            self._fail(self.lost)
        else:
            self._transport.write(b"".join([pending.request.payload for pending in batch]))

    def give_up(self) -> None:
        """Note that somebody does not wait any more."""
        if all(pending.waiter.done() for pending in self._pending):
            self.close("nobody waited for its replies any more")

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
            self._fail(self.lost)
            self._freed(self)

    def lost(self) -> BackendUnavailable:
        """Return the error that says why this connection cannot be used."""
        error = BackendUnavailable(
            f"the connection to memcached at {self._place} is closed: {self._closed or 'not open'}"
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
            replies = self._parser.feed(data)
        except ValueError as error:
            self._broken("it sent what is no reply", error)
            return
        for reply in replies:
            self._replies.append(reply)
            if not self._pending:
                self.close(self._said("it sent what nobody had asked for"))
                return
            if len(self._replies) == self._pending[0].request.replies:
                self._answer()
        if self._parser.lost:
            self.close("the server did not understand a command on it")  # what comes next may belong to anything
        elif not self._pending:
            if self._parser.idle:
                self._freed(self)
            else:
                self._broken("it sent more than was asked for")

    def eof_received(self) -> None:
        """Note the server's end of the stream before anything more is sent."""
        self.close(self._said("the server has closed it"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end, which is an error at once for whoever waits."""
        self.close(self._said("the server has closed it" if exc is None else f"{type(exc).__name__}: {exc}"), exc)
        if self.stream is not None:
            self.stream.feed_eof()

    def _answer(self) -> None:
        waiter = self._pending.popleft().waiter
        if not waiter.done():
            waiter.set_result(Answer(self._replies, self.server))
        self._replies = []

    def _broken(self, reason: str, cause: BaseException | None = None) -> None:
        def error() -> BackendError:
            broken = BackendError(f"memcached at {self._place} does not speak its protocol: {reason}")
            broken.__cause__ = cause
            return broken

        self._fail(error)
        self.close(reason, cause)

    def _fail(self, error: Callable[[], BackendError]) -> None:
        for pending in self._pending:
            if not pending.waiter.done():
                pending.waiter.set_exception(error())
        self._pending.clear()

    def _said(self, reason: str) -> str:
        """Return a reason, or better the error with which the server itself took leave."""
        last = self._replies[-1] if self._replies else b""
        return (
            f"it said {last.decode('ascii', 'replace')!r}"
            if isinstance(last, bytes) and b"ERROR" in last[:13]
            else reason
        )


def _life(statistics: Reply) -> bytes:
    """Return what tells a life of a server from all others; empty if it gives no statistics, as some proxies do.

    Raises ``ValueError`` for statistics of something else.
    """
    if isinstance(statistics, bytes) and protocol.is_error(statistics):
        return b""
    told = {line.name: line.data for line in statistics if isinstance(line, Item)}
    try:
        return b"%b.%d" % (told[b"pid"], int(told[b"time"]) - int(told[b"uptime"]))
    except (KeyError, ValueError) as error:
        message = "its statistics are not memcached's"
        raise ValueError(message) from error
