"""Positive controls: each guarantee taken away once, and the story that must then fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from quorate.core import codec
from quorate.core.wire import (
    Lane,
    ProtocolError,
    accept,
    address,
    frames,
    lanes,
    link,
    reach,
    reception,
    twins,
)
from tests.wire import (
    hosts,
    test_codec,
    test_frames,
    test_hostile,
    test_insiders,
    test_lanes,
    test_links,
    test_mesh,
)

Plant = Callable[[pytest.MonkeyPatch], None]


def no_twins(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(twins, "decide", lambda **_: None)


def forget_acks(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(reach.Reach, "on_ack", lambda self, number, now_s: None)


def forget_own_sleep(patch: pytest.MonkeyPatch) -> None:
    before = link.Link.on_tick

    def on_tick(self: Any, now_s: float) -> None:
        self._ticked_at_s = now_s
        before(self, now_s)

    patch.setattr(link.Link, "on_tick", on_tick)


def late_bytes(patch: pytest.MonkeyPatch) -> None:
    before = accept.Inbound.data_received

    def data_received(self: Any, data: bytes) -> None:
        self._over = False
        before(self, data)

    patch.setattr(accept.Inbound, "data_received", data_received)


def accept_ends(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(accept.Listener, "_listen", lambda self: None)


def one_lane(patch: pytest.MonkeyPatch) -> None:
    before = lanes.Lanes.put
    patch.setattr(lanes.Lanes, "put", lambda self, payload, lane: before(self, payload, Lane.BULK))


def endless_queue(patch: pytest.MonkeyPatch) -> None:
    before = lanes.Lanes.__init__

    def endless(self: Any, limits: Any) -> None:
        before(self, limits)
        self._max = (10_000, 10_000, 10_000)

    patch.setattr(lanes.Lanes, "__init__", endless)


def handler_silent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(reception.Reception, "_fatal", lambda self, peer, error: None)


def all_is_loopback(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(address, "is_loopback", lambda host: True)


def rest_is_lost(patch: pytest.MonkeyPatch) -> None:
    before = frames.Decoder._cut

    def cut(self: Any, buffer: Any, events: Any) -> int:
        before(self, buffer, events)
        return len(buffer)

    patch.setattr(frames.Decoder, "_cut", cut)


def unlimited_pieces(patch: pytest.MonkeyPatch) -> None:
    before = frames.Decoder.feed

    def feed(self: Any, data: bytes) -> Any:
        self._parts_bytes = 0
        return before(self, data)

    patch.setattr(frames.Decoder, "feed", feed)


def values_unseen(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(codec, "_fits", lambda value, depth_max: True)


def acks_unbounded(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(accept, "ANSWERS_BYTES_MAX", 10**9)


def strangers_unbounded(patch: pytest.MonkeyPatch) -> None:
    before = reception.Reception.make_inbound

    def make_inbound(self: Any) -> Any:
        kept, self.strangers = self.strangers, {}
        inbound = before(self)
        self.strangers = {**kept, inbound: None}
        return inbound

    patch.setattr(reception.Reception, "make_inbound", make_inbound)


def never_down(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(link.Link, "_release", lambda self: None)


STORIES: list[tuple[Plant, Callable[[], object]]] = [
    (no_twins, test_links.test_two_processes_with_one_id_are_found_and_both_are_told),
    (
        forget_acks,
        test_links.test_a_one_way_cut_shows_on_both_sides_and_the_good_way_does_not_flap,
    ),
    (forget_own_sleep, test_links.test_a_host_that_itself_slept_does_not_blame_its_links),
    (
        late_bytes,
        test_insiders.test_a_connection_of_the_same_process_replaces_the_older_one_and_its_bytes_are_dead,
    ),
    (accept_ends, test_mesh.test_running_out_of_descriptors_is_a_pause_and_not_the_end),
    (one_lane, test_mesh.test_an_urgent_message_overtakes_fifty_megabytes),
    (endless_queue, test_lanes.test_a_full_lane_refuses_and_the_others_go_on),
    (handler_silent, test_mesh.test_a_handler_that_raises_is_fatal_and_the_reader_lives),
    (
        all_is_loopback,
        lambda: test_mesh.test_without_tls_a_host_stays_on_loopback("0.0.0.0:0", hosts.SECRET),
    ),
    (rest_is_lost, test_frames.test_a_trickle_of_bytes_costs_no_more_than_its_length),
    (unlimited_pieces, test_insiders.test_pieces_that_never_end_are_bounded),
    (
        values_unseen,
        lambda: test_codec.test_a_value_that_cannot_be_kept_is_refused_with_its_place(
            {1, 2}, "set"
        ),
    ),
    (acks_unbounded, test_insiders.test_a_peer_that_pings_and_never_reads_is_bounded),
    (strangers_unbounded, test_hostile.test_slow_strangers_are_few_and_soon_gone),
    (never_down, test_mesh.test_waiting_for_room_ends_when_the_link_goes_down),
]


@pytest.mark.parametrize(("plant", "story"), STORIES, ids=lambda v: getattr(v, "__name__", ""))
def test_a_planted_fault_is_found(
    plant: Plant, story: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "PATIENCE_S", 1.0)
    before = hosts.run
    for module in (test_mesh, test_links, test_hostile, test_insiders):
        monkeypatch.setattr(module, "run", lambda coroutine: before(coroutine, 2.0))
    plant(monkeypatch)
    with pytest.raises((AssertionError, TimeoutError, ProtocolError, pytest.fail.Exception)):
        story()
