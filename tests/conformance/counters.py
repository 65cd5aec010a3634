"""Part counters: signed integers of 64 bits, as decimal text in the store."""

from __future__ import annotations

import pytest

from aiocache_core import Key, counter
from tests.conformance.harness import Store, counts, part, read

LARGEST = 2**63 - 1
SMALLEST = -(2**63)

NO_INTEGERS = (b"", b"text", b"1.0", b"1e3", b" 1", b"1 ", b"+1", b"01", b"-0", b"1_0", b"0x1", b"9223372036854775808")
"""What must not be counted on; the last is one past 64 bits."""


@part("counters", counts)
class Counters:
    """Creation, sign, limits, and what is no counter."""

    async def test_increment_creates_with_its_delta(self, store: Store) -> None:
        deltas: dict[Key, int] = {"one": 1, "five": 5, "minus": -5, "zero": 0, ("space", "one"): 7}
        for key, delta in deltas.items():
            assert await store.backend.increment(key, delta, None) == delta
            assert counter(await store.backend.get(key)) == delta

    async def test_increment_crosses_zero_and_loses_digits(self, store: Store) -> None:
        totals = [await store.backend.increment("k", delta, None) for delta in (10, -1, -9, -3, 2, 1, 99, -1)]
        assert totals == [10, 9, 0, -3, -1, 0, 99, 98]

    async def test_increment_stores_plain_decimal_text(self, store: Store) -> None:
        for delta, text in ((1000, b"1000"), (-1, b"999"), (-990, b"9"), (-9, b"0"), (-12, b"-12")):
            await store.backend.increment("k", delta, None)
            found = await read(store.backend, "k")
            assert (found if isinstance(found, bytes) else str(found).encode()) == text

    async def test_increment_of_a_value_that_was_set(self, store: Store) -> None:
        await store.backend.set("k", b"41", None)
        assert await store.backend.increment("k", 1, None) == 42
        await store.backend.set("k", "-7", None)
        assert await store.backend.increment("k", 2, None) == -5

    async def test_increment_by_zero_changes_nothing(self, store: Store) -> None:
        await store.backend.set("k", b"5", None)
        assert await store.backend.increment("k", 0, None) == 5

    async def test_increment_after_delete_begins_anew(self, store: Store) -> None:
        await store.backend.increment("k", 9, None)
        assert await store.backend.delete("k") is True
        assert await store.backend.increment("k", 2, None) == 2

    async def test_increment_reaches_the_limits(self, store: Store) -> None:
        backend = store.backend
        assert await backend.increment("up", LARGEST, None) == LARGEST
        assert await backend.increment("down", SMALLEST, None) == SMALLEST
        assert await backend.increment("down", LARGEST, None) == -1
        assert await backend.increment("up", SMALLEST, None) == -1
        await backend.set("near", str(LARGEST - 1).encode(), None)
        assert await backend.increment("near", 1, None) == LARGEST
        for exact in (2**53 + 1, -(2**53) - 1):  # a store that counts in floats loses these
            await backend.set("exact", str(exact).encode(), None)
            assert await backend.increment("exact", 2, None) == exact + 2

    async def test_increment_past_the_limits_changes_nothing(self, store: Store) -> None:
        for value, delta in ((LARGEST, 1), (SMALLEST, -1), (LARGEST, LARGEST), (SMALLEST, SMALLEST), (2, LARGEST)):
            await store.backend.set("k", str(value).encode(), None)
            with pytest.raises(OverflowError):
                await store.backend.increment("k", delta, None)
            assert counter(await store.backend.get("k")) == value

    async def test_increment_of_no_integer_changes_nothing(self, store: Store) -> None:
        for value in NO_INTEGERS:
            await store.backend.set("k", value, None)
            with pytest.raises(TypeError):
                await store.backend.increment("k", 1, None)
            assert await read(store.backend, "k") == value

    async def test_increment_tells_no_cached_value_in_its_error(self, store: Store) -> None:
        await store.backend.set("k", b"hush-hush", None)
        with pytest.raises(TypeError) as caught:
            await store.backend.increment("k", 1, None)
        assert "hush" not in str(caught.value)
