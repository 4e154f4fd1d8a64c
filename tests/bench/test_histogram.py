"""Percentiles out of buckets agree with a sorted list, merged or not."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.bench.figures import median, percentile, spread_percent, summary
from quorate.bench.histogram import Histogram, bucket_of, merged, value_of

LATENCIES = st.lists(st.integers(0, 10**11), min_size=1, max_size=300)
PERCENTS = st.sampled_from([1, 25, 50, 90, 99, 99.9, 100])


def exact(values: list[int], percent: float) -> int:
    return sorted(values)[max(1, math.ceil(len(values) * percent / 100)) - 1]


def close(found: float, wanted: int) -> bool:
    return abs(found - wanted) <= wanted / 128 + 1


@given(LATENCIES, PERCENTS)
def test_a_percentile_is_that_of_the_sorted_list_within_a_bucket(
    values: list[int], percent: float
) -> None:
    assert close(Histogram.of(values).percentile(percent), exact(values, percent))


@given(st.lists(LATENCIES, min_size=1, max_size=4), PERCENTS)
def test_merging_gives_the_percentiles_of_all_values_together(
    parts: list[list[int]], percent: float
) -> None:
    whole = merged(Histogram.of(part) for part in parts)
    assert close(
        whole.percentile(percent), exact([value for part in parts for value in part], percent)
    )


def test_the_average_of_percentiles_would_be_another_figure() -> None:
    calm, busy = [1_000] * 990, [1_000_000] * 10
    average = (Histogram.of(calm).percentile(99) + Histogram.of(busy).percentile(99)) / 2
    whole = merged([Histogram.of(calm), Histogram.of(busy)]).percentile(99)
    assert close(whole, 1_000)
    assert not close(average, 1_000)


@given(st.integers(0, 1 << 60))
def test_a_value_is_in_its_bucket(value: int) -> None:
    bucket = bucket_of(value)
    assert close(value_of(bucket), value)
    assert bucket_of(value_of(bucket)) == bucket


@given(st.integers(0, 1 << 40))
def test_buckets_grow_with_values(value: int) -> None:
    assert bucket_of(value) <= bucket_of(value + 1) <= bucket_of(value) + 1


@given(LATENCIES)
def test_a_histogram_comes_back_from_json(values: list[int]) -> None:
    before = Histogram.of(values)
    after = Histogram.from_json(before.to_json())
    assert after.to_json() == before.to_json()
    assert after.count == len(values)
    assert after.percentile(100) == max(values)


def test_buckets_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="sub-bits"):
        Histogram.from_json({"sub_bits": 5, "max_ns": 0, "counts": []})


def test_nothing_measured_is_not_a_number_rather_than_fast() -> None:
    assert math.isnan(Histogram().percentile(50))
    assert math.isnan(median([]))
    assert math.isnan(percentile([], 99))


def test_spread_is_the_distance_of_the_repetitions_over_their_median() -> None:
    assert spread_percent([100.0, 110.0, 90.0]) == pytest.approx(20)
    assert spread_percent([5.0]) == 0
    assert summary([3.0, 1.0, 2.0])["p99"] == 3.0
