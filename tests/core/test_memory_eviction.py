"""A bounded memory store: the bound is never exceeded, expired entries leave first, those that are read stay."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiocache_core._eviction import BoundedEntries, Node
from aiocache_core._types import MISS, Key
from aiocache_core.backend import Lease
from aiocache_core.memory import MemoryBackend
from tests.core.test_memory import Clock


def check(store: MemoryBackend) -> None:
    """Hold the queues against the dict."""
    entries = store._entries
    assert isinstance(entries, BoundedEntries)
    nodes: list[Node] = []
    for queue in (entries._small, entries._main):
        weight, node = 0.0, queue.ends.following
        while node is not queue.ends:
            assert node.queue is queue
            assert node.following.previous is node
            assert entries[node.key] is node
            weight += node.weight
            nodes.append(node)
            node = node.following
        assert weight == pytest.approx(queue.weight)
    assert len(nodes) == len(entries)
    if store.max_entries is not None:
        assert len(entries) <= store.max_entries
    if store.max_weight is not None:
        assert entries.weight <= store.max_weight + 1e-9


def test_the_bound_is_never_exceeded() -> None:
    store = MemoryBackend(max_entries=10)
    for number in range(100):
        store.assign(str(number), number, None if number % 3 else 60)
        assert store.held <= 10
    assert store.held == 10
    check(store)


@pytest.mark.parametrize("bound", [1, 2, 3])
def test_a_small_bound_holds(bound: int) -> None:
    store = MemoryBackend(max_entries=bound)
    for number in range(50):
        store.assign(str(number), number, None)
        assert store.lookup(str(number)) == number
        assert store.lookup(str(number // 2)) in {MISS, number // 2}
        check(store)
    assert store.held == bound


@pytest.mark.parametrize(("ttl", "passed"), [(60, 60.0), (60, 200.0), (5, 5.0), (5, 5.01), (5, 9.0)])
async def test_expired_entries_leave_first(ttl: float, passed: float) -> None:
    clock = Clock()
    store = MemoryBackend(max_entries=100, clock=clock)
    for number in range(50):
        store.assign(f"old {number}", number, ttl)
        store.lookup(f"old {number}")
        store.assign(f"live {number}", number, None)
    clock.now += passed
    for number in range(50):
        store.assign(f"new {number}", number, 60)
    assert [store.lookup(f"live {number}") for number in range(50)] == list(range(50))
    assert [store.lookup(f"new {number}") for number in range(50)] == list(range(50))
    check(store)


def test_entries_of_the_present_tick_that_live_are_kept() -> None:
    clock = Clock()
    store = MemoryBackend(max_entries=40, clock=clock)
    for number in range(20):
        store.assign(f"expired {number}", number, 1.01)
        store.assign(f"live {number}", number, 1.1)
    clock.now += 1.05
    for number in range(20):
        store.assign(f"new {number}", number, None)
        assert store.held <= 40
    clock.now += 0.3
    store.assign("last", 1, None)
    check(store)
    while store._wheel.drain(store._entries):
        pass
    assert sum(map(len, store._buckets.values())) == 0


def test_what_is_read_outlives_a_scan() -> None:
    store = MemoryBackend(max_entries=100)
    for number in range(50):
        store.assign(f"hot {number}", number, None)
    for turn in range(2000):
        store.assign(f"once {turn}", turn, None)
        store.lookup(f"hot {turn % 50}")
    assert sum(store.lookup(f"hot {number}") is not MISS for number in range(50)) == 50
    check(store)


def test_a_bound_by_weight() -> None:
    store = MemoryBackend(max_weight=100, weigher=lambda key, value: len(value))
    for number in range(50):
        store.assign(str(number), "x" * (number % 30), None)
        check(store)
    store.assign("heavy", "x" * 101, None)
    assert store.lookup("heavy") is MISS
    store.assign("all", "x" * 100, 5)
    assert store.lookup("all") == "x" * 100
    check(store)
    store.assign("all", "x" * 101, None)
    assert store.lookup("all") is MISS
    store.assign("a", "x" * 50, None)
    store.assign("b", "x" * 50, None)
    store.assign("a", "x" * 60, None)
    check(store)


def test_both_bounds_hold() -> None:
    store = MemoryBackend(max_entries=5, max_weight=10, weigher=lambda key, value: value)
    for weight in (0.1, 0.2, 0.3, 9, 0.7, 0, 0, 0, 0, 0, 0, 10, 1):
        store.assign(str(random.random()), weight, None)
        check(store)


@pytest.mark.parametrize("weight", [-1, float("nan")])
def test_a_wrong_weight_is_told_and_changes_nothing(weight: float) -> None:
    store = MemoryBackend(max_weight=10, weigher=lambda key, value: value)
    store.assign("k", 1, None)
    with pytest.raises(ValueError, match="weigher"):
        store.assign("k", weight, None)
    assert store.lookup("k") == 1
    check(store)


async def test_an_evicted_mark_is_not_stored_and_wakes() -> None:
    store = MemoryBackend(max_entries=3)
    lease = await store.lease("k", 60)
    assert isinstance(lease, Lease)
    for number in range(10):
        await store.set(str(number), number, None)
    assert not await store.store_leased(lease, 1, None)
    assert store.lookup("k") is MISS
    assert sum(map(len, store._buckets.values())) == 0


async def test_a_value_too_heavy_ends_its_lease() -> None:
    store = MemoryBackend(max_weight=10, weigher=lambda key, value: value)
    lease = await store.lease("k", 60)
    assert isinstance(lease, Lease)
    assert await store.store_leased(lease, 100, 5)
    assert store.lookup("k") is MISS
    assert await store.add("k", 100, 5)
    assert await store.add("k", 1, 5)
    assert await store.increment("k", 5, None) == 6
    check(store)


def test_a_value_freed_by_eviction_may_use_the_cache() -> None:
    store = MemoryBackend(max_entries=5)

    class Value:
        def __del__(self) -> None:
            store.assign("told", 1, None)
            store.assign("next", 1, None)

    for number in range(50):
        store.assign(str(number), Value(), None)
        store.assign("next", Value(), None)
        check(store)


def test_setdefault_returns_what_is_there() -> None:
    store = MemoryBackend(max_entries=5)
    store.assign("k", 1, None)
    assert store._entries.setdefault("k", 2).value == 1
    assert store._entries.setdefault("other", 2) == 2
    check(store)


def test_a_version_that_is_kept_keeps_no_neighbours() -> None:
    store = MemoryBackend(max_entries=5)
    store.assign("k", 1, None)
    node = store._entries["k"]
    for number in range(20):
        store.assign(str(number), 1, None)
    assert not hasattr(node, "previous")
    assert not hasattr(node, "following")


def test_a_row_of_read_entries_is_passed_in_bounded_steps() -> None:
    store = MemoryBackend(max_entries=1000)
    for number in range(1000):
        store.assign(str(number), 1, None)
    for number in range(1000):
        store.lookup(str(number))
    store.assign("new", 1, None)
    assert sum(node.visited for node in store._entries.values()) >= 870
    assert store.lookup("new") == 1


def share_of_lru(trace: list[Any], bound: int) -> tuple[int, int]:
    lru: dict[Any, None] = {}
    store = MemoryBackend(max_entries=bound)
    hits = lru_hits = 0
    for key in trace:
        if key in lru:
            lru_hits += 1
            del lru[key]
        elif len(lru) >= bound:
            del lru[next(iter(lru))]
        lru[key] = None
        if store.lookup(key) is MISS:
            store.assign(key, key, None)
        else:
            hits += 1
    return hits, lru_hits


def test_it_hits_more_than_lru_would() -> None:
    chance = random.Random(1)
    skewed = [str(int(2000 ** chance.random())) for _ in range(10_000)]
    scans = [
        key for at in range(0, 10_000, 500) for key in (*skewed[at : at + 500], *(f"{at} {n}" for n in range(200)))
    ]
    loop = [str(number % 250) for number in range(10_000)]
    for trace in (skewed, scans, loop):
        hits, lru_hits = share_of_lru(trace, 200)
        assert hits > lru_hits


KEYS: list[Key] = ["a", "b", "c", "d", "e", ("n", "a"), ("n", "b")]
steps = st.lists(
    st.tuples(
        st.sampled_from(["set", "set ttl", "get", "pop", "expire", "pass", "lease"]),
        st.sampled_from(KEYS),
        st.sampled_from([0.05, 0.3, 1.0, 20.0, 700.0]),
    ),
    max_size=60,
)


@pytest.mark.parametrize("bound", [None, 3])
@settings(max_examples=150, deadline=None)
@given(steps)
async def test_whatever_happens_the_parts_agree(bound: int | None, taken: list[tuple[str, Key, float]]) -> None:
    clock = Clock()
    store = MemoryBackend(max_entries=bound, clock=clock)
    model: dict[Key, tuple[int, float | None]] = {}
    for number, (step, key, seconds) in enumerate(taken):
        if step == "set":
            await store.set(key, number, None)
            model[key] = (number, None)
        elif step == "set ttl":
            await store.set(key, number, seconds)
            model[key] = (number, clock.now + seconds)
        elif step == "pop":
            await store.delete(key)
            model.pop(key, None)
        elif step == "expire":
            if await store.expire(key, seconds):
                model[key] = (model[key][0], clock.now + seconds)
        elif step == "lease":
            answer = await store.lease(key, seconds)
            if isinstance(answer, int):
                assert answer == model[key][0]
            else:
                model.pop(key, None)
        elif step == "pass":
            clock.now += seconds
            store._reclaim()
            late = [node for node in store._entries.values() if getattr(node, "deadline", None) is not None]
            assert all(node.deadline > clock.now - 0.125 for node in late)
        model = {key: (value, end) for key, (value, end) in model.items() if end is None or end > clock.now}
        for other in KEYS:
            found = store.lookup(other)
            if found is MISS and bound is not None:
                model.pop(other, None)
            assert found == (model[other][0] if other in model else MISS)
        timed = {key for key, cell in store._entries.items() if getattr(cell, "deadline", None) is not None}
        standing = [key for bucket in store._buckets.values() for key in bucket]
        assert sorted(map(str, standing)) == sorted(map(str, timed))
        if bound is not None:
            check(store)
    await store.close()
