"""The small deciding parts: addresses, round trips, twins."""

from __future__ import annotations

import pytest

from quorate.core.errors import ConfigError
from quorate.core.wire import address
from quorate.core.wire.handshake import Code, Established
from quorate.core.wire.reach import PENDING_PINGS_MAX, Reach
from quorate.core.wire.twins import decide


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("127.0.0.1:7401", ("127.0.0.1", 7401)),
        ("db.example:1", ("db.example", 1)),
        ("[::1]:0", ("::1", 0)),
    ],
)
def test_an_address_is_host_and_port(text: str, parts: tuple[str, int]) -> None:
    assert address.parse(text) == parts
    assert address.join(*parts) == text


@pytest.mark.parametrize("text", ["", "7401", ":7401", "h:", "h:x", "h:70000", "::1:7401", "h:-1"])
def test_what_is_no_address_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ConfigError, match="as "):
        address.parse(text)


def test_loopback_is_what_never_leaves_the_machine() -> None:
    assert all(address.is_loopback(host) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost"))
    assert not any(address.is_loopback(h) for h in ("0.0.0.0", "::", "10.0.0.1", "example.org"))


def test_round_trips_are_smoothed_and_strange_pongs_ignored() -> None:
    reach = Reach()
    reach.on_pong(reach.ping(1.0), 1.008)
    assert reach.rtt_s == pytest.approx(0.008)
    reach.on_pong(reach.ping(2.0), 2.016)
    assert reach.rtt_s == pytest.approx(0.009)
    for number in (0, 2, 99, 2**63):
        reach.on_pong(number, 9.0)
        reach.on_ack(number + 100, 9.0)
    assert reach.rtt_s == pytest.approx(0.009)
    assert reach.acknowledged_at_s == 2.016


def test_pings_nobody_answers_are_forgotten() -> None:
    reach = Reach()
    numbers = [reach.ping(float(at)) for at in range(PENDING_PINGS_MAX + 1)]
    reach.on_pong(numbers[0], 99.0)
    assert reach.rtt_s is None


def test_an_ack_proves_the_link_and_not_the_round_trip() -> None:
    reach = Reach()
    number = reach.ping(10.0)
    assert reach.silent_s(10.0, 14.0) == 4.0
    reach.on_ack(number, 14.0)
    assert reach.silent_s(10.0, 15.0) == 1.0
    assert reach.rtt_s is None
    assert reach.silent_s(20.0, 21.0) == 1.0  # a new connection starts its own silence


def _decide(boot: bytes, sequence: int, heard_s_ago: float, twin: bytes = b"") -> str | None:
    refusal = decide(
        boot=b"old",
        sequence=5,
        heard_s_ago=heard_s_ago,
        twin_boot=twin,
        newcomer=Established("a", boot, sequence),
        twin_silence_s=2.5,
    )
    return None if refusal is None else refusal.code


def test_who_may_replace_a_connection() -> None:
    assert _decide(b"old", 6, 0.0) is None  # the same process dialled again
    assert _decide(b"old", 4, 0.0) == Code.STALE  # an older connection of it came late
    assert _decide(b"old", 5, 9.0) == Code.STALE
    assert _decide(b"new", 1, 0.1) == Code.BUSY  # a restart or a twin: not known yet
    assert _decide(b"new", 1, 0.1, twin=b"new") == Code.DUPLICATE  # the old one spoke since
    assert _decide(b"new", 1, 2.6) is None  # the old one is dead
    assert _decide(b"new", 1, 2.6, twin=b"new") is None
