"""What counts as stale: versions and times of reads against those of the writes."""

from __future__ import annotations

import math

from quorate.bench.ages import Ages, Read, Written, ages

MS = 1_000_000
WRITTEN = [Written(n * 10 * MS, n * 10 * MS + 2 * MS) for n in range(10)]
"""Version 1 is acknowledged at 2 ms, version 2 at 12 ms, …"""


def test_a_read_of_the_newest_is_not_stale() -> None:
    found = ages(WRITTEN, [Read(13 * MS, 14 * MS, 2)])
    assert found.stale_share == 0
    assert found.versions == {0: 1}
    assert found.age.max_ns == 4 * MS


def test_a_read_is_stale_for_as_long_as_a_newer_one_had_been_acknowledged() -> None:
    found = ages(WRITTEN, [Read(35 * MS, 36 * MS, 2), Read(35 * MS, 36 * MS, 4)])
    assert found.versions == {2: 1, 0: 1}
    assert found.stale.max_ns == 13 * MS  # version 3 was acknowledged at 22 ms
    assert found.stale_share == 0.5
    assert found.age.max_ns == 26 * MS


def test_what_was_acknowledged_while_the_read_ran_is_not_held_against_it() -> None:
    found = ages(WRITTEN, [Read(11 * MS, 60 * MS, 1)])
    assert found.versions == {0: 1}


def test_what_was_read_before_it_was_acknowledged_is_not_older_than_the_newest() -> None:
    found = ages(WRITTEN, [Read(11 * MS, 12 * MS, 2)])
    assert (found.versions, found.stale.max_ns) == ({0: 1}, 0)


def test_nothing_read_though_there_was_something_is_stale_and_has_no_age() -> None:
    found = ages(WRITTEN, [Read(5 * MS, 6 * MS, 0)])
    assert (found.versions, found.stale.max_ns, found.age.count) == ({1: 1}, 3 * MS, 0)


def test_histograms_of_several_stretches_are_joined() -> None:
    one = ages(WRITTEN, [Read(35 * MS, 36 * MS, 2)])
    both = one.merge(ages(WRITTEN, [Read(13 * MS, 14 * MS, 2)] * 3))
    assert both.versions == {2: 1, 0: 3}
    assert both.stale_share == 0.25
    assert both.versions_percentile(50) == 0
    assert both.versions_percentile(99) == 2
    assert math.isnan(Ages().stale_share)
