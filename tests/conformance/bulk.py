"""Part bulk: several keys in one command."""

from __future__ import annotations

from aiocache_core import MISS, Key
from tests.conformance.harness import Store, part, read, read_many


@part("bulk")
class Bulk:
    """Order, duplicates, misses, and nothing at all."""

    async def test_multi_get_keeps_the_order(self, store: Store) -> None:
        for key in "abc":
            await store.backend.set(key, key.encode(), None)
        assert await read_many(store.backend, ["c", "a", "b"]) == [b"c", b"a", b"b"]

    async def test_multi_get_gives_a_miss_its_place(self, store: Store) -> None:
        await store.backend.set("b", b"b", None)
        assert await read_many(store.backend, ["a", "b", "c"]) == [MISS, b"b", MISS]
        assert await read_many(store.backend, ["x", "y"]) == [MISS, MISS]

    async def test_multi_get_answers_a_repeated_key_each_time(self, store: Store) -> None:
        await store.backend.set("a", b"1", None)
        await store.backend.set("b", b"", None)
        found = await read_many(store.backend, ["a", "b", "a", "none", "none", "a", "b"])
        assert found == [b"1", b"", b"1", MISS, MISS, b"1", b""]

    async def test_multi_get_mixes_namespaces(self, store: Store) -> None:
        keys: list[Key] = ["k", ("one", "k"), ("two", "k")]
        await store.backend.multi_set([(key, repr(key).encode()) for key in keys[:2]], None)
        assert await read_many(store.backend, keys) == [repr(keys[0]).encode(), repr(keys[1]).encode(), MISS]

    async def test_no_keys_are_no_work(self, store: Store) -> None:
        await store.backend.set("k", b"v", None)
        assert await store.backend.multi_get([]) == []
        await store.backend.multi_set([], None)
        await store.backend.multi_set([], 10.0)
        assert await store.backend.multi_delete([]) == 0
        assert await read(store.backend, "k") == b"v"

    async def test_multi_set_stores_every_pair(self, store: Store) -> None:
        pairs: list[tuple[Key, bytes]] = [("a", b"1"), (("space", "a"), b"2"), ("b", b""), ("c", b"\x00\xff")]
        await store.backend.multi_set(pairs, None)
        assert [(key, await read(store.backend, key)) for key, _ in pairs] == pairs

    async def test_multi_set_replaces_and_the_last_of_a_repeated_key_stays(self, store: Store) -> None:
        await store.backend.set("a", b"old", None)
        await store.backend.multi_set([("a", b"1"), ("b", b"2"), ("a", b"3")], None)
        assert await read_many(store.backend, ["a", "b"]) == [b"3", b"2"]

    async def test_multi_set_takes_pairs_that_can_be_read_once(self, store: Store) -> None:
        await store.backend.multi_set(((key, b"v") for key in "ab"), None)
        assert await read_many(store.backend, ["a", "b"]) == [b"v", b"v"]
        assert await store.backend.multi_delete(key for key in "abc") == 2

    async def test_multi_delete_counts_what_was_there(self, store: Store) -> None:
        await store.backend.multi_set([("a", b"1"), ("b", b""), ("c", b"0"), (("space", "a"), b"v")], None)
        assert await store.backend.multi_delete(["a", "b", "none", "c"]) == 3
        assert await read_many(store.backend, ["a", "b", "c", ("space", "a")]) == [MISS, MISS, MISS, b"v"]
        assert await store.backend.multi_delete(["a", "b", "c"]) == 0

    async def test_multi_delete_counts_a_repeated_key_once(self, store: Store) -> None:
        await store.backend.set("a", b"1", None)
        assert await store.backend.multi_delete(["a", "a", "a"]) == 1

    async def test_thousands_of_keys_in_one_command(self, store: Store) -> None:
        pairs: list[tuple[Key, bytes]] = [(("space", f"key-{n}"), f"value-{n}".encode()) for n in range(3_000)]
        keys = [key for key, _ in pairs]
        await store.backend.multi_set(pairs, None)
        assert await read_many(store.backend, keys) == [value for _, value in pairs]
        assert await store.backend.multi_delete(keys) == len(keys)
        assert await read_many(store.backend, keys) == [MISS] * len(keys)
