"""What an exchange does when the peer, the network or the disk does not do its part."""

from __future__ import annotations

import random
from array import array
from typing import Any

import pytest

from quorate.consistency.merkle.answering import Answering
from quorate.consistency.merkle.exchange import ExchangeConfig
from quorate.consistency.merkle.transfer import GoneStep, SyncStep
from quorate.consistency.merkle.tree import BucketTree
from quorate.core.errors import UsageError
from tests.merkle.world import Pair, SmallReplica

QUICK = ExchangeConfig(request_timeout_s=0.05, tries_max=30)


def make_differ(pair: Pair, count: int, keys: int) -> None:
    for number in range(count):
        side = pair.a if number % 3 else pair.b
        side.put("s", f"key-{number * 31 % keys}", f"changed {number}")


@pytest.mark.parametrize("seed", range(6))
def test_messages_are_lost_and_it_gets_there(seed: int) -> None:
    pair = Pair(seed, QUICK)
    pair.fill(3_000)
    make_differ(pair, 300, 3_000)
    pair.network.loss = 0.25
    report = pair.sync()
    assert report.complete and pair.same()


@pytest.mark.parametrize("seed", range(4))
def test_keys_change_meanwhile_and_the_start_is_covered(seed: int) -> None:
    """A complete report covers everything that was applied at the start (so `applied` may be
    adopted), whatever was written meanwhile; the next quiet round makes both equal."""
    pair = Pair(seed)
    pair.fill(2_000)
    make_differ(pair, 400, 2_000)
    rng = random.Random(seed)
    start = {key: pair.b.export("s", key) for key in pair.b.everything("s")}
    reports = pair.begin()

    def write() -> None:
        side = rng.choice([pair.a, pair.b])
        side.put("s", f"key-{rng.randrange(2_200)}", rng.random())
        if not reports:
            pair.queue.after(0.00005, write)

    write()
    pair.queue.run_until(60, lambda: bool(reports))
    assert reports[0].complete and pair.b.head > reports[0].applied[pair.b.actor]
    for key, entry in start.items():
        mine = pair.a.export("s", key)
        assert entry is not None and mine is not None and mine[:3] >= entry[:3]
    assert pair.sync().complete and pair.same()


def test_a_peer_that_goes_away_ends_it_and_the_rest_is_done_later() -> None:
    pair = Pair()
    for number in range(5_000):
        pair.b.put_entry("s", f"key-{number}", [1, 9, number + 1, "x" * 1_000])
    pair.a.define("s")
    reports = pair.begin()
    pair.queue.run_until(pair.queue.now + 0.012)
    pair.network.part("a", "b")
    pair.exchanges["a"].on_peer("b", False)
    assert reports[0].why == "the peer went away" and not reports[0].complete
    pair.queue.run_until(pair.queue.now + 1)
    had = len(pair.a.everything("s"))
    assert 0 < had < 5_000
    pair.network.heal()
    report = pair.sync()
    assert report.complete and pair.same()
    assert report.keys_received == 5_000 - had


def test_a_peer_that_is_silent_ends_it_by_the_deadline() -> None:
    pair = Pair(config=ExchangeConfig(request_timeout_s=0.5, tries_max=3))
    pair.fill(10)
    pair.network.cut = {("b", "a")}
    report = pair.sync()
    assert report.why == "the peer does not answer" and report.took_s == pytest.approx(1.5, 0.01)
    slow = Pair(config=ExchangeConfig(rate_bytes_s=1_000, burst_bytes=1_000, round_s=5))
    slow.fill(2_000)
    make_differ(slow, 500, 2_000)
    report = slow.sync()
    assert report.why == "the round took too long" and report.took_s == pytest.approx(5, 0.01)


def test_answers_of_another_life_or_of_nobody_are_ignored() -> None:
    pair = Pair()
    pair.fill(10)
    late = {"type": "st", "k": "ae", "s": 12, "n": 1, "o": "answer"}
    pair.exchanges["a"].on_message("b", late)
    reports = pair.begin()
    session = next(iter(pair.exchanges["a"]._sessions))  # pyright: ignore[reportPrivateUsage]
    pair.exchanges["a"].on_message("c", {**late, "s": session})
    pair.queue.run_until(5)
    assert reports[0].complete


