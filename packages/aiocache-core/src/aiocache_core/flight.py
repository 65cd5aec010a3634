"""Compute a missing value once: one computation for each key in the process, and under a lease one among all processes.

The callers of one key share a :class:`Flight`, a task that belongs to none of them: it computes the value in a copy of the
first caller's context, stores it if it still may, and is cancelled when the last caller has left before the value was there.
Whether it may store is decided in the process by :mod:`aiocache_core.overtaking`; across processes by a lease: a mark in the
value's own key, which any write or delete of that key removes (Nishtala et al., *Scaling Memcache at Facebook*, NSDI 2013,
section 3.2.1).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from aiocache_core._types import MISS, Key, Stored
from aiocache_core.backend import Backend, Busy, Lease
from aiocache_core.exceptions import BackendError, DecodeError
from aiocache_core.overtaking import Computation, finished

if TYPE_CHECKING:
    from concurrent.futures import Future

logger: Final = logging.getLogger("aiocache.core")

T = TypeVar("T")

MOST_IN_BACKGROUND = 1000
"""The stores that may go on without their callers; past it a caller waits for its own."""

LONGEST_WAIT = 1.0
"""The seconds after which a waiter looks at the store again, whatever it was told."""


@dataclass(frozen=True, slots=True)
class Version:
    """Be the right to replace what had this version in the store."""

    version: Any


Right = Lease | Version | None
"""What a store of a computed value must prove to the backend: a lease, a version, or nothing."""


@dataclass(slots=True, eq=False)
class Job(Generic[T]):
    """Say how the value of a key (or of several, computed together) is computed, and how it is read from and put into its store."""

    backend: Backend
    keys: Sequence[Key]
    compute: Callable[[], Awaitable[T]]
    store: Callable[[T, Right, Collection[Key]], Awaitable[None]]
    """Serializes and stores the keys that may be stored, or decides not to; errors of the store are its own to report."""
    within: Callable[[Coroutine[Any, Any, Any]], Awaitable[Any]]
    """Awaits a backend's operation within the deadline."""
    loads: Callable[[Stored], T] | None = None
    """Decodes what another process has stored; needed for a lease."""
    lease: float | None = None
    """The seconds of the lease under which all processes compute once (one key only); None for this process alone."""
    fresh: bool = False
    """Compute even if a value is stored, and take the right to store from those who compute already."""
    again: bool = False
    """Look at the store once more before computing: another computation has ended while this caller read."""
    failed: Callable[[BaseException], None] = lambda _: None
    """Is told of an error of the store before the value is computed without it."""


