"""The figures as data: pace, latency, and who could work when.

The law of this file: calls and faults in, numbers out; no drawing, no words for people, no files.
A call counts for pace and for service when it was answered, and for latency when it was made, so
that a call which waited through a fault shows where the fault began.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from quorate.chaos.report.grid import Grid, percentile
from quorate.chaos.report.recorded import Call

OPERATIONS_MAX = 6
"""Operations drawn by their own name; the rarer ones are drawn together."""
LEVELS_MAX = 8
OTHERS = "others"


def operation_names(calls: Iterable[Call]) -> list[str]:
    """The names to draw, the most frequent first, `others` last when there are too many."""
    counted = Counter(call.f for call in calls)
    names = [name for name, _ in sorted(counted.items(), key=lambda item: (-item[1], item[0]))]
    return names if len(names) <= OPERATIONS_MAX else [*names[: OPERATIONS_MAX - 1], OTHERS]


# --- pace and latency -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pace:
    """Answers per bucket."""

    grid: Grid
    ok: dict[str, list[int]]
    """By operation."""
    fail: list[int]
    unknown: list[int]

    def per_s(self, name: str) -> list[float]:
        return [n / self.grid.lasts(bucket) for bucket, n in enumerate(self.ok[name])]

    def total_per_s(self) -> list[float]:
        """Of all operations together."""
        sums = [sum(row[bucket] for row in self.ok.values()) for bucket in range(self.grid.count)]
        return [n / self.grid.lasts(bucket) for bucket, n in enumerate(sums)]


def pace(calls: Sequence[Call], cells: Grid) -> Pace:
    """What was answered when. A call that never was counts as unknown where it was made."""
    names = operation_names(calls)
    known = set(names)
    found = Pace(
        cells, {name: [0] * cells.count for name in names}, [0] * cells.count, [0] * cells.count
    )
    for call in calls:
        bucket = cells.of(call.start if call.end is None else call.end)
        if call.outcome == "ok":
            found.ok[call.f if call.f in known else OTHERS][bucket] += 1
        elif call.outcome == "fail":
            found.fail[bucket] += 1
        else:
            found.unknown[bucket] += 1
    return found


@dataclass(frozen=True, slots=True)
class Spread:
    """Latencies of one bucket, in seconds."""

    p50: float
    p95: float
    p99: float
    most: float
    count: int


def latency(calls: Sequence[Call], cells: Grid) -> dict[str, list[Spread | None]]:
    """Of acknowledged calls, by operation and by the bucket in which they were made."""
    names = operation_names(calls)
    known = set(names)
    taken: dict[str, list[list[float]]] = {name: [[] for _ in range(cells.count)] for name in names}
    for call in calls:
        took = call.took_s
        if call.outcome == "ok" and took is not None:
            taken[call.f if call.f in known else OTHERS][cells.of(call.start)].append(took)
    return {name: [spread(values) for values in rows] for name, rows in taken.items()}


def spread(values: Iterable[float]) -> Spread | None:
    """Percentiles by nearest rank; None of nothing."""
    ordered = sorted(values)
    if not ordered:
        return None
    p50, p95, p99 = (percentile(ordered, percent) for percent in (50, 95, 99))
    return Spread(p50, p95, p99, ordered[-1], len(ordered))


# --- who could work when --------------------------------------------------------------------------


@dataclass(slots=True)
class Cell:
    """What one host was told in one bucket."""

    ok: int = 0
    fail: int = 0
    unknown: int = 0
    waiting: bool = False
    """A call was in flight through the whole bucket."""

    @property
    def answered(self) -> int:
        return self.ok + self.fail + self.unknown

    @property
    def share(self) -> float | None:
        """Of the answers, the acknowledged ones. 0 while calls only wait; None of nothing."""
        if self.answered:
            return self.ok / self.answered
        return 0.0 if self.waiting else None


Row = tuple[str, str]
"""(host, level). Where no level was recorded, the operation."""


def level_of(call: Call) -> str:
    return call.level or call.f


def level_names(calls: Iterable[Call]) -> dict[str, str]:
    """What to call each level: the rarest are told together."""
    counted = Counter(level_of(call) for call in calls)
    names = sorted(counted, key=lambda name: (-counted[name], name))
    few = len(names) <= LEVELS_MAX
    return {
        name: name if few or place < LEVELS_MAX - 1 else OTHERS for place, name in enumerate(names)
    }


def availability(calls: Sequence[Call], cells: Grid) -> dict[Row, list[Cell]]:
    """By host and level, in order."""
    rows: dict[Row, list[Cell]] = {}
    names = level_names(calls)
    for call in calls:
        level = names[level_of(call)]
        row = rows.get((call.host, level))
        if row is None:
            row = rows[call.host, level] = [Cell() for _ in range(cells.count)]
        first = cells.of(call.start)
        last = first if call.end is None else cells.of(call.end)
        for bucket in range(first + 1, last):
            row[bucket].waiting = True
        cell = row[last]
        if call.outcome == "ok":
            cell.ok += 1
        elif call.outcome == "fail":
            cell.fail += 1
        else:
            cell.unknown += 1
    return dict(sorted(rows.items()))