@pytest.mark.parametrize("full", ["a", "b"])
def test_a_full_disk_is_no_complete_exchange(full: str) -> None:
    pair = Pair()
    pair.fill(50)
    pair.a.put("s", "key-1", 1)
    pair.b.put("s", "key-2", 2)
    pair.replicas[full].full = True
    report = pair.sync()
    assert report.why == "the disk is full" and not report.complete
    pair.replicas[full].full = False
    assert pair.sync().complete and pair.same()


def test_a_busy_peer_is_asked_again_later() -> None:
    pair = Pair(config=ExchangeConfig(pushes_per_peer_max=1, window_requests=4))
    pair.b.define("s")
    for number in range(3_000):
        pair.a.put("s", f"key-{number}", "x" * 1_000)
    assert pair.sync().complete and pair.same()
    assert pair.exchanges["b"].statistics()["busy"] > 0
    assert pair.b.absorbing_most == 1


def test_exchanges_with_one_peer_are_few_and_none_begins_after_the_end() -> None:
    pair = Pair()
    pair.fill(10)
    first, second = pair.begin(), pair.begin()
    assert not pair.exchanges["a"].start("b", None, range(256), lambda report: None)
    assert pair.exchanges["a"].is_busy("b")
    pair.exchanges["a"].stop()
    assert [reports[0].why for reports in (first, second)] == ["stopped", "stopped"]
    assert not pair.exchanges["a"].start("b", None, range(256), lambda report: None)
    with pytest.raises(UsageError):
        pair.exchanges["b"].start("a", None, [256], lambda report: None)


ROOTS = {"o": "roots", "parts": bytes(32), "roots": {}}
NODES = {"o": "nodes", "store": "s", "at": b"\x01\x00", "own": bytes(128)}
LIST = {
    "o": "list",
    "store": "s",
    "at": b"\x01\x00",
    "counts": bytes(4),
    "own": b"",
    "after": None,
}
PULL = {"o": "pull", "store": "s", "parts": bytes(32), "first": 0, "after": None}
PUSH = {"o": "push", "store": "s", "states": [["k", b"\x01"]], "gone": [], "cut": {}}


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"o": "dance"},
        {"o": ["roots"]},
        {**ROOTS, "s": -1},
        {**ROOTS, "n": "1"},
        {**ROOTS, "parts": bytes(31)},
        {**ROOTS, "roots": {1: 2}},
        {**ROOTS, "roots": {"s": "x"}},
        {**ROOTS, "roots": {f"s{n}": 1 for n in range(65)}},
        {**NODES, "store": 1},
        {**NODES, "at": b"\x01"},
        {**NODES, "at": b"\x00\x01"},
        {**NODES, "at": b"\x01\x00\x01\x00", "own": bytes(256)},
        {**NODES, "own": bytes(120)},
        {**NODES, "at": array("H", range(65)).tobytes(), "own": bytes(65 * 128)},
        {**LIST, "at": array("H", range(300)).tobytes(), "counts": bytes(1_200)},
        {**LIST, "counts": b"\xff\xff\xff\xff"},
        {**LIST, "counts": b""},
        {**LIST, "own": bytes(8)},
        {**LIST, "after": 7},
        {**PULL, "first": 65_536},
        {**PULL, "parts": b""},
        {**PULL, "after": b"k"},
        {**PUSH, "states": {"k": b""}},
        {**PUSH, "states": [["k"]]},
        {**PUSH, "states": [["k", "text"]]},
        {**PUSH, "states": [["k", b"\xff\xff"]]},
        PUSH,  # well-formed, but no state: the replica refuses it
        {**PUSH, "states": [], "gone": [1]},
        {**PUSH, "states": [], "cut": {"a": 1}},
        {**PUSH, "states": [], "cut": {1: -1}},
    ],
)
def test_malformed_requests_are_refused_counted_and_change_nothing(message: Any) -> None:
    pair = Pair()
    pair.fill(20)
    before = pair.a.tree("s").root()
    with pytest.raises(UsageError):
        pair.exchanges["a"].on_message("b", {"type": "st", "k": "ae", "s": 1, "n": 1, **message})
    assert pair.exchanges["a"].statistics()["malformed"] == 1
    assert pair.a.tree("s").root() == before and not pair.network.messages


