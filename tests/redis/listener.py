"""Listen between a client and redis: note the requests, and answer in the server's place."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from tests.servers import HOST


class Listener:
    """Be one port in front of a server."""

    def __init__(self, port: int) -> None:
        self.upstream = port
        self.port = 0
        self.requests: list[bytes] = []
        self.opened = 0
        """The connections that came so far."""
        self.rewrite: Callable[[bytes], bytes] = lambda data: data
        """Gives what is passed on of a piece of a reply."""
        self.passing = asyncio.Event()
        """While it is not set nothing passes in either direction, and connections stand."""
        self.passing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what one connection says until either end closes."""
        self.opened += 1
        up_reader, up_writer = await asyncio.open_connection(HOST, self.upstream)
        self._writers |= {writer, up_writer}
        ways = [
            asyncio.create_task(self._pass_requests(reader, up_writer)),
            asyncio.create_task(self._pass_replies(up_reader, writer)),
        ]
        self._tasks |= set(ways)
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for one in (writer, up_writer):
            one.close()
        self._writers -= {writer, up_writer}

    async def _pass_requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self.passing.wait()
                self.requests.append(data)
                writer.write(data)
                await writer.drain()

    async def _pass_replies(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self.passing.wait()
                writer.write(self.rewrite(data))

    async def stop(self) -> None:
        """Close the connections that stand."""
        for writer in list(self._writers):
            writer.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _ in range(3):  # the transports close in the loop's next rounds
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def listener(port: int) -> AsyncIterator[Listener]:
    """Run a listener before a port of this machine."""
    between = Listener(port)
    server = await asyncio.start_server(between.serve, HOST, 0)
    between.port = server.sockets[0].getsockname()[1]
    try:
        yield between
    finally:
        server.close()
        await between.stop()
