"""Part abilities: what is declared is well-formed, and what is not declared says so when it is asked for."""

from __future__ import annotations

import pytest

from aiocache_core import CONTRACT, KEEP, MISS, Abilities, Backend, Key, Lease, UnsupportedCommand
from tests.conformance.harness import Store, counts, has, lacks, part, plain, when


def _cannot_count(backend_class: type[Backend]) -> bool:
    return not counts(backend_class)


@part("abilities")
class Declared:
    """The record of abilities, and the errors of commands that a store has not."""

    async def test_the_declaration_is_of_this_contract(self, store: Store) -> None:
        abilities = type(store.backend).abilities
        assert isinstance(abilities, Abilities)
        assert store.backend.abilities is abilities
        assert abilities.contract == CONTRACT
        assert abilities.ttl_step >= 0
        assert abilities.max_value is None or abilities.max_value > 0
        assert isinstance(abilities.default_serializer, str)

    async def test_each_backend_has_its_own_flights(self, store: Store) -> None:
        assert store.factory().flights is not store.factory().flights
        assert not store.backend.flights

    @when(lacks("compare_and_set"))
    async def test_without_compare_and_set(self, store: Store) -> None:
        await store.backend.set("k", b"v", None)
        with pytest.raises(UnsupportedCommand):
            await store.backend.gets("k")
        for stored in (b"w", MISS):
            with pytest.raises(UnsupportedCommand):
                await store.backend.cas("k", None, stored, KEEP)

    @when(_cannot_count)
    async def test_without_counters(self, store: Store) -> None:
        with pytest.raises(UnsupportedCommand):
            await store.backend.increment("k", 1, None)

    @when(lacks("leases"))
    async def test_without_leases(self, store: Store) -> None:
        lease = Lease("k", 1.0, None)
        with pytest.raises(UnsupportedCommand):
            await store.backend.lease("k", 1.0)
        with pytest.raises(UnsupportedCommand):
            await store.backend.renew(lease)
        with pytest.raises(UnsupportedCommand):
            await store.backend.store_leased(lease, b"v", None)
        with pytest.raises(UnsupportedCommand):
            await store.backend.release(lease)
        assert await store.backend.get("k") is MISS

    @when(lacks("expires_in"))
    async def test_without_expires_in(self, store: Store) -> None:
        await store.backend.set("k", b"v", 100.0)
        with pytest.raises(UnsupportedCommand):
            await store.backend.expires_in("k")

    @when(lacks("scan"))
    async def test_without_scan(self, store: Store) -> None:
        with pytest.raises(UnsupportedCommand):
            async for _ in store.backend.scan(None):
                pass

    @when(lacks("local"))
    async def test_without_plain_functions(self, store: Store) -> None:
        with pytest.raises(UnsupportedCommand):
            store.backend.lookup("k")
        with pytest.raises(UnsupportedCommand):
            store.backend.assign("k", b"v", None)

    @when(has("local"))
    async def test_plain_functions_are_the_commands(self, store: Store) -> None:
        backend = store.backend
        keys: list[Key] = ["k", ("space", "k"), ""]
        for key in keys:
            assert backend.lookup(key) is MISS
            backend.assign(key, b"assigned", None)
            assert plain(backend.lookup(key)) == b"assigned"
            assert plain(await backend.get(key)) == b"assigned"
            await backend.set(key, b"set", None)
            assert plain(backend.lookup(key)) == b"set"
            await backend.delete(key)
            assert backend.lookup(key) is MISS

    @when(has("local"))
    async def test_each_local_backend_has_its_own_entries(self, store: Store) -> None:
        await store.backend.set("k", b"v", None)
        other = store.factory()
        assert await other.get("k") is MISS
        await other.clear(None)
        assert plain(await store.backend.get("k")) == b"v"

    @when(has("scan"))
    async def test_scan_lists_a_namespace_in_batches(self, store: Store) -> None:
        backend = store.backend
        ours: list[Key] = [("big", f"k{number}") for number in range(3_000)]
        flat: list[Key] = ["", "k1", "k2", "big:k1", "@big:k1", "*"]
        others: list[Key] = [("big2", "k1"), ("bi", "gk1"), ("*", "k1"), ("big", ""), ("big", "*"), ("big", "K1")]
        await backend.multi_set([(key, b"v") for key in (*ours, *flat, *others)], None)

        async def scan(namespace: str | None, prefix: str = "") -> list[Key]:
            batches = [batch async for batch in backend.scan(namespace, prefix)]
            assert all(len(batch) < 3_000 for batch in batches), "a batch must be bounded"
            return sorted({key for batch in batches for key in batch}, key=repr)

        assert await scan("big") == sorted([*ours, *others[3:]], key=repr)
        assert await scan("big", "k299") == sorted([("big", "k299"), *ours[2_990:]], key=repr)
        assert await scan("big", "*") == [("big", "*")]
        assert await scan(None) == sorted(flat, key=repr)
        assert await scan(None, "k") == ["k1", "k2"]
        assert await scan("absent") == []
