"""Keep entries in a redis server."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, NoReturn, TypeVar

from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from aiocache_core import (
    MISS,
    Abilities,
    Backend,
    BackendError,
    Busy,
    Clients,
    Keep,
    Key,
    Lease,
    Miss,
    Stored,
    UnsupportedCommand,
    ValueTooLarge,
    keys,
    records,
)
from aiocache_redis import scripts
from aiocache_redis.connection import POOL_SIZE, TCP, TLS, Client, Unix, WaitingPool
from aiocache_redis.errors import RAISED, mapped
from aiocache_redis.notices import Notices

T = TypeVar("T")

BATCH: Final = 500
"""The keys in one write at the most: neither the server nor this loop does anything else while one is worked through."""
BATCH_BYTES: Final = 1_000_000
"""The bytes of values in one write, unless one value alone is larger."""
LARGEST: Final = 512 * 1024 * 1024
"""The bytes that redis takes for a value."""
NO_MINIMUM: Final = "pool_min_size has no effect: connections are opened when they are needed; leave it out"
_LONGEST: Final = 2**53
"""The milliseconds of the longest expiry; redis adds the present time to it in 64 bits."""

_name: Final = keys.encode


class RedisBackend(Backend):
    """Be a redis server, or one of its databases.

    - ``endpoint``, ``port``, ``db``, ``username``, ``password``: where it is, and who we are. ``unix_socket_path`` instead of
      endpoint and port.
    - ``ssl``: connect with TLS; certificate and name are verified unless ``connection_pool_kwargs`` say otherwise.
    - ``pool_max_size``: the connections of each event loop, 50 unless told; commands wait for a free one.
    - ``create_connection_timeout``: the seconds for opening a connection, besides each command's own timeout.
    - ``connection_pool_class``, ``connection_pool_kwargs``: redis-py's own pool class and options of its connections.

    Nothing is retried; a connection that the server has closed while it lay idle is opened anew before it is used. Waiting
    for a lease takes one connection more than the pool's, for notices. A key that holds another data type than a string is
    an error to ``get``, ``gets``, ``cas`` and ``lease``, no integer to ``increment``, and a miss to ``multi_get``.
    """

    abilities: ClassVar[Abilities] = Abilities(
        compare_and_set=True, versions_by_value=True, leases=True, scan=True, expires_in=True, max_value=LARGEST
    )

    def __init__(
        self,
        *,
        endpoint: str = "127.0.0.1",
        port: int = 6379,
        db: int = 0,
        username: str | None = None,
        password: str | None = None,
        unix_socket_path: str | None = None,
        ssl: bool = False,
        pool_min_size: int | None = None,
        pool_max_size: int | None = None,
        create_connection_timeout: float | None = None,
        connection_pool_class: type[Any] | None = None,
        connection_pool_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        """Take the options; nothing is opened before the first command."""
        if pool_min_size is not None:
            warnings.warn(NO_MINIMUM, DeprecationWarning, stacklevel=2)
        self.endpoint = endpoint
        self.port: int = int(port)
        self.db: int = int(db)
        self.username = username
        self.password = password
        self.unix_socket_path = unix_socket_path
        self.ssl = ssl
        self.pool_max_size: int | None = None if pool_max_size is None else int(pool_max_size)
        if self.pool_max_size is not None and self.pool_max_size < 1:
            message = f"pool_max_size must be at least 1, got {self.pool_max_size}; leave it out for {POOL_SIZE}"
            raise ValueError(message)
        self.create_connection_timeout: float | None = (
            float(create_connection_timeout) if create_connection_timeout else None
        )
        self.connection_pool_class = connection_pool_class
        self.connection_pool_kwargs: dict[str, Any] = dict(connection_pool_kwargs or {})
        if self.connection_pool_kwargs.get("decode_responses"):
            message = "connection_pool_kwargs must not ask for decode_responses: values are bytes; choose a serializer"
            raise ValueError(message)
        self._channel = b"aiocache:%d:" % self.db
        self._clients: Clients[tuple[Client, Notices]] = Clients(self._open, self._shut)

    @property
    def where(self) -> str:
        """Where the server is, without any secret."""
        host = f"[{self.endpoint}]" if ":" in self.endpoint else self.endpoint
        return self.unix_socket_path or f"{host}:{self.port}"

    def _open(self) -> tuple[Client, Notices]:
        place: dict[str, Any] = {"host": self.endpoint, "port": self.port}
        connection_class: type[Any] = TLS if self.ssl else TCP
        if self.unix_socket_path is not None:
            place, connection_class = {"path": self.unix_socket_path}, Unix
        options: dict[str, Any] = {
            "connection_class": connection_class,
            **place,
            "db": self.db,
            "username": self.username,
            "password": self.password,
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),
            "socket_timeout": None,  # the deadline is the command's own
            "socket_connect_timeout": self.create_connection_timeout,
            **self.connection_pool_kwargs,
            "max_connections": self.pool_max_size or self.connection_pool_kwargs.get("max_connections") or POOL_SIZE,
        }
        pool = (self.connection_pool_class or WaitingPool)(**options)
        return Client(pool), Notices(pool)

    async def _shut(self, opened: tuple[Client, Notices]) -> None:
        client, notices = opened
        await notices.close()
        await client.close()

    async def _call(self, call: Callable[[Client], Awaitable[T]]) -> T:
        """Await a call of this loop's client; here and in the next method redis-py's errors become the cache's."""
        client = self._clients.current()[0]
        try:
            return await call(client)
        except RAISED as error:
            raise mapped(error, self.where, closed=client.closed) from error

    async def _command(self, *words: Any) -> Any:
        client = self._clients.current()[0]
        try:
            return await client.command(*words)
        except RAISED as error:
            raise mapped(error, self.where, closed=client.closed) from error

    async def _script(self, script: scripts.Script, key: Key, *arguments: Any) -> Any:
        return await self._call(lambda client: client.script(script, _name(key), *arguments))

    # -- one key -------------------------------------------------------------------------------------------------------

    async def get(self, key: Key) -> Stored | Miss:
        """Return what is stored, or MISS."""
        return _value(await self._command("GET", _name(key)))

    async def set(self, key: Key, stored: Stored, ttl: float | None) -> None:
        """Store a value and its ttl in one step."""
        name = _name(key)
        if len(stored) > LARGEST:
            await self._refuse(name, stored)
        if ttl is None:
            await self._command("SET", name, stored)
        else:
            await self._command("SET", name, stored, *_expiry(ttl))

    async def _refuse(self, name: bytes, stored: Stored) -> NoReturn:
        """Raise ``ValueTooLarge`` for what redis does not take; the old value is removed, for it is not the present one."""
        await self._command("UNLINK", name)
        raise _too_large(stored)

    async def add(self, key: Key, stored: Stored, ttl: float | None) -> bool:
        """Store only if no value is there; return True if stored."""
        if len(stored) > LARGEST:
            raise _too_large(stored)
        return bool(await self._script(scripts.ADD, key, stored, _px(ttl)))

    async def delete(self, key: Key) -> bool:
        """Remove whatever is there; return True if it was a value."""
        return bool(await self._script(scripts.DELETE, key, self._channel))

    async def exists(self, key: Key) -> bool:
        """Return True if a value is there."""
        return bool(await self._script(scripts.EXISTS, key))

    async def expire(self, key: Key, ttl: float | None) -> bool:
        """Give an entry a new ttl, None for no expiry; return True if a value was there."""
        return bool(await self._script(scripts.EXPIRE, key, _px(ttl)))

    async def expires_in(self, key: Key) -> float | Miss | None:
        """Return the seconds an entry has left, None without expiry, MISS for a missing key."""
        left: int = await self._script(scripts.EXPIRES_IN, key)
        if left == -2:
            return MISS
        return None if left == -1 else left / 1000

    async def increment(self, key: Key, delta: int, ttl: float | None) -> int:
        """Add to a counter and return the result."""
        try:
            return int(await self._script(scripts.INCREMENT, key, delta, _px(ttl)))
        except BackendError as error:
            reason = str(error.__cause__)
            if "overflow" in reason:
                message = f"increment by {delta} leaves the range of signed 64 bits; nothing was changed"
                raise OverflowError(message) from error
            if "not an integer" in reason or "WRONGTYPE" in reason:
                message = "increment needs an entry that holds an integer of 64 bits; this one holds something else"
                raise TypeError(message) from error
            raise

    async def gets(self, key: Key) -> tuple[Stored | Miss, Any]:
        """Return what is stored, and the bytes themselves as its version."""
        found = await self._command("GET", _name(key))
        return _value(found), found

    async def cas(self, key: Key, version: Any, stored: Stored | Miss, ttl: float | Keep | None) -> bool:
        """Replace (or with MISS remove) what is still the same bytes."""
        if not isinstance(version, bytes):
            return False
        if isinstance(stored, Miss):
            how, value = "delete", b""
        else:
            if len(stored) > LARGEST:
                await self._refuse(_name(key), stored)
            how, value = ("keep" if isinstance(ttl, Keep) else str(_px(ttl))), stored
        return bool(await self._script(scripts.CAS, key, version, how, value))

    # -- several keys --------------------------------------------------------------------------------------------------

    async def multi_get(self, keys: Sequence[Key]) -> list[Stored | Miss]:
        """Return what is stored for each key, in order, MISS for a miss."""
        names = [_name(key) for key in keys]
        found: list[Stored | Miss] = []
        for start in range(0, len(names), BATCH):
            found += map(_value, await self._command("MGET", *names[start : start + BATCH]))
        return found

    async def multi_set(self, pairs: Iterable[tuple[Key, Stored]], ttl: float | None) -> None:
        """Store pairs with one ttl, in one write unless they are many."""
        for batch in _batches(((_name(key), stored) for key, stored in pairs), size=lambda pair: len(pair[1])):
            for name, stored in batch:
                if len(stored) > LARGEST:
                    await self._refuse(name, stored)
            if ttl is None:
                await self._command("MSET", *(word for pair in batch for word in pair))
            else:
                expiry = _expiry(ttl)
                commands = [("SET", name, stored, *expiry) for name, stored in batch]
                await self._call(lambda client, commands=commands: client.batch(commands))  # type: ignore[misc]  # the default binds the batch of this turn

    async def multi_delete(self, keys: Iterable[Key]) -> int:
        """Remove the keys; return how many values were there."""
        removed = 0
        for names in _batches(map(_name, dict.fromkeys(keys))):
            removed += sum(
                await self._call(lambda client, names=names: client.scripts(scripts.DELETE, names, self._channel))  # type: ignore[misc]  # the default binds the batch of this turn
            )
        return removed

    async def clear(self, namespace: str | None) -> None:
        """Remove the entries of one namespace, or of this database for None, without blocking other clients.

        One pass is enough: a scan surely meets every key that is there from its beginning to its end, and a mark stands in the
        key of its value. So what a computation that began before this holds is removed, be it still the mark or already the
        value, unless it has removed it itself; and without its mark it cannot store any more, now or after this has returned.
        """
        if namespace is None:
            await self._command("FLUSHDB", "ASYNC")
            return
        async for names in self._scan(keys.prefix(namespace)):
            await self._command("UNLINK", *names)

    async def scan(self, namespace: str | None, prefix: str = "") -> AsyncIterator[list[Key]]:
        """Yield the keys of a namespace (None: those without one) that begin with a prefix, in batches."""
        beginning = keys.join((namespace, prefix)) if namespace else keys.join(prefix)
        async for names in self._scan(beginning):
            found = [key for key in map(_key, names) if isinstance(key, tuple) == bool(namespace) and key is not None]
            if found:
                yield found

    async def _scan(self, beginning: str) -> AsyncIterator[list[bytes]]:
        """Yield the names that begin with a text, in batches; a name may come twice."""
        text = beginning.encode("utf-8", "surrogatepass")
        pattern = b"".join(b"\\" + bytes([byte]) if byte in b"*?[]\\^-" else bytes([byte]) for byte in text) + b"*"
        cursor = b"0"
        while True:
            cursor, names = await self._command("SCAN", cursor, "MATCH", pattern, "COUNT", BATCH)
            names = [name for name in names if name.startswith(text)]
            for batch in _batches(names):
                yield batch
            if cursor == b"0":
                return

    # -- leases --------------------------------------------------------------------------------------------------------

    async def lease(self, key: Key, seconds: float) -> Stored | Lease | Busy:
        """Return the value, or else the right to compute it, or Busy if another one has it."""
        mark = records.new_mark(seconds)
        found = await self._script(scripts.LEASE, key, mark, _px(seconds))
        if found is None:
            return Lease(key, seconds, mark)
        return Busy(max(found, 1) / 1000) if isinstance(found, int) else found

    async def renew(self, lease: Lease) -> bool:
        """Begin the lease anew if it is still ours."""
        return bool(await self._script(scripts.RENEW, lease.key, lease.token, _px(lease.seconds)))

    async def store_leased(self, lease: Lease, stored: Stored, ttl: float | None) -> bool:
        """Replace our mark by the value, and tell the waiters."""
        if len(stored) > LARGEST:
            await self.release(lease)
            raise _too_large(stored)
        arguments = (lease.token, stored, _px(ttl), self._channel)
        return bool(await self._script(scripts.STORE_LEASED, lease.key, *arguments))

    async def release(self, lease: Lease) -> None:
        """Remove our mark, and tell the waiters."""
        await self._script(scripts.RELEASE, lease.key, lease.token, self._channel)

    async def changed(self, key: Key, timeout: float) -> None:
        """Return when the entry may have changed, at the latest after ``timeout`` seconds."""
        notices = self._clients.current()[1]
        await notices.wait(self._channel + _name(key), timeout)

    # -- the rest ------------------------------------------------------------------------------------------------------

    async def raw(self, command: str, *args: Any, **kwargs: Any) -> Any:
        """Call redis-py's own method ``command`` and return what it returns. Raises ``UnsupportedCommand`` if it has none."""

        async def call(client: Client) -> Any:
            method = None if command.startswith("_") else getattr(client.redis, command, None)
            if not callable(method):
                message = f"redis-py has no method {command!r}; its methods are named as the commands, in lower case"
                raise UnsupportedCommand(message)
            result = method(*args, **kwargs)
            return await result if inspect.isawaitable(result) else result

        return await self._call(call)

    async def close(self) -> None:
        """Close what the running loop has opened; usable again afterwards."""
        await self._clients.close()


