"""Be the front of a memcached store."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from aiocache_core import Backend, Cache, FrontOptions
from aiocache_memcached.backend import MemcachedBackend

if TYPE_CHECKING:
    from typing import Unpack


class MemcachedCache(Cache):
    """Be a cache in one memcached server, of JSON unless a serializer is given.

    Besides the options of every cache: ``endpoint`` and ``port`` of the server, ``pool_size`` (the most connections of one loop)
    and ``poll_interval`` (the seconds between two looks at a value that another process computes). As a URL:
    ``memcached://host:11211?pool_size=4``.
    """

    backend_class: ClassVar[type[Backend]] = MemcachedBackend

    if TYPE_CHECKING:
        backend: MemcachedBackend  # pyright: ignore[reportIncompatibleVariableOverride] - assigned once, in Front

        def __init__(
            self,
            *,
            endpoint: str = "127.0.0.1",
            port: int | str = 11211,
            pool_size: int | str = 10,
            poll_interval: float | str = 0.045,
            **options: Unpack[FrontOptions],
        ) -> None:
            """Make a cache; connects to nothing."""

    @property
    def endpoint(self) -> str:
        """The server's host."""
        return self.backend.endpoint

    @property
    def port(self) -> int:
        """The server's port."""
        return self.backend.port

    @property
    def pool_size(self) -> int:
        """The number of connections that one loop opens at most."""
        return self.backend.pool_size

    @property
    def poll_interval(self) -> float:
        """The seconds between two looks at a value that another process computes."""
        return self.backend.poll_interval

    def __repr__(self) -> str:
        return f"{type(self).__name__} ({self.endpoint}:{self.port})"
