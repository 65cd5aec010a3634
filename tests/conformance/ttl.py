"""Part ttl: what lives, what dies, and that a dead entry is missing in every command.

Everything is written first, then time passes once. ``SHORT`` is the time after which entries must be gone, on a store that
sleeps long enough for the writing; those that must stay live a hundred seconds, or for ever.
"""

from __future__ import annotations

from aiocache_core import KEEP, MISS, Backend, Key, Lease, counter
from tests.conformance.harness import DEADLINE, Store, counts, has, part, when

LONG = 100.0
DAYS = 86_400.0


@part("ttl")
class Ttl:
    """Each way to give an expiry, to keep it, and to take it away."""

    async def test_ttl_entries_die_in_time_and_no_others(self, store: Store) -> None:
        short = 1 + store.step
        dying = await _write_dying(store.backend, short)
        staying = await _write_staying(store.backend, short)
        if store.exact:
            margin = max(1.5 * store.step, 0.001)
            await store.wait(short - margin)
            found = await store.backend.multi_get(dying)
            early = [key for key, stored in zip(dying, found, strict=True) if stored is MISS]
            assert early == ["set below the grain"], "gone before their time"
            await store.wait(margin)
        else:
            await store.wait(short + store.step + 0.1)
        found = await store.backend.multi_get(dying)
        assert [key for key, stored in zip(dying, found, strict=True) if stored is not MISS] == [], "outlived their ttl"
        found = await store.backend.multi_get(staying)
        assert [key for key, stored in zip(staying, found, strict=True) if stored is MISS] == [], (
            "should still be there"
        )
        assert await store.another().multi_get(dying) == [MISS] * len(dying)

    async def test_ttl_a_dead_entry_is_missing_in_every_command(self, store: Store) -> None:
        backend = store.backend
        abilities = backend.abilities
        short = 1 + store.step
        keys: list[Key] = ["get", "exists", "delete", "expire", "expire to none", "multi_delete", "add", "expires_in"]
        keys += ["increment", "gets", "cas", "lease", "lookup", "set"]
        await backend.multi_set([(key, b"41") for key in keys], short)
        version = (await backend.gets("cas"))[1] if abilities.compare_and_set else None
        await store.wait(short if store.exact else short + store.step + 0.1)
        assert await backend.get("get") is MISS
        assert await backend.exists("exists") is False
        assert await backend.delete("delete") is False
        assert await backend.expire("expire", LONG) is False
        assert await backend.expire("expire to none", None) is False
        assert await backend.multi_delete(["multi_delete", "none"]) == 0
        assert await backend.add("add", b"new", None) is True
        await backend.set("set", b"new", None)
        if abilities.expires_in:
            assert await backend.expires_in("expires_in") is MISS
            assert await backend.expires_in("add") is None
            assert await backend.expires_in("set") is None
        if counts(type(backend)):
            assert await backend.increment("increment", 1, None) == 1
        if abilities.compare_and_set:
            assert await backend.gets("gets") == (MISS, None)
            assert await backend.cas("cas", version, b"new", None) is False
            assert await backend.get("cas") is MISS
        if abilities.leases:
            assert isinstance(await backend.lease("lease", LONG), Lease)
        if abilities.local:
            assert backend.lookup("lookup") is MISS
        assert await backend.get("expire") is MISS
        assert await backend.get("expire to none") is MISS

    @when(has("expires_in"))
    async def test_expires_in_tells_the_seconds_left(self, store: Store) -> None:
        backend = store.backend
        assert await backend.expires_in("absent") is MISS
        await backend.set("lasting", b"", None)
        assert await backend.expires_in("lasting") is None
        await backend.set(("space", "k"), b"v", LONG)
        left = await backend.expires_in(("space", "k"))
        assert isinstance(left, float)
        assert LONG - DEADLINE < left <= LONG + store.step
        if store.exact:
            await store.wait(30.0)
            left = await backend.expires_in(("space", "k"))
            assert isinstance(left, float)
            assert LONG - 30.0 - store.step <= left <= LONG - 30.0 + store.step
        await backend.expire(("space", "k"), 7.0)
        left = await backend.expires_in(("space", "k"))
        assert isinstance(left, float)
        assert 0 < left <= 7.0 + store.step
        await backend.expire(("space", "k"), None)
        assert await backend.expires_in(("space", "k")) is None


