"""The memory store: what it promises beyond what every store does."""

from __future__ import annotations

import asyncio
import gc
import math
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, Self

import pytest

from aiocache_core._cells import Cell
from aiocache_core._expiry import Timer
from aiocache_core._types import KEEP, MISS, Key
from aiocache_core.backend import Busy, Lease
from aiocache_core.exceptions import UnsupportedCommand
from aiocache_core.memory import MemoryBackend


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=[{}, {"max_entries": 1000}], ids=["unbounded", "bounded"])
def store(request: pytest.FixtureRequest, clock: Clock) -> MemoryBackend:
    return MemoryBackend(clock=clock, **request.param)


async def only_held(store: MemoryBackend, entries: int) -> None:
    """Wait until expired entries were freed."""
    async with asyncio.timeout(5):
        while store.held > entries:  # noqa: ASYNC110 - the store tells nobody
            await asyncio.sleep(0.02)


async def leased(store: MemoryBackend, key: Any, seconds: float) -> Lease:
    lease = await store.lease(key, seconds)
    assert isinstance(lease, Lease)
    return lease


# -- values and expiry -------------------------------------------------------------------------------------------------


async def test_keeps_the_very_object(store: MemoryBackend) -> None:
    value = [object()]
    await store.set("k", value, None)
    assert store.lookup("k") is value
    assert await store.get("k") is value
    store.assign("k", None, 5)
    assert store.lookup("k") is None
    assert await store.exists("k")


async def test_an_entry_lives_until_its_deadline(store: MemoryBackend, clock: Clock) -> None:
    await store.set("k", 1, 10)
    clock.now += 9.99
    assert await store.multi_get(["k", "other", "k"]) == [1, MISS, 1]
    assert await store.expires_in("k") == pytest.approx(0.01)
    clock.now += 0.01
    assert await store.get("k") is MISS
    assert await store.expires_in("k") is MISS
    assert not await store.exists("k")
    assert not await store.delete("k")


async def test_a_write_without_ttl_takes_the_expiry_away(store: MemoryBackend, clock: Clock) -> None:
    await store.set("k", 1, 10)
    await store.set("other", 1, 10)
    await store.set("k", 2, None)
    clock.now += 11
    await store.set("new", 1, None)
    assert store.lookup("k") == 2
    assert await store.expires_in("k") is None


async def test_expire_gives_and_takes_an_expiry(store: MemoryBackend, clock: Clock) -> None:
    assert not await store.expire("k", 10)
    await store.set("k", 1, None)
    assert await store.expire("k", None)
    assert await store.expire("k", 10)
    assert await store.expires_in("k") == 10
    assert await store.expire("k", 20)
    clock.now += 15
    assert store.lookup("k") == 1
    assert await store.expire("k", None)
    clock.now += 15
    assert store.lookup("k") == 1
    await store.expire("k", 1)
    clock.now += 1
    assert not await store.expire("k", 10)


async def test_add_stores_only_where_nothing_is(store: MemoryBackend, clock: Clock) -> None:
    assert await store.add("k", None, 10)
    assert not await store.add("k", 2, None)
    assert store.lookup("k") is None
    clock.now += 10
    assert await store.add("k", 3, None)
    assert not await store.add("k", 4, 1)
    assert store.lookup("k") == 3


async def test_the_bulk_commands(store: MemoryBackend) -> None:
    await store.multi_set([("a", 1), ("b", 2), ("a", 3)], 5)
    assert await store.multi_get(["a", "b"]) == [3, 2]
    assert await store.multi_delete(["a", "a", "b", "c"]) == 2


# -- counters ----------------------------------------------------------------------------------------------------------


async def test_increment_keeps_the_expiry_exactly(store: MemoryBackend, clock: Clock) -> None:
    assert await store.increment("k", 3, 10) == 3
    for _ in range(100):
        clock.now += 0.001
        await store.increment("k", 1, 99)
    clock.now = 1010
    assert store.lookup("k") is MISS
    assert await store.increment("k", -1, None) == -1
    assert await store.expires_in("k") is None


