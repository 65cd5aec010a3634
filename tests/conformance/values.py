"""Part values: what goes in comes out, byte for byte."""

from __future__ import annotations

import pytest

from aiocache_core import MISS, Backend, ValueTooLarge, records
from tests.conformance.harness import Store, has, part, read, read_many, when

LARGE = 1_000_000


def _bounded(backend_class: type[Backend]) -> bool:
    return backend_class.abilities.max_value is not None


@part("values")
class Values:
    """Every byte, every size, and for stores of objects the very object."""

    async def test_every_byte_survives(self, store: Store) -> None:
        every = bytes(range(256))
        values = [
            every,
            every[::-1],
            b"",
            b"\x00",
            b"\r\n",
            b"\r\nEND\r\n",
            b"$-1\r\n",
            b"\xff\xfe",
            b"  x  ",
            b"'\"\\",
        ]
        for value in values:
            await store.backend.set("k", value, None)
            assert await read(store.backend, "k") == value
        names = [f"k{n}" for n in range(len(values))]
        await store.backend.multi_set(list(zip(names, values, strict=True)), None)
        assert await read_many(store.backend, [*names]) == values

    async def test_every_text_survives(self, store: Store) -> None:
        for value in ("", " ", "\x00", "\xe9", "e\u0301", "\u65e5\u672c\U0001f642", "a\r\nb", "\u2028", "null", "NaN"):
            await store.backend.set("k", value, None)
            assert await read(store.backend, "k") == value.encode()

    async def test_bytes_that_begin_like_a_record_survive(self, store: Store) -> None:
        for value in (records.PREFIX, records.protect(records.PREFIX + b"x"), b"\xff", b"\xffa"):
            await store.backend.set("k", value, None)
            assert await read(store.backend, "k") == value
            assert await store.backend.exists("k") is True

    async def test_large_values_survive(self, store: Store) -> None:
        size = min(store.abilities.max_value or LARGE, LARGE)
        value = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        await store.backend.set("large", value, 100.0)
        await store.backend.set("next", b"v", None)
        assert await read(store.backend, "large") == value
        assert await read_many(store.backend, ["next", "large", "next"]) == [b"v", value, b"v"]
        assert await store.backend.delete("large") is True

    @when(_bounded)
    async def test_a_value_that_is_too_large_leaves_no_stale_one(self, store: Store) -> None:
        backend = store.backend
        too_large = b"x" * ((store.abilities.max_value or 0) + 1)
        await backend.set("k", b"old", None)
        with pytest.raises(ValueTooLarge):
            await backend.set("k", too_large, None)
        assert await backend.get("k") is MISS
        await backend.set("k", b"old", None)
        with pytest.raises(ValueTooLarge):
            await backend.multi_set([("other", b"v"), ("k", too_large)], None)
        assert await backend.get("k") is MISS
        with pytest.raises(ValueTooLarge):
            await backend.add("k", too_large, None)
        assert await backend.get("k") is MISS
        await backend.set("k", b"new", None)
        assert await read(backend, "k") == b"new"

    @when(has("stores_objects"))
    async def test_the_very_object_comes_back(self, store: Store) -> None:
        for value in (None, False, 0, "", [], {}, object(), ValueError("x"), float("nan"), ("a", 1)):
            await store.backend.set("k", value, None)
            assert await store.backend.get("k") is value
            assert await store.backend.exists("k") is True
            assert (await store.backend.multi_get(["k", "absent", "k"]))[0] is value
            assert await store.backend.add("k", 1, None) is False
            assert await store.backend.delete("k") is True

    @when(has("stores_objects"))
    async def test_objects_that_are_no_integers_are_not_counted(self, store: Store) -> None:
        for value in (None, True, 1.0, [1], 2**63):
            await store.backend.set("k", value, None)
            with pytest.raises(TypeError):
                await store.backend.increment("k", 1, None)
            assert await store.backend.get("k") is value
        await store.backend.set("k", 41, None)
        assert await store.backend.increment("k", 1, None) == 42
