"""Stand between a client and a server: delay, cut, silence and count what passes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from tests.servers import HOST


class Proxy:
    """Be one port in front of a server."""

    def __init__(self, port: int) -> None:
        self.upstream = port
        self.port = 0
        self.delay: Callable[[], float] = lambda: 0.0
        """Gives the seconds by which a piece of a reply is late."""
        self.rewrite: Callable[[bytes], bytes | None] = lambda data: data
        """Gives what is passed on of a piece of a reply; None closes the connection."""
        self.listening = asyncio.Event()
        """While it is not set nothing passes in either way, and connections stand."""
        self.listening.set()
        self.requests: list[bytes] = []
        self.opened = 0
        self.open = 0
        self.most_open = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what one connection says until either end closes."""
        self.opened += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
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
        self.open -= 1

    async def _pass_requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self.listening.wait()
                self.requests.append(data)
                writer.write(data)
                await writer.drain()

    async def _pass_replies(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if delay := self.delay():
                    await asyncio.sleep(delay)
                await self.listening.wait()
                passed = self.rewrite(data)
                if passed is None:
                    return
                writer.write(passed)

    def close_all(self) -> None:
        """Close the connections that stand."""
        for writer in list(self._writers):
            writer.close()


@contextlib.asynccontextmanager
async def proxy_of(port: int) -> AsyncIterator[Proxy]:
    """Run a proxy of a server in this loop."""
    proxy = Proxy(port)
    server = await asyncio.start_server(proxy.serve, HOST, 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.close_all()
        for task in proxy._tasks:
            task.cancel()
        await asyncio.gather(*proxy._tasks, return_exceptions=True)
        for _ in range(3):
            await asyncio.sleep(0)
