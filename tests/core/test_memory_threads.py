"""The memory store used by several threads: no write is lost, no step is half seen."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aiocache_core._cells import replace
from aiocache_core._types import KEEP, MISS
from aiocache_core.backend import Lease
from aiocache_core.memory import MemoryBackend
from tests.core.test_memory import only_held

ROUNDS = 300


@pytest.fixture(autouse=True)
def frequent_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture(params=[{}, {"max_entries": 1000}], ids=["unbounded", "bounded"])
def store(request: pytest.FixtureRequest) -> MemoryBackend:
    return MemoryBackend(**request.param)


def together(*works: Callable[[], Any]) -> None:
    """Run works in threads, and raise what one of them raises."""
    failures: list[BaseException] = []
    start = threading.Barrier(len(works))

    def run(work: Callable[[], Any]) -> None:
        try:
            start.wait(10)
            work()
        except BaseException as error:  # noqa: BLE001 - raised again below
            failures.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    if failures:
        raise failures[0]


def finished(coroutine: Any) -> Any:
    """Return the result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waited")


@pytest.mark.parametrize("ttl", [None, 60])
def test_no_increment_is_lost(store: MemoryBackend, ttl: float | None) -> None:
    def count() -> None:
        for _ in range(ROUNDS):
            finished(store.increment("k", 1, ttl))
            finished(store.gets("k"))

    together(*[count] * 4)
    assert store.lookup("k") == 4 * ROUNDS


def test_no_set_is_lost_between_the_steps_of_an_increment(store: MemoryBackend) -> None:
    def count() -> None:
        for _ in range(20 * ROUNDS):
            finished(store.increment("k", 1, None))

    def reset() -> None:
        for number in range(1, 20 * ROUNDS):
            store.assign("k", number * 1_000_000, None)
            seen = store.lookup("k")
            assert isinstance(seen, int)
            assert seen // 1_000_000 == number

    together(count, reset)


def test_no_set_is_lost_between_the_steps_of_others(store: MemoryBackend) -> None:
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            finished(store.gets("k"))
            finished(store.add("k", -1, None))

    def write() -> None:
        try:
            for number in range(30 * ROUNDS):
                store.assign("k", number, None)
                assert store.lookup("k") == number
        finally:
            stop.set()

    together(look, write)


@pytest.mark.parametrize("ttl", [None, 60])
def test_one_add_wins_and_one_cas_wins(store: MemoryBackend, ttl: float | None) -> None:
    wins: list[tuple[str, int]] = []
    rounds = threading.Barrier(3)

    def race(me: int) -> None:
        for number in range(ROUNDS):
            key = str(number)
            rounds.wait(10)
            if finished(store.add(key, me, ttl)):
                wins.append(("add", number))
            rounds.wait(10)
            _, version = finished(store.gets(key))
            rounds.wait(10)
            if finished(store.cas(key, version, me, KEEP)):
                wins.append(("cas", number))
            rounds.wait(10)
            if isinstance(finished(store.lease("lease" + key, 60)), Lease):
                wins.append(("lease", number))

    together(*[lambda me=me: race(me) for me in range(3)])
    assert len(wins) == len(set(wins)) == 3 * ROUNDS


def test_a_version_misses_no_write_of_another_thread(store: MemoryBackend) -> None:
    store.assign("k", 0, None)

    def write() -> None:
        for _ in range(10 * ROUNDS):
            store.assign("k", 0, None)
            _, version = finished(store.gets("k"))
            store.assign("k", 0, None)
            assert not finished(store.cas("k", version, 5, None))

    together(write, write)


def test_replace_is_one_step() -> None:
    entries: dict[Any, Any] = {"k": 0}
    done = [0, 0]

    def add(me: int) -> None:
        for _ in range(20 * ROUNDS):
            seen = entries["k"]
            done[me] += replace(entries, "k", seen, seen + 1000)

    together(lambda: add(0), lambda: add(1))
    assert entries["k"] == 1000 * sum(done)
    seen = entries["k"]
    assert not replace(entries, "k", object(), MISS)
    assert replace(entries, "k", seen, MISS)
    assert not replace(entries, "k", seen, 1)
    assert entries == {}


@pytest.mark.parametrize("bound", [None, 20])
def test_nothing_is_left_behind_whatever_threads_do(bound: int | None) -> None:
    store = MemoryBackend(max_entries=bound)
    stop = threading.Event()

    def write(ttl: float | None) -> None:
        for number in range(5 * ROUNDS):
            key = str(number % 30)
            store.assign(key, number, ttl)
            if number % 3 == 0:
                finished(store.expire(key, 0.003))
            elif number % 7 == 0:
                finished(store.delete(key))

    def clear() -> None:
        for _ in range(20):
            asyncio.run(store.clear(None))

    def drain() -> None:
        while not stop.is_set():
            store._reclaim()

    drainer = threading.Thread(target=drain)
    drainer.start()
    try:
        together(*[lambda ttl=ttl: write(ttl) for ttl in (0.001, 0.002, 30, 0.2)], clear)
    finally:
        stop.set()
        drainer.join(10)
    for key in list(store._entries):
        finished(store.expire(key, 0.001))
    for key, cell in store._entries.items():
        assert key in cell.bucket
        assert any(cell.bucket is bucket for bucket in store._buckets.values())

    async def reclaimed() -> None:
        store.assign("last", 1, 0.001)
        await only_held(store, 0)

    asyncio.run(reclaimed())


def test_every_timed_cell_of_racing_writers_stands_in_its_bucket() -> None:
    store = MemoryBackend()

    def write(offset: int) -> None:
        for number in range(20 * ROUNDS):
            store.assign(str(number % 3), number, 9 + (number + offset) % 3)
            if number % 5 == 0:
                finished(store.delete(str(number % 3)))
            if number % 11 == 0:
                store.assign(str(number % 3), number, None)

    together(*[lambda offset=offset: write(offset) for offset in range(3)])
    for key, cell in store._entries.items():
        if getattr(cell, "bucket", None) is not None:
            assert key in cell.bucket
            assert any(cell.bucket is bucket for bucket in store._buckets.values())


def test_stores_in_threads_with_a_loop_each(store: MemoryBackend) -> None:
    async def use(me: int) -> None:
        for number in range(ROUNDS):
            await store.set(f"{me} {number}", number, 60 if number % 2 else None)
            assert await store.get(f"{me} {number}") == number
            await asyncio.sleep(0)
        await store.close()

    together(*[lambda me=me: asyncio.run(use(me)) for me in range(3)])
    assert store.held == min(3 * ROUNDS, store.max_entries or 3 * ROUNDS)