class Flight(Generic[T]):
    """Be one running computation and its callers."""

    def __init__(self, job: Job[T], *, wanted: bool, inside: tuple[Flight[Any], ...]) -> None:
        self.job = job
        self.computations: dict[Key, Computation] = {key: Computation(key) for key in job.keys}
        self.wanted = wanted
        """True if a caller wants the value stored."""
        self.barred: bool = False
        """True if it must not be stored, whoever wants it: the store failed before the value was computed."""
        self.inside = inside
        """The computations inside of which this one was begun."""
        self.awaiting: list[Flight[Any]] = []
        """The computations whose values this one waits for, as often as it does."""
        self.superseded: list[Future[None]] = []
        """The stores of older computations that must end before this one's begins."""
        self.callers = 0
        self.value: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.value.add_done_callback(_retrieve)
        self.task: asyncio.Task[None] = asyncio.create_task(self._run())

    def open(self, key: Key) -> bool:
        """Return True while newcomers may join for a key."""
        return not self.computations[key].overtaken and not self.task.done() and not self.task.cancelling()

    def serves(self, *, wanted: bool) -> bool:
        """Return True if a caller may join: one who wants the value stored needs a computation that asked for its lease."""
        return self.wanted or not wanted or not self.job.lease

    async def _run(self) -> None:
        _inside.set((*self.inside, self))
        try:
            await self._perform()
        except asyncio.CancelledError:
            self.value.cancel()
            if self.task.cancelling():
                raise
        except BaseException as error:
            if self.value.done():
                self.job.failed(error)
            else:
                self.value.set_exception(error)
            if not isinstance(error, Exception):
                raise

    async def _perform(self) -> None:
        job = self.job
        right: Right = None
        if job.lease and self.wanted:
            right = await self._obtain(job.keys[0], job.lease)
        elif job.again and self.wanted:
            await self._find_stored(job.keys[0])
        if self.value.done():
            return
        renewal = Renewal(job.backend, right, job.within) if isinstance(right, Lease) else None
        try:
            await self._compute()
        finally:
            try:
                await job.within(self.storing(right, renewal))
            except BackendError as error:
                job.failed(error)

    async def _find_stored(self, key: Key) -> None:
        """Take the value that another computation has stored since this one's caller read, if there is one."""
        try:
            stored = await self.job.within(self.job.backend.get(key))
            if stored is not MISS and self.job.loads is not None:
                self.value.set_result(self.job.loads(stored))
        except DecodeError as error:
            self.job.failed(error)
        except BackendError as error:
            self.job.failed(error)
            self.barred = True

    async def _compute(self) -> None:
        """Give the callers what the function returns or raises, at once."""
        try:
            self.value.set_result(await self.job.compute())
        except Exception as error:  # noqa: BLE001 - whatever the function raises is for the callers
            self.value.set_exception(error)

    async def storing(self, right: Right, renewal: Renewal | None) -> None:
        """Store the value if there is one and it may be stored, and give the lease back; all of it within one deadline."""
        if renewal is not None:
            await renewal.end()  # it may change the lease's token, so it must not run beside the store
        try:
            if self.value.done() and self.value.exception() is None and self.wanted and not self.barred:
                await self._store(self.value.result(), right)
        except Exception as error:  # noqa: BLE001 - a broken cache never breaks a call
            self.job.failed(error)
        if isinstance(right, Lease):
            await self.job.backend.release(right)

    async def _store(self, value: T, right: Right) -> None:
        await finished(self.superseded)
        allowed = [key for key, computation in self.computations.items() if computation.begin_store()]
        try:
            if allowed:
                await self.job.store(value, right, allowed)
        finally:
            for key in allowed:
                self.computations[key].end_store()

    async def _obtain(self, key: Key, seconds: float) -> Right:
        """Wait for the right to compute, unless another process's value comes first; without a store compute all the same."""
        try:
            return await self._claim(key, seconds)
        except BackendError as error:
            self.job.failed(error)
            self.barred = True
            return None

    async def _claim(self, key: Key, seconds: float) -> Right:
        job = self.job
        backend, within, fresh = job.backend, job.within, job.fresh
        while True:
            if fresh:
                stored, version = await within(backend.gets(key))
                if stored is not MISS:
                    return Version(version)
                if version is not None:  # a mark: end the right to store of the one who computes already
                    await within(backend.cas(key, version, MISS, None))
            answer = await within(backend.lease(key, seconds))
            if isinstance(answer, Lease):
                return answer
            if isinstance(answer, Busy):
                await _changed(backend, key, min(LONGEST_WAIT, answer.retry_after))
            elif not fresh and job.loads is not None:
                try:
                    self.value.set_result(job.loads(answer))
                except DecodeError as error:  # of no use to anyone: compute, and replace just this
                    job.failed(error)
                    fresh = True
                else:
                    return None


def _retrieve(value: asyncio.Future[Any]) -> None:
    """Look at a failure, so that nothing is reported when every caller has left."""
    if not value.cancelled():
        value.exception()


