"""What an exchange brings, and what it costs."""

from __future__ import annotations

import os
from typing import Any

import pytest

from quorate.consistency.merkle.exchange import ExchangeConfig
from quorate.consistency.ring.placement import partition_of, point
from tests.merkle.world import Pair

KIB, MIB = 1 << 10, 1 << 20
KEYS = 1_000_000 if os.environ.get("QUORATE_SOAK") else 100_000


def differ(pair: Pair, count: int, keys: int) -> None:
    """Every second one is newer on the other side."""
    for number in range(count):
        side = pair.a if number % 2 else pair.b
        side.put("s", f"key-{number * 997 % keys}", f"changed value {number}")


def test_equal_replicas_say_so_in_two_round_trips() -> None:
    pair = Pair()
    pair.fill(5_000)
    report = pair.sync()
    assert report.complete and report.rounds == 2 and report.keys_received == 0
    assert pair.network.bytes["ae"] < 256
    assert report.applied == pair.b.applied


def test_a_thousandth_differs_and_only_that_travels() -> None:
    """The target: of 1 000 000 keys 1 000 differ, under 1 MB, some 400 KB beside the states."""
    pair = Pair()
    pair.fill(KEYS)
    differ(pair, KEYS // 1_000, KEYS)
    report = pair.sync()
    assert report.complete and pair.same()
    assert report.keys_received + report.keys_sent <= 2 * KEYS // 1_000
    assert report.took_s < 3
    assert pair.network.bytes["ae"] < KEYS
    assert report.bytes_sent + report.bytes_received == pytest.approx(
        pair.network.bytes["ae"], rel=0.15
    )


@pytest.mark.parametrize("differing", [1, 10, 100, 1_000])
def test_traffic_grows_with_the_difference(differing: int) -> None:
    pair = Pair()
    pair.fill(20_000)
    differ(pair, differing, 20_000)
    assert pair.sync().complete and pair.same()
    assert pair.network.bytes["ae"] < 3 * KIB + differing * 650


@pytest.mark.parametrize("empty", ["a", "b"])
def test_an_empty_side_gets_everything_without_a_word_about_digests(empty: str) -> None:
    pair = Pair()
    full, other = (pair.b, pair.a) if empty == "a" else (pair.a, pair.b)
    for number in range(20_000):
        full.put_entry("s", f"key-{number}", [1, 9, number + 1, "x" * 100])
    full.applied[9] = 20_000
    other.define("s")
    report = pair.sync()
    assert report.complete and pair.same()
    sent: dict[str, int] = {}
    for _, what, size in pair.network.messages:
        sent[what] = sent.get(what, 0) + size
    states = 20_000 * 120
    assert sum(sent.values()) < 1.25 * states
    assert sent.get("nodes", 0) == 0
    assert (sent["answer"] if empty == "a" else sent["push"]) > states


def test_a_mostly_empty_side_lists_no_more_than_it_has() -> None:
    pair = Pair()
    for number in range(20_000):
        pair.b.put_entry("s", f"key-{number}", [1, 9, number + 1, "x" * 100])
    for number in range(50):
        pair.a.put("s", f"mine-{number}", number)
    assert pair.sync().complete and pair.same()
    listed = sum(size for _, what, size in pair.network.messages if what in ("list", "nodes"))
    assert listed < 0.15 * 20_000 * 120


def test_no_message_is_longer_than_a_chunk_and_few_are_on_their_way() -> None:
    pair = Pair()
    for number in range(3_000):
        pair.b.put_entry("s", f"key-{number}", [1, 9, number + 1, "x" * 2_000])
        pair.a.put_entry("s", f"mine-{number}", [1, 9, number + 1, "x" * 2_000])
    assert pair.sync().complete and pair.same()
    assert 128 * KIB < pair.network.longest <= 256 * KIB
    assert pair.b.absorbing_most <= 2 and pair.a.absorbing_most <= 2


def test_one_long_state_travels_alone() -> None:
    pair = Pair()
    pair.a.put("s", "long", "x" * MIB)
    pair.b.put("s", "other", "y" * MIB)
    assert pair.sync().complete and pair.same()


def test_a_crowded_bucket_is_sent_in_portions() -> None:
    pair = Pair()
    at = point("s", b"") >> 16
    found: list[str] = []
    number = 0
    while len(found) < 6:  # six keys of one bucket, each of them half a chunk
        key = f"k{number}"
        number += 1
        if point("s", key.encode()) >> 16 == at:
            found.append(key)
    for key in found:
        pair.b.put("s", key, "x" * 120 * KIB)
    pair.a.put("s", found[2], "newer")
    pair.a.put("s", found[2], "newest")
    report = pair.sync()
    assert report.complete and pair.same()
    assert pair.network.longest <= 256 * KIB


def test_only_the_partitions_that_were_asked_for_are_compared() -> None:
    pair = Pair()
    pair.fill(2_000)
    differ(pair, 200, 2_000)
    wanted = range(64)
    report = pair.sync(partitions=wanted)
    assert report.complete and report.partitions == tuple(wanted) and not pair.same()
    mine, theirs = pair.a.everything("s"), pair.b.everything("s")
    differing = {partition_of(point("s", k.encode())) for k in mine if mine[k] != theirs.get(k)}
    assert differing and not differing & set(wanted)
    assert pair.sync(partitions=range(64, 256)).complete and pair.same()
    assert pair.sync(partitions=[]).complete


def test_stores_that_one_side_does_not_know_are_followed_or_told() -> None:
    pair = Pair()
    pair.a.put("only-a", "k", 1)
    pair.b.put("only-b", "k", 2)
    report = pair.sync(["only-a"])
    assert report.complete and report.others == {"only-b": 3}
    assert pair.b.everything("only-a") == {"k": 1} and "only-b" not in pair.a.known
    assert pair.sync().complete
    assert pair.a.everything("only-b") == {"k": 2}


def test_many_stores_take_several_messages() -> None:
    pair = Pair()
    for number in range(150):
        pair.a.put(f"a-{number}", "k", number)
        pair.b.put(f"b-{number}", "k", number)
    assert pair.sync().complete
    for number in range(150):
        assert pair.same(f"a-{number}") and pair.same(f"b-{number}")


def test_a_deleted_and_collected_key_does_not_come_back() -> None:
    """Each side holds an old entry that the other has seen deleted, and collected (T40)."""
    pair = Pair()
    pair.fill(100)
    cut = dict(pair.a.applied)
    pair.a.remove("s", "key-7")
    pair.b.remove("s", "key-8")
    pair.a.collected = pair.b.collected = cut
    report = pair.sync()
    assert report.complete and report.keys_gone == 2
    assert pair.same()
    assert not {"key-7", "key-8"} & set(pair.a.everything("s"))
    assert len(pair.a.everything("s")) == 98


def test_a_side_that_has_nothing_whole_takes_old_entries_too() -> None:
    pair = Pair()
    pair.fill(100)
    for key in list(pair.b.everything("s")):
        pair.b.remove("s", key)
    pair.b.collected = dict(pair.a.applied)
    pair.b.whole = lambda partition: False
    assert pair.sync().complete and pair.same() and len(pair.b.everything("s")) == 100


def test_throttle_holds_the_rate() -> None:
    pair = Pair(config=ExchangeConfig(rate_bytes_s=1 * MIB, burst_bytes=256 * KIB))
    for number in range(5_000):
        pair.b.put_entry("s", f"key-{number}", [1, 9, number + 1, "x" * 1_000])
    pair.a.define("s")
    report = pair.sync()
    assert report.complete and pair.same()
    sent = pair.network.bytes["ae"]
    assert sent / report.took_s < 1.15 * MIB + 512 * KIB / report.took_s
    assert report.took_s > 3.5


def test_statistics_count_both_roles() -> None:
    pair = Pair()
    pair.fill(1_000)
    differ(pair, 10, 1_000)
    report = pair.sync()
    asked: dict[str, Any] = pair.exchanges["a"].statistics()
    answered: dict[str, Any] = pair.exchanges["b"].statistics()
    assert asked["complete"] == asked["begun"] == 1 and asked["running"] == 0
    assert asked["keys_received"] == report.keys_received == answered["answered_keys_sent"]
    assert answered["answered"] == report.rounds
