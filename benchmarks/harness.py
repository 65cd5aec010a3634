"""Time coroutines against a floor.

Method: every contender runs the same number of operations in turn, in rounds that alternate (A B C, A B C, …), in one process and
one event loop, with the garbage collector off during a measurement. In-process rows count process CPU time, rows with a server
wall time. A contender's figure is the median over the rounds of its time divided by the floor's in the same round. The number of
operations is fixed before the first round so that the floor takes about the time asked for.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

Work = Callable[[int], Awaitable[None]]
"""Does an operation so many times."""


@dataclass(slots=True)
class Row:
    """Hold one row of a table: a floor and its contenders."""

    name: str
    unit: str
    """What one operation is."""
    floor: str
    contenders: dict[str, Work]
    """By name, the floor among them."""
    wall: bool = False
    """Count wall time instead of process CPU time."""
    most: float | None = None
    """The ratio that is owed, for the table; it decides nothing."""
    results: dict[str, float] = field(default_factory=dict)
    nanoseconds: float = 0.0
    """What one operation of the floor takes."""


async def measure(row: Row, *, rounds: int, seconds: float) -> Row:
    """Fill a row's results: each contender's median ratio to the floor."""
    clock = time.perf_counter if row.wall else time.process_time
    number = await _number(row.contenders[row.floor], seconds)
    ratios: dict[str, list[float]] = {name: [] for name in row.contenders}
    floors: list[float] = []
    for _ in range(rounds):
        taken: dict[str, float] = {}
        for name, work in row.contenders.items():
            gc.collect()
            gc.disable()
            started = clock()
            await work(number)
            taken[name] = clock() - started
            gc.enable()
        floors.append(taken[row.floor] / number)
        for name in row.contenders:
            ratios[name].append(taken[name] / taken[row.floor])
    row.results = {name: statistics.median(values) for name, values in ratios.items()}
    row.nanoseconds = statistics.median(floors) * 1e9
    return row


async def _number(work: Work, seconds: float) -> int:
    """Return how many operations of the floor take about so many seconds."""
    number = 1
    while True:
        started = time.perf_counter()
        await work(number)
        taken = time.perf_counter() - started
        if taken > seconds / 5:
            return max(1, int(number * seconds / taken))
        number *= 2


def table(title: str, rows: list[Row]) -> str:
    """Return rows as a Markdown table."""
    lines = [f"## {title}", "", "| row | floor | contender | ratio | owed |", "| --- | --- | --- | --- | --- |"]
    for row in rows:
        for name, ratio in row.results.items():
            if name != row.floor:
                owed = f"{row.most:g}" if row.most is not None and name == "aiocache" else ""
                lines.append(f"| {row.name} | {row.floor}, {row.nanoseconds:,.0f} ns | {name} | {ratio:.2f} | {owed} |")
    return "\n".join(lines)