async def _changed(backend: Backend, key: Key, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await backend.changed(key, seconds)
    except TimeoutError:
        pass


class Renewal:
    """Renew a lease each third of its time in a task of its own, until :meth:`end`."""

    def __init__(
        self,
        backend: Backend,
        lease: Lease,
        within: Callable[[Coroutine[Any, Any, Any]], Awaitable[Any]],
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        self._backend = backend
        self._lease = lease
        self._within = within
        self._lost = lost
        self._ended = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def end(self) -> None:
        """Stop, waiting for a renewal that is under way; a second call does nothing."""
        self._ended.set()
        await self._task

    async def _run(self) -> None:
        now = asyncio.get_running_loop().time
        until = now() + self._lease.seconds
        while not await _set_within(self._ended, self._lease.seconds / 3):
            asked = now()
            try:
                if not await self._within(self._backend.renew(self._lease)):
                    self._lost()
                    return
                until = asked + self._lease.seconds
            except BackendError as error:  # it may still be ours: the store checks that in the end
                logger.debug("a lease could not be renewed, trying again: %s", error)
                if now() >= until:
                    self._lost()


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


_inside: ContextVar[tuple[Flight[Any], ...]] = ContextVar("aiocache_inside", default=())


class SingleFlight:
    """Let the callers that share this object (one cache, or one decorated function) share one computation for each key."""

    def __init__(self) -> None:
        self._running: dict[tuple[asyncio.AbstractEventLoop, Key], Flight[Any]] = {}
        self.background: set[asyncio.Task[None]] = set()
        """The stores that go on without their callers."""
        self.ended: int = 0
        """How many computations have ended."""

    def __len__(self) -> int:
        return len(self._running)

    async def run(self, job: Job[T], *, wanted: bool = True, wait_for_write: bool = True) -> T:
        """Return the value of a job of one key: from a computation that runs for it, or else from one begun now.

        ``wanted`` says that this caller wants the value stored, ``wait_for_write`` that it waits until that is done. A call
        made inside its own computation, or one that would wait for itself in a circle, computes directly and stores nothing.
        """
        inside = _running_inside()
        found = self._find(job.backend, job.keys[0], inside)
        if found is DIRECT:
            return await job.compute()
        if found is None or job.fresh or not found.serves(wanted=wanted):
            flight: Flight[T] = self._begin(job, wanted, inside)
        else:
            flight = found
            flight.wanted |= wanted
        with self._calling([flight], inside):
            (value,) = await self._values([flight], wait_for_write)
        return value

    async def run_many(
        self,
        keys: Iterable[Key],
        job: Callable[[list[Key]], Job[dict[Key, T]]],
        *,
        backend: Backend,
        fresh: bool,
        wanted: bool = True,
        wait_for_write: bool = True,
    ) -> dict[Key, T]:
        """Return the values of several keys, some of which may be missing from what was computed.

        Those that are running for other callers are joined; the rest is computed together by ``job(rest)``.
        """
        inside = _running_inside()
        rest: list[Key] = []
        direct: list[Key] = []
        flights: list[Flight[dict[Key, T]]] = []
        for key in keys:
            found = self._find(backend, key, inside)
            if found is DIRECT:
                direct.append(key)
            elif found is None or fresh:
                rest.append(key)
            else:
                found.wanted |= wanted
                if found not in flights:
                    flights.append(found)
        if rest:
            flights.append(self._begin(job(rest), wanted, inside))
        with self._calling(flights, inside):
            values: dict[Key, T] = await job(direct).compute() if direct else {}
            for part in await self._values(flights, wait_for_write):
                values.update(part)
        return values

    async def _values(self, flights: list[Flight[T]], wait_for_write: bool) -> list[T]:
        values = [await asyncio.shield(flight.value) for flight in flights]
        if wait_for_write or len(self.background) >= MOST_IN_BACKGROUND:
            for flight in flights:
                await asyncio.shield(flight.task)
        return values

    @contextmanager
    def _calling(self, flights: list[Flight[T]], inside: tuple[Flight[Any], ...]) -> Iterator[None]:
        """Be one of the callers of computations; the last one to leave an unfinished one cancels it."""
        for flight in flights:
            flight.callers += 1
            for outer in inside:
                outer.awaiting.append(flight)
        try:
            yield
        finally:
            for flight in flights:
                flight.callers -= 1
                for outer in inside:
                    outer.awaiting.remove(flight)
                if flight.callers or flight.task.done():
                    continue
                if flight.value.done():
                    self.background.add(flight.task)
                    flight.task.add_done_callback(self.background.discard)
                else:
                    flight.task.cancel()

    def _find(self, backend: Backend, key: Key, inside: tuple[Flight[Any], ...]) -> Any:
        """Return the computation to join for a key, None if there is none, or DIRECT if joining could never end."""
        if any(outer.job.backend is backend and key in outer.computations for outer in inside):
            return DIRECT
        running = self._running.get((asyncio.get_running_loop(), key))
        if running is None or not running.open(key):
            return None
        return DIRECT if _waits_for(running, inside) else running

    def _begin(self, job: Job[T], wanted: bool, inside: tuple[Flight[Any], ...]) -> Flight[T]:
        loop = asyncio.get_running_loop()
        flights = job.backend.flights
        superseded = flights.overtake(dict.fromkeys(job.keys)) if job.fresh and flights else []
        flight = Flight(job, wanted=wanted, inside=inside)
        flight.superseded = superseded
        for key, computation in flight.computations.items():
            flights.enter(computation)
            self._running[loop, key] = flight

        def leave(_: object) -> None:
            self.ended += 1
            for key, computation in flight.computations.items():
                flights.leave(computation)
                if self._running.get((loop, key)) is flight:
                    del self._running[loop, key]

        flight.task.add_done_callback(leave)
        return flight


DIRECT = object()
"""Stands for "compute it yourself"."""


def _running_inside() -> tuple[Flight[Any], ...]:
    return tuple(flight for flight in _inside.get() if not flight.task.done())


def _waits_for(flight: Flight[Any], others: tuple[Flight[Any], ...]) -> bool:
    """Return True if a computation waits, directly or through more of them, for one of the others."""
    if not others:
        return False
    seen: set[Flight[Any]] = set()
    open_ends = [flight]
    while open_ends:
        current = open_ends.pop()
        if current in others:
            return True
        if current not in seen:
            seen.add(current)
            open_ends.extend(current.awaiting)
    return False
