"""Stand between a client and a server on a port of its own, and do to their bytes what networks do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from tests.servers import HOST


class Proxy:
    """Pass bytes to a server and back; the attributes may be changed at any time.

    - ``delay``: the seconds by which each piece of a reply comes later.
    - ``black_hole``: nothing passes any more, in neither direction, and new connections get no answer.
    - ``cut_after``: close a connection once it has passed so many bytes of replies from now on.
    - ``refuse``: close new connections at once.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.delay = 0.0
        self.cut_after: int | None = None
        self.refuse = False
        self.accepted = 0
        """The connections that came so far."""
        self._open: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._passing = asyncio.Event()
        self._passing.set()
        self._stopped = False
        self._server: asyncio.Server

    @property
    def black_hole(self) -> bool:
        return not self._passing.is_set()

    @black_hole.setter
    def black_hole(self, black_hole: bool) -> None:
        if black_hole:
            self._passing.clear()
        else:
            self._passing.set()

    @property
    def connections(self) -> int:
        """The connections that stand now."""
        return len(self._open)

    def drop(self) -> None:
        """Cut all connections that stand."""
        for pair in self._open:
            for writer in pair:
                writer.transport.abort()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._stopped = True
        self._server.close()
        self.black_hole = False
        self.drop()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self._stopped:
            writer.transport.abort()
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: writer.transport.abort())  # also if it was cancelled before it began

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self.refuse:
                return
            await self._passing.wait()
            from_server, to_server = await asyncio.open_connection(HOST, self.target)
            pair = (writer, to_server)
            self._open.add(pair)
            ways = [
                asyncio.create_task(self._pass(reader, to_server, replies=False)),
                asyncio.create_task(self._pass(from_server, writer, replies=True)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
                to_server.transport.abort()
                self._open.discard(pair)
        except OSError:  # the server is away: so is the proxy
            pass

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, replies: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if replies and self.delay:
                    await asyncio.sleep(self.delay)
                await self._passing.wait()
                if replies and self.cut_after is not None:
                    data, self.cut_after = data[: self.cut_after], max(0, self.cut_after - len(data))
                    writer.write(data)
                    if not self.cut_after:
                        await writer.drain()
                        writer.close()  # what was written still goes out
                        return
                    continue
                writer.write(data)
                await writer.drain()


@contextlib.asynccontextmanager
async def proxy(target: int) -> AsyncGenerator[Proxy]:
    """Run a proxy before a port of this machine."""
    running = Proxy(target)
    await running.start()
    try:
        yield running
    finally:
        await running.stop()
