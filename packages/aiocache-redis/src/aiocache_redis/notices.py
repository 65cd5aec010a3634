"""Wait for notices that a key has changed, over one connection for all waits of a loop."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import Any, Final

from redis.exceptions import ResponseError

from aiocache_redis.errors import RAISED

LINGER: Final = 2.0
"""The seconds that a subscription stands after the last wait for its key."""

POLL: Final = 0.25
"""The seconds between two looks where the server grants no subscription."""


class _Watch:
    """Be the subscription of one channel."""

    def __init__(self) -> None:
        self.news = asyncio.Event()
        """Is set when it stands, and at each message."""
        self.ending: asyncio.TimerHandle | None = None
        self.waiting = 0


class Notices:
    """Subscribe to channels while somebody waits for them.

    The first wait for a channel returns when the subscription stands, so that its caller looks at the key again and nothing
    that was published in between is lost. Without a connection, or where the server's ACL forbids it, a wait is a sleep.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._connection: Any = None
        self._reader: asyncio.Task[None] | None = None
        self._watches: dict[bytes, _Watch] = {}
        self._opening = asyncio.Lock()
        self._refused = False
        self._unsubscribing: set[asyncio.Task[None]] = set()

    async def wait(self, channel: bytes, timeout: float) -> None:
        """Return at a message of the channel, when its subscription has begun to stand, or after ``timeout`` seconds."""
        if self._refused:
            await asyncio.sleep(min(timeout, POLL))
            return
        watch = self._watches.get(channel)
        if watch is None:
            watch = self._watches[channel] = _Watch()
            watch.waiting += 1
            try:
                await self._send("SUBSCRIBE", channel)
            except RAISED:
                self._lose()
                await asyncio.sleep(min(timeout, POLL))
                return
            finally:
                self._leave(channel, watch)
        if watch.ending is not None:
            watch.ending.cancel()
            watch.ending = None
        watch.waiting += 1
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await watch.news.wait()
        finally:
            watch.news.clear()
            self._leave(channel, watch)

    def _leave(self, channel: bytes, watch: _Watch) -> None:
        """Let a subscription that nobody waits for end after a while."""
        watch.waiting -= 1
        if not watch.waiting and self._watches.get(channel) is watch:
            watch.ending = asyncio.get_running_loop().call_later(LINGER, self._end, channel, watch)

    def _end(self, channel: bytes, watch: _Watch) -> None:
        if watch.waiting or self._watches.get(channel) is not watch:
            return
        del self._watches[channel]
        if not self._watches:
            self._lose()
        else:
            leaving = asyncio.create_task(self._unsubscribe(channel))
            self._unsubscribing.add(leaving)
            leaving.add_done_callback(self._unsubscribing.discard)

    async def _unsubscribe(self, channel: bytes) -> None:
        if channel not in self._watches:  # nobody has begun to wait again
            with suppress(*RAISED):
                await self._send("UNSUBSCRIBE", channel)

    async def _send(self, *words: Any) -> None:
        async with self._opening:
            if self._connection is None:
                connection = self._pool.make_connection()
                await connection.connect()
                self._connection = connection
                self._reader = asyncio.create_task(self._read(connection))
            connection = self._connection
        await connection.send_command(*words, check_health=False)

    async def _read(self, connection: Any) -> None:
        try:
            while True:
                kind, channel, *_ = await connection.read_response(timeout=math.inf)
                watch = self._watches.get(channel)
                if watch is not None and kind in {b"message", b"subscribe"}:
                    watch.news.set()
        except ResponseError:
            self._refused = True
        except RAISED:
            pass
        finally:
            if self._connection is connection:
                self._lose()

    def _lose(self) -> None:
        """Wake all who wait, and begin anew with the next one."""
        connection, self._connection = self._connection, None
        reader, self._reader = self._reader, None
        watches, self._watches = self._watches, {}
        for watch in watches.values():
            watch.news.set()
            if watch.ending is not None:
                watch.ending.cancel()
        if reader is not None and reader is not asyncio.current_task():
            reader.cancel()
        if connection is not None:
            connection._close()

    async def close(self) -> None:
        """End all waits and close the connection."""
        tasks = [*self._unsubscribing, *([self._reader] if self._reader is not None else [])]
        self._lose()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
