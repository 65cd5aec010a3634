"""Turn values into what a store holds and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocache._siblings import installed, lazily
from aiocache_core import BaseSerializer, JsonSerializer, NullSerializer, PickleSerializer, StringSerializer

if TYPE_CHECKING:
    from aiocache_msgpack import MsgPackSerializer as MsgPackSerializer

_SIBLINGS = {"MsgPackSerializer": ("aiocache_msgpack", "msgpack")}

__all__ = ["BaseSerializer", "JsonSerializer", "NullSerializer", "PickleSerializer", "StringSerializer"]
__all__ += installed(_SIBLINGS)

_sibling = lazily(__name__, _SIBLINGS)


def __getattr__(name: str) -> Any:
    """Import ``MsgPackSerializer`` when it is first asked for."""
    return _sibling(name)
