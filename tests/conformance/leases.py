"""Part leases: one computes, whoever writes the key ends that right, and nobody stores without it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from aiocache_core import MISS, Backend, Busy, Key, Lease
from tests.conformance.harness import DEADLINE, Store, counts, has, part, plain, read, read_many, when

HELD = 60.0
"""A lease (s) that no test outlives."""


async def _held(backend: Backend, key: Key, seconds: float = HELD) -> Lease:
    lease = await backend.lease(key, seconds)
    assert isinstance(lease, Lease)
    return lease


async def _lost(backend: Backend, lease: Lease) -> bool:
    """Return True if a lease gives no right any more, whichever way it is asked."""
    before = await read(backend, lease.key)
    renewed = await backend.renew(lease)
    stored = await backend.store_leased(lease, b"stale", None)
    await backend.release(lease)
    return not renewed and not stored and await read(backend, lease.key) == before


@part("leases", has("leases"))
class Leases:
    """``lease``, ``renew``, ``store_leased``, ``release`` and ``changed``."""

    async def test_a_lease_of_a_missing_key(self, store: Store) -> None:
        keys: list[Key] = ["k", ("space", "k"), ("space", ""), ""]
        for key in keys:
            lease = await _held(store.backend, key)
            assert lease.key == key
            assert lease.seconds == HELD

    async def test_a_lease_of_a_stored_key_is_its_value(self, store: Store) -> None:
        for value in (b"v", b"", b"0", "text"):
            await store.backend.set("k", value, None)
            found = await store.backend.lease("k", HELD)
            assert plain(found) == plain(value)
            assert await read(store.backend, "k") == plain(value)

    @when(has("stores_objects"))
    async def test_a_lease_of_a_stored_none_is_none(self, store: Store) -> None:
        await store.backend.set("k", None, None)
        assert await store.backend.lease("k", HELD) is None

    async def test_a_leased_key_is_busy_for_every_client(self, store: Store) -> None:
        await _held(store.backend, "k")
        for client in store.clients(3):
            busy = await client.lease("k", HELD)
            assert isinstance(busy, Busy)
            assert 0 < busy.retry_after <= HELD + store.step

    async def test_leases_of_other_keys_do_not_meet(self, store: Store) -> None:
        keys: list[Key] = ["k", ("a", "k"), ("a", "kk"), ("ab", "k"), "ak", "@a:k"]
        leases = [await _held(store.backend, key) for key in keys]
        for lease in leases[::2]:
            await store.backend.release(lease)
        for lease in leases[1::2]:
            assert await store.backend.store_leased(lease, b"v", None) is True
        assert await read_many(store.backend, keys) == [MISS, b"v"] * 3

    async def test_a_leased_key_is_missing_in_every_reading_command(self, store: Store) -> None:
        lease = await _held(store.backend, ("space", "k"))
        await store.backend.set(("space", "value"), b"v", None)
        for client in (store.backend, store.another()):
            assert await client.get(("space", "k")) is MISS
            assert await client.exists(("space", "k")) is False
            found = await read_many(client, [("space", "k"), ("space", "value"), ("space", "k")])
            assert found == [MISS, b"v", MISS]
            if store.abilities.expires_in:
                assert await client.expires_in(("space", "k")) is MISS
            if store.abilities.compare_and_set:
                assert (await client.gets(("space", "k")))[0] is MISS
        assert await store.backend.store_leased(lease, b"v", None) is True

    async def test_expire_leaves_a_lease_alone(self, store: Store) -> None:
        lease = await _held(store.backend, "k")
        assert await store.backend.expire("k", 100.0) is False
        assert await store.another().expire("k", None) is False
        assert isinstance(await store.another().lease("k", HELD), Busy)
        assert await store.backend.store_leased(lease, b"v", None) is True

    async def test_store_leased_stores_for_all(self, store: Store) -> None:
        for value in (b"v", b"", "text", b"x" * 50_000):
            lease = await _held(store.backend, ("space", "k"))
            assert await store.backend.store_leased(lease, value, 100.0) is True
            assert await read(store.another(), ("space", "k")) == plain(value)
            assert plain(await store.another().lease(("space", "k"), HELD)) == plain(value)
            await store.backend.delete(("space", "k"))

    async def test_store_leased_works_once(self, store: Store) -> None:
        lease = await _held(store.backend, "k")
        assert await store.backend.store_leased(lease, b"v", None) is True
        assert await _lost(store.backend, lease)
        assert await read(store.backend, "k") == b"v"
        await store.backend.delete("k")
        assert await _lost(store.backend, lease)
        assert await store.backend.get("k") is MISS

    async def test_whoever_writes_or_removes_the_key_ends_the_lease(self, store: Store) -> None:
        key: Key = ("space", "k")
        writes: list[tuple[str, Callable[[Backend], Awaitable[object]], object, bytes | None]] = [
            ("set", lambda other: other.set(key, b"new", None), None, b"new"),
            ("set the empty value", lambda other: other.set(key, b"", 100.0), None, b""),
            ("multi_set", lambda other: other.multi_set([(key, b"new")], None), None, b"new"),
            ("add, for which the key is missing", lambda other: other.add(key, b"new", None), True, b"new"),
            ("delete, which found no value", lambda other: other.delete(key), False, None),
            ("multi_delete", lambda other: other.multi_delete([key, "none"]), 0, None),
            ("clear of the namespace", lambda other: other.clear("space"), None, None),
            ("clear of the store", lambda other: other.clear(None), None, None),
        ]
        if counts(type(store.backend)):
            writes.append(("increment, which creates", lambda other: other.increment(key, 7, None), 7, b"7"))
        for name, write, answer, value in writes:
            await store.backend.delete(key)
            lease = await _held(store.backend, key)
            assert await write(store.another()) == answer, name
            assert await _lost(store.backend, lease), name
            found = await read(store.backend, key)
            found = found if isinstance(found, bytes) or found is MISS else str(found).encode()
            assert found == (MISS if value is None else value), name

    async def test_a_removed_lease_can_be_taken_by_another(self, store: Store) -> None:
        first = await _held(store.backend, "k")
        await store.backend.delete("k")
        second = await _held(store.another(), "k")
        assert await _lost(store.backend, first)
        assert isinstance(await store.backend.lease("k", HELD), Busy)
        assert await store.another().store_leased(second, b"second", None) is True
        assert await _lost(store.backend, first)
        assert await read(store.backend, "k") == b"second"

    async def test_clear_of_another_namespace_leaves_a_lease(self, store: Store) -> None:
        lease = await _held(store.backend, ("a", "k"))
        for name in ("ab", "*", "a*", "A"):
            await store.another().clear(name)
        assert await store.backend.renew(lease) is True
        assert await store.backend.store_leased(lease, b"v", None) is True

    async def test_release_lets_another_in(self, store: Store) -> None:
        lease = await _held(store.backend, "k")
        await store.backend.release(lease)
        assert await store.backend.get("k") is MISS
        assert await store.backend.delete("k") is False
        await _held(store.another(), "k")

    async def test_release_by_one_who_does_not_hold_it_does_nothing(self, store: Store) -> None:
        first = await _held(store.backend, "k")
        await store.backend.release(first)
        second = await _held(store.another(), "k")
        await store.backend.release(first)
        assert isinstance(await store.backend.lease("k", HELD), Busy)
        assert await store.backend.renew(first) is False
        assert await store.another().renew(second) is True
        assert await store.another().store_leased(second, b"v", None) is True
        await store.backend.release(first)
        await store.another().release(second)
        assert await read(store.backend, "k") == b"v"

    async def test_a_lease_of_another_key_opens_nothing(self, store: Store) -> None:
        lease = await _held(store.backend, "k")
        other = await _held(store.backend, "other")
        forged = Lease("k", HELD, other.token)
        assert await store.backend.renew(forged) is False
        assert await store.backend.store_leased(forged, b"forged", None) is False
        await store.backend.release(forged)
        assert await store.backend.get("k") is MISS
        assert await store.backend.store_leased(lease, b"v", None) is True
        assert await read(store.backend, "k") == b"v"

    async def test_renew_keeps_a_lease(self, store: Store) -> None:
        lease = await _held(store.backend, "k")
        for _ in range(3):
            assert await store.backend.renew(lease) is True
            assert isinstance(await store.another().lease("k", HELD), Busy)
        assert await store.backend.store_leased(lease, b"v", None) is True

    async def test_a_renewed_lease_outlives_its_first_term(self, store: Store) -> None:
        term = 1.0
        busy: object = None
        stored = False
        while True:  # on a machine that stood still for too long the lease may rightly be lost: once more
            await store.backend.delete("k")
            asked = time.monotonic()
            lease = await _held(store.backend, "k", term)
            await store.wait(0.6 * term)
            kept = await store.backend.renew(lease)
            renewed = time.monotonic()
            if renewed - asked < 0.9 * term:
                assert kept is True
                await store.wait(0.6 * term)
                busy = await store.another().lease("k", term)
                stored = await store.backend.store_leased(lease, b"v", None)
                if time.monotonic() - renewed < 0.9 * term:
                    break
        assert isinstance(busy, Busy)
        assert stored is True

    async def test_a_dead_owners_lease_passes_on(self, store: Store) -> None:
        term = 0.5
        first = await _held(store.backend, ("space", "k"), term)
        heir = store.another()
        turns = 0
        while isinstance(found := await heir.lease(("space", "k"), HELD), Busy):
            assert (turns := turns + 1) < 100, "a lease that nobody renews must end"
            await store.wait(found.retry_after)
        assert isinstance(found, Lease)
        assert await _lost(store.backend, first)
        assert isinstance(await store.backend.lease(("space", "k"), HELD), Busy)
        assert await heir.store_leased(found, b"heir", None) is True
        assert await _lost(store.backend, first)
        assert await read(store.backend, ("space", "k")) == b"heir"

    async def test_one_winner_among_many(self, store: Store) -> None:
        clients = store.clients(4)
        for turn in range(5):
            key = ("space", f"k{turn}")
            found = await asyncio.gather(*(client.lease(key, HELD) for client in clients * 10))
            winners = [lease for lease in found if isinstance(lease, Lease)]
            assert len(winners) == 1
            assert len([busy for busy in found if isinstance(busy, Busy)]) == len(found) - 1

    async def test_one_winner_among_those_who_renew_store_and_write(self, store: Store) -> None:
        backend, other = store.backend, store.another()
        for turn in range(20):
            key = f"k{turn}"
            lease = await _held(backend, key)
            stored, _ = await asyncio.gather(backend.store_leased(lease, b"leased", None), other.set(key, b"set", None))
            assert await read(backend, key) == b"set", "a write that overlaps must not be undone"
            assert await backend.store_leased(lease, b"late", None) is False
            assert isinstance(stored, bool)

    async def test_a_delete_during_the_computation_wins(self, store: Store) -> None:
        lease = await _held(store.backend, "k")
        await store.another().delete("k")
        assert await store.backend.store_leased(lease, b"old data", None) is False
        assert await store.backend.get("k") is MISS
        assert await store.another().exists("k") is False

    @when(has("compare_and_set"))
    async def test_a_lease_has_a_version(self, store: Store) -> None:
        lease = await _held(store.backend, "k")
        stored, version = await store.backend.gets("k")
        assert stored is MISS
        assert version is not None
        assert await store.another().cas("k", version, b"new", None) is True
        assert await _lost(store.backend, lease)
        assert await read(store.backend, "k") == b"new"
        await store.backend.delete("k")
        lease = await _held(store.backend, "k")
        _, version = await store.backend.gets("k")
        assert await store.backend.store_leased(lease, b"v", None) is True
        assert await store.backend.cas("k", version, b"late", None) is False
        assert await read(store.backend, "k") == b"v"

    async def test_a_lease_of_a_bytes_value_is_not_its_record(self, store: Store) -> None:
        lease = await _held(store.backend, "k")
        assert "token" not in repr(lease)
        assert repr(lease.token) not in repr(lease)

    async def test_changed_returns_at_its_timeout(self, store: Store) -> None:
        await _held(store.backend, "k")
        async with asyncio.timeout(DEADLINE):
            await store.backend.changed("k", 0.01)
            await store.backend.changed("never used", 0.01)

    async def test_waiters_get_the_value_of_the_winner(self, store: Store) -> None:
        lease = await _held(store.backend, ("space", "k"))

        async def wait(client: Backend) -> object:
            while isinstance(found := await client.lease(("space", "k"), HELD), Busy):
                await client.changed(("space", "k"), min(1.0, found.retry_after))
            return plain(found)

        async with asyncio.timeout(DEADLINE):
            waiters = [asyncio.create_task(wait(client)) for client in store.clients(3)]
            await asyncio.sleep(0.02)
            assert await store.backend.store_leased(lease, b"v", None) is True
            assert await asyncio.gather(*waiters) == [b"v"] * 3

    async def test_waiters_take_over_when_the_winner_gives_up(self, store: Store) -> None:
        lease = await _held(store.backend, ("space", "k"))

        async def compute(client: Backend) -> object:
            while isinstance(found := await client.lease(("space", "k"), HELD), Busy):
                await client.changed(("space", "k"), min(1.0, found.retry_after))
            if isinstance(found, Lease):
                assert await client.store_leased(found, b"v", None) is True
                return b"v"
            return plain(found)

        async with asyncio.timeout(DEADLINE):
            waiters = [asyncio.create_task(compute(client)) for client in store.clients(3)]
            await asyncio.sleep(0.02)
            await store.backend.release(lease)
            assert await asyncio.gather(*waiters) == [b"v"] * 3

    async def test_a_cancelled_waiter_leaves_the_others(self, store: Store) -> None:
        lease = await _held(store.backend, "k")
        waiters = [asyncio.create_task(store.backend.changed("k", 1.0)) for _ in range(3)]
        await asyncio.sleep(0.02)
        waiters[0].cancel()
        await asyncio.wait(waiters[:1])
        assert await store.backend.store_leased(lease, b"v", None) is True
        async with asyncio.timeout(DEADLINE):
            await asyncio.gather(*waiters[1:])
        assert await read(store.backend, "k") == b"v"
