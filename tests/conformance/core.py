"""Part core: one key, one client, then another one."""

from __future__ import annotations

from aiocache_core import MISS, Key
from tests.conformance.harness import Store, part, read

FALSY = (b"", b"0", b"null", b"false")
"""Values that a careless ``if value`` takes for none."""


@part("core")
class Core:
    """What every store writes itself, without a ttl."""

    async def test_get_of_a_missing_key_is_a_miss(self, store: Store) -> None:
        assert await store.backend.get("absent") is MISS
        assert await store.backend.get(("space", "absent")) is MISS

    async def test_set_then_get(self, store: Store) -> None:
        backend = store.backend
        keys: list[Key] = ["k", ("space", "k")]
        for key in keys:
            await backend.set(key, b"bytes", None)
            assert await read(backend, key) == b"bytes"
            await backend.set(key, "text", None)
            assert await read(backend, key) == b"text"

    async def test_set_keeps_falsy_values(self, store: Store) -> None:
        for value in FALSY:
            await store.backend.set("k", value, None)
            assert await read(store.backend, "k") == value
            assert await store.backend.exists("k") is True

    async def test_set_replaces_whatever_its_size(self, store: Store) -> None:
        for value in (b"x" * 10_000, b"short", b"y" * 20_000, b"z"):
            await store.backend.set("k", value, None)
            assert await read(store.backend, "k") == value

    async def test_add_stores_only_what_is_not_there(self, store: Store) -> None:
        assert await store.backend.add("k", b"first", None) is True
        assert await store.backend.add("k", b"second", None) is False
        assert await read(store.backend, "k") == b"first"

    async def test_add_finds_falsy_values(self, store: Store) -> None:
        for value in FALSY:
            await store.backend.set("k", value, None)
            assert await store.backend.add("k", b"second", None) is False
            assert await read(store.backend, "k") == value

    async def test_add_after_delete(self, store: Store) -> None:
        await store.backend.set("k", b"v", None)
        await store.backend.delete("k")
        assert await store.backend.add("k", b"w", None) is True
        assert await read(store.backend, "k") == b"w"

    async def test_delete_tells_whether_a_value_was_there(self, store: Store) -> None:
        await store.backend.set("k", b"v", None)
        assert await store.backend.delete("k") is True
        assert await store.backend.get("k") is MISS
        assert await store.backend.delete("k") is False

    async def test_delete_counts_falsy_values(self, store: Store) -> None:
        for value in FALSY:
            await store.backend.set("k", value, None)
            assert await store.backend.delete("k") is True, value

    async def test_exists(self, store: Store) -> None:
        assert await store.backend.exists("k") is False
        await store.backend.set("k", b"v", None)
        assert await store.backend.exists("k") is True
        await store.backend.delete("k")
        assert await store.backend.exists("k") is False

    async def test_expire_tells_whether_a_value_was_there(self, store: Store) -> None:
        assert await store.backend.expire("k", 100.0) is False
        assert await store.backend.expire("k", None) is False
        await store.backend.set("k", b"v", None)
        assert await store.backend.expire("k", 100.0) is True
        assert await store.backend.expire("k", None) is True
        assert await store.backend.expire("k", None) is True
        assert await read(store.backend, "k") == b"v"

    async def test_commands_do_not_touch_other_keys(self, store: Store) -> None:
        backend = store.backend
        for key in ("before", "k", "kk", "K"):
            await backend.set(key, key.encode(), None)
        await backend.delete("k")
        assert [await read(backend, key) for key in ("before", "kk", "K")] == [b"before", b"kk", b"K"]

    async def test_another_client_sees_what_this_one_wrote(self, store: Store) -> None:
        one, other = store.backend, store.another()
        await one.set(("space", "k"), b"v", None)
        assert await read(other, ("space", "k")) == b"v"
        assert await other.add(("space", "k"), b"w", None) is False
        assert await other.delete(("space", "k")) is True
        assert await one.get(("space", "k")) is MISS