@pytest.mark.parametrize(("held", "after"), [(5, 6), ("5", "6"), (b"5", b"6"), ("-1", "0")])
async def test_a_counter_keeps_its_form(store: MemoryBackend, held: Any, after: Any) -> None:
    await store.set("k", held, None)
    await store.increment("k", 1, None)
    assert store.lookup("k") == after
    assert type(store.lookup("k")) is type(held)


@pytest.mark.parametrize("held", [True, 1.5, "x", "01", None, 2**63])
async def test_increment_refuses_what_is_no_integer(store: MemoryBackend, held: Any) -> None:
    await store.set("k", held, None)
    with pytest.raises(TypeError):
        await store.increment("k", 1, None)
    assert store.lookup("k") is held


async def test_increment_refuses_to_overflow(store: MemoryBackend) -> None:
    await store.set("k", 2**63 - 1, 5)
    with pytest.raises(OverflowError):
        await store.increment("k", 1, None)
    assert store.lookup("k") == 2**63 - 1


# -- compare and set ---------------------------------------------------------------------------------------------------


async def test_cas_replaces_only_what_was_read(store: MemoryBackend, clock: Clock) -> None:
    assert await store.gets("k") == (MISS, None)
    assert not await store.cas("k", None, 1, None)
    await store.set("k", 1, 10)
    value, version = await store.gets("k")
    assert value == 1
    assert await store.gets("k") == (1, version)
    clock.now += 1
    assert await store.cas("k", version, 2, KEEP)
    assert await store.expires_in("k") == 9
    assert not await store.cas("k", version, 3, KEEP)
    _, version = await store.gets("k")
    assert await store.cas("k", version, 4, None)
    assert await store.expires_in("k") is None
    _, version = await store.gets("k")
    assert await store.cas("k", version, MISS, None)
    assert store.lookup("k") is MISS
    assert not await store.cas("k", version, 5, None)


@pytest.mark.parametrize("ttl", [None, 10])
async def test_a_version_notices_a_write_of_the_same_value(store: MemoryBackend, ttl: float | None) -> None:
    for write in (store.set, store.add):
        await store.set("k", 1, ttl)
        _, version = await store.gets("k")
        await store.delete("k")
        await write("k", 1, ttl)
        assert not await store.cas("k", version, 2, None)
    _, version = await store.gets("k")
    await store.set("k", 1, ttl)
    assert not await store.cas("k", version, 2, None)
    _, version = await store.gets("k")
    await store.increment("k", 1, None)
    await store.increment("k", -1, None)
    assert not await store.cas("k", version, 2, None)


async def test_an_expired_version_is_gone(store: MemoryBackend, clock: Clock) -> None:
    await store.set("k", 1, 10)
    _, version = await store.gets("k")
    clock.now += 10
    assert not await store.cas("k", version, 2, None)
    assert await store.gets("k") == (MISS, None)


async def test_an_expiry_changed_after_gets_holds(store: MemoryBackend, clock: Clock) -> None:
    await store.set("k", 1, None)
    await store.gets("k")
    await store.expire("k", 5)
    clock.now += 5
    assert store.lookup("k") is MISS


# -- leases ------------------------------------------------------------------------------------------------------------


async def test_one_wins_a_lease_and_the_key_is_missing(store: MemoryBackend, clock: Clock) -> None:
    lease = await leased(store, "k", 2)
    clock.now += 0.5
    assert await store.lease("k", 2) == Busy(1.5)
    assert store.lookup("k") is MISS
    assert await store.multi_get(["k"]) == [MISS]
    assert not await store.exists("k")
    assert not await store.expire("k", 5)
    assert await store.expires_in("k") is MISS
    assert [keys async for keys in store.scan(None)] == []
    assert await store.raw("get", "k") is None
    value, version = await store.gets("k")
    assert value is MISS
    assert version is not None
    assert await store.store_leased(lease, 7, 5)
    assert await store.lease("k", 2) == 7
    assert await store.expires_in("k") == 5
    assert not await store.store_leased(lease, 8, None)


