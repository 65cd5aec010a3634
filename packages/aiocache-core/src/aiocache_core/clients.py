"""Hold one client for each running loop of this process, for backends that connect.

Each client is tied to an async generator that is opened in its loop: ``asyncio.run`` closes the generators, and with them the
connections, before it closes the loop. A client of another process (after ``fork``) is never used nor closed: its sockets
and its selector still belong to the parent.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class Clients(Generic[T]):
    """Open a client for each loop with ``opener`` (plain, in the running loop) and close it with ``closer`` (a coroutine)."""

    def __init__(self, opener: Callable[[], T], closer: Callable[[T], Awaitable[None]]) -> None:
        self._opener = opener
        self._closer = closer
        self._last: tuple[asyncio.AbstractEventLoop | None, T | None] = (None, None)
        self._open: dict[asyncio.AbstractEventLoop, tuple[T, AsyncGenerator[T, None]]] = {}
        self._abandoned: list[object] = []
        self._lock = threading.Lock()
        self._process = os.getpid()

    def current(self) -> T:
        """Return the running loop's client, opening it at the first call. Raises ``RuntimeError`` without a loop."""
        running = asyncio.get_running_loop()
        loop, client = self._last
        if loop is running and client is not None:
            return client
        return self._find(running)

    async def close(self) -> None:
        """Close the running loop's client; the next call of :meth:`current` opens another."""
        loop = asyncio.get_running_loop()
        self._forget_foreign()
        with self._lock:
            _, generator = self._open.pop(loop, (None, None))
            if self._last[0] is loop:
                self._last = (None, None)
        if generator is not None:
            await generator.aclose()

    def _find(self, loop: asyncio.AbstractEventLoop) -> T:
        self._forget_foreign()
        with self._lock:
            if loop in self._open:
                client = self._open[loop][0]
            else:
                for closed in [other for other in self._open if other.is_closed()]:
                    del self._open[closed]
                client = self._opener()
                generator = self._life(client)
                with suppress(StopIteration):
                    generator.__anext__().send(None)  # runs up to the yield, which ties it to this loop
                self._open[loop] = (client, generator)
            self._last = (loop, client)
        return client

    async def _life(self, client: T) -> AsyncGenerator[T, None]:
        try:
            yield client
        finally:
            await self._closer(client)

    def _forget_foreign(self) -> None:
        """Leave what a parent process opened untouched for ever; even freeing it would act on the parent's sockets."""
        if self._process != os.getpid():
            self._abandoned.append(self._open)
            self._lock = threading.Lock()  # another thread of the parent may have held it at the fork
            self._open = {}
            self._last = (None, None)
            self._process = os.getpid()
