"""Be the cache class of redis: its options, typed, and its URLs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Unpack
from urllib.parse import SplitResult

from aiocache_core import TTL, UNSET, Backend, Cache, FrontOptions, Unset, urls
from aiocache_redis.backend import NO_MINIMUM, RedisBackend


class RedisCache(Cache):
    """Be a cache in redis; by name ``Cache("redis", …)``, by URL ``redis://user:password@host:6379/1`` or ``rediss://…`` (TLS).

    The store's options are those of :class:`RedisBackend`, and readable as attributes; the rest is as for every cache. Values
    are kept as JSON unless a serializer is given. Caches of equal options share their connections.
    """

    backend_class: ClassVar[type[Backend]] = RedisBackend

    if TYPE_CHECKING:
        backend: RedisBackend  # pyright: ignore[reportIncompatibleVariableOverride] - assigned once, in Front

    def __init__(
        self,
        *,
        endpoint: str = "127.0.0.1",
        port: int | str = 6379,
        db: int | str = 0,
        username: str | None = None,
        password: str | None = None,
        unix_socket_path: str | None = None,
        ssl: bool = False,
        pool_min_size: int | str | None = None,
        pool_max_size: int | str | None = None,
        create_connection_timeout: float | str | None = None,
        connection_pool_class: type[Any] | None = None,
        connection_pool_kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[FrontOptions],
    ) -> None:
        """Take the options; nothing is opened before the first command."""
        if pool_min_size is not None:
            warnings.warn(NO_MINIMUM, DeprecationWarning, stacklevel=3)
        super().__init__(
            endpoint=endpoint,
            port=int(port),
            db=int(db),
            username=username,
            password=password,
            unix_socket_path=unix_socket_path,
            ssl=ssl,
            pool_max_size=None if pool_max_size is None else int(pool_max_size),
            create_connection_timeout=None if create_connection_timeout is None else float(create_connection_timeout),
            connection_pool_class=connection_pool_class,
            connection_pool_kwargs=connection_pool_kwargs,
            **options,
        )

    @classmethod
    def parse_url(cls, parts: SplitResult) -> dict[str, Any]:
        """Return the options of ``redis://user:password@host:port/db?option=value``."""
        options = urls.options(parts, cls.backend_class, path="db")
        if parts.scheme in {"rediss", "valkeys"}:
            options.setdefault("ssl", True)
        return options

    async def raw(self, command: str, *args: Any, timeout: TTL | Unset = UNSET, **kwargs: Any) -> Any:
        """Call redis-py's own method ``command``; ``get``, ``mget`` and ``keys`` give text where the serializer is of text."""
        found = await super().raw(command, *args, timeout=timeout, **kwargs)
        steps = self.serializer
        encoding = getattr(steps[0] if isinstance(steps, list) else steps, "encoding", None)
        if encoding is None or command not in {"get", "mget", "keys"}:
            return found
        if isinstance(found, list):
            return [value.decode(encoding) if isinstance(value, bytes) else value for value in found]
        return found.decode(encoding) if isinstance(found, bytes) else found

    @property
    def endpoint(self) -> str:
        """The server's name or address."""
        return self.backend.endpoint

    @property
    def port(self) -> int:
        """The server's port."""
        return self.backend.port

    @property
    def db(self) -> int:
        """The number of the database."""
        return self.backend.db

    @property
    def username(self) -> str | None:
        """Who we are."""
        return self.backend.username

    @property
    def password(self) -> str | None:
        """What proves it."""
        return self.backend.password

    @property
    def unix_socket_path(self) -> str | None:
        """The server's socket, if it is not reached by TCP."""
        return self.backend.unix_socket_path

    @property
    def ssl(self) -> bool:
        """True if connections use TLS."""
        return self.backend.ssl

    @property
    def pool_max_size(self) -> int | None:
        """The connections of each event loop; None for the default."""
        return self.backend.pool_max_size

    @property
    def create_connection_timeout(self) -> float | None:
        """The seconds for opening a connection; None for no limit of its own."""
        return self.backend.create_connection_timeout

    @property
    def connection_pool_class(self) -> type[Any] | None:
        """The class of the connection pool; None for one that waits, first come, first served."""
        return self.backend.connection_pool_class

    @property
    def connection_pool_kwargs(self) -> dict[str, Any]:
        """Further options of redis-py's connections."""
        return self.backend.connection_pool_kwargs

    def __repr__(self) -> str:
        backend = self.backend
        if backend.username is None and backend.password is None:
            return f"{type(self).__name__} ({backend.where})"
        scheme = "rediss" if backend.ssl else "redis"
        return f"{type(self).__name__} ({scheme}://***@{backend.where}/{backend.db})"
