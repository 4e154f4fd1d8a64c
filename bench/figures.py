"""What is said of repetitions: the median, and how far apart they were.

The law of this file: pure arithmetic on lists of numbers; a list that is empty says nan, never 0.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any


def median(values: Sequence[float]) -> float:
    """The median, or nan of nothing."""
    return float(statistics.median(values)) if values else math.nan


def spread_percent(values: Sequence[float]) -> float:
    """(largest - smallest) / median, in percent: 0 when all repetitions agree."""
    middle = median(values)
    if not values or not middle or math.isnan(middle):
        return math.nan
    return 100.0 * (max(values) - min(values)) / middle


def percentile(values: Sequence[float], percent: float) -> float:
    """Nearest rank: the smallest value that `percent` % of all do not exceed; nan of nothing."""
    if not values:
        return math.nan
    return float(sorted(values)[max(1, math.ceil(len(values) * percent / 100)) - 1])


def summary(values: Sequence[float]) -> dict[str, Any]:
    """`{"median", "p99", "min", "max", "spread_percent", "values"}` of single measurements."""
    return {
        "median": median(values),
        "p99": percentile(values, 99),
        "min": min(values, default=math.nan),
        "max": max(values, default=math.nan),
        "spread_percent": spread_percent(values),
        "values": list(values),
    }
