"""Stamps grow, follow cause and effect, and never follow a clock that runs away."""

from __future__ import annotations

import pytest

from quorate.consistency.versions.hlc import ClockAhead, HybridClock, make, wall_ms


class HandClock:
    """Time that moves when told to."""

    def __init__(self) -> None:
        self.at = 100.0
        self.offset = 1_700_000_000.0

    def monotonic(self) -> float:
        return self.at

    def wall(self) -> float:
        return self.at + self.offset


def test_stamps_grow_even_when_time_stands_still() -> None:
    clock = HybridClock(HandClock())
    stamps = [clock.now() for _ in range(70_000)]
    assert stamps == sorted(set(stamps))
    assert wall_ms(stamps[0]) == 1_700_000_100_000
    assert wall_ms(stamps[-1]) == 1_700_000_100_001  # the counter ran over, and order held


def test_a_stamp_is_above_its_floor_and_above_what_was_observed() -> None:
    hand = HandClock()
    clock = HybridClock(hand)
    floor = make(1_700_000_100_400, 7)
    assert clock.now(floor) == floor + 1
    clock.observe(make(1_700_000_100_900, 3))
    assert clock.now() == make(1_700_000_100_900, 4)
    hand.at += 5
    assert clock.now() == make(1_700_000_105_000, 0)


def test_a_clock_far_ahead_is_refused_and_changes_nothing() -> None:
    clock = HybridClock(HandClock(), drift_max_ms=1000)
    before = clock.now()
    with pytest.raises(ClockAhead, match="3600000 ms ahead"):
        clock.observe(make(1_700_000_100_000 + 3_600_000, 0))
    assert clock.now() == before + 1
    clock.observe(make(1_700_000_101_000, 0))  # the edge itself is followed


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
def test_a_jump_of_the_wall_clock_is_said_and_followed_slowly(jump_s: float) -> None:
    hand = HandClock()
    clock = HybridClock(hand)
    first = clock.now()
    assert clock.problem() is None
    hand.offset += jump_s
    hand.at += 10
    after = clock.now()
    assert 9_800 <= wall_ms(after) - wall_ms(first) <= 10_200
    assert "the wall clock jumped" in (clock.problem() or "")
    assert clock.statistics()["jumps"] == 1
    stamps: list[int] = []
    for _ in range(2000):
        hand.at += 0.5
        stamps.append(clock.now())
    assert stamps == sorted(set(stamps))
    moved = wall_ms(stamps[-1]) - wall_ms(after) - 1_000_000
    assert moved == pytest.approx(10_000 if jump_s > 0 else -10_000, abs=20)


def test_a_small_difference_is_taken_away_and_not_called_a_jump() -> None:
    hand = HandClock()
    clock = HybridClock(hand)
    hand.offset += 0.05
    for _ in range(10):
        hand.at += 1
        clock.now()
    assert clock.problem() is None
    assert wall_ms(clock.now()) == 1_700_000_110_050


NOW_MS = 1_700_000_100_000
HOUR_MS = 3_600_000


def test_time_that_was_behind_follows_the_wall_when_other_walls_say_the_same() -> None:
    hand = HandClock()
    hand.offset -= 600.0
    clock = HybridClock(hand, drift_max_ms=1000)
    hand.offset += 600.0  # somebody sets the clock right
    stamped_before = make(NOW_MS - 5_000, 0)
    with pytest.raises(ClockAhead):
        clock.now(stamped_before)
    clock.walls_agree = lambda: True
    assert clock.now(stamped_before) == make(NOW_MS, 0)
    with pytest.raises(ClockAhead):  # what even the wall has not reached is refused as ever
        clock.now(make(NOW_MS + HOUR_MS, 0))


@pytest.mark.parametrize(
    ("own_s", "other_ms", "other_wall_ms", "followed"),
    [
        (-600.0, NOW_MS, NOW_MS, True),  # the other's time is what our wall says
        (-600.0, NOW_MS + 600_000, NOW_MS, True),  # its wall says what ours says, both were wrong
        (-600.0, NOW_MS + HOUR_MS, NOW_MS + HOUR_MS, False),
        (-600.0, NOW_MS - 600_000, NOW_MS, False),  # there is nothing to settle
        (-600.0, NOW_MS - HOUR_MS, NOW_MS, False),  # the wall is farther from it than we are
        (0.9, NOW_MS - 300, NOW_MS - 300, True),
        (0.0, NOW_MS - 600_000, NOW_MS, False),  # ours is right, the other's is not
    ],
)
def test_whose_time_was_wrong(
    own_s: float, other_ms: int, other_wall_ms: int, followed: bool
) -> None:
    hand = HandClock()
    hand.offset += own_s
    clock = HybridClock(hand, drift_max_ms=1000)
    hand.offset -= own_s
    assert clock.agree(other_ms, other_wall_ms) is followed
    assert clock.now_ms() == (NOW_MS if followed else NOW_MS + int(own_s * 1000))
