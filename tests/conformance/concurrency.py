"""Part concurrency: what is atomic is so among tasks and among clients."""

from __future__ import annotations

import asyncio

from aiocache_core import MISS, counter
from tests.conformance.harness import Store, counts, has, part, plain, read, when

CLIENTS = 3
CALLS = 20
"""For each client."""


@part("concurrency")
class Concurrency:
    """Many callers at once, from several clients where the store has them."""

    async def test_one_add_among_many_succeeds(self, store: Store) -> None:
        for turn in range(5):
            key = ("space", f"k{turn}")
            callers = store.clients(CLIENTS) * CALLS
            added = await asyncio.gather(
                *(client.add(key, b"%d" % number, 100.0) for number, client in enumerate(callers))
            )
            assert added.count(True) == 1
            assert await read(store.backend, key) == b"%d" % added.index(True)

    async def test_one_delete_among_many_finds_the_value(self, store: Store) -> None:
        await store.backend.set("k", b"v", None)
        deleted = await asyncio.gather(*(client.delete("k") for client in store.clients(CLIENTS) * CALLS))
        assert deleted.count(True) == 1

    async def test_many_commands_get_each_its_own_reply(self, store: Store) -> None:
        names = [f"k{number}" for number in range(200)]
        await store.backend.multi_set([(name, name.encode()) for name in names], None)

        async def ask(name: str) -> None:
            assert await read(store.backend, name) == name.encode()
            assert await store.backend.exists("absent") is False
            found = await store.backend.multi_get([name, "absent"])
            assert [plain(stored) for stored in found] == [name.encode(), MISS]
            await store.backend.set(name, name.upper(), None)
            assert await read(store.backend, name) == name.upper().encode()

        await asyncio.gather(*(ask(name) for name in names))

    @when(counts)
    async def test_no_increment_is_lost_the_first_ones_included(self, store: Store) -> None:
        callers = store.clients(CLIENTS) * CALLS
        totals = await asyncio.gather(*(client.increment(("space", "k"), 1, 100.0) for client in callers))
        assert sorted(totals) == list(range(1, len(callers) + 1))
        assert counter(await store.backend.get(("space", "k"))) == len(callers)

    @when(counts)
    async def test_increments_up_and_down_meet_at_zero(self, store: Store) -> None:
        callers = store.clients(CLIENTS) * CALLS
        deltas = [7 if number % 2 else -7 for number in range(len(callers))]
        await asyncio.gather(
            *(client.increment("k", delta, None) for client, delta in zip(callers, deltas, strict=True))
        )
        assert counter(await store.backend.get("k")) == 0

    @when(has("compare_and_set"))
    async def test_one_cas_among_many_succeeds(self, store: Store) -> None:
        await store.backend.set("k", b"old", None)
        _, version = await store.backend.gets("k")
        callers = store.clients(CLIENTS) * CALLS
        done = await asyncio.gather(
            *(client.cas("k", version, b"%d" % number, None) for number, client in enumerate(callers))
        )
        assert done.count(True) == 1
        assert await read(store.backend, "k") == b"%d" % done.index(True)

    @when(has("compare_and_set"))
    async def test_cas_loops_lose_no_change(self, store: Store) -> None:
        await store.backend.set("k", b"", None)

        async def append(number: int) -> None:
            client = clients[number % CLIENTS]
            while True:
                stored, version = await client.gets("k")
                if await client.cas("k", version, plain(stored) + b"%d," % number, None):
                    return

        clients = store.clients(CLIENTS)
        await asyncio.gather(*(append(number) for number in range(15)))
        assert sorted((await read(store.backend, "k")).split(b",")[:-1], key=int) == [b"%d" % n for n in range(15)]

    async def test_writes_beside_a_clear_are_whole(self, store: Store) -> None:
        one, other = store.clients(2)

        async def write() -> None:
            for number in range(100):
                await other.set(("kept", f"k{number}"), b"v", None)
                await other.set(("cleared", f"k{number}"), b"v", None)

        async def clear() -> None:
            for _ in range(20):
                await one.clear("cleared")

        await asyncio.gather(write(), clear())
        assert MISS not in await one.multi_get([("kept", f"k{number}") for number in range(100)])
        await one.clear("cleared")
        assert await other.multi_get([("cleared", f"k{number}") for number in range(100)]) == [MISS] * 100
