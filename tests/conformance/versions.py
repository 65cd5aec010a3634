"""Part compare-and-set: a version is replaced once, and never what is not there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiocache_core import KEEP, MISS, Key
from tests.conformance.harness import Store, counts, has, lacks, part, plain, read, when


@part("compare-and-set", has("compare_and_set"))
class Versions:
    """``gets`` and ``cas``."""

    async def test_gets_of_a_missing_key(self, store: Store) -> None:
        assert await store.backend.gets("absent") == (MISS, None)

    async def test_gets_reads_the_value(self, store: Store) -> None:
        keys: list[Key] = ["k", ("space", "k")]
        for key in keys:
            for value in (b"v", b"", b"0"):
                await store.backend.set(key, value, None)
                stored, version = await store.backend.gets(key)
                assert plain(stored) == value
                assert version is not None

    async def test_cas_replaces_its_version(self, store: Store) -> None:
        for ttl in (None, 100.0, KEEP):
            await store.backend.set(("space", "k"), b"old", None)
            _, version = await store.backend.gets(("space", "k"))
            assert await store.backend.cas(("space", "k"), version, b"new", ttl) is True
            assert await read(store.backend, ("space", "k")) == b"new"

    async def test_cas_takes_and_gives_falsy_values(self, store: Store) -> None:
        await store.backend.set("k", b"", None)
        for value in (b"0", b"", b"null"):
            _, version = await store.backend.gets("k")
            assert await store.backend.cas("k", version, value, None) is True
            assert await read(store.backend, "k") == value

    async def test_cas_succeeds_once_with_a_version(self, store: Store) -> None:
        await store.backend.set("k", b"old", None)
        _, version = await store.backend.gets("k")
        assert await store.backend.cas("k", version, b"first", None) is True
        assert await store.backend.cas("k", version, b"second", None) is False
        assert await read(store.backend, "k") == b"first"

    async def test_cas_of_a_version_that_another_client_read(self, store: Store) -> None:
        one, other = store.backend, store.another()
        await one.set("k", b"old", None)
        _, version = await other.gets("k")
        assert await one.cas("k", version, b"new", None) is True
        _, version = await one.gets("k")
        await other.set("k", b"newer", None)
        assert await one.cas("k", version, b"late", None) is False
        assert await read(one, "k") == b"newer"

    async def test_cas_never_creates(self, store: Store) -> None:
        await store.backend.set("k", b"old", None)
        _, version = await store.backend.gets("k")
        await store.backend.delete("k")
        for ttl in (None, 100.0, KEEP):
            assert await store.backend.cas("k", version, b"v", ttl) is False
            assert await store.backend.cas("k", None, b"v", ttl) is False
            assert await store.backend.cas("absent", version, b"v", ttl) is False
        assert await store.backend.get("k") is MISS
        assert await store.backend.get("absent") is MISS

    async def test_cas_with_the_version_of_an_absence_replaces_nothing(self, store: Store) -> None:
        _, version = await store.backend.gets("k")
        await store.backend.set("k", b"v", None)
        assert await store.backend.cas("k", version, b"late", None) is False
        assert await read(store.backend, "k") == b"v"

    async def test_cas_with_a_miss_deletes(self, store: Store) -> None:
        await store.backend.set("k", b"v", None)
        _, version = await store.backend.gets("k")
        assert await store.backend.cas("k", version, MISS, None) is True
        assert await store.backend.gets("k") == (MISS, None)
        assert await store.backend.cas("k", version, MISS, None) is False
        assert await store.backend.cas("absent", None, MISS, None) is False

    async def test_cas_with_a_miss_leaves_another_version(self, store: Store) -> None:
        await store.backend.set("k", b"old", None)
        _, version = await store.backend.gets("k")
        await store.backend.set("k", b"new", None)
        assert await store.backend.cas("k", version, MISS, None) is False
        assert await read(store.backend, "k") == b"new"

    async def test_every_write_gives_a_new_version(self, store: Store) -> None:
        backend = store.backend

        async def replace() -> None:
            await backend.cas("k", (await backend.gets("k"))[1], b"5", KEEP)

        async def remove_and_add() -> None:
            await backend.delete("k")
            await backend.add("k", b"6", None)

        async def remove_by_version_and_add() -> None:
            await backend.cas("k", (await backend.gets("k"))[1], MISS, None)
            await backend.add("k", b"7", None)

        await backend.set("k", b"1", None)
        writes: list[tuple[bytes, Callable[[], Awaitable[None]]]] = [
            (b"2", lambda: backend.set("k", b"2", None)),
            (b"3", lambda: backend.set("k", b"3", 100.0)),
            (b"4", lambda: backend.multi_set([("k", b"4")], None)),
            (b"5", replace),
            (b"6", remove_and_add),
            (b"7", remove_by_version_and_add),
        ]
        for value, write in writes:
            _, version = await backend.gets("k")
            await write()
            assert await backend.cas("k", version, b"late", None) is False, value
            assert await read(backend, "k") == value

    @when(lacks("versions_by_value"))
    async def test_a_value_that_came_back_has_a_new_version(self, store: Store) -> None:
        await store.backend.set("k", b"a", None)
        _, version = await store.backend.gets("k")
        await store.backend.set("k", b"b", None)
        await store.backend.set("k", b"a", None)
        assert await store.backend.cas("k", version, b"late", None) is False
        assert await read(store.backend, "k") == b"a"

    @when(counts)
    async def test_increment_gives_a_new_version(self, store: Store) -> None:
        await store.backend.set("k", b"1", None)
        _, version = await store.backend.gets("k")
        await store.backend.increment("k", 1, None)
        assert await store.backend.cas("k", version, b"late", None) is False
        assert await store.backend.increment("k", 1, None) == 3