async def test_a_lease_passes_on_when_it_is_not_renewed(store: MemoryBackend, clock: Clock) -> None:
    first = await leased(store, "k", 2)
    clock.now += 1.5
    assert await store.renew(first)
    clock.now += 1.5
    assert isinstance(await store.lease("k", 2), Busy)
    clock.now += 0.5
    assert not await store.renew(first)
    assert not await store.store_leased(first, 1, None)
    second = await leased(store, "k", 2)
    await store.release(first)
    assert not await store.renew(first)
    assert await store.store_leased(second, 2, None)
    assert store.lookup("k") == 2


@pytest.mark.parametrize(
    "write",
    [
        lambda store: store.set("k", 1, None),
        lambda store: store.set("k", 1, 5),
        lambda store: store.set("k", 1, 60),
        lambda store: store.add("k", 1, None),
        lambda store: store.increment("k", 1, None),
        lambda store: store.delete("k"),
        lambda store: store.clear(None),
        lambda store: store.raw("__setitem__", "k", 1),
        lambda store: store.raw("pop", "k", None),
        lambda store: store.raw("clear"),
    ],
)
async def test_a_write_ends_a_lease_and_wakes_its_waiter(
    store: MemoryBackend, write: Callable[[MemoryBackend], Coroutine[Any, Any, Any]]
) -> None:
    lease = await leased(store, "k", 60)
    waiter = asyncio.create_task(store.changed("k", 60))
    await asyncio.sleep(0)
    await write(store)
    async with asyncio.timeout(5):
        await waiter
    assert not await store.renew(lease)
    assert not await store.store_leased(lease, 2, None)
    await store.release(lease)
    assert await store.get("k") in {1, MISS}


async def test_delete_of_a_mark_is_false_and_cas_takes_it(store: MemoryBackend) -> None:
    await leased(store, "k", 60)
    assert not await store.delete("k")
    lease = await leased(store, "k", 60)
    _, version = await store.gets("k")
    assert await store.cas("k", version, MISS, None)
    assert not await store.renew(lease)
    await leased(store, "k", 60)
    _, version = await store.gets("k")
    assert await store.cas("k", version, 5, KEEP)
    assert await store.expires_in("k") is None


async def test_release_lets_the_next_one_in(store: MemoryBackend) -> None:
    lease = await leased(store, "k", 60)
    waiter = asyncio.create_task(store.changed("k", 60))
    await asyncio.sleep(0)
    await store.release(lease)
    async with asyncio.timeout(5):
        await waiter
    await leased(store, "k", 60)


async def test_changed_returns_at_its_timeout_and_where_nothing_is_leased(store: MemoryBackend) -> None:
    async with asyncio.timeout(5):
        await store.changed("k", 60)
        await leased(store, "k", 60)
        await store.changed("k", 0.01)
    task = asyncio.create_task(store.changed("k", 60))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not store._waiters


def test_waiters_in_other_threads_are_woken() -> None:
    store = MemoryBackend()
    waiting = threading.Barrier(4)

    async def wait() -> None:
        task = asyncio.create_task(store.changed("k", 60))
        await asyncio.sleep(0)
        waiting.wait(10)
        async with asyncio.timeout(10):
            await task

    async def compute() -> None:
        lease = await leased(store, "k", 60)
        threads = [threading.Thread(target=asyncio.run, args=(wait(),)) for _ in range(3)]
        for thread in threads:
            thread.start()
        await asyncio.to_thread(waiting.wait, 10)
        await store.store_leased(lease, 1, None)
        for thread in threads:
            await asyncio.to_thread(thread.join, 10)
            assert not thread.is_alive()

    asyncio.run(compute())
    assert not store._waiters


async def test_a_waiter_whose_loop_was_closed_does_no_harm(store: MemoryBackend) -> None:
    lease = await leased(store, "k", 60)
    other = asyncio.new_event_loop()
    task = other.create_task(store.changed("k", 60))

    def run_a_while() -> None:
        other.run_until_complete(asyncio.sleep(0))
        task.cancel()

    future = other.create_future()
    await asyncio.to_thread(run_a_while)
    store._waiters["k"].add(future)
    await asyncio.to_thread(other.run_until_complete, asyncio.gather(task, return_exceptions=True))
    other.close()
    assert await store.store_leased(lease, 1, None)
    assert not store._waiters


