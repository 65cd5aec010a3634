"""Stand between a client and a server: delay, cut and hold back what they say, and count the connections."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from tests.servers import HOST


class Hold:
    """Hold a connection's requests back once a certain piece has passed and the server has answered it."""

    def __init__(self, after: bytes) -> None:
        self.after = after
        self.reached = asyncio.Event()
        self.released = asyncio.Event()
        self.answered = asyncio.Event()


class Proxy:
    """Be one port in front of a server."""

    def __init__(self, port: int) -> None:
        self.upstream = port
        self.port = 0
        self.delay: Callable[[], float] = lambda: 0.0
        """Gives the seconds by which a piece of a reply is late."""
        self.cut: int | None = None
        """The bytes of replies that are still passed on before a connection is closed."""
        self._speaks = asyncio.Event()
        self._speaks.set()
        self.refuses_meta = False
        """True to answer as a server without meta commands."""
        self.hold: Hold | None = None
        self.requests: list[bytes] = []
        self.opened = 0
        self.open = 0
        self.most_open = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def silent(self) -> bool:
        """True while nothing is passed on, in connections that stand."""
        return not self._speaks.is_set()

    @silent.setter
    def silent(self, silent: bool) -> None:
        if silent:
            self._speaks.clear()
        else:
            self._speaks.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            up_reader, up_writer = await asyncio.open_connection(HOST, self.upstream)
        except OSError:
            writer.close()
            self.open -= 1
            return
        self._writers |= {writer, up_writer}
        passed = asyncio.Event()
        ways = [
            asyncio.create_task(self._requests(reader, up_writer, writer, passed)),
            asyncio.create_task(self._replies(up_reader, writer, passed)),
        ]
        self._tasks |= set(ways)
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for one in (writer, up_writer):
            one.close()
        self._writers -= {writer, up_writer}
        self.open -= 1

    async def _requests(
        self, reader: asyncio.StreamReader, up: asyncio.StreamWriter, back: asyncio.StreamWriter, passed: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                self.requests.append(data)
                await self._speaks.wait()
                if self.refuses_meta and data.startswith(b"mn\r\n"):
                    back.write(b"ERROR\r\n")
                    data = data[4:]
                hold = self.hold
                if hold is not None and hold.after in data:
                    self.hold = None
                    end = data.index(hold.after) + len(hold.after)
                    passed.clear()
                    up.write(data[:end])
                    await passed.wait()
                    hold.reached.set()
                    await hold.released.wait()
                    data = data[end:]
                up.write(data)
                await up.drain()

    async def _replies(self, up: asyncio.StreamReader, writer: asyncio.StreamWriter, passed: asyncio.Event) -> None:
        with contextlib.suppress(OSError):
            while data := await up.read(65536):
                if delay := self.delay():
                    await asyncio.sleep(delay)
                await self._speaks.wait()
                if self.cut is not None:
                    data = data[: self.cut]
                    self.cut -= len(data)
                    if not self.cut:
                        self.cut = None
                        writer.write(data)
                        await writer.drain()
                        return
                writer.write(data)
                passed.set()

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
