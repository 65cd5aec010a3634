"""Clear a namespace in one step: every name in it holds the namespace's generation, and clearing sets another one.

Generations are random and never come back; nothing is counted, so that neither an eviction nor a restart nor a race can make
an old one valid again. A command goes ahead under the generation it knows. The present one is asked for in the same write,
*before* the command: if it is the same, the command counts, and a clear that comes in between the two counts as later. If it
is another one, the command went into a generation that nobody reads any more, and is repeated under the present one. So a
command that begins after a clear never sees or changes what was there before, without an extra round trip where nothing was
cleared. A generation that the server has lost (evicted, flushed, restarted) reads as cleared.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, TypeAlias

from aiocache_core import Key
from aiocache_memcached import names, protocol
from aiocache_memcached.connection import Answer, Request
from aiocache_memcached.names import Namer
from aiocache_memcached.pool import AnotherServer
from aiocache_memcached.protocol import Reply

Exchange: TypeAlias = Callable[[Request], Awaitable[Answer]]

_MOST_KNOWN: Final = 10_000
"""The namespaces whose generations are remembered; for others a command may have to be repeated."""


class Version(NamedTuple):
    """Tell one state of an entry from every other one, across clears and restarts."""

    generation: bytes | None
    server: bytes
    unique: int


def parts(key: Key) -> tuple[str | None, str]:
    """Return the namespace, None for none, and the text of a key."""
    return (None, key) if isinstance(key, str) else key


class Namespaces:
    """Send commands under the present generation of their namespace."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._known: dict[str, bytes] = {}

    async def ask(
        self, namespace: str | None, request: Callable[[Namer], bytes], replies: int = 1, *, meta: bool = False
    ) -> Answer:
        """Return the replies to what ``request`` makes of a function that names keys, sent under the present generation."""
        if namespace is None:
            return await self._exchange(Request(request(names.plain), replies, meta))
        while True:
            generation = self._known.get(namespace)
            place = names.generation_of(namespace)
            check, checks = protocol.get([place]), 1
            if generation is None:
                generation = names.new_generation()
                check, checks = protocol.store(b"add", place, generation, 0) + check, 2
            payload = request(names.within(namespace, generation))
            answer = await self._exchange(Request(check + payload, checks + replies, meta))
            if checks == 2:
                protocol.told(answer.replies[0])  # the server may have no memory even for this
            if self._note(namespace, generation, answer.replies[checks - 1]):
                return Answer(answer.replies[checks:], answer.server, generation)

    async def ask_under(
        self, key: Key, version: Version, request: Callable[[bytes], bytes], replies: int = 1, *, meta: bool = False
    ) -> list[Reply] | None:
        """Return the replies to what ``request`` makes of a key's name; None if the version's generation or server is over."""
        namespace, text = parts(key)
        generation, server, _ = version
        try:
            if namespace is None or generation is None:
                return (await self._exchange(Request(request(names.plain(text)), replies, meta, server))).replies
            check = protocol.get([names.generation_of(namespace)])
            payload = request(names.within(namespace, generation)(text))
            answer = await self._exchange(Request(check + payload, 1 + replies, meta, server))
        except AnotherServer:
            return None
        return answer.replies[1:] if self._note(namespace, generation, answer.replies[0]) else None

    async def clear(self, namespace: str) -> None:
        """Begin a new generation, under which nothing is stored yet."""
        generation = names.new_generation()
        place = names.generation_of(namespace)
        answer = await self._exchange(Request(protocol.store(b"set", place, generation, 0)))
        protocol.told(answer.replies[0])
        self._remember(namespace, generation)

    def _note(self, namespace: str, generation: bytes, reply: Reply) -> bool:
        """Remember the present generation; return True if it is the one that was used."""
        present = protocol.item(reply)
        if present is None:
            self._known.pop(namespace, None)
            return False
        if present.data == generation and self._known.get(namespace) == generation:
            return True
        self._remember(namespace, present.data)
        return present.data == generation

    def _remember(self, namespace: str, generation: bytes) -> None:
        if namespace not in self._known and len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[namespace] = generation
