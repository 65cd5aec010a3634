"""Send the commands of many keys in bounded batches, each in one round trip on one connection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from aiocache_core import Key, Stored, UnsupportedCommand
from aiocache_memcached import protocol
from aiocache_memcached.connection import Answer
from aiocache_memcached.names import Namer
from aiocache_memcached.namespaces import Namespaces, parts
from aiocache_memcached.protocol import MARK

MOST_KEYS: Final = 500
"""The keys of one round trip."""
MOST_BYTES: Final = 2**20
"""The bytes of values after which ``store`` begins another round trip."""
_NAMES_IN_A_LINE: Final = 100
"""The names in one ``get``; the server reads very long lines in a slower way."""


class Bulk:
    """Read, store and remove many entries."""

    def __init__(self, namespaces: Namespaces) -> None:
        self._namespaces = namespaces

    async def read(self, keys: Iterable[Key]) -> dict[Key, Stored]:
        """Return the values that are there."""
        found: dict[Key, Stored] = {}
        for namespace, texts in _by_namespace(keys):
            for batch in _runs(texts):
                named: dict[bytes, str] = {}
                told = await self._namespaces.ask(namespace, _reading(batch, named), -(-len(batch) // _NAMES_IN_A_LINE))
                for reply in told.replies:
                    for item in protocol.items(reply):
                        if item.flags != MARK:
                            text = named[item.name]
                            found[text if namespace is None else (namespace, text)] = item.data
        return found

    async def store(self, pairs: Mapping[Key, bytes], expiry: int) -> None:
        """Store values. Raises the first error of a batch when its other values have been stored."""
        for namespace, texts in _by_namespace(pairs):
            data = {text: pairs[text if namespace is None else (namespace, text)] for text in texts}
            for batch in _batches(texts, data):
                told = await self._namespaces.ask(namespace, _storing(batch, data, expiry), len(batch))
                for text, reply in zip(batch, told.replies, strict=True):
                    protocol.stored(reply, len(data[text]))

    async def remove(self, keys: Iterable[Key]) -> int:
        """Remove whatever is there; return how many values were. Whether it is one is asked for in the same write."""
        removed = 0
        for namespace, texts in _by_namespace(keys):
            for batch in _runs(texts):
                replies = (await self._remove_batch(namespace, batch)).replies
                removed += sum(
                    protocol.told(done) == b"DELETED" and protocol.flags(looked) != MARK
                    for looked, done in zip(replies[::2], replies[1::2], strict=True)
                )
        return removed

    async def _remove_batch(self, namespace: str | None, batch: Sequence[str]) -> Answer:
        ask = self._namespaces.ask
        try:
            return await ask(namespace, _removing(batch, protocol.meta_peek), 2 * len(batch), meta=True)
        except UnsupportedCommand:
            return await ask(namespace, _removing(batch, protocol.gets), 2 * len(batch))


def _by_namespace(keys: Iterable[Key]) -> Iterator[tuple[str | None, list[str]]]:
    """Return each namespace with the texts of its keys, without repetition, in order."""
    groups: dict[str | None, dict[str, None]] = {}
    for key in keys:
        namespace, text = parts(key)
        groups.setdefault(namespace, {})[text] = None
    return ((namespace, list(texts)) for namespace, texts in groups.items())


def _runs(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Return the texts in runs of at most so many."""
    return (texts[start : start + MOST_KEYS] for start in range(0, len(texts), MOST_KEYS))


def _batches(texts: Sequence[str], data: Mapping[str, bytes]) -> Iterator[list[str]]:
    """Return the texts in runs of at most so many, and of values of so many bytes."""
    batch: list[str] = []
    size = 0
    for text in texts:
        weight = len(data[text])
        if batch and (len(batch) == MOST_KEYS or size + weight > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += weight
    if batch:
        yield batch


def _reading(batch: Sequence[str], named: dict[bytes, str]) -> Callable[[Namer], bytes]:
    """Return a request for a batch that notes which name is which text's."""

    def request(name: Namer) -> bytes:
        named.clear()
        named.update((name(text), text) for text in batch)
        asked = list(named)
        return b"".join(
            protocol.get(asked[start : start + _NAMES_IN_A_LINE]) for start in range(0, len(asked), _NAMES_IN_A_LINE)
        )

    return request


def _storing(batch: Sequence[str], data: Mapping[str, bytes], expiry: int) -> Callable[[Namer], bytes]:
    return lambda name: b"".join(protocol.store(b"set", name(text), data[text], expiry) for text in batch)


def _removing(batch: Sequence[str], look: Callable[[bytes], bytes]) -> Callable[[Namer], bytes]:
    def request(name: Namer) -> bytes:
        asked = [name(text) for text in batch]
        return b"".join(look(one) + protocol.delete(one) for one in asked)

    return request
