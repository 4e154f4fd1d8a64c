"""What the scene of the levels must have shown: each promise, and whether it was kept. Pure.

The law of this file: it judges what was recorded and knows nothing else; what is missing in the
record was not kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

LOCAL_LEVELS = ("session", "eventual", "crdt")
Record = dict[str, Any]


class Kept(NamedTuple):
    """A promise and whether the scene kept it."""

    promise: str
    held: bool


def find(rows: list[Record], level: str, side: str) -> Record:
    """The row of a level on a side; {} if there is none."""
    for row in rows:
        if row["level"] == level and row["side"] == side:
            return row
    return {}


def _strong_in_the_majority(scene: Record) -> bool:
    row = find(scene["writes"], "strong", "majority")
    return bool(row.get("ok")) and row.get("achieved") == "strong" and len(row["replicas"]) >= 2


def _strong_in_the_minority(scene: Record) -> bool:
    row = find(scene["writes"], "strong", "minority")
    return row.get("ok") is False and row.get("outcome") == "not_applied"


def _local_on_both_sides(scene: Record) -> bool:
    rows = [
        find(scene["writes"], level, side)
        for level in LOCAL_LEVELS
        for side in ("majority", "minority")
    ]
    return all(
        row.get("ok") and row.get("durable") and row["host"] in row["replicas"] for row in rows
    )


def _own_writes(scene: Record) -> bool:
    rows = [find(scene["writes"], "session", side) for side in ("majority", "minority")]
    return all(row.get("ok") and row.get("read_back") == row["value"] for row in rows)


def _linearizable(scene: Record) -> bool:
    strong = find(scene["writes"], "strong", "majority")
    here = find(scene["reads"], "linearizable", "majority")
    there = find(scene["reads"], "linearizable", "minority")
    return bool(here.get("ok")) and here["value"] == strong.get("value") and not there.get("ok", 1)


def _stale(level: str) -> Callable[[Record], bool]:
    def raised(scene: Record) -> bool:
        rows = [find(scene["reads"], level, side) for side in ("majority", "minority")]
        return all(row.get("error") == "StaleReplica" for row in rows)

    return raised


def _local_reads(scene: Record) -> bool:
    return all(
        find(scene["reads"], "local", side).get("value")
        == find(scene["writes"], "eventual", side).get("value", ())
        for side in ("majority", "minority")
    )


def _same(scene: Record) -> bool:
    local = list(scene["heal"]["local"].values())
    wrote = [row["value"] for row in scene["writes"] if row["level"] == "eventual"]
    return len(local) >= 3 and len(set(local)) == 1 and local[0] in wrote


def _counted(scene: Record) -> bool:
    total = sum(row["value"] for row in scene["writes"] if row["level"] == "crdt")
    counts = scene["heal"]["likes"].values()
    return len(counts) >= 3 and all(count == total for count in counts)


def _reported(scene: Record) -> bool:
    """Some host's report names the key, who won, and the other side's last write as the loser."""
    wrote = {row["value"] for row in scene["writes"] if row["level"] == "eventual"}
    for report in scene["heal"]["reports"].values():
        for found in report["diverged"]:
            winner, losers = found["winner"], found["losers"]
            if winner is not None and losers and report["outcome"] == "complete":
                met = {winner["value"], *(loser["value"] for loser in losers)}
                if wrote <= met and winner["value"] == next(iter(scene["heal"]["local"].values())):
                    return True
    return False


def _strong_is_untouched(scene: Record) -> bool:
    strong = find(scene["writes"], "strong", "majority").get("value")
    values = scene["heal"]["linearizable"].values()
    return len(values) >= 3 and all(value == strong for value in values)


def _promoted(scene: Record) -> bool:
    values = set(scene["promoted"]["linearizable"].values())
    return values == set(scene["heal"]["local"].values())


PROMISES: tuple[tuple[str, Callable[[Record], bool]], ...] = (
    ("strong, majority: written on the disks of a majority", _strong_in_the_majority),
    ("strong, minority: refused, and certainly not written", _strong_in_the_minority),
    ("session, eventual, crdt: accepted on both sides, durable", _local_on_both_sides),
    ("a session reads what it wrote, on either side", _own_writes),
    ("linearizable: the strong value and no other; refused in the minority", _linearizable),
    ("local: each side shows its own newest value", _local_reads),
    ("a session from the other side: StaleReplica, never back in time", _stale("other session")),
    ("bounded staleness cannot be promised during the cut: StaleReplica", _stale("bounded")),
    ("after the heal every host shows the same value", _same),
    ("every increment of both sides is counted", _counted),
    ("the report names the key, its winner and what lost", _reported),
    ("eventual writes never changed what a strong read shows", _strong_is_untouched),
    ("after promote() a strong read shows it", _promoted),
)


def kept(scene: Record) -> list[Kept]:
    """Every promise with its verdict."""
    verdicts: list[Kept] = []
    for promise, check in PROMISES:
        try:
            verdicts.append(Kept(promise, check(scene)))
        except (KeyError, TypeError, AttributeError, IndexError):
            verdicts.append(Kept(promise, False))
    return verdicts