async def _write_dying(backend: Backend, short: float) -> list[Key]:
    """Write entries that must be gone after ``short`` seconds; return their keys, which tell how they were made."""
    before: list[Key] = ["set over lasting", "expire lasting"]
    await backend.multi_set([(key, b"old") for key in before], None)
    await backend.multi_set([("set over long", b"old"), ("expire long", b"old")], LONG)
    await backend.set("set", b"v", short)
    await backend.set(("space", "set"), b"v", short)
    await backend.set("set below the grain", b"v", max(backend.abilities.ttl_step / 1000, 1e-9))
    await backend.set("set empty", b"", short)
    await backend.set("set over lasting", b"v", short)
    await backend.set("set over long", b"v", short)
    await backend.add("add", b"v", short)
    await backend.multi_set([("multi_set one", b"v"), (("space", "multi_set two"), b"v")], short)
    await backend.expire("expire lasting", short)
    await backend.expire("expire long", short)
    dying: list[Key] = ["set", ("space", "set"), "set empty", "add", "multi_set one", ("space", "multi_set two")]
    if counts(type(backend)):
        await backend.increment("increment made it", 5, short)
        await backend.set("increment keeps", b"5", short)
        await backend.increment("increment keeps", 1, None)
        await backend.set("increment does not lengthen", b"5", short)
        await backend.increment("increment does not lengthen", 1, LONG)
        dying += ["increment made it", "increment keeps", "increment does not lengthen"]
    if backend.abilities.compare_and_set:
        await backend.multi_set([("cas gives", b"old"), ("cas gives less", b"old")], LONG)
        await backend.multi_set([("cas keeps", b"old")], short)
        for key, ttl in (("cas gives", short), ("cas gives less", short), ("cas keeps", KEEP)):
            assert await backend.cas(key, (await backend.gets(key))[1], b"v", ttl) is True
        dying += ["cas gives", "cas gives less", "cas keeps"]
    if backend.abilities.leases:
        lease = await backend.lease("store_leased", LONG)
        assert isinstance(lease, Lease)
        assert await backend.store_leased(lease, b"v", short) is True
        dying.append("store_leased")
    if backend.abilities.local:
        backend.assign("assign", b"v", short)
        dying.append("assign")
    return [*dying, *before, "set over long", "expire long", "set below the grain"]


async def _write_staying(backend: Backend, short: float) -> list[Key]:
    """Write entries that must still be there after ``short`` seconds; return their keys, which tell how they were made."""
    over: list[Key] = [
        "+set none over short",
        "+set long over short",
        "+expire none",
        "+expire long",
        "+multi_set over",
    ]
    await backend.multi_set([(key, b"old") for key in over], short)
    await backend.set("+set", b"v", None)
    await backend.set("+set long", b"v", LONG)
    await backend.set("+set over thirty days", b"v", 31 * DAYS)
    await backend.set("+set for years", b"v", 1_000 * DAYS)
    await backend.set("+set none over short", b"v", None)
    await backend.set("+set long over short", b"v", LONG)
    await backend.add("+add", b"v", None)
    await backend.set("+add refused", b"v", None)
    assert await backend.add("+add refused", b"w", short) is False
    await backend.multi_set([("+multi_set one", b"v"), ("+multi_set over", b"v")], None)
    assert await backend.expire("+expire none", None) is True
    assert await backend.expire("+expire long", LONG) is True
    await backend.set(("+space", "set"), b"v", None)
    staying: list[Key] = ["+set", "+set long", "+set over thirty days", "+set for years", "+add", "+add refused"]
    staying += ["+multi_set one", ("+space", "set")]
    if counts(type(backend)):
        await backend.increment("+increment made it", 5, None)
        await backend.increment("+increment keeps none", 5, None)
        assert await backend.increment("+increment keeps none", 1, short) == 6
        assert counter(await backend.get("+increment keeps none")) == 6
        staying += ["+increment made it", "+increment keeps none"]
    if backend.abilities.compare_and_set:
        await backend.multi_set([("+cas none", b"old"), ("+cas long", b"old"), ("+cas refused", b"old")], short)
        await backend.multi_set([("+cas keeps none", b"old"), ("+cas refused", b"old")], None)
        for key, ttl in (("+cas none", None), ("+cas long", LONG), ("+cas keeps none", KEEP)):
            assert await backend.cas(key, (await backend.gets(key))[1], b"v", ttl) is True
        old = (await backend.gets("+cas refused"))[1]
        await backend.set("+cas refused", b"new", None)
        assert await backend.cas("+cas refused", old, b"v", short) is False
        staying += ["+cas none", "+cas long", "+cas keeps none", "+cas refused"]
    if backend.abilities.leases:
        lease = await backend.lease("+store_leased", short)
        assert isinstance(lease, Lease)
        assert await backend.store_leased(lease, b"v", None) is True
        staying.append("+store_leased")
    if backend.abilities.local:
        backend.assign("+assign", b"v", None)
        staying.append("+assign")
    return [*staying, *over]
