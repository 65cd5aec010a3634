"""Connect with redis-py: a pool that waits, commands that are safe to cancel, and nothing retried behind anybody's back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.connection import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError

from aiocache_redis.scripts import Script

POOL_SIZE: Final = 50
"""The connections of one pool, unless ``pool_max_size`` says otherwise."""


class WaitingPool(ConnectionPool):
    """Let commands wait for a free connection, first come, first served, instead of raising at the limit.

    A connection that the server has closed while it lay idle is opened anew before it is used. Releasing never waits, so that
    a command that is cancelled at any moment gives its place back.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._places = asyncio.Semaphore(self.max_connections)
        self.closed = False

    async def get_connection(self, command_name: Any = None, *keys: Any, **options: Any) -> Any:
        """Return a connection that is ready for a command, waiting for a free one."""
        await self._places.acquire()
        try:
            self._check_open()
            connection: Any = self.get_available_connection()
        except BaseException:
            self._places.release()
            raise
        try:
            if not connection.is_connected:
                await connection.connect()
            elif _ended(connection):
                await connection.disconnect()
                await connection.connect()
            self._check_open()
        except BaseException:
            await self.release(connection)
            raise
        return connection

    async def release(self, connection: Any) -> None:
        """Give a connection back."""
        self._in_use_connections.discard(connection)
        if self.closed:
            connection._close()
        else:
            self._available_connections.append(connection)
        self._places.release()

    def _check_open(self) -> None:
        if self.closed:
            message = "the cache was closed meanwhile"
            raise RedisConnectionError(message)

    async def aclose(self) -> None:
        """Close all connections; commands that wait for one or for a reply end with an error."""
        self.closed = True
        await super().aclose()


def _ended(connection: Any) -> bool:
    """Return True if the server has closed a connection, or sent what nobody has asked for."""
    reader = connection._reader
    return reader is None or reader.at_eof() or reader.exception() is not None


class Client:
    """Send commands and scripts through a pool; redis-py's own errors pass."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self.redis: Redis = Redis(connection_pool=pool)

    async def command(self, *words: Any) -> Any:
        """Send one command and return the reply; a command that is cut short closes its connection."""
        connection = await self.pool.get_connection()
        try:
            await connection.send_command(*words, check_health=False)
            return await connection.read_response()
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
            await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
            replies: list[Any] = []
            failed: ResponseError | None = None
            for _ in commands:
                try:
                    replies.append(await connection.read_response())
                except ResponseError as error:
                    failed = failed or error
                    replies.append(error)
        finally:
            await self.pool.release(connection)
        if failed is not None:
            raise failed
        return replies

    async def scripts(self, script: Script, keys: Iterable[bytes], *arguments: Any) -> list[Any]:
        """Run a script for each of some keys in one write."""
        commands: list[tuple[Any, ...]] = [("SCRIPT", "LOAD", script.text)]
        commands += [("EVALSHA", script.sha, 1, key, *arguments) for key in keys]
        return (await self.batch(commands))[1:]

    async def close(self) -> None:
        """Close the connections."""
        await self.pool.aclose()
