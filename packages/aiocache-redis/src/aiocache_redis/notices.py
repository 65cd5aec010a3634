"""Wait for notices that a key has changed, over one connection for all waits of a loop."""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import suppress
from typing import Any, Final
from weakref import WeakKeyDictionary

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from aiocache_redis.errors import CLOSED, RAISED

logger: Final = logging.getLogger("aiocache.redis")

LINGER: Final = 2.0
"""The seconds that a subscription stands after the last wait for its key."""

POLL: Final = 0.25
"""The seconds of a wait where the server grants no subscription, or has just cut the connection."""


class _Watch:
    """Be the subscription of one channel."""

    def __init__(self) -> None:
        self.asked = False
        """True once the server was asked for it."""
        self.news = 0
        """Counts the messages, the one that the subscription stands among them."""
        self.heard: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()
        """What the count was when a task was told last: nothing that comes between two of its waits is lost."""
        self.waiting = 0
        self.ending: asyncio.TimerHandle | None = None
        self._next = asyncio.Event()

    def tell(self) -> None:
        """Wake all who wait."""
        self.news += 1
        self._next.set()
        self._next = asyncio.Event()

    async def wait(self) -> None:
        """Return when there is something that this task was not told."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - tells the type checkers that asyncio runs a coroutine in a task
        if self.heard.get(task, 0) == self.news:
            await self._next.wait()
        self.heard[task] = self.news


class Notices:
    """Subscribe to channels while somebody waits for them.

    A task's first wait for a channel returns when the subscription stands, so that it looks at the key again and nothing
    that was published in between is lost. Without a connection, or where the server's ACL forbids it, a wait is a sleep.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._connection: Any = None
        self._reader: asyncio.Task[None] | None = None
        self._watches: dict[bytes, _Watch] = {}
        self._opening = asyncio.Lock()
        self._refused = False
        self._closed = False
        self._not_before = 0.0
        """The loop's time before which no connection is opened; one that is cut again and again must not make a storm."""

    async def wait(self, channel: bytes, timeout: float) -> None:
        """Return at a message of the channel, when its subscription has begun to stand, or after ``timeout`` seconds."""
        if self._refused or asyncio.get_running_loop().time() < self._not_before:
            await asyncio.sleep(min(timeout, POLL))
            return
        watch = self._watches.setdefault(channel, _Watch())
        watch.waiting += 1
        if watch.ending is not None:
            watch.ending.cancel()
            watch.ending = None
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    if not watch.asked:
                        await self._subscribe(channel, watch)
                    await watch.wait()
        except RAISED:
            self._lose()
            await asyncio.sleep(min(timeout, POLL))
        finally:
            self._leave(channel, watch)

    async def _subscribe(self, channel: bytes, watch: _Watch) -> None:
        async with self._opening:
            if self._connection is None:
                connection = self._pool.make_connection()
                try:
                    await connection.connect()
                    if self._closed:
                        raise RedisConnectionError(CLOSED)
                except BaseException:
                    connection._close()
                    raise
                self._connection = connection
                self._reader = asyncio.create_task(self._read(connection))
            if self._watches.get(channel) is watch:
                if not watch.asked:  # by another wait, while this one waited for the connection
                    self._write("SUBSCRIBE", channel)
                    watch.asked = True
            else:  # the connection was lost meanwhile
                watch.tell()

    def _write(self, *words: Any) -> None:
        """Put a command into the connection's buffer; waiting for it to be sent would need a task of its own."""
        connection = self._connection
        if connection is not None and connection._writer is not None:
            connection._writer.writelines(connection.pack_command(*words))

    def _leave(self, channel: bytes, watch: _Watch) -> None:
        """Let a subscription that nobody waits for end after a while."""
        watch.waiting -= 1
        if not watch.waiting and self._watches.get(channel) is watch:
            watch.ending = asyncio.get_running_loop().call_later(LINGER, self._end, channel)

    def _end(self, channel: bytes) -> None:
        del self._watches[channel]
        if self._watches:
            self._write("UNSUBSCRIBE", channel)
        else:
            self._disconnect()

    async def _read(self, connection: Any) -> None:
        try:
            while True:
                kind, channel, *_ = await connection.read_response(timeout=math.inf, push_request=True)
                watch = self._watches.get(channel)
                if watch is not None and kind in {b"message", b"subscribe"}:
                    watch.tell()
        except ResponseError as error:
            self._refused = True
            logger.warning("the server grants no subscription; waits for a key look at it each %g s: %s", POLL, error)
        except RAISED:
            pass
        finally:
            if self._connection is connection:
                self._lose()

    def _lose(self) -> None:
        """Wake all who wait, and begin anew with those who wait again, though not at once."""
        self._not_before = asyncio.get_running_loop().time() + POLL
        self._disconnect()
        watches, self._watches = self._watches, {}
        for watch in watches.values():
            watch.tell()
            if watch.ending is not None:
                watch.ending.cancel()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        reader, self._reader = self._reader, None
        if reader is not None and reader is not asyncio.current_task():
            reader.cancel()
        if connection is not None:
            connection._close()

    async def close(self) -> None:
        """End all waits and close the connection."""
        self._closed = True
        reader = self._reader
        self._lose()
        if reader is not None:
            await asyncio.wait([reader])
