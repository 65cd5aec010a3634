"""Connect with redis-py: a pool that waits, commands that are safe to cancel, and nothing retried behind anybody's back."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError

from aiocache_redis.errors import CLOSED
from aiocache_redis.scripts import Script

POOL_SIZE: Final = 50
"""The connections of one pool, unless ``pool_max_size`` says otherwise."""


IDLE: Final = 0.05
"""The seconds without a command after which the loop is first asked what has become of the connections."""


class _Cut(AbstractConnection):
    """Close at once: what is unsent belongs to a command for which nobody waits, and may never be taken by the server."""

    async def disconnect(self, nowait: bool = False, *told: Any, **more: Any) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
        await super().disconnect(True, *told, **more)

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = self._reader = None


class TCP(_Cut, Connection):
    """Be a connection by TCP."""


class TLS(_Cut, SSLConnection):
    """Be a connection by TLS; certificate and name are verified unless told otherwise."""


class Unix(_Cut, UnixDomainSocketConnection):
    """Be a connection by a unix socket."""


class WaitingPool(ConnectionPool):
    """Let commands wait for a free connection, first come, first served, instead of raising at the limit.

    A connection that the server has closed while it lay idle is opened anew before it is used. Releasing never waits, so that
    a command that is cancelled at any moment gives its place back.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._places = asyncio.Semaphore(self.max_connections)
        self._connecting: set[asyncio.Timeout] = set()
        self._loop_time = asyncio.get_running_loop().time
        self._released = -math.inf
        """When the last connection was given back."""
        self.closed: bool = False

    async def get_connection(self, command_name: Any = None, *keys: Any, **options: Any) -> Any:
        """Return a connection that is ready for a command, waiting for a free one."""
        await self._places.acquire()
        try:
            self._check_open()
            connection: Any = self.get_available_connection()  # type: ignore[no-untyped-call]  # redis-py's own, untyped
        except BaseException:
            self._places.release()
            raise
        try:
            if self._loop_time() - self._released > IDLE:
                await asyncio.sleep(0)  # the loop learns in these two rounds
                await asyncio.sleep(0)  # that a connection has ended meanwhile
            if not connection.is_connected or _ended(connection):
                await connection.disconnect()
                await self._connect(connection)
        except BaseException:
            connection._close()  # it may be half connected, not yet authenticated
            await self.release(connection)
            raise
        return connection

    async def release(self, connection: Any) -> None:
        """Give a connection back; a second time does nothing."""
        if connection not in self._in_use_connections:
            return
        self._in_use_connections.remove(connection)
        self._released = self._loop_time()
        if self.closed:
            connection._close()
        else:
            self._available_connections.append(connection)
        self._places.release()

    async def aclose(self) -> None:
        """Close all connections; commands that wait for one, for its opening or for a reply end with an error."""
        self.closed = True
        now = asyncio.get_running_loop().time()
        for limit in self._connecting:
            limit.reschedule(now)
        connections: list[Any] = [*self._available_connections, *self._in_use_connections]
        writers = [connection._writer for connection in connections if connection._writer is not None]
        for connection in connections:
            connection._close()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)

    async def _connect(self, connection: Any) -> None:
        """Open a connection, unless the pool is closed before it stands."""
        self._check_open()
        seconds: float | None = connection.socket_connect_timeout
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                self._connecting.add(limit)
                await connection.connect()
        except TimeoutError as error:
            self._check_open()
            message = f"the connection did not stand within {seconds:g} s"
            raise RedisConnectionError(message) from error
        finally:
            self._connecting.discard(limit)
        self._check_open()

    def _check_open(self) -> None:
        if self.closed:
            raise RedisConnectionError(CLOSED)


def _ended(connection: Any) -> bool:
    """Return True if the server has closed a connection, or sent what nobody has asked for."""
    reader = connection._reader
    return bool(reader.at_eof() or reader.exception() is not None or getattr(reader, "_buffer", b""))


def _end_if_cut(connection: Any, error: ResponseError) -> bool:
    """Close a connection that the server closes with this error; it would fail the next command that takes it."""
    cut = str(error).startswith("Protocol error")
    if cut:
        connection._close()
    return cut


class Client:
    """Send commands and scripts through a pool; redis-py's own errors pass."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self.redis: Redis = Redis(connection_pool=pool)
        self.closed: bool = False

    async def command(self, *words: Any) -> Any:
        """Send one command and return the reply; a command that is cut short closes its connection."""
        connection = await self.pool.get_connection()
        try:
            await connection.send_command(*words)
            return await connection.read_response()
        except ResponseError as error:
            _end_if_cut(connection, error)
            raise
        finally:
            await self.pool.release(connection)

    async def script(self, script: Script, key: bytes, *arguments: Any) -> Any:
        """Run a script of one key; the server is sent its text only if it does not know it."""
        try:
            return await self.command("EVALSHA", script.sha, 1, key, *arguments)
        except NoScriptError:
            return await self.command("EVAL", script.text, 1, key, *arguments)

    async def batch(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Send commands in one write and return their replies. Raises the first error after all replies were read."""
        connection = await self.pool.get_connection()
        try:
            await connection.send_packed_command(connection.pack_commands(commands))
            replies: list[Any] = []
            failed: ResponseError | None = None
            for _ in commands:
                try:
                    replies.append(await connection.read_response())
                except ResponseError as error:
                    failed = failed or error
                    if _end_if_cut(connection, error):
                        break
        finally:
            await self.pool.release(connection)
        if failed is not None:
            raise failed
        return replies

    async def scripts(self, script: Script, keys: Iterable[bytes], *arguments: Any) -> list[Any]:
        """Run a script for each of some keys in one write, whose first command makes the script known to the server."""
        first, *rest = keys
        commands: list[tuple[Any, ...]] = [("EVAL", script.text, 1, first, *arguments)]
        commands += [("EVALSHA", script.sha, 1, key, *arguments) for key in rest]
        return await self.batch(commands)

    async def close(self) -> None:
        """Close the connections."""
        self.closed = True
        await self.pool.aclose()
