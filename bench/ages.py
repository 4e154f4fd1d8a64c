"""How old was what was read? Versions that one host wrote, and what others read of them. Pure.

The law of this file: all moments are of the machine's one monotonic clock. Versions are 1, 2, 3, …
and are written one after the other. A read is stale if a newer version had been acknowledged before
it began: by so many versions, and for so long. What was acknowledged while it ran is not held
against it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from quorate.bench.histogram import Histogram


class Written(NamedTuple):
    """One version, in nanoseconds."""

    called_ns: int
    acknowledged_ns: int


class Read(NamedTuple):
    """One read; `version` 0 if there was nothing yet."""

    called_ns: int
    returned_ns: int
    version: int


@dataclass(slots=True)
class Ages:
    """Histograms over all reads."""

    age: Histogram = field(default_factory=Histogram)
    """From the writer's call of the version that was read until the read returned it."""
    stale: Histogram = field(default_factory=Histogram)
    """For how long a newer one had been acknowledged when the read began; 0: there was none."""
    versions: Counter[int] = field(default_factory=Counter[int])
    """How many newer ones had been acknowledged -> reads."""

    @property
    def stale_share(self) -> float:
        """Of all reads, those that missed something; nan of none."""
        count = self.versions.total()
        return 1 - self.versions[0] / count if count else float("nan")

    def versions_percentile(self, percent: float) -> float:
        return Histogram(self.versions, max(self.versions, default=0)).percentile(percent)

    def merge(self, other: Ages) -> Ages:
        """Both together, as a new one."""
        return Ages(
            self.age.merge(other.age),
            self.stale.merge(other.stale),
            self.versions + other.versions,
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "age": self.age.to_json(),
            "stale": self.stale.to_json(),
            "versions": [[missing, n] for missing, n in sorted(self.versions.items())],
        }


def ages(written: Sequence[Written], reads: Iterable[Read]) -> Ages:
    """What the reads say; `written[n]` is version n + 1, in the order of the writes."""
    acknowledged = [one.acknowledged_ns for one in written]
    age_ns: list[int] = []
    stale_ns: list[int] = []
    versions: Counter[int] = Counter()
    for read in reads:
        known = bisect_right(acknowledged, read.called_ns)
        missing = max(0, known - read.version)
        versions[missing] += 1
        stale_ns.append(read.called_ns - acknowledged[read.version] if missing else 0)
        if 0 < read.version <= len(written):
            age_ns.append(read.returned_ns - written[read.version - 1].called_ns)
    return Ages(Histogram.of(age_ns), Histogram.of(stale_ns), versions)
