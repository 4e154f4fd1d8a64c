"""Frames: any cut of the stream gives the same events; whatever does not fit is refused."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.core.wire.frames import (
    BEFORE_AUTHENTICATION,
    FROM_DIALLER,
    Decoder,
    Event,
    Kind,
    ProtocolError,
    chunk_frame,
    frame,
    number_frame,
    number_of,
)
from quorate.core.wire.lanes import Lanes
from quorate.core.wire.limits import Lane, WireLimits

LIMITS = WireLimits(
    chunk_bytes=64,
    frame_bytes_max=256,
    message_bytes_max=1000,
    reassembly_bytes_max=2000,
    reassembly_messages_max=3,
    transport_buffer_bytes_max=1024,
)


def decoder(limits: WireLimits = LIMITS) -> Decoder:
    made = Decoder(limits)
    made.restrict(FROM_DIALLER, limits.frame_bytes_max)
    return made


def plain(events: list[Event]) -> list[tuple[int, bytes]]:
    return [(kind, bytes(payload)) for kind, payload in events]


MESSAGES = st.lists(
    st.tuples(st.sampled_from(list(Lane)), st.binary(max_size=400)), min_size=1, max_size=12
)


@given(MESSAGES, st.lists(st.integers(1, 90), min_size=1, max_size=80), st.integers(1, 300))
@settings(max_examples=300, deadline=None)
def test_any_cut_of_the_stream_gives_the_same_messages(
    messages: list[tuple[Lane, bytes]], cuts: list[int], budget: int
) -> None:
    lanes = Lanes(LIMITS)
    for lane, payload in messages:
        assert lanes.put(payload, lane)
    lanes.put_control(number_frame(Kind.PING, 7))
    stream = b""
    while lanes:
        stream += b"".join(lanes.take(budget))
    assert lanes.queued_bytes == [0, 0, 0]
    whole = plain(decoder().feed(stream))
    assert whole[0] == (Kind.PING, struct.pack(">Q", 7))
    in_order = [p for lane in Lane for at, p in messages if at is lane]
    assert [payload for _kind, payload in whole[1:]] == in_order

    cut_decoder, cut_events, at, turn = decoder(), [], 0, 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        cut_events += plain(cut_decoder.feed(stream[at : at + size]))
        at, turn = at + size, turn + 1
    assert cut_events == whole
    assert cut_decoder.statistics() == {
        "rest_bytes": 0,
        "reassembly_bytes": 0,
        "reassembly_messages": 0,
    }


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (b"\x00\x00\x00\x00", "length 0"),
        (b"\xff\xff\xff\xff", "over the limit"),
        (b"\x80\x00\x00\x00", "over the limit"),
        (b"\x7f\xff\xff\xff", "over the limit"),
        (struct.pack(">I", 257), "over the limit of 256"),
        (b"\x16\x03\x01\x02\x00\x01", "TLS"),
        (b"GET / HTTP/1.1", "HTTP"),
        (b"\x00\x00\x00\x02\x63a", "kind 0x63"),
        (frame(Kind.HANDSHAKE, b"x"), "HANDSHAKE frame, which may not come now"),
        (frame(Kind.CHUNK, b"123"), "empty piece"),
        (chunk_frame(1, b"", last=True), "empty piece"),
        (frame(Kind.CHUNK, b"\0\0\0\1\7abc"), "flags 0x7"),
        (b"".join(chunk_frame(n, b"a", last=False) for n in range(4)), "more than 3 messages"),
        (chunk_frame(1, b"a" * 240, last=False) * 5, "message_bytes_max"),
        (
            b"".join(chunk_frame(n, b"a" * 240, last=False) for n in (1, 2, 3)) * 3,
            "reassembly_bytes_max",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_any_cut(stream: bytes, why: str) -> None:
    good = frame(Kind.MESSAGE, b"good")
    with pytest.raises(ProtocolError, match=why):
        decoder().feed(good + stream)
    slow = decoder()
    with pytest.raises(ProtocolError, match=why):
        for at in range(len(stream)):
            slow.feed(stream[at : at + 1])


def test_before_authentication_only_small_handshake_frames_come() -> None:
    for stream in (frame(Kind.MESSAGE, b"m"), frame(Kind.PING, b"12345678"), b"\x00\x00\x10\x01"):
        with pytest.raises(ProtocolError):
            Decoder(WireLimits()).feed(stream)
    limit = WireLimits().handshake_frame_bytes_max
    events = Decoder(WireLimits()).feed(frame(Kind.HANDSHAKE, b"h" * (limit - 1)))
    assert len(events) == 1
    assert Kind.MESSAGE not in BEFORE_AUTHENTICATION


def test_a_length_is_refused_before_anything_is_kept_for_it() -> None:
    held = decoder()
    with pytest.raises(ProtocolError):
        held.feed(struct.pack(">IB", 2**31, Kind.MESSAGE))
    assert held.statistics()["rest_bytes"] == 0


def test_what_is_held_for_pieces_is_counted_and_given_back() -> None:
    held = decoder()
    held.feed(chunk_frame(9, b"ab", last=False) + chunk_frame(8, b"c", last=False))
    assert held.statistics()["reassembly_bytes"] == 3
    assert plain(held.feed(chunk_frame(9, b"!", last=True))) == [(Kind.MESSAGE, b"ab!")]
    assert held.statistics() == {
        "rest_bytes": 0,
        "reassembly_bytes": 1,
        "reassembly_messages": 1,
    }


def test_a_ping_is_eight_bytes() -> None:
    assert number_of(struct.pack(">Q", 5)) == 5
    with pytest.raises(ProtocolError, match="instead of 8"):
        number_of(b"1234567")


def test_a_trickle_of_bytes_costs_no_more_than_its_length() -> None:
    """A frame that comes byte by byte is kept once, not copied for every byte."""
    limits = WireLimits(frame_bytes_max=1_000_000)
    slow = Decoder(limits)
    slow.restrict(FROM_DIALLER, limits.frame_bytes_max)
    stream = frame(Kind.MESSAGE, bytes(900_000))
    view = memoryview(stream)
    events: list[Event] = []
    for at in range(0, len(stream), 16):  # 56 250 feeds: quadratic copying would take minutes
        events += slow.feed(bytes(view[at : at + 16]))
    assert len(events) == 1
