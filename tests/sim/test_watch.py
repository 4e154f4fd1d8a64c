"""What the watch sees from outside, each with the fault it is for."""

from __future__ import annotations

from typing import Any, cast

from quorate.chaos.sim.events import EventQueue, Life
from quorate.chaos.sim.history import History, Op
from quorate.chaos.sim.transcript import Transcript
from quorate.chaos.sim.watch import MESSAGES_PER_S_MAX, Watch
from quorate.core.raft.journal import Journal


class PaperJournal:
    """As much of a journal as the watch looks at."""

    def __init__(self, terms: list[int], *, term: int, vote: str | None = None) -> None:
        self.base_index, self.terms, self.term, self.vote = 1, terms, term, vote
        self.last_index = self.durable_last = 1 + len(terms)

    def term_at(self, index: int) -> int | None:
        inside = self.base_index < index <= self.last_index
        return self.terms[index - 2] if inside else None

    def getCurrentTerm(self) -> int:
        return self.term

    def getVotedForNodeId(self) -> str | None:
        return self.vote


def journal(terms: list[int], *, term: int, vote: str | None = None) -> Journal:
    return cast("Journal", PaperJournal(terms, term=term, vote=vote))


def watch(history: History | None = None) -> Watch:
    return Watch(history or History(), Transcript(lambda: 0.0))


def ack(match: int, term: int) -> dict[str, Any]:
    return {"type": "append_ack", "ok": True, "match": match, "term": term}


def test_two_leaders_of_one_term() -> None:
    seen = watch()
    seen.on_leader("a", "a", 3)
    seen.on_leader("b", "a", 3)
    seen.on_leader("b", None, 4)
    assert seen.findings == []
    seen.on_leader("c", "b", 3)
    assert "lead term 3" in seen.findings[0]


def test_hosts_that_differ_after_an_entry() -> None:
    seen = watch()
    seen.on_applied("a", 7, 2, b"one", [])
    seen.on_applied("b", 7, 2, b"one", [])
    assert seen.findings == []
    seen.on_applied("c", 7, 2, b"two", [])
    seen.on_applied("c", 7, 1, b"one", [])
    assert "differ after entry 7" in seen.findings[0] and "term 2 on a" in seen.findings[1]


def test_a_command_applied_at_two_indices() -> None:
    history = History()
    history.names[(1, 1)] = history.invoke(Op(1, "a", "add", "w/1", "x", 0.0))
    seen = watch(history)
    seen.on_applied("a", 7, 2, b"one", [(1, 1, [5, 1])])
    seen.on_applied("a", 8, 2, b"two", [(1, 1, [6, 2])])
    assert "two effects" in seen.findings[0]


def test_an_acknowledged_entry_lost_in_a_restart() -> None:
    seen = watch()
    seen.on_sent("a", ack(3, 2), journal([1, 2], term=2))
    seen.on_started("a", journal([1, 2], term=2))
    assert seen.findings == []
    seen.on_started("a", journal([1], term=2))
    assert "lost it in a restart" in seen.findings[0]


def test_an_entry_replaced_by_a_newer_leader_is_not_missed() -> None:
    seen = watch()
    seen.on_sent("a", ack(3, 2), journal([1, 2], term=2))
    seen.on_kill("a", journal([1, 3], term=3))
    seen.on_started("a", journal([1, 3], term=3))
    assert seen.findings == []


def test_an_acknowledgement_ahead_of_the_disk() -> None:
    seen = watch()
    seen.on_sent("a", ack(9, 2), journal([1, 2], term=2))
    assert "its disk ends at 3" in seen.findings[0]


def test_a_term_and_a_vote_forgotten_in_a_restart() -> None:
    seen = watch()
    voted = {"type": "vote_reply", "term": 5, "ok": True}
    seen.on_sent("a", voted, journal([1], term=5, vote="b"))
    seen.on_started("a", journal([1], term=5, vote="b"))
    assert seen.findings == []
    seen.on_started("a", journal([1], term=5, vote="c"))
    seen.on_started("a", journal([1], term=4))
    assert "forgot its vote for b" in seen.findings[0] and "forgot term 5" in seen.findings[1]


def test_a_flood() -> None:
    seen = watch()
    seen.count(("a", "b"), MESSAGES_PER_S_MAX, 1.0)
    assert seen.findings == []
    seen.count(("a", "b"), 3 * MESSAGES_PER_S_MAX, 1.0)
    assert "a flood from a to b" in seen.findings[0]


def test_time_passes_by_events_only_and_each_process_has_its_own_clock() -> None:
    queue = EventQueue()
    life = Life(queue, clock_rate=1.5, clock_offset_s=10.0)
    told: list[tuple[str, float]] = []
    life.call_later(3.0, lambda: told.append(("later", life.monotonic())))
    life.call_soon(lambda: told.append(("soon", round(life.monotonic(), 3))))
    queue.run_until(1.0)
    life.pause()
    queue.run_until(5.0)
    assert told == [("soon", 10.0)]
    life.resume()
    queue.run_until(6.0)
    assert told[1] == ("later", 17.5)  # at 2 s of the world it was due, at 5 s it could
    life.call_later(0.1, lambda: told.append(("never", 0.0)))
    life.end()
    queue.run_until(9.0)
    assert len(told) == 2