def _value(found: bytes | None) -> bytes | Miss:
    return MISS if found is None or found.startswith(records.MARK_PREFIX) else found


def _too_large(stored: Stored) -> ValueTooLarge:
    return ValueTooLarge(f"a value of {len(stored)} bytes is larger than redis takes ({LARGEST})")


def _key(name: bytes) -> Key | None:
    """Return the key of a name, None for a name that is none of ours."""
    try:
        return keys.decode(name)
    except ValueError:
        return None


def _px(ttl: float | None) -> int:
    """Return a ttl in milliseconds, up to the next one; 0 for no expiry."""
    if ttl is None:
        return 0
    milliseconds = round(min(ttl * 1000, _LONGEST), 6)  # 0.29 s is 290 ms, and not 290.00000000000006
    return max(1, math.ceil(milliseconds))


def _expiry(ttl: float) -> tuple[str, int]:
    """Return the words of SET for a ttl: whole seconds as such, else milliseconds."""
    milliseconds = _px(ttl)
    return ("EX", milliseconds // 1000) if milliseconds % 1000 == 0 else ("PX", milliseconds)


def _batches(items: Iterable[T], size: Callable[[T], int] = lambda _: 0) -> Iterator[list[T]]:
    """Yield items in lists of bounded number and size."""
    batch: list[T] = []
    bytes_ = 0
    for item in items:
        batch.append(item)
        bytes_ += size(item)
        if len(batch) >= BATCH or bytes_ >= BATCH_BYTES:
            yield batch
            batch, bytes_ = [], 0
    if batch:
        yield batch