# -- a set in the middle of a step -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "step", "result", "after"),
    [
        (1, lambda store: store.increment("k", 1, None), 11, 11),
        (MISS, lambda store: store.increment("k", 1, None), 11, 11),
        (1, lambda store: store.expire("k", 5), True, 10),
        (MISS, lambda store: store.add("k", 5, None), False, 10),
        (MISS, lambda store: store.add("k", 5, 5), False, 10),
        (MISS, lambda store: store.lease("k", 5), 10, 10),
    ],
)
async def test_a_step_sees_a_set_that_comes_in_between(
    held: Any, step: Callable[[MemoryBackend], Coroutine[Any, Any, Any]], result: Any, after: Any
) -> None:
    pending = [10]

    def interrupted() -> float:
        if pending:
            kept.assign("k", pending.pop(), None)
        return 1000.0

    kept = MemoryBackend(clock=interrupted)
    if held is not MISS:
        kept.assign("k", held, None)
    assert await step(kept) == result
    assert not pending
    assert kept.lookup("k") == after


async def test_gets_sees_a_set_that_comes_in_between() -> None:
    store = MemoryBackend()
    store.assign("k", 1, None)
    pending = [10]

    class Interrupted(Cell):
        __slots__ = ()

        @classmethod
        def of(cls, value: Any, deadline: float | None = None) -> Self:
            if pending:
                store.assign("k", pending.pop(), None)
            return super().of(value, deadline)

    store._cell = Interrupted
    value, version = await store.gets("k")
    assert value == store.lookup("k") == 10
    assert await store.cas("k", version, 11, None)


# -- clear, scan, raw --------------------------------------------------------------------------------------------------


async def test_clear_takes_one_namespace_or_all(store: MemoryBackend) -> None:
    keys: list[Key] = ["a", ("n", "a"), ("n", "b"), ("nn", "a"), ("n*", "a")]
    for number, key in enumerate(keys):
        await store.set(key, 1, 5 if number % 2 else None)
    await store.clear("n")
    assert await store.multi_get(keys) == [1, MISS, MISS, 1, 1]
    await store.clear(None)
    assert await store.multi_get(keys) == [MISS] * 5
    assert store.held == 0
    await store.set("a", 1, 5)
    assert store.lookup("a") == 1


async def test_clear_lets_the_loop_go_on(store: MemoryBackend) -> None:
    big = MemoryBackend()
    for number in range(5000):
        big.assign(("n", str(number)), number, None)
    for namespace in ("n", None):
        turns = 0
        task = asyncio.create_task(big.clear(namespace))
        while not task.done():
            await asyncio.sleep(0)
            turns += 1
        assert turns > 5
        assert big.held == 0
        for number in range(5000):
            big.assign(str(number), number, None)


async def test_scan_gives_the_live_keys_in_batches(store: MemoryBackend, clock: Clock) -> None:
    for key in ("a1", "a2", "b1", ("n", "a1"), ("n", "c")):
        await store.set(key, 1, None)
    await store.set("a3", 1, 1)
    clock.now += 1
    assert sorted([key async for keys in store.scan(None, "a") for key in keys if isinstance(key, str)]) == ["a1", "a2"]
    assert [keys async for keys in store.scan("n")] == [[("n", "a1"), ("n", "c")]]
    big = MemoryBackend()
    for number in range(2500):
        big.assign(str(number), 1, None)
    assert max([len(keys) async for keys in big.scan(None)]) <= 1000
    assert sum([len(keys) async for keys in big.scan(None)]) == 2500


async def test_raw_is_a_mapping_of_what_lives(store: MemoryBackend, clock: Clock) -> None:
    await store.set("a", 1, 5)
    await store.set("b", 2, None)
    assert await store.raw("get", "a") == 1
    assert await store.raw("__getitem__", "a") == 1
    assert await store.raw("__contains__", "a")
    assert await store.raw("pop", "a") == 1
    assert await store.raw("pop", "a", 9) == 9
    with pytest.raises(KeyError):
        await store.raw("pop", "a")
    with pytest.raises(KeyError):
        await store.raw("__delitem__", "a")
    await store.set("a", 1, 5)
    assert dict(await store.raw("items")) == {"a": 1, "b": 2}
    clock.now += 5
    assert list(await store.raw("keys")) == ["b"]
    assert await store.raw("__len__") == 1
    await store.raw("update", {"c": 3})
    assert await store.raw("setdefault", "c", 4) == 3
    await store.raw("__delitem__", "c")
    with pytest.raises(KeyError):
        await store.raw("__getitem__", "c")
    await store.raw("clear")
    assert store.held == 0
    with pytest.raises(UnsupportedCommand, match=r"'flushall'.*__setitem__"):
        await store.raw("flushall")


