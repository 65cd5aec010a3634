"""Hold a bounded number (or weight) of entries, and choose which one leaves for a new one.

The choice is S3-FIFO (Yang, Zhang, Qiu, Yue and Vigfusson, *FIFO queues are all you need for cache eviction*, SOSP
2023, algorithm 1): a new entry enters a small queue; when it comes to its end, it goes on to the main queue if it was
read, else it leaves, and its key is remembered for a while. A key that comes back in that time enters the main queue at
once. There an entry that was read goes round again. Reading only notes that it was read (the paper counts to three;
one note kept as much on all workloads tried).
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any, Final

from aiocache_core._cells import Cell, Waiters
from aiocache_core._expiry import Wheel
from aiocache_core._types import MISS, Key

SMALL_SHARE: Final = 0.05
"""The share of the bound that the small queue has. The paper's 0.1 kept less of skewed reads and of loops."""
GHOSTS: Final = 2.0
"""The keys that are remembered, at most, for each entry held. With the paper's 1 a loop over more than fits was lost."""
MOST_MOVES: Final = 128
"""The entries that are looked at for one that was not read, before the next one leaves in any case."""

_store = dict[Key, Any].__setitem__

Weigher = Callable[[Key, Any], float]


class Node(Cell):
    """Be a cell of a bounded store: a link of one of the queues that eviction goes through."""

    __slots__ = ("following", "key", "previous", "queue", "weight")

    key: Key
    weight: float
    queue: Queue
    previous: Node
    following: Node


class Queue:
    """Be a first-in, first-out queue of nodes from which any node can be taken."""

    def __init__(self) -> None:
        self.weight = 0.0
        self.ends = Node()
        self.ends.previous = self.ends.following = self.ends

    def __bool__(self) -> bool:
        return self.ends.following is not self.ends

    def append(self, node: Node) -> None:
        """Put a node at the end."""
        ends = self.ends
        last = ends.previous
        node.queue, node.previous, node.following = self, last, ends
        last.following = ends.previous = node
        self.weight += node.weight

    def take(self, node: Node) -> None:
        """Take a node out; it knows its neighbours no longer, which it would keep alive."""
        previous, following = node.previous, node.following
        previous.following, following.previous = following, previous
        del node.previous, node.following
        self.weight = self.weight - node.weight if self else 0.0

    def change(self, old: Node, new: Node) -> None:
        """Put a node in the place of another one."""
        previous, following = old.previous, old.following
        new.queue, new.previous, new.following = self, previous, following
        previous.following = following.previous = new
        del old.previous, old.following
        self.weight += new.weight - old.weight


class Ghosts:
    """Remember the keys (their hashes) that have left last, between half of ``most`` and all."""

    def __init__(self) -> None:
        self._recent: set[int] = set()
        self._older: set[int] = set()

    def add(self, key: Key, most: float) -> None:
        """Remember a key, and forget the older half if they are too many."""
        if len(self._recent) > most / 2:
            self._older, self._recent = self._recent, set()
        self._recent.add(hash(key))

    def take(self, key: Key) -> bool:
        """Return True, and forget it, if the key has left a short while ago."""
        ghost = hash(key)
        known = ghost in self._recent or ghost in self._older
        self._recent.discard(ghost)
        self._older.discard(ghost)
        return known


