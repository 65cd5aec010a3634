"""Store msgpack: ``serializer="msgpack"`` of aiocache."""

from aiocache_msgpack.__about__ import __version__
from aiocache_msgpack.serializer import MsgPackSerializer

__all__ = ["MsgPackSerializer", "__version__"]