# -- expired entries are freed -------------------------------------------------------------------------------------------


async def test_expired_entries_are_freed_by_the_next_write(store: MemoryBackend, clock: Clock) -> None:
    await store.close()
    for number in range(100):
        await store.set(str(number), number, 1 + number / 100)
    await store.set("stays", 1, 5000)
    clock.now += 4
    await store.set("new", 1, None)  # the timer is late by this clock, so a slice is freed in its place
    await asyncio.sleep(0.01)
    await store.set("new", 1, 10)
    await asyncio.sleep(0.01)
    assert store.held == 2


async def test_expired_entries_are_freed_when_nobody_touches_them() -> None:
    store = MemoryBackend()
    for number in range(3000):
        store.assign(str(number), number, 0.01)
    store.assign("later", 1, 3600)
    store.assign("stays", 1, None)
    await only_held(store, 2)
    assert store.lookup("later") == 1
    assert len(store._buckets) == 1


def test_without_a_loop_writes_free_slices(clock: Clock) -> None:
    store = MemoryBackend(clock=clock)
    for number in range(100):
        store.assign(str(number), number, 1)
    clock.now += 2
    store.assign("new", 1, None)
    assert store.held == 1
    store.assign("new", 1, 2)
    clock.now += 3
    assert store.lookup("new") is MISS
    assert store.held == 0


def test_a_timer_stands_in_each_run_in_turn(clock: Clock) -> None:
    store = MemoryBackend()

    async def run(key: str, ttl: float | None) -> None:
        store.assign(key, 1, ttl)

    asyncio.run(run("a", 0.05))
    assert store.held == 1

    async def look() -> None:
        store.assign("b", 1, None)
        await only_held(store, 1)

    asyncio.run(look())


def test_a_timer_keeps_neither_a_loop_nor_a_store_alive() -> None:
    store = MemoryBackend()
    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []

    async def run() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        store.assign("k", 1, 3600)
        other = MemoryBackend()
        other.assign("k", 1, 0.001)
        gone = weakref.ref(other)
        del other
        assert gone() is None  # by counting references alone: a store is no cycle
        await asyncio.sleep(0.2)

    asyncio.run(run())
    gc.collect()
    assert loops[0]() is None
    assert store.lookup("k") == 1


async def test_close_takes_the_timer_and_leaves_the_entries(store: MemoryBackend) -> None:
    await store.set("k", 1, 3600)
    handle = store._timer._handle()
    assert handle is not None
    await store.close()
    assert handle.cancelled()
    assert store.lookup("k") == 1
    await store.set("k", 2, 3600)
    again = store._timer._handle()
    assert again is not None
    assert not again.cancelled()
    await store.close()
    await store.close()


def test_close_leaves_another_loops_timer() -> None:
    store = MemoryBackend()

    async def run() -> None:
        store.assign("k", 1, 3600)
        await asyncio.to_thread(asyncio.run, store.close())
        handle = store._timer._handle()
        assert handle is not None
        assert not handle.cancelled()

    asyncio.run(run())


async def test_setting_again_leaves_nothing_behind(store: MemoryBackend, clock: Clock) -> None:
    for number in range(2000):
        clock.now += 0.01
        await store.set("k", number, 1 + number % 700)
        await store.set("gone", number, 3600)
        await store.delete("gone")
        await store.set("plain", number, 60)
        await store.set("plain", number, None)
        await store.expire("k", 5 + number % 3000)
    assert sum(map(len, store._buckets.values())) == 1
    assert len(store._buckets) < 500