class BoundedEntries(dict[Key, Any]):
    """Be the entries of a bounded store: a dict of nodes that lets others go before it takes one.

    Only the methods defined here change it, always under the store's lock, which may be taken again by its holder.
    Reading needs none.
    """

    def __init__(
        self,
        max_entries: float | None,
        max_weight: float | None,
        weigher: Weigher | None,
        wheel: Wheel,
        waiters: Waiters,
        lock: threading.RLock,
    ) -> None:
        super().__init__()
        self._max_entries = math.inf if max_entries is None else max_entries
        self._max_weight = math.inf if max_weight is None else max_weight
        self._weigher = weigher
        self._wheel = wheel
        self._waiters = waiters
        self._lock = lock
        self._small = Queue()
        self._main = Queue()
        self._ghosts = Ghosts()
        self._small_weight = SMALL_SHARE * (self._max_entries if max_weight is None else self._max_weight)

    @property
    def weight(self) -> float:
        """What all entries weigh together (how many there are, without a weigher)."""
        return self._small.weight + self._main.weight

    def __setitem__(self, key: Key, stored: Any) -> None:
        if type(stored) is Node:
            node = stored
        else:
            node = Node()
            node.value = stored
            node.deadline = node.bucket = None
        node.key = key
        node.visited = False
        node.weight = 1 if self._weigher is None else self._weigh(key, node.value)
        self._lock.acquire()  # `with` costs as much as the rest
        try:
            if node.weight > self._max_weight:
                self._evict(self.get(key))
                return
            # Each entry that leaves may run code of the user's, which may store this very key.
            while (old := self.get(key)) is None and self._exceeded(1, node.weight):
                self._let_one_go()
            if old is None:
                (self._main if self._ghosts.take(key) else self._small).append(node)
            else:
                old.queue.change(old, node)
                node.visited = True
            _store(self, key, node)
            while self._exceeded(0, 0):
                self._let_one_go()
        finally:
            self._lock.release()

    def setdefault(self, key: Key, default: Any = None) -> Any:
        """Return the entry of a key, after storing it if there was none."""
        with self._lock:
            if key in self:
                return self[key]
            self[key] = default
            return default

    def pop(self, key: Key, default: Any = MISS) -> Any:
        """Remove an entry and return it, or the default."""
        with self._lock:
            node: Node | None = super().pop(key, None)
            if node is None:
                return default
            node.queue.take(node)
            return node

    def _weigh(self, key: Key, value: Any) -> float:
        if value is MISS or self._weigher is None:
            return 0
        weight = self._weigher(key, value)
        if not weight >= 0:
            message = f"the weigher must give a number that is not negative, got {weight!r} for the key {key!r}"
            raise ValueError(message)
        return weight

    def _exceeded(self, entries: int, weight: float) -> bool:
        if len(self) + entries > self._max_entries:
            return True
        return self._weigher is not None and self.weight + weight > self._max_weight

    def _let_one_go(self) -> None:
        if not self._wheel.reclaim(self):
            self._evict(self._choose())

    def _evict(self, node: Node | None) -> None:
        if node is not None:
            self.pop(node.key)
            if node.bucket is not None:
                self._wheel.forget(self, node.key, node.bucket)
            if node.value is MISS:
                self._waiters.wake(node.key)

    def _choose(self) -> Node:
        """Return the node that leaves, having moved those before it that were read."""
        for _ in range(MOST_MOVES):
            node = self._first()
            if not node.visited:
                break
            node.visited = False
            node.queue.take(node)
            self._main.append(node)
        node = self._first()
        if node.queue is self._small:
            self._ghosts.add(node.key, GHOSTS * len(self))
        return node

    def _first(self) -> Node:
        small = self._small.weight >= self._small_weight or not self._main
        return (self._small if small and self._small else self._main).ends.following


def check_bounds(max_entries: int | None, max_weight: float | None, weigher: Weigher | None) -> None:
    """Raise ``TypeError`` or ``ValueError`` for a bound that is none."""
    for name, bound, kind in (("max_entries", max_entries, int), ("max_weight", max_weight, int | float)):
        if bound is not None and (isinstance(bound, bool) or not isinstance(bound, kind)):
            message = f"{name} must be a number or None for no bound, not {bound!r} ({type(bound).__name__})"
            raise TypeError(message)
        if bound is not None and not bound > 0:
            message = f"{name} must be more than 0, or None for no bound, got {bound!r}"
            raise ValueError(message)
    if (max_weight is None) is not (weigher is None):
        message = "max_weight and weigher belong together; give both, or max_entries alone"
        raise TypeError(message)
