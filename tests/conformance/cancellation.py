"""Part cancellation: a command may be cancelled at any point, and the next one is right.

A cancelled command may or may not have been carried out. What must never happen: that another command reads its reply, that
a connection or a place in a pool is lost, that a value is half written.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

from aiocache_core import MISS, Busy, Lease
from tests.conformance.harness import DEADLINE, Store, counts, has, part, plain, read, read_many, when

ROUNDS = 60


def _pause(store: Store, dice: random.Random) -> float:
    """Return the seconds to wait before cancelling: none where nothing goes over a network."""
    return 0 if store.exact else dice.choice([0, 0, 0.0001, 0.0005])


async def _cancelled(command: Coroutine[Any, Any, object], turns: int, seconds: float) -> None:
    """Begin a command, let the loop turn a few times and some time pass, and cancel it."""
    task = asyncio.create_task(command)
    for _ in range(turns):
        await asyncio.sleep(0)
    if seconds:
        await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()


@part("cancellation")
class Cancellation:
    """Cancelling at every point that a few dozen tries can find."""

    async def test_after_a_cancelled_read_every_reply_is_its_own(self, store: Store) -> None:
        dice = random.Random(1)
        names = [f"k{number}" for number in range(10)]
        await store.backend.multi_set([(name, name.encode()) for name in names], None)
        async with asyncio.timeout(DEADLINE):
            for turn in range(ROUNDS):
                first, second = dice.sample(names, 2)
                read_one: Coroutine[Any, Any, object] = (
                    store.backend.get(first) if turn % 2 else store.backend.multi_get([first, first])
                )
                await _cancelled(read_one, turn % 20, _pause(store, dice))
                assert await read(store.backend, second) == second.encode()
                assert await read(store.backend, "absent") is MISS
                assert await read_many(store.backend, [second, first]) == [second.encode(), first.encode()]

    async def test_a_cancelled_write_was_carried_out_wholly_or_not(self, store: Store) -> None:
        dice = random.Random(2)
        async with asyncio.timeout(DEADLINE):
            for turn in range(ROUNDS):
                new = b"%d" % turn * 2_000
                await store.backend.set("k", b"old", None)
                await _cancelled(store.backend.set("k", new, 100.0), turn % 20, _pause(store, dice))
                assert await read(store.backend, "k") in {b"old", new}
                await store.backend.set("other", b"%d" % turn, None)
                assert await read(store.backend, "other") == b"%d" % turn

    async def test_cancelled_commands_of_each_kind_leave_the_store_right(self, store: Store) -> None:
        backend = store.backend
        await backend.set("steady", b"v", None)
        async with asyncio.timeout(DEADLINE):
            for turns in range(20):
                commands: list[Callable[[], Coroutine[Any, Any, object]]] = [
                    lambda: backend.get("k"),
                    lambda: backend.add("k", b"v", None),
                    lambda: backend.delete("k"),
                    lambda: backend.expire("k", 100.0),
                    lambda: backend.multi_get(["k", "steady"]),
                    lambda: backend.multi_set([("k", b"v"), ("l", b"v")], 100.0),
                    lambda: backend.multi_delete(["k", "l"]),
                    lambda: backend.exists("steady"),
                    lambda: backend.clear("space"),
                ]
                if counts(type(backend)):
                    commands.append(lambda: backend.increment("n", 1, None))
                for command in commands:
                    await _cancelled(command(), turns, 0)
                    assert await read(backend, "steady") == b"v"
                    assert await backend.exists("absent") is False

    async def test_more_cancelled_commands_than_any_pool_holds(self, store: Store) -> None:
        names = [f"k{number}" for number in range(50)]
        await store.backend.multi_set([(name, name.encode()) for name in names], None)
        async with asyncio.timeout(DEADLINE):
            for turns in (*range(12), *(1, 2, 3) * 8):
                tasks = [asyncio.create_task(store.backend.get(name)) for name in names]
                for _ in range(turns):
                    await asyncio.sleep(0)
                for task in tasks[::2]:
                    task.cancel()
                await asyncio.wait(tasks)
                assert [plain(task.result()) for task in tasks[1::2]] == [name.encode() for name in names[1::2]]
            assert await read_many(store.backend, [*names]) == [name.encode() for name in names]

    @when(has("leases"))
    async def test_a_cancelled_lease_binds_nobody_for_longer_than_its_term(self, store: Store) -> None:
        dice = random.Random(3)
        async with asyncio.timeout(DEADLINE):
            for turn in range(20):
                await _cancelled(store.backend.lease("k", 0.2), turn, _pause(store, dice))
                await store.backend.set("other", b"%d" % turn, None)
                assert await read(store.backend, "other") == b"%d" % turn
            while isinstance(found := await store.backend.lease("k", 60.0), Busy):
                await store.wait(found.retry_after)
            assert isinstance(found, Lease)
            assert await store.backend.store_leased(found, b"v", None) is True
            assert await read(store.backend, "k") == b"v"
