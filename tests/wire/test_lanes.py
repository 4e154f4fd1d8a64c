"""Lanes: urgent first, order inside a lane, bounded in bytes."""

from __future__ import annotations

import pytest

from quorate.core.errors import ConfigError, LimitExceeded
from quorate.core.wire.frames import HEADER_BYTES, Kind, number_frame
from quorate.core.wire.lanes import CONTROL_FRAMES_MAX, OVERHEAD_BYTES, Lanes
from quorate.core.wire.limits import Lane, WireLimits

LIMITS = WireLimits(
    chunk_bytes=100,
    frame_bytes_max=200,
    message_bytes_max=1000,
    reassembly_bytes_max=1000,
    transport_buffer_bytes_max=1024,
    urgent_queue_bytes_max=500,
    normal_queue_bytes_max=1000,
    bulk_queue_bytes_max=3000,
)


def bodies(frames: list[bytes]) -> list[bytes]:
    return [frame[HEADER_BYTES:] for frame in frames]


def test_an_urgent_message_waits_behind_one_piece_of_bulk() -> None:
    lanes = Lanes(LIMITS)
    lanes.put(b"b" * 1000, Lane.BULK)
    assert len(lanes.take(1)) == 1
    lanes.put(b"normal", Lane.NORMAL)
    lanes.put(b"urgent", Lane.URGENT)
    lanes.put_control(number_frame(Kind.PING, 1))
    first = lanes.take(1)
    assert [frame[4] for frame in first] == [Kind.PING, Kind.MESSAGE]
    assert bodies(first)[1] == b"urgent"
    assert bodies(lanes.take(1)) == [b"normal"]
    assert sum(len(lanes.take(1)) for _ in range(9)) == 9
    assert not lanes
    assert lanes.queued_bytes == [0, 0, 0]


def test_a_full_lane_refuses_and_the_others_go_on() -> None:
    lanes = Lanes(LIMITS)
    accepted = 0
    while lanes.put(b"12345678", Lane.URGENT):
        accepted += 1
    assert accepted == 500 // (8 + OVERHEAD_BYTES)
    assert lanes.refused_messages == [1, 0, 0]
    assert lanes.put(b"x", Lane.NORMAL)
    assert not lanes.room(Lane.URGENT)
    lanes.take(10_000)
    assert lanes.room(Lane.URGENT)
    assert lanes.put(b"again", Lane.URGENT)


def test_a_message_over_the_limit_is_the_callers_mistake() -> None:
    with pytest.raises(LimitExceeded, match="message_bytes_max"):
        Lanes(LIMITS).put(bytes(1001), Lane.BULK)


def test_what_is_dropped_with_the_link_is_counted() -> None:
    lanes = Lanes(LIMITS)
    for lane in Lane:
        lanes.put(b"x", lane)
        lanes.put(b"y" * 150, lane)
    lanes.take(1)
    lanes.clear()
    assert lanes.dropped_messages == [1, 2, 2]
    assert not lanes
    assert lanes.take(100) == []


def test_control_frames_are_bounded() -> None:
    lanes = Lanes(LIMITS)
    for number in range(CONTROL_FRAMES_MAX * 2):
        lanes.put_control(number_frame(Kind.PONG, number))
    assert len(lanes.take(1)) == CONTROL_FRAMES_MAX


@pytest.mark.parametrize(
    "wrong",
    [
        {"chunk_bytes": 0},
        {"frame_bytes_max": 1000},
        {"reassembly_bytes_max": 1},
        {"transport_buffer_bytes_max": 1000},
        {"backoff_min_s": -1.0},
    ],
)
def test_limits_that_contradict_each_other_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        WireLimits(**wrong)  # type: ignore[arg-type]