@pytest.mark.parametrize(
    "change",
    [
        {"applied": 1},
        {"nodes": {"other": bytes(2_048)}},
        {"nodes": {"s": bytes(8)}},
        {"others": [1]},
        {"others": {"s": "three"}},
        {"states": [[1, 2]]},
        {"states": 7, "nodes": []},
    ],
)
def test_malformed_answers_end_the_exchange(change: dict[str, Any]) -> None:
    pair = Pair()
    pair.fill(20)
    refused: list[UsageError] = []
    receive = pair.network.receive["a"]

    def spoiled(peer: str, message: dict[str, Any]) -> None:
        try:
            receive(peer, {**message, **change})
        except UsageError as error:
            refused.append(error)

    pair.network.receive["a"] = spoiled
    report = pair.sync()
    assert refused and not report.complete and "malformed" in report.why
    assert pair.exchanges["a"].statistics()["malformed"] == 1


def equal_means_durable(pair: Pair) -> bool:
    """The other side has everything in memory already, and its disk is slow: an exchange that says
    complete says that the disk has it."""
    pair.fill(100)
    synced: list[float] = []

    def barrier(done: Any) -> None:
        pair.queue.after(0.7, lambda: (synced.append(pair.queue.now), done()))

    pair.b.barrier = barrier
    return pair.sync().complete and bool(synced)


def test_complete_means_on_both_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert equal_means_durable(Pair())
    monkeypatch.setattr(SyncStep, "request", lambda step, whole: (None, None))
    assert not equal_means_durable(Pair())


# --- planted faults -------------------------------------------------------------------------------


def converges(pair: Pair) -> bool:
    """The promise that the plants break: one complete exchange makes both equal."""
    pair.fill(2_000)
    make_differ(pair, 300, 2_000)
    report = pair.sync()
    return report.complete and pair.same()


def test_without_a_plant_one_exchange_makes_both_equal() -> None:
    assert converges(Pair())


def test_plant_anti_entropy_that_skips_a_range_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = BucketTree.level

    def skipping(tree: BucketTree, number: int, first: int = 0, count: int | None = None) -> Any:
        nodes = whole(tree, number, first, count)
        if number == 2:
            nodes[128:192] = array("Q", bytes(8 * 64))
        return nodes

    monkeypatch.setattr(BucketTree, "level", skipping)
    assert not converges(Pair())


def test_plant_an_answer_that_stops_at_the_first_chunk_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = Answering._list  # pyright: ignore[reportPrivateUsage]

    def short(answering: Answering, request: Any) -> dict[str, Any]:
        answer = whole(answering, request)
        return {**answer, "states": answer["states"][:20]}

    monkeypatch.setattr(Answering, "_list", short)
    assert not converges(Pair())


def test_plant_one_way_repair_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Answering._list  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(
        Answering, "_list", lambda answering, request: {**whole(answering, request), "want": b""}
    )
    assert not converges(Pair())


def stays_dead(pair: Pair) -> bool:
    """A key deleted and collected on one side is dead on both after an exchange."""
    pair.fill(100)
    pair.a.remove("s", "key-7")
    pair.a.collected = dict(pair.a.applied)
    report = pair.sync()
    return report.complete and pair.same() and "key-7" not in pair.a.everything("s")


def test_plant_a_cut_that_is_forgotten_or_not_told_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert stays_dead(Pair())
    with monkeypatch.context() as plant:
        plant.setattr(GoneStep, "request", lambda step, whole: (None, None))
        assert not stays_dead(Pair())
    with monkeypatch.context() as plant:
        plant.setattr(SmallReplica, "_is_dead", lambda *of: False)
        assert not stays_dead(Pair())
