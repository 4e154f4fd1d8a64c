"""The steward's table, line by line, and what it remembers."""

from __future__ import annotations

import random
from typing import Any

import pytest

from quorate.chaos.sim.events import EventQueue, Life
from quorate.consistency.ring.placement import Ring
from quorate.consistency.ring.ports import HostReport
from quorate.consistency.ring.steward import RingSteward, StewardConfig, View, decide
from quorate.core.errors import UsageError

CONFIG = StewardConfig()


def view(ring: Ring | None, members: str = "abc", **known: Any) -> View:
    """Every member is heard now and a quorum is there unless said otherwise; c=61.0: for so long c
    was not heard."""
    absent = {host: known.pop(host) for host in list(known) if len(host) == 1}
    fields: dict[str, Any] = {
        "absent_s": dict.fromkeys(members, 0.0) | absent,
        "ready": frozenset(known.pop("ready", "")),
        "leaving": frozenset(known.pop("leaving", "")),
        "quorum": True,
    }
    return View(ring=ring, members=frozenset(members), **(fields | known))


STABLE, MOVING = Ring.of(4, "abc"), Ring.of(5, "abcd", before="abc")


@pytest.mark.parametrize(
    ("why", "seen", "expected"),
    [
        ("the first ring", view(None), "1 abc"),
        ("nobody at all", view(None, ""), None),
        ("nothing to do", view(STABLE), None),
        ("no quorum, no first ring", view(None, quorum=False), None),
        ("a host came", view(STABLE, "abcd"), "5 abcd abc"),
        ("two came together", view(STABLE, "abcde"), "5 abcde abc"),
        ("a member not heard of does not join", view(STABLE, "abcd", d=6.0), None),
        ("one that leaves does not join", view(STABLE, "abcd", leaving="d"), None),
        ("absent, not dead yet", view(STABLE, c=59.0), None),
        ("dead", view(STABLE, c=60.0), "5 ab abc"),
        ("dead, but no quorum here", view(STABLE, c=99.0, quorum=False), None),
        ("the longest dead first", view(STABLE, b=80.0, c=70.0), "5 ac abc"),
        ("a removed member before a dead one", view(STABLE, "ac", c=70.0), "5 ac abc"),
        ("a host asks to leave", view(STABLE, leaving="b"), "5 ac abc"),
        ("the last one cannot leave", view(Ring.of(4, "a"), "a", leaving="a"), None),
        ("not to dead ones alone", view(Ring.of(4, "ab"), "ab", leaving="a", b=61.0), "5 a ab"),
        ("dead goes before joining", view(STABLE, "abcd", c=61.0), "5 ab abc"),
        ("moving: not all are ready", view(MOVING, "abcd", ready="abc"), None),
        ("moving: all are ready", view(MOVING, "abcd", ready="abcd"), "6 abcd"),
        ("moving: nobody else may come", view(MOVING, "abcde"), None),
        ("moving: the joiner died", view(MOVING, "abcd", ready="abc", d=61.0), "6 abc abc"),
        ("moving: an old owner died", view(MOVING, "abcd", ready="bd", a=61.0), "6 bcd abc"),
        ("moving: a dead host that was ready", view(MOVING, "abcd", ready="abc", a=61.0), None),
        ("moving: the joiner was removed", view(MOVING, "abc", ready="abc"), "6 abc abc"),
        ("moving: no quorum", view(MOVING, "abcd", ready="abcd", quorum=False), None),
    ],
)  # fmt: skip
def test_the_table(why: str, seen: View, expected: str | None) -> None:
    proposal = decide(seen, CONFIG)
    found = None if proposal is None else proposal.ring
    assert found == (None if expected is None else Ring.of(*_parts(expected))), why


def _parts(text: str) -> Any:
    epoch, *hosts = text.split()
    return int(epoch), *hosts


@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens_one_change_runs_at_a_time_and_epochs_grow(seed: int) -> None:
    rng = random.Random(seed)
    ring: Ring | None = None
    for _ in range(200):
        members = "".join(sorted(rng.sample("abcdefg", rng.randint(1, 7))))
        absent = {host: rng.choice([0.0, 0.0, 3.0, 30.0, 70.0]) for host in members}
        leaving = "".join(host for host in members if rng.random() < 0.1)
        ready = "".join(host for host in members if rng.random() < 0.8)
        seen = view(ring, members, **absent, leaving=leaving, ready=ready)
        proposal = decide(seen, CONFIG)
        if proposal is None:
            continue
        after = proposal.ring
        if ring is not None:
            assert after.epoch == ring.epoch + 1 and after.hosts
            if ring.before is None:
                assert after.before == ring.hosts != after.hosts
            elif after.before is None:
                assert after.hosts == ring.hosts and set(ready) >= set(ring.hosts)
            else:
                assert after.before == ring.before and set(after.hosts) < set(ring.hosts)
        ring = after


