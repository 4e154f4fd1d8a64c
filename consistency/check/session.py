"""The four session guarantees, in one pass over the history.

The law of this file, after Terry et al., "Session Guarantees for Weakly Consistent Replicated
Data", 1994. Within a session, and on whatever host:

    read-your-writes     a read has seen what the session wrote before
    monotonic-reads      a read has seen what the session read before
    monotonic-writes     who sees a write of the session sees what the session wrote before it
    writes-follow-reads  who sees a write of the session sees what the session had read before it

A session takes over the duties of every write it sees, so the last two hold across keys too. What a
read owes to later ones is what it has seen, or, where it was recorded, what its answer depends on
(`shown`). Only operations with a session count, and only at the levels that promise this. What
reads have seen is told by `seen.py`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from quorate.consistency.check.history import History, Key, Operation
from quorate.consistency.check.seen import Sight, is_read, is_write
from quorate.consistency.check.timeline import describe
from quorate.consistency.check.values import Actor, Versions, covers, join_into, missing, show
from quorate.consistency.check.verdict import Anomaly, Verdict, judged

LEVELS = (None, "session", "strong", "linearizable")
"""Levels whose operations the guarantees bind; others in the same session are let through."""


class Duty(NamedTuple):
    """What has to be seen of a key, because `cause` wrote or read it."""

    key: Key
    versions: Versions
    cause: Operation


class Owed(NamedTuple):
    """A duty of a session, since a position of the history, and by which guarantee."""

    duty: Duty
    since: int
    why: str
    through: Operation | None
    """The write that was seen, when the duty was taken over with it."""


@dataclass(slots=True)
class Session:
    """What a session must see from now on."""

    duties: list[Duty] = field(default_factory=list[Duty])
    """In its order, its own and those taken over: what a write of it depends on."""
    known: set[int] = field(default_factory=set[int])
    """Ids of the causes among them."""
    owed: dict[Key, list[Owed]] = field(default_factory=dict[Key, list[Owed]])
    floor: dict[Key, dict[Actor, int]] = field(default_factory=dict[Key, dict[Actor, int]])
    """Join of what is owed on a key: a read that covers it keeps all of it."""
    taken: dict[str, int] = field(default_factory=dict[str, int])
    """Of every other session: how many of its duties were looked at."""
    met: dict[tuple[Key, Actor], int] = field(default_factory=dict[tuple[Key, Actor], int])
    """Of every actor: how many of its writes of the key were looked at."""

    def owe(self, owed: Owed) -> None:
        duty = owed.duty
        if duty.cause.id in self.known:
            return
        self.known.add(duty.cause.id)
        self.duties.append(duty)
        self.owed.setdefault(duty.key, []).append(owed)
        join_into(self.floor.setdefault(duty.key, {}), duty.versions)


@dataclass(slots=True)
class Written:
    """A write of a session, and how many duties its session had when it began; -1: not begun."""

    op: Operation
    session: str
    seq: int
    duties: int = -1


def check(history: History) -> Verdict:
    """Judge all sessions. Raises `MalformedHistory`."""
    judge = _Judge(history)
    for _, at_end, op in judge.events():
        if not at_end:
            judge.begin(op)
        elif is_read(op):
            judge.read(op)
        else:
            judge.wrote(op)
    doubts: list[str] = []
    if judge.blind:
        doubts.append(
            f"{judge.blind} operations do not tell what they saw or wrote: record versions, or "
            f"write every value once"
        )
    return judged("session", judge.count, judge.found, history=history, unknown=doubts)


class _Judge:
    """Writes are known when they begin, reads when they end: what is seen has begun."""

    def __init__(self, history: History) -> None:
        self.sight = Sight(history.operations)
        self.sessions: defaultdict[str, Session] = defaultdict(Session)
        self.found: list[Anomaly] = []
        self.count = self.blind = 0
        self._operations = [
            op
            for op in history.operations
            if op.session is not None and op.level in LEVELS and (is_read(op) or is_write(op))
        ]
        self._written: dict[int, Written] = {}
        self._by_actor: dict[tuple[Key, Actor], list[Written]] = {}
        for op in self._operations:
            name = None if is_read(op) or op.outcome == "fail" else self.sight.name(op)
            if name is not None and len(name) == 1:
                ((actor, seq),) = name.items()
                self._written[op.id] = written = Written(op, op.session or "", seq)
                self._by_actor.setdefault((op.key, actor), []).append(written)
        for writes in self._by_actor.values():
            writes.sort(key=lambda written: written.seq)

    def events(self) -> list[tuple[int, int, Operation]]:
        begins = [(op.invoked, 0, op) for op in self._operations if not is_read(op)]
        ends = [(op.ended, 1, op) for op in self._operations if op.outcome == "ok"]
        return sorted(begins + ends, key=lambda event: event[:2])

    def begin(self, op: Operation) -> None:
        written = self._written.get(op.id)
        if written is not None:
            written.duties = len(self.sessions[written.session].duties)

    def wrote(self, op: Operation) -> None:
        self.count += 1
        session = self.sessions[op.session or ""]
        name = self.sight.name(op)
        if name is None:
            self.blind += 1
            return
        if op.versions is not None and name.keys() <= op.versions.keys():
            self._keeps(session, op, op.versions)
        session.owe(Owed(Duty(op.key, name, op), op.ended, "read-your-writes", None))

    def read(self, op: Operation) -> None:
        self.count += 1
        session = self.sessions[op.session or ""]
        seen = self.sight.seen(op)
        if seen is None:
            self.blind += 1
            return
        self._keeps(session, op, seen)
        if op.shown is None:
            found = self._newly_seen(session, op.key, seen)
        else:
            found = self._shown(op.key, op.shown)
        for written in found:
            self._take_over(session, op, seen, written)
        owed = seen if op.shown is None else op.shown
        session.owe(Owed(Duty(op.key, owed, op), op.ended, "monotonic-reads", None))

    def _keeps(self, session: Session, op: Operation, seen: Versions) -> None:
        """The operation has seen all that its session owed when it began."""
        if covers(seen, session.floor.get(op.key, {})):
            return
        for owed in session.owed[op.key]:
            if owed.since < op.invoked and not covers(seen, owed.duty.versions):
                why = owed.why
                if not is_read(op):
                    own_write = is_write(owed.duty.cause)
                    why = "monotonic-writes" if own_write else "writes-follow-reads"
                self._broken(why, op, seen, owed.duty, owed.through)
                return

    def _newly_seen(self, session: Session, key: Key, seen: Versions) -> list[Written]:
        found: list[Written] = []
        for actor, upto in seen.items():
            writes = self._by_actor.get((key, actor))
            if writes is None:
                continue
            first = session.met.get((key, actor), 0)
            last = bisect_right(writes, upto, key=lambda written: written.seq)
            if last > first:
                session.met[key, actor] = last
                found += writes[first:last]
        return found

    def _shown(self, key: Key, shown: Versions) -> list[Written]:
        """The writes an answer depends on, by their very dots."""
        found: list[Written] = []
        for actor, seq in shown.items():
            writes = self._by_actor.get((key, actor), [])
            at = bisect_left(writes, seq, key=lambda written: written.seq)
            if at < len(writes) and writes[at].seq == seq:
                found.append(writes[at])
        return found

    def _take_over(self, session: Session, op: Operation, seen: Versions, written: Written) -> None:
        """What the writer's session had written and seen before, this session must see now."""
        source = self.sessions[written.session]
        if source is session:
            return
        first = session.taken.get(written.session, 0)
        session.taken[written.session] = max(first, written.duties)
        for duty in source.duties[first : max(first, written.duties)]:
            own_write = is_write(duty.cause)
            why = "monotonic-writes" if own_write else "writes-follow-reads"
            if duty.key == op.key and not covers(seen, duty.versions):
                self._broken(why, op, seen, duty, written.op)
            session.owe(Owed(duty, op.ended, why, written.op))

    def _broken(
        self, why: str, op: Operation, seen: Versions, duty: Duty, through: Operation | None
    ) -> None:
        lacks = {str(actor): seq for actor, seq in missing(seen, duty.versions).items()}
        via = "" if through is None else f", on which {_name(through)} depends"
        text = (
            f"session {op.session}: {_name(op)} has not seen {show(lacks)} of "
            f"{_name(duty.cause)}{via}"
        )
        known = {o.id: o for o in (duty.cause, through, op) if o is not None}
        self.found.append(Anomaly(why, text, tuple(known.values())))


def _name(op: Operation) -> str:
    return f"{describe(op)!r} ({op.where})"
