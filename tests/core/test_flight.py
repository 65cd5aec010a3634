"""Hold that a missing value is computed once, belongs to no caller, and gives way to every write."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aiocache_core import (
    MISS,
    Abilities,
    BackendError,
    BackendUnavailable,
    Busy,
    Cache,
    CommandTimeout,
    Key,
    Lease,
    Stored,
    cached,
)
from aiocache_core.flight import SingleFlight
from aiocache_core.overtaking import Computation, Flights
from tests.core.stores import DictBackend, held_cache


class Work:
    """Be a function that a test holds back."""

    def __init__(self, value: Any = "value") -> None:
        self.value = value
        self.calls = 0
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.cancelled = 0

    async def __call__(self) -> Any:
        self.calls += 1
        self.begun.set()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if isinstance(self.value, BaseException):
            raise self.value
        return self.value


def callers(cache: Any, work: Work, number: int) -> list[asyncio.Task[Any]]:
    return [asyncio.create_task(cache.get_or_set("k", work)) for _ in range(number)]


class TestCallers:
    async def test_a_thousand_callers_of_a_cold_key_are_one_call(self) -> None:
        cache, work = Cache(), Work()
        tasks = callers(cache, work, 1000)
        await work.begun.wait()
        work.gate.set()
        assert await asyncio.gather(*tasks) == ["value"] * 1000
        assert work.calls == 1

    @pytest.mark.parametrize("leaving", [0, 1, 2])
    async def test_cancelling_one_harms_no_other(self, leaving: int) -> None:
        cache, work = Cache(), Work()
        tasks = callers(cache, work, 3)
        await work.begun.wait()
        tasks[leaving].cancel()
        await asyncio.sleep(0)
        work.gate.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results.pop(leaving), asyncio.CancelledError)
        assert results == ["value", "value"]
        assert await cache.get("k") == "value"

    async def test_it_is_cancelled_when_the_last_one_leaves(self) -> None:
        cache, work = Cache(), Work()
        tasks = callers(cache, work, 3)
        await work.begun.wait()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await asyncio.sleep(0)
        assert work.cancelled == 1
        work.gate.set()
        assert await cache.get_or_set("k", work) == "value"
        assert work.calls == 2

    async def test_who_comes_while_it_is_being_cancelled_begins_anew(self) -> None:
        cache, work = Cache(), Work()
        (first,) = callers(cache, work, 1)
        await work.begun.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        work.gate.set()
        assert await cache.get_or_set("k", work) == "value"

    async def test_a_failure_reaches_every_waiter_once_and_is_not_stored(self) -> None:
        cache, work = Cache(), Work(ValueError("no"))
        tasks = callers(cache, work, 50)
        await work.begun.wait()
        work.gate.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(result is work.value for result in results)
        assert work.calls == 1
        assert await cache.exists("k") is False

    async def test_a_function_that_is_cancelled_gives_that_to_every_waiter(self) -> None:
        cache, work = Cache(), Work(asyncio.CancelledError())
        tasks = callers(cache, work, 3)
        await work.begun.wait()
        work.gate.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [asyncio.CancelledError] * 3

    async def test_it_runs_in_a_copy_of_the_first_caller_s_context_and_a_task_of_its_own(self) -> None:
        who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")
        seen: list[Any] = []

        async def work() -> None:
            seen.append((who.get(), asyncio.current_task()))
            who.set("changed")

        who.set("first")
        await Cache().get_or_set("k", work)
        assert seen[0][0] == "first"
        assert seen[0][1] is not asyncio.current_task()
        assert who.get() == "first"

    def test_loops_of_several_threads_compute_on_their_own(self) -> None:
        cache: Any = Cache()
        together = threading.Barrier(3)
        results: list[Any] = []

        async def work() -> Any:
            await asyncio.sleep(0.01)
            return "value"

        async def main() -> None:
            together.wait()
            results.append(await asyncio.gather(*[cache.get_or_set("k", work) for _ in range(20)]))

        threads = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [["value"] * 20] * 3

    async def test_who_read_before_a_computation_ended_takes_its_value(self) -> None:
        cache, store = held_cache(serializer="string")
        asked, gate = asyncio.Event(), asyncio.Event()
        get = store.get

        async def late_reply(key: Key) -> Any:
            del store.get  # the first read alone
            found = await get(key)
            asked.set()
            await gate.wait()
            return found

        store.get = late_reply  # type: ignore[method-assign]
        late = asyncio.create_task(cache.get_or_set("k", lambda: "late"))
        await asked.wait()
        assert await cache.get_or_set("k", lambda: "first") == "first"
        gate.set()
        assert await late == "first"


class TestInside:
    async def test_a_call_inside_its_own_computation_computes_directly(self) -> None:
        cache: Any = Cache()
        calls: list[str] = []

        async def inner() -> str:
            calls.append("inner")
            return "inner"

        async def outer() -> str:
            calls.append("outer")
            return f"outer {await cache.get_or_set('k', inner)}"

        assert await cache.get_or_set("k", outer) == "outer inner"
        assert calls == ["outer", "inner"]
        assert await cache.get("k") == "outer inner"

    async def test_two_computations_that_would_wait_for_each_other_do_not(self) -> None:
        cache: Any = Cache()
        begun = asyncio.Barrier(2)

        async def leaf() -> str:
            return "leaf"

        def crossing(other: str) -> Callable[[], Awaitable[str]]:
            async def work() -> str:
                await begun.wait()
                return f"{other}{await cache.get_or_set(other, leaf)}"

            return work

        async with asyncio.timeout(5):
            both = await asyncio.gather(cache.get_or_set("a", crossing("b")), cache.get_or_set("b", crossing("a")))
        assert set(both) in ({"bleaf", "ableaf"}, {"baleaf", "aleaf"})

    async def test_neither_do_they_when_one_of_several_waits_has_ended(self) -> None:
        cache: Any = Cache()
        joined, left = asyncio.Event(), asyncio.Event()

        async def leaf() -> str:
            return "leaf"

        async def twice() -> str:
            waits = [asyncio.create_task(cache.get_or_set("b", leaf)) for _ in range(2)]
            await asyncio.sleep(0.01)
            waits[0].cancel()
            await asyncio.wait(waits[:1])
            left.set()
            return f"a{await waits[1]}"

        async def back() -> str:
            joined.set()
            await left.wait()
            return f"b{await cache.get_or_set('a', leaf)}"

        async with asyncio.timeout(5):
            first = asyncio.create_task(cache.get_or_set("b", back))
            await joined.wait()
            assert await cache.get_or_set("a", twice) == "ableaf"
            assert await first == "bleaf"

    async def test_a_task_that_outlives_the_computation_is_not_inside_it(self) -> None:
        cache: Any = Cache()
        go = asyncio.Event()
        left: list[asyncio.Task[Any]] = []
        calls = 0

        async def again() -> int:
            nonlocal calls
            calls += 1
            return calls

        async def later() -> Any:
            await go.wait()
            return await cache.get_or_set("k", again)

        async def work() -> str:
            left.append(asyncio.create_task(later()))
            return "value"

        await cache.get_or_set("k", work)
        await cache.delete("k")
        go.set()
        assert await left[0] == 1
        assert await cache.get("k") == 1


WRITES: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "delete": lambda cache: cache.delete("k"),
    "multi_delete": lambda cache: cache.multi_delete(["x", "k"]),
    "set": lambda cache: cache.set("k", "written"),
    "multi_set": lambda cache: cache.multi_set([("x", 1), ("k", "written")]),
    "add": lambda cache: cache.add("k", "written"),
    "increment": lambda cache: cache.increment("k"),
    "clear": lambda cache: cache.clear(),
    "clear_prefix": lambda cache: cache.clear_prefix("k"),
}
LEFT = {"set": "written", "multi_set": "written", "add": "written", "increment": 1}


class TestInvalidation:
    @pytest.mark.parametrize("name", WRITES)
    async def test_a_write_wins_over_a_running_computation(self, name: str) -> None:
        cache: Any = Cache(namespace="main")
        work = Work("computed")
        tasks = callers(cache, work, 3)
        await work.begun.wait()
        await WRITES[name](cache)
        work.gate.set()
        assert await asyncio.gather(*tasks) == ["computed"] * 3
        assert await cache.get("k") == LEFT.get(name)

    @pytest.mark.parametrize("other", ["expire", "another key", "another namespace", "nothing"])
    async def test_the_control(self, other: str) -> None:
        cache: Any = Cache(namespace="main")
        work = Work("computed")
        tasks = callers(cache, work, 1)
        await work.begun.wait()
        if other == "expire":
            await cache.expire("k", 5)
        elif other == "another key":
            await cache.multi_delete(["kk", "x"])
        elif other == "another namespace":
            await cache.clear("mai")
        work.gate.set()
        await asyncio.gather(*tasks)
        assert await cache.get("k") == "computed"

    async def test_an_overtaken_computation_takes_no_newcomers(self) -> None:
        cache: Any = Cache()
        old, new = Work("old"), Work("new")
        (first,) = callers(cache, old, 1)
        await old.begun.wait()
        await cache.delete("k")
        (second,) = callers(cache, new, 1)
        await new.begun.wait()
        new.gate.set()
        assert await second == "new"
        old.gate.set()
        assert await first == "old"
        assert await cache.get("k") == "new"

    async def test_a_write_waits_for_a_store_that_is_under_way(self) -> None:
        cache, store = held_cache(serializer="string")
        gate = store.hold("set")
        computing = asyncio.create_task(cache.get_or_set("k", lambda: "computed"))
        await store.waiting["set"].wait()
        deleting = asyncio.create_task(cache.delete("k"))
        with pytest.raises(CommandTimeout, match="did not finish delete within"):
            await cache.delete("k", timeout=0.01)
        assert "delete" not in store.commands
        gate.set()
        assert await deleting == 1
        assert await computing == "computed"
        assert await cache.get("k") is None

    async def test_a_computation_that_begins_during_a_write_is_overtaken(self) -> None:
        cache, store = held_cache(serializer="string")
        removed, gate = asyncio.Event(), asyncio.Event()
        delete = store.delete

        async def late_reply(key: Key) -> bool:
            found = await delete(key)
            removed.set()
            await gate.wait()
            return found

        store.delete = late_reply  # type: ignore[method-assign]  # its reply is late, not its work
        deleting = asyncio.create_task(cache.delete("k"))
        await removed.wait()
        assert await cache.get_or_set("k", lambda: "computed") == "computed"
        gate.set()
        await deleting
        assert await cache.get("k") is None
        assert await cache.get_or_set("k", lambda: "later") == "later"
        assert await cache.get("k") == "later"

    async def test_a_cache_of_equal_options_counts_as_this_one(self) -> None:
        one, store = held_cache(serializer="string")
        two: Any = Cache(type(store), serializer="string")
        work = Work("computed")
        tasks = callers(one, work, 1)
        await work.begun.wait()
        await two.delete("k")
        work.gate.set()
        await asyncio.gather(*tasks)
        assert await one.get("k") is None

    async def test_a_write_made_by_the_store_itself_does_not_wait_for_itself(self) -> None:
        cache: Any = Cache()

        class Nosy:
            encoding = None

            def dumps(self, value: Any) -> Any:
                return value

            def loads(self, stored: Any) -> Any:
                return stored

        cache.serializer = Nosy()
        async with asyncio.timeout(2):
            assert await cache.get_or_set("k", lambda: 1) == 1

    async def test_an_invalidation_from_another_thread_counts(self) -> None:
        cache: Any = Cache()
        work = Work("computed")
        tasks = callers(cache, work, 1)
        await work.begun.wait()
        await asyncio.to_thread(asyncio.run, cache.delete("k"))
        work.gate.set()
        await asyncio.gather(*tasks)
        assert await cache.get("k") is None


class LeasedBackend(DictBackend):
    """Be a store with leases over a dict, for one process; ``other`` is who holds the lease, as another process would."""

    abilities = Abilities(leases=True, compare_and_set=True)

    def __init__(self) -> None:
        super().__init__()
        self.marks: dict[Key, object] = {}
        self.changes = asyncio.Event()
        self.errors: dict[str, BaseException] = {}
        self.renewals = 0
        self.renewed = asyncio.Event()
        self.mine = True

    async def reached(self, command: str) -> None:
        if command in self.errors:
            raise self.errors[command]

    async def gets(self, key: Key) -> tuple[Any, Any]:
        found = self.entries.get(key, MISS)
        return found, self.marks.get(key) if found is MISS else found

    async def cas(self, key: Key, version: Any, stored: Any, ttl: Any) -> bool:
        if version is None or (self.marks.get(key) is not version and self.entries.get(key) != version):
            return False
        self.marks.pop(key, None)
        if stored is MISS:
            self.entries.pop(key, None)
        else:
            self.entries[key] = stored
        return True

    async def lease(self, key: Key, seconds: float) -> Stored | Lease | Busy:
        await self.reached("lease")
        if key in self.entries:
            return self.entries[key]
        if key in self.marks:
            return Busy(seconds)
        token = self.marks[key] = object()
        return Lease(key, seconds, token)

    async def renew(self, lease: Lease) -> bool:
        await self.reached("renew")
        self.renewals += 1
        self.renewed.set()
        return self.marks.get(lease.key) is lease.token

    async def store_leased(self, lease: Lease, stored: Stored, ttl: float | None) -> bool:
        await self.reached("store_leased")
        if self.marks.get(lease.key) is not lease.token:
            return False
        del self.marks[lease.key]
        self.entries[lease.key] = stored
        self.changes.set()
        return True

    async def release(self, lease: Lease) -> None:
        await self.reached("release")
        if self.marks.get(lease.key) is lease.token:
            del self.marks[lease.key]
        self.changes.set()

    async def delete(self, key: Key) -> bool:
        self.marks.pop(key, None)
        return await super().delete(key)

    async def changed(self, key: Key, timeout: float) -> None:
        await self.changes.wait()
        self.changes.clear()


def leased_cache() -> tuple[Any, LeasedBackend]:
    class Own(LeasedBackend):
        pass

    cache: Any = Cache(Own, serializer="string")
    return cache, cache.backend


class TestLease:
    async def test_the_value_is_computed_under_the_lease_and_the_lease_given_back(self) -> None:
        cache, store = leased_cache()
        work = Work("computed")
        computing = asyncio.create_task(cache.get_or_set("k", work, lease=5))
        await work.begun.wait()
        assert store.marks
        work.gate.set()
        assert await computing == "computed"
        assert (store.marks, store.entries) == ({}, {"k": b"computed"})

    async def test_a_failure_gives_the_lease_back(self) -> None:
        cache, store = leased_cache()

        def fail() -> str:
            raise LookupError

        with pytest.raises(LookupError):
            await cache.get_or_set("k", fail, lease=5)
        assert store.marks == {}

    async def test_another_process_s_value_is_waited_for(self) -> None:
        cache, store = leased_cache()
        store.marks["k"] = "another process's"
        waiting = asyncio.create_task(cache.get_or_set("k", lambda: "own", lease=5))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiting.done()
        del store.marks["k"]
        store.entries["k"] = b"theirs"
        store.changes.set()
        assert await waiting == "theirs"

    async def test_the_lease_passes_on(self) -> None:
        cache, store = leased_cache()
        store.marks["k"] = "another process's"
        waiting = asyncio.create_task(cache.get_or_set("k", lambda: "own", lease=5))
        for _ in range(5):
            await asyncio.sleep(0)
        del store.marks["k"]
        store.changes.set()
        assert await waiting == "own"

    async def test_another_process_s_invalidation_wins(self) -> None:
        cache, store = leased_cache()
        work = Work("computed")
        computing = asyncio.create_task(cache.get_or_set("k", work, lease=5))
        await work.begun.wait()
        del store.marks["k"]  # as a delete by another process does
        work.gate.set()
        assert await computing == "computed"
        assert store.entries == {}

    async def test_it_is_renewed_until_the_value_is_there(self) -> None:
        cache, store = leased_cache()
        store.errors["renew"] = BackendUnavailable("once")
        work = Work("computed")
        computing = asyncio.create_task(cache.get_or_set("k", work, lease=0.03))
        await work.begun.wait()
        await asyncio.sleep(0.03)
        del store.errors["renew"]  # a renewal that fails is tried again
        await store.renewed.wait()
        work.gate.set()
        await computing
        assert store.entries == {"k": b"computed"}

    async def test_a_lost_lease_is_not_renewed_for_ever(self) -> None:
        cache, store = leased_cache()
        work = Work("computed")
        computing = asyncio.create_task(cache.get_or_set("k", work, lease=0.03))
        await work.begun.wait()
        store.marks["k"] = "another process's"
        await store.renewed.wait()
        await asyncio.sleep(0.05)
        assert store.renewals == 1
        work.gate.set()
        assert await computing == "computed"
        assert store.entries == {}

    @pytest.mark.parametrize("command", ["lease", "store_leased", "release"])
    async def test_a_store_that_fails_does_not_fail_the_call(self, command: str) -> None:
        cache, store = leased_cache()
        store.errors[command] = BackendError("OOM")
        async with asyncio.timeout(2):
            assert await cache.get_or_set("k", lambda: "computed", lease=5) == "computed"
        assert ("k" in store.entries) == (command == "release")

    async def test_an_entry_of_no_use_is_replaced(self) -> None:
        cache, store = leased_cache()
        cache.serializer = "json"
        store.entries["k"] = b"{"
        assert await cache.get_or_set("k", lambda: 5, lease=5) == 5
        assert store.entries["k"] == b"5"

    async def test_it_is_not_replaced_after_an_invalidation(self) -> None:
        cache, store = leased_cache()
        cache.serializer = "json"
        store.entries["k"] = b"{"
        work = Work(5)
        call = asyncio.create_task(cache.get_or_set("k", work, lease=5))
        await work.begun.wait()
        await store.delete("k")  # as another process does
        work.gate.set()
        assert await call == 5
        assert store.entries == {}

    async def test_who_wants_it_stored_needs_a_computation_with_the_lease(self) -> None:
        cache, store = leased_cache()
        work = Work()

        @cached(cache=cache, key="k", lease=5)
        async def function() -> Any:
            return await work()

        unwanted = asyncio.create_task(function.options(cache_write=False)())
        await work.begun.wait()
        assert store.marks == {}
        work.begun.clear()
        wanted = asyncio.create_task(function())
        await work.begun.wait()
        await store.delete("k")  # as another process does
        work.gate.set()
        assert [await unwanted, await wanted] == ["value"] * 2
        assert store.entries == {}

    @pytest.mark.parametrize("hanging", [("lease",), ("store_leased", "release"), ("renew", "store_leased", "release")])
    async def test_a_store_that_hangs_costs_one_deadline(self, hanging: tuple[str, ...]) -> None:
        cache, store = leased_cache()
        within, deadlines = cache.within, 0

        async def counted(operation: Any, *timeout: Any) -> Any:
            nonlocal deadlines
            try:
                return await within(operation, *timeout)
            except CommandTimeout:
                deadlines += operation.__name__ != "renew"  # that of a renewal runs beside
                raise

        cache.within = counted
        cache.timeout = 0.1
        reached = store.reached

        async def hang(command: str) -> None:
            if command in hanging:
                await asyncio.Event().wait()
            await reached(command)

        store.reached = hang  # type: ignore[method-assign]  # to hold it back
        work = Work()
        call = asyncio.create_task(cache.get_or_set("k", work, lease=0.03))
        await work.begun.wait()
        await asyncio.sleep(0.02)  # a renewal is under way
        work.gate.set()
        async with asyncio.timeout(5):
            assert await call == "value"
        assert deadlines == 1

    async def test_a_failure_does_not_wait_for_the_store(self) -> None:
        cache, store = leased_cache()
        held = asyncio.Event()
        reached = store.reached

        async def hold(command: str) -> None:
            if command == "release":
                await held.wait()
            await reached(command)

        store.reached = hold  # type: ignore[method-assign]  # to hold it back
        work = Work(ZeroDivisionError())
        work.gate.set()
        with pytest.raises(ZeroDivisionError):
            async with asyncio.timeout(5):
                await cache.get_or_set("k", work, lease=5)
        held.set()
        await cache.close()
        assert store.marks == {}


def test_computations_of_several_threads_are_all_overtaken() -> None:
    flights = Flights()
    lost = 0

    def work() -> None:
        nonlocal lost
        for _ in range(20_000):
            computation = Computation("k")
            flights.enter(computation)
            lost += computation not in flights.get("k", ())
            flights.leave(computation)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert lost == 0
    assert not flights


async def test_single_flight_counts_what_is_running() -> None:
    flights = SingleFlight()
    assert len(flights) == 0
