"""A disk for the simulator: how long a commit takes, what a crash leaves, and which promises it
breaks.

The law of this file: values and the handed-in generator; nothing here runs by itself.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from quorate.core.errors import UsageError
from quorate.core.storage.sorted_table import SortedTable

Op = tuple[str, bytes, bytes | None, bool]
"""(table, key or start, value or stop, is a put)"""

Tables = dict[str, dict[bytes, bytes]]


class CrashPolicy(Enum):
    """What a crash does to the commit that was in flight."""

    LOST = "lost"
    """Nothing of it is there."""
    KEPT = "kept"
    """All of it is there although nobody was told."""
    EITHER = "either"
    """Lost or kept, by chance: what LMDB on an honest disk may do."""
    TORN = "torn"
    """Some of its operations, by chance: less than LMDB promises. A planted fault."""


@dataclass(frozen=True, slots=True)
class DiskImage:
    """What a crash left on the disk: table name -> key -> value."""

    tables: Tables


@dataclass(slots=True)
class DiskModel:
    """How the simulated disk behaves; change the fields while it runs.

    Latencies in seconds, drawn evenly for each commit. `full`: commits end with StorageFull while
    set. `failing`: the next commit ends with StorageFailed, for good. `fsync_lies`: planted fault,
    commits are acknowledged at once but reach the disk only after their latency.
    """

    rng: random.Random
    latency_min_s: float = 0.0002
    latency_max_s: float = 0.001
    full: bool = False
    failing: bool = False
    fsync_lies: bool = False
    stalled_s: float = 0.0
    copies: dict[Path, DiskImage] = field(default_factory=dict[Path, DiskImage])
    """What `copy_to` wrote."""

    def latency_s(self) -> float:
        """How long the next commit takes, in seconds; a stall set before counts once."""
        stalled, self.stalled_s = self.stalled_s, 0.0
        return stalled + self.rng.uniform(self.latency_min_s, self.latency_max_s)


def no_table(table: str, tables: Iterable[str]) -> UsageError:
    return UsageError(f"this store has no table {table!r}; its tables are {', '.join(tables)}")


def apply_op(tables: dict[str, SortedTable[bytes]], op: Op) -> None:
    table, key, value, is_put = op
    if is_put:
        tables[table].put(key, value or b"")
    elif value == key + b"\0":
        tables[table].remove(key)
    else:
        tables[table].remove_range(key, value)


def apply_op_to_dicts(tables: Tables, op: Op) -> None:
    """The same on a disk image."""
    table, key, value, is_put = op
    records = tables[table]
    if is_put:
        records[key] = value or b""
    else:
        for known in [k for k in records if k >= key and (value is None or k < value)]:
            del records[known]