async def test_far_deadlines_stand_in_few_buckets_and_come_in_time(clock: Clock) -> None:
    store = MemoryBackend(clock=clock)
    for number in range(20_000):
        store.assign(str(number), number, 10 + number * 37.3)
    assert len(store._buckets) < 300
    store.assign("far", 1, 1e12)
    for _ in range(100):
        clock.now += 8000
        live = sum(store._entries[key].deadline > clock.now for key in store._entries)
        while store._wheel.drain(store._entries):
            pass
        store._wheel.drain(store._entries, 100_000)
        assert store.held - live <= 100  # at most a tick's
    assert store.held == 1


class Racing(float):
    """Be a ttl that lets something happen in the middle of ``assign``, as another thread could."""

    happen: Callable[[], object]

    def __radd__(self, now: float) -> float:
        deadline = Racing(now + float(self))
        deadline.happen = self.happen
        return deadline

    def __lt__(self, last: float) -> bool:
        happen, self.happen = self.happen, lambda: None
        happen()
        return float(self) < last


async def test_a_bucket_emptied_in_the_middle_of_a_set_loses_nothing(store: MemoryBackend, clock: Clock) -> None:
    def clear() -> None:
        store._empty()

    def expire() -> None:
        clock.now += 60
        while store._wheel.drain(store._entries):
            pass

    for happen in (clear, expire):
        await store.set("before", 1, 9)
        ttl = Racing(9)
        ttl.happen = happen
        store.assign("k", 1, ttl)
        bucket = store._entries["k"].bucket
        assert "k" in bucket
        assert any(bucket is standing for standing in store._buckets.values())
        clock.now += 60
        store._reclaim()
        store._reclaim()
        assert store.held == 0
    await store.close()


async def test_a_timer_that_was_replaced_does_not_come() -> None:
    class Owner:
        came = 0

        def _reclaim(self) -> None:
            self.came += 1

    owner = Owner()
    timer = Timer(owner)
    for _ in range(3):
        assert timer.start(0, 0)
    await asyncio.sleep(0.01)
    assert owner.came == 1
    timer.start(0, 0)
    del owner
    await asyncio.sleep(0.01)
    timer.start(0, 0)
    del timer
    await asyncio.sleep(0.01)


# -- the rest ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"max_entries": 0}, ValueError),
        ({"max_entries": -1}, ValueError),
        ({"max_entries": True}, TypeError),
        ({"max_entries": "10"}, TypeError),
        ({"max_entries": 1.5}, TypeError),
        ({"max_weight": math.nan, "weigher": len}, ValueError),
        ({"max_weight": 10}, TypeError),
        ({"weigher": len}, TypeError),
    ],
)
def test_a_wrong_bound_is_named(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(options))):
        MemoryBackend(**options)


async def test_a_stored_miss_is_no_entry(store: MemoryBackend) -> None:
    for step in (
        store.increment("k", 1, None),
        store.add("k", 1, None),
        store.add("k", 1, 5),
    ):
        await store.set("k", MISS, None)
        assert store.lookup("k") is MISS
        assert await step
        assert store.lookup("k") == 1
    await store.set("k", MISS, None)
    await store.release(await leased(store, "k", 5))
    await store.set("k", MISS, None)
    assert not await store.delete("k")


def test_a_value_freed_by_a_slice_may_begin_another(clock: Clock) -> None:
    store = MemoryBackend(clock=clock)

    class Value:
        def __del__(self) -> None:
            store.assign("told", 1, 5)

    for number in range(50):
        store.assign(str(number), Value(), 1 + number / 20)
    clock.now += 10
    store.assign("new", 1, 60)
    assert {key: store.lookup(key) for key in store._entries} == {"told": 1, "new": 1}
    clock.now += 100
    store.assign("new", 1, None)
    assert store.held == 1
    assert not store._buckets


async def test_a_freed_value_may_use_the_cache(store: MemoryBackend, clock: Clock) -> None:
    class Value:
        def __del__(self) -> None:
            store.assign("told", 1, 5)
            store.assign("k", 1, 5)

    for free in (
        store.delete("k"),
        store.set("k", 1, None),
        store.set("k", 1, 5),
        store.expire("k", 5),
        store.clear(None),
    ):
        await store.set("k", Value(), 3)
        await free
        clock.now += 4
        await store.set("other", 1, 1)
        await asyncio.sleep(0.01)
        clock.now += 60
        assert store.lookup("k") in {1, MISS}
