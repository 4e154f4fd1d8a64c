"""Time cut into buckets of a round width: what makes a figure small however long the history is.

The law of this file: arithmetic on times. A moment belongs to one bucket; the last one takes the
end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

BUCKETS_MAX = 150
WIDTHS_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0)


@dataclass(frozen=True, slots=True)
class Grid:
    """`count` buckets of `width_s` seconds, from 0 on."""

    width_s: float
    count: int
    end_s: float

    def of(self, time_s: float) -> int:
        """The bucket of a moment."""
        return max(0, min(self.count - 1, int(time_s / self.width_s + 1e-9)))

    def begin(self, bucket: int) -> float:
        return bucket * self.width_s

    def stop(self, bucket: int) -> float:
        """The last bucket ends with the run."""
        return min((bucket + 1) * self.width_s, max(self.end_s, self.width_s * 0.01))

    def lasts(self, bucket: int) -> float:
        """Seconds; a rate over a sliver of a bucket would jump, so at least half of one."""
        return max(self.stop(bucket) - self.begin(bucket), self.width_s / 2)


def grid(end_s: float, buckets_max: int = BUCKETS_MAX) -> Grid:
    """The finest round grid with at most `buckets_max` buckets."""
    end = max(0.0, end_s)
    for width in WIDTHS_S:
        if end / width <= buckets_max:
            break
    else:
        width = 60.0 * math.ceil(end / buckets_max / 60.0)
    return Grid(width, max(1, math.ceil(end / width - 1e-9)), end)


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The nearest rank: a value that was measured, never one between two. `ordered` is not
    empty."""
    rank = math.ceil(percent / 100 * len(ordered))
    return ordered[max(0, min(len(ordered), rank) - 1)]
