"""Hold a bounded number of connections to one server, and serve what is asked in the order in which it was asked.

Requests wait in one queue. A connection that is free takes a batch of them, so that what many tasks ask in one turn of the
loop, or while all connections are busy, shares one write and one read. A request on an idle pool is sent at once.

How many a batch holds is learnt as in TCP's slow start: one at first, twice as many each time a batch is answered soon, half as
many when it is not (values are large, the server or the network is slow). Then the requests spread over more connections,
so that a slow one keeps few others waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import islice
from typing import Final

from aiocache_core import BackendUnavailable, UnsupportedCommand
from aiocache_memcached.connection import Answer, Connection, Pending, Request

MOST_REQUESTS: Final = 100
"""The requests of one batch, at most."""
SOON: Final = 0.02
"""The seconds within which the answer to a batch lets the next ones be larger."""
MOST_BYTES: Final = 2**18
"""The bytes after which a batch takes no more requests."""
OPENS_WITHIN: Final = 5.0
"""The seconds within which a connection must be open."""

_WHOLE: Final = Request(b"", 0)
"""Asks for a whole connection."""


class AnotherServer(Exception):
    """Say that a request was meant for a server that has ended; nothing was sent."""


class Pool:
    """Hold at most ``size`` connections, opened when they are needed, for one loop."""

    def __init__(self, endpoint: str, port: int, size: int) -> None:
        self._endpoint = endpoint
        self._port = port
        self._size = size
        self._place = f"[{endpoint}]:{port}" if ":" in endpoint else f"{endpoint}:{port}"
        self._loop = asyncio.get_running_loop()
        self._queue: dict[Pending, None] = {}
        """What is not yet sent, in order; one that is given up is taken out at once."""
        self._idle: list[Connection] = []
        self._busy: dict[Connection, float] = {}
        """Since when (s, the loop's clock) each has its batch."""
        self._opening: set[asyncio.Task[Connection]] = set()
        self._most = 1
        """The requests that a batch holds now."""
        self._scheduled = False
        self._closed = False

    async def exchange(self, request: Request) -> Answer:
        """Send a request and return the answer.

        Raises ``BackendUnavailable`` if there is no connection to be had or it is lost, ``UnsupportedCommand`` if the server
        lacks meta commands that are needed, ``AnotherServer`` if it is not the one asked for.
        """
        pending = self._ask(request)
        try:
            return await pending.waiter
        except asyncio.CancelledError:
            self._give_up(pending)
            raise

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[Connection]:
        """Lend a connection for a use of its own; it is closed if that does not end well."""
        pending = self._ask(_WHOLE)
        try:
            await pending.waiter
        except asyncio.CancelledError:
            self._give_up(pending)
            raise
        connection = pending.connection
        assert connection is not None  # noqa: S101 - it is what was waited for
        try:
            yield connection
        except BaseException:
            connection.close("a command on it was given up")
            raise
        finally:
            self._freed(connection)

    async def close(self) -> None:
        """Close all connections; commands that wait for a reply or a connection end with ``BackendUnavailable``."""
        self._closed = True
        self._fail(self._was_closed())
        for connection in [*self._idle, *self._busy]:
            connection.close("the cache was closed")
        self._idle.clear()
        for opening in self._opening:
            opening.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        await asyncio.sleep(0)  # the sockets are closed by the loop's next turn

    # -- the queue ---------------------------------------------------------------------------------------------------------

    def _ask(self, request: Request) -> Pending:
        if self._closed:
            raise self._was_closed()
        pending = Pending(request, self._loop.create_future())
        if not self._busy and not self._queue and _fits_any(request):
            connection = self._find()
            if connection is not None:
                self._busy[connection] = self._loop.time()
                connection.send((pending,))
                return pending
        self._queue[pending] = None
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._serve)  # when all of this turn have asked
        return pending

    def _give_up(self, pending: Pending) -> None:
        """Forget a request that nobody waits for any more."""
        if pending in self._queue:
            del self._queue[pending]
            if not self._queue:
                for opening in self._opening:
                    opening.cancel()
        elif pending.connection is not None:
            if pending.request is _WHOLE:
                self._freed(pending.connection)
            else:
                pending.connection.give_up()
        if pending.waiter.done() and not pending.waiter.cancelled():
            pending.waiter.exception()  # it came in the same turn, and is nobody's now

    def _serve(self) -> None:
        """Send what waits on the connections that are idle; open another one if none is."""
        self._scheduled = False
        while self._queue:
            connection = self._find()
            if connection is None:
                self._open_more()
                return
            batch = self._take(connection)
            if batch:
                self._busy[connection] = self._loop.time()
                if batch[0].request is not _WHOLE:
                    connection.send(batch)
            else:
                self._idle.append(connection)

    def _take(self, connection: Connection) -> list[Pending]:
        """Return the next requests that this connection may carry, as many as fit into one batch."""
        batch: list[Pending] = []
        size = 0
        for pending in list(islice(self._queue, self._most)):
            request = pending.request
            if request is _WHOLE and batch:
                break
            del self._queue[pending]
            if pending.waiter.done():
                continue
            if request.server is not None and request.server != connection.server:
                pending.waiter.set_exception(AnotherServer())
            elif request.meta and not connection.meta:
                message = "this needs a server with meta commands, memcached 1.6 or later"
                pending.waiter.set_exception(UnsupportedCommand(message))
            else:
                batch.append(pending)
                size += len(request.payload)
                if request is _WHOLE:
                    pending.connection = connection
                    pending.waiter.set_result(Answer([], connection.server))
                    break
                if size >= MOST_BYTES:
                    break
        return batch

    def _fail(self, error: BackendUnavailable) -> None:
        """End everything that waits for a connection with an error."""
        for pending in self._queue:
            if not pending.waiter.done():
                mine = BackendUnavailable(*error.args)
                mine.__cause__ = error.__cause__
                pending.waiter.set_exception(mine)
        self._queue.clear()

    # -- connections -------------------------------------------------------------------------------------------------------

    def _find(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed:
                return connection
        return None

    def _freed(self, connection: Connection) -> None:
        """Take a connection back: its batch has been answered, or it has been closed."""
        since = self._busy.pop(connection, None)
        if since is not None:
            soon = not connection.closed and self._loop.time() - since <= SOON
            self._most = min(2 * self._most, MOST_REQUESTS) if soon else max(self._most // 2, 1)
            if self._closed:
                connection.close("the cache was closed")
            elif not connection.closed:
                self._idle.append(connection)
            if self._queue:
                self._serve()

    def _open_more(self) -> None:
        """Open as many connections as the batches that wait could use, within the bound."""
        batches = -(-len(self._queue) // self._most)
        while len(self._opening) < batches and len(self._busy) + len(self._opening) < self._size:
            opening = self._loop.create_task(self._open())
            self._opening.add(opening)
            opening.add_done_callback(self._opened)

    async def _open(self) -> Connection:
        connection = Connection(self._place, self._freed)
        try:
            async with asyncio.timeout(OPENS_WITHIN):
                await self._loop.create_connection(lambda: connection, self._endpoint, self._port)
                await connection.greet()
        except BackendUnavailable:
            raise
        except OSError as error:  # TimeoutError is one
            message = f"cannot connect to memcached at {self._place}: {error or f'no answer within {OPENS_WITHIN:g} s'}"
            raise BackendUnavailable(message) from error
        return connection

    def _opened(self, opening: asyncio.Task[Connection]) -> None:
        """Put an open connection to use, or tell those who wait why there is none."""
        self._opening.discard(opening)
        if opening.cancelled():
            if not self._closed:
                self._serve()  # somebody may have asked since it was given up
            return
        error = opening.exception()
        if error is None and self._closed:
            opening.result().close("the cache was closed")
        if error is None and opening.result().closed:
            error = opening.result().lost()
        if error is None:
            self._idle.append(opening.result())
            self._serve()
        elif not self._busy and not self._idle and not self._opening:
            self._fail(error if isinstance(error, BackendUnavailable) else self._unusable(error))

    def _unusable(self, cause: BaseException) -> BackendUnavailable:
        error = BackendUnavailable(f"cannot use memcached at {self._place}: {cause}")
        error.__cause__ = cause
        return error

    def _was_closed(self) -> BackendUnavailable:
        return BackendUnavailable(f"the connection to memcached at {self._place} is closed: the cache was closed")


def _fits_any(request: Request) -> bool:
    """Return True if a request may go on any connection, beside others."""
    return not request.meta and request.server is None and request is not _WHOLE
