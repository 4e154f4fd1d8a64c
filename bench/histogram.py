"""A histogram of latencies with constant relative error, after HdrHistogram (Gil Tene): buckets
grow with the value, so that microseconds and seconds fit into one small table.

The law of this file: histograms are merged, percentiles are never averaged. Values are whole
nanoseconds; a bucket is at most 1/128 of its value wide. No clock, no IO. The same buckets are
computed in peers/etcd_load/main.go.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

SUB_BITS = 7
"""2**7 = 128 buckets per power of two."""


def bucket_of(value_ns: int) -> int:
    """The bucket of a value; values below 256 have one of their own."""
    if value_ns < 2 << SUB_BITS:
        return max(value_ns, 0)
    shift = value_ns.bit_length() - SUB_BITS - 1
    return (shift << SUB_BITS) + (value_ns >> shift)


def value_of(bucket: int) -> int:
    """The middle of a bucket, in nanoseconds."""
    if bucket < 2 << SUB_BITS:
        return bucket
    shift = (bucket >> SUB_BITS) - 1
    low = ((bucket & (1 << SUB_BITS) - 1) + (1 << SUB_BITS)) << shift
    return low + (1 << shift) // 2


class Histogram:
    """Counts of latencies. Empty when made; `percentile` of an empty one is nan."""

    def __init__(self, counts: Mapping[int, int] | None = None, max_ns: int = 0) -> None:
        self._counts: Counter[int] = Counter(counts or {})
        self.max_ns = max_ns
        """The largest value, exactly."""

    @classmethod
    def of(cls, values_ns: Iterable[int]) -> Histogram:
        """The histogram of all these values."""
        values = list(values_ns)
        return cls(Counter(map(bucket_of, values)), max(values, default=0))

    @property
    def count(self) -> int:
        return self._counts.total()

    def merge(self, other: Histogram) -> Histogram:
        """Both together, as a new one."""
        return Histogram(self._counts + other._counts, max(self.max_ns, other.max_ns))

    def percentile(self, percent: float) -> float:
        """The smallest recorded value, in nanoseconds, that `percent` % of all do not exceed
        (nearest rank)."""
        if not self._counts:
            return math.nan
        rank = max(1, math.ceil(self.count * percent / 100))
        if rank == self.count:
            return float(self.max_ns)
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= rank:
                return float(min(value_of(bucket), self.max_ns))
        raise AssertionError("the ranks of a histogram end at its count")

    def to_json(self) -> dict[str, Any]:
        """`{"sub_bits", "max_ns", "counts": [[bucket, count], ...]}`, buckets in order."""
        return {
            "sub_bits": SUB_BITS,
            "max_ns": self.max_ns,
            "counts": sorted(self._counts.items()),
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Histogram:
        """The inverse of `to_json`. Raises `ValueError` for buckets of another width."""
        if row["sub_bits"] != SUB_BITS:
            raise ValueError(
                f"a histogram with {row['sub_bits']} sub-bits; {SUB_BITS} are used here"
            )
        return cls({int(bucket): int(n) for bucket, n in row["counts"]}, int(row["max_ns"]))


def merged(parts: Iterable[Histogram]) -> Histogram:
    """All of them together."""
    whole = Histogram()
    for part in parts:
        whole = whole.merge(part)
    return whole