class Desk:
    """A steward on a clock, whose proposals are written at once."""

    def __init__(self) -> None:
        self.queue = EventQueue()
        self.life = Life(self.queue, clock_rate=1.0, clock_offset_s=100.0)
        self.steward = RingSteward("a", self.life)
        self.steward.on_members("abc")
        self.steward.on_quorum(True)
        self.steward.on_leader(True)

    def beat(self, seconds: float, hosts: str = "abc", **said: Any) -> list[Ring]:
        """Hosts report every second; what is proposed becomes the ring."""
        rings: list[Ring] = []
        for _ in range(int(seconds)):
            self.queue.run_until(self.queue.now + 1)
            epoch = 0 if self.steward.ring is None else self.steward.ring.epoch
            for host in hosts:
                leaving = host in said.get("leaving", "")
                self.steward.on_report(host, HostReport(epoch, True, leaving))
            proposal = self.steward.propose()
            if proposal is not None:
                rings.append(proposal.ring)
                self.steward.on_ring(proposal.ring)
        return rings


def test_a_life_of_a_cluster() -> None:
    desk = Desk()
    assert desk.beat(10) == [Ring.of(1, "abc")]
    desk.steward.on_members("abcd")
    assert desk.beat(10) == []  # d was never heard
    assert desk.beat(10, "abcd") == [Ring.of(2, "abcd", "abc"), Ring.of(3, "abcd")]
    assert desk.beat(58, "abd") == []
    assert desk.beat(5, "abd") == [Ring.of(4, "abd", "abcd"), Ring.of(5, "abd")]
    assert desk.beat(5, "abcd") == [Ring.of(6, "abcd", "abd"), Ring.of(7, "abcd")]
    assert desk.beat(5, "abcd", leaving="b") == [Ring.of(8, "acd", "abcd"), Ring.of(9, "acd")]
    assert desk.beat(70, "acd") == []  # b is shut down; it is still a member of the group
    assert desk.beat(5, "abcd")[-1] == Ring.of(11, "abcd")


def test_a_new_leader_blames_nobody_and_waits_for_itself() -> None:
    desk = Desk()
    desk.beat(5)
    desk.steward.on_leader(False)
    assert desk.beat(100, "ab") == []
    desk.steward.on_leader(True)
    assert desk.beat(58, "ab") == []
    assert desk.beat(5, "ab")[0].hosts == ("a", "b")


def test_a_steward_that_slept_blames_nobody() -> None:
    desk = Desk()
    desk.beat(5)
    desk.queue.run_until(desk.queue.now + 300)  # stopped and resumed
    assert desk.beat(50, "a") == []
    assert len(desk.beat(20, "a")) >= 1


def test_a_report_under_an_older_ring_is_not_readiness() -> None:
    desk = Desk()
    desk.beat(3)
    desk.steward.on_ring(Ring.of(2, "abcd", "abc"))
    desk.steward.on_members("abcd")
    for host in "abcd":
        desk.steward.on_report(host, HostReport(1, True, False))
    assert desk.steward.propose() is None
    for host in "abcd":
        desk.steward.on_report(host, HostReport(2, True, False))
    assert desk.steward.propose() == (Ring.of(3, "abcd"), "all hosts have what they gained")
    assert desk.steward.statistics()["leads"] is True


@pytest.mark.parametrize(
    "plain",
    [
        *(None, {}, []),
        {"epoch": 1, "ready": 1, "leaving": False},
        {"epoch": -1, "ready": True, "leaving": False},
        {"epoch": 1, "ready": True, "leaving": None},
        {"epoch": "1", "ready": True, "leaving": False},
    ],
)
def test_what_is_no_report_is_refused(plain: Any) -> None:
    with pytest.raises(UsageError):
        HostReport.from_plain(plain)


def test_a_report_travels() -> None:
    report = HostReport(3, True, False)
    assert HostReport.from_plain(report.to_plain()) == report
