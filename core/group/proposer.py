"""Which commands are sent when, under which (session, sequence): the client half of exactly-once.
Decides, does no IO.

The laws of this file:

1. A command keeps its (session, sequence) in every copy that is sent, so the machine applies it
   once (HAZARDS S9, T8).
2. `copies` counts the copies whose fate is not known. A refused copy is certainly not applied.
   With none left, the command is `not_applied`; with one left, it is `unknown` and nobody may
   claim more.
3. `ack_low` is the lowest sequence that still waits for its answer. The machine forgets results
   below it and never applies a command below it, so an abandoned call (cancelled, out of time)
   leaks nothing on either side.
4. At most `inflight_*_max` is on its way; the rest waits here in order, within `waiting_*_max`;
   more is refused.
5. Nothing is sent while no leader is known, so those calls stay certainly unsent.

The shell (`submitter.py`) hands in time and events and sends the batches that `take` returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from quorate.core.errors import Overloaded, QuorateError
from quorate.core.group.outcomes import Ending, Retry, ending_error, refusal_error, row_of
from quorate.core.group.pending import (
    COMMAND_OVERHEAD_BYTES,
    Batch,
    Counters,
    Ended,
    Pending,
    ProposerLimits,
    Session,
    Waiter,
)

BACKOFF_FIRST_S = 0.005
BACKOFF_MAX_S = 0.1
SILENCE_CHECK_S = 0.1
SILENCE_MAX_S = 5.0


@dataclass(slots=True)
class Proposer:
    """State: what waits, what is on its way, the session, and whether anybody leads.

    `new_session_id` draws 63 random bits; `open_command` builds the command that opens a session,
    given its id; `make_waiter` makes a waiter that nobody waits at."""

    limits: ProposerLimits
    new_session_id: Callable[[], int]
    open_command: Callable[[int], tuple[Any, ...]]
    make_waiter: Callable[[], Waiter]
    leader: str | None = None
    no_leader_since: float = 0.0
    quorum_reachable: bool = True
    storage_full: bool = False
    """This host's own disk is full."""
    closed: Ending | None = None
    """Why nothing is taken any more, as the ending of commands that were not sent."""
    session: Session | None = None
    waiting: dict[Pending, None] = field(default_factory=dict[Pending, None])
    inflight: dict[int, Pending] = field(default_factory=dict[int, Pending])
    again: dict[int, Pending] = field(default_factory=dict[int, Pending])
    """The part of `inflight` that must be sent again."""
    waiting_bytes: int = 0
    inflight_bytes: int = 0
    hold_until: float = 0.0
    backoff_s: float = BACKOFF_FIRST_S
    silence_s: float = 0.0
    """Four times the smoothed time to an answer: under load, slow is not silent."""
    silence_check_at: float = 0.0
    counters: Counters = field(default_factory=Counters)

    # --- events from callers ---------------------------------------------------------------------

    def add(self, pending: Pending) -> None:
        """Take a command. Raises what `closed` stands for, or `Overloaded`; then nothing was
        kept."""
        if self.closed is not None:
            raise ending_error(self.closed, leader=self.leader)
        limits = self.limits
        if (
            len(self.waiting) >= limits.waiting_ops_max
            or self.waiting_bytes + pending.size_bytes > limits.waiting_bytes_max
        ):
            raise Overloaded(
                f"{len(self.waiting)} calls with {self.waiting_bytes} bytes wait on this host "
                "already; slow down, or raise waiting_ops_max",
                leader=self.leader,
            )
        self.counters.submitted += 1
        self.waiting[pending] = None
        self.waiting_bytes += pending.size_bytes

    def abandon(self, pending: Pending) -> None:
        """The caller no longer waits. Its sequence is acknowledged with the next batch, late
        copies are then ignored."""
        if pending in self.waiting:
            del self.waiting[pending]
            self.waiting_bytes -= pending.size_bytes
        elif self.inflight.get(pending.sequence) is pending:
            self._forget(pending)

    def on_deadline(self, pending: Pending) -> QuorateError:
        """The command ran out of time: it is forgotten, and this is what its caller is told."""
        self.abandon(pending)
        self.counters.ended_without_answer += 1
        if pending.copies > 0:
            return ending_error(Ending.TIMEOUT_SENT, leader=self.leader)
        if self.leader is None:
            return self._no_leader_error()
        if pending.refused is not None:
            error = pending.refused.error
            if issubclass(error, Overloaded):
                return Overloaded(pending.refused.text, leader=self.leader)
        return ending_error(Ending.TIMEOUT_UNSENT, leader=self.leader)

    # --- what is sent ----------------------------------------------------------------------------

    def take(self, now: float) -> list[Batch]:
        """The batches to send now, oldest commands first; empty while no leader is known or a
        pause is on."""
        if self.leader is None or now < self.hold_until or not (self.again or self.waiting):
            return []
        session = self._open_session()
        chosen: list[Pending] = []
        if self.again:
            chosen = [self.again[sequence] for sequence in sorted(self.again)]
            self.again.clear()
            self.counters.resent += sum(pending.sends > 0 for pending in chosen)
        if self.waiting:
            chosen.extend(self._admit(session))
        for pending in chosen:
            pending.copies += 1
            pending.sends += 1
            pending.sent_at = now
        batches = self._cut(session, chosen)
        self.counters.batches += len(batches)
        return batches

    def _cut(self, session: Session, chosen: list[Pending]) -> list[Batch]:
        """Batches within the limits. Until the session is known to be open its opening leads every
        one of them, so that a lost batch cannot leave the next one without a session; it is one
        command, applied once."""
        limits, ack_low, opening = self.limits, self.ack_low, session.opening
        batches: list[Batch] = []
        members: list[Pending] = []
        size_bytes = 0
        for pending in chosen:
            if not members or (
                len(members) >= limits.batch_ops_max
                or size_bytes + pending.size_bytes > limits.batch_bytes_max
            ):
                members = [] if opening is None or pending is opening else [opening]
                batches.append(Batch(session.id, ack_low, members))
                size_bytes = 0
            members.append(pending)
            size_bytes += pending.size_bytes
        return batches

    def _admit(self, session: Session) -> list[Pending]:
        """Move what fits the window from `waiting` to `inflight`, giving out sequences."""
        limits = self.limits
        room_ops = limits.inflight_ops_max - len(self.inflight)
        room_bytes = limits.inflight_bytes_max - self.inflight_bytes
        inflight = self.inflight
        sequence = session.next_sequence
        admitted: list[Pending] = []
        moved_bytes = 0
        for pending in self.waiting:
            size_bytes = pending.size_bytes
            if room_ops <= 0 or (room_bytes < size_bytes and (inflight or admitted)):
                break
            room_ops -= 1
            room_bytes -= size_bytes
            moved_bytes += size_bytes
            pending.sequence = sequence
            inflight[sequence] = pending
            sequence += 1
            admitted.append(pending)
        session.next_sequence = sequence
        self.inflight_bytes += moved_bytes
        if len(admitted) == len(self.waiting):
            self.waiting.clear()
            self.waiting_bytes = 0
        else:
            for pending in admitted:
                del self.waiting[pending]
            self.waiting_bytes -= moved_bytes
        return admitted

    def _open_session(self) -> Session:
        """The present session; a new one opens with a first command that travels in front of the
        others."""
        if self.session is not None:
            return self.session
        self.counters.sessions += 1
        session = self.session = Session(self.new_session_id())
        opening = Pending(
            self.open_command(session.id), COMMAND_OVERHEAD_BYTES, self.make_waiter(), float("inf")
        )
        opening.sequence = session.next_sequence
        session.next_sequence += 1
        session.opening = opening
        self.inflight[opening.sequence] = opening
        self.again[opening.sequence] = opening
        self.inflight_bytes += opening.size_bytes
        return session

    @property
    def ack_low(self) -> int:
        """The lowest sequence that still waits for its answer; every lower one is settled or
        abandoned."""
        for sequence in self.inflight:
            return sequence
        return self.session.next_sequence if self.session is not None else 1

    # --- what comes back -------------------------------------------------------------------------

    def on_results(
        self, results: Iterable[tuple[int, int, Any]], now: float
    ) -> list[tuple[Pending, Any]]:
        """Results the machine just applied, of all sessions; returns the settled commands of ours,
        in order."""
        if self.session is None:
            return []
        mine = self.session.id
        inflight = self.inflight
        settled: list[tuple[Pending, Any]] = []
        freed_bytes = 0
        for session, sequence, result in results:
            if session != mine:
                continue
            pending = inflight.pop(sequence, None)
            if pending is None:
                continue
            freed_bytes += pending.size_bytes
            settled.append((pending, result))
        if settled:
            self.inflight_bytes -= freed_bytes
            self.counters.answered += len(settled)
            self.backoff_s = BACKOFF_FIRST_S
            latency = now - settled[0][0].sent_at
            self.silence_s += 0.1 * (4 * latency - self.silence_s)
            if self.again:
                for pending, _ in settled:
                    self.again.pop(pending.sequence, None)
            session_now = self.session
            if session_now.opening is not None and session_now.opening.sequence not in inflight:
                session_now.opening, session_now.opened = None, True
        return settled

    def on_session_expired(self, pendings: Sequence[Pending]) -> Ended:
        """The machine answered these with "no such session". A new session starts for those
        certainly not applied.

        A command whose only copy got this answer was not applied, so it may be sent again in the
        new session. One that was sent more than once may have been applied by an earlier copy: its
        caller is told `unknown`."""
        stale = dict.fromkeys(pendings)
        stale.update(dict.fromkeys(self.inflight.values()))
        ended: Ended = []
        renewed: dict[Pending, None] = {}
        answered = set(map(id, pendings))
        opening = self.session.opening if self.session is not None else None
        for pending in stale:
            if pending is opening:
                continue
            unknown_copies = pending.copies - (1 if id(pending) in answered else 0)
            if unknown_copies > 0:
                self.counters.ended_without_answer += 1
                ended.append((pending, ending_error(Ending.SESSION_LOST_SENT, leader=self.leader)))
            else:
                pending.copies = pending.sequence = 0
                renewed[pending] = None
        self.inflight.clear()
        self.again.clear()
        self.inflight_bytes = 0
        self.session = None
        self.waiting_bytes += sum(pending.size_bytes for pending in renewed)
        self.waiting = {**renewed, **self.waiting}
        return ended

    def on_refused(self, batch: Batch, refusal: Any, now: float) -> Ended:
        """One copy of a batch was certainly not taken."""
        row = row_of(refusal)
        self.counters.refused += 1
        ended: Ended = []
        if self.session is None or batch.session != self.session.id:
            return ended
        for pending in batch.members:
            if self.inflight.get(pending.sequence) is not pending:
                continue
            if row.certain and pending.copies > 0:
                pending.copies -= 1
            pending.refused = row
            if row.retry is not Retry.NEVER or pending is self.session.opening:
                self.again[pending.sequence] = pending
            elif pending.copies == 0:
                self._forget(pending)
                self.counters.ended_without_answer += 1
                ended.append((pending, refusal_error(refusal, leader=self.leader)))
        if row.retry in (Retry.LATER, Retry.NEVER, Retry.ON_LEADER):
            self.hold_until = now + self.backoff_s
            self.backoff_s = min(BACKOFF_MAX_S, self.backoff_s * 2)
        return ended

    def on_leader(self, leader: str | None, now: float) -> None:
        """The leader changed. Everything unanswered is sent again: the old leader may have kept it
        or not."""
        if leader is None and self.leader is not None:
            self.no_leader_since = now
        self.leader = leader
        if leader is not None:
            self.hold_until = 0.0
            self.backoff_s = BACKOFF_FIRST_S
            self.resend_all()

    def resend_all(self) -> None:
        """Send everything unanswered again (leader change, snapshot installed: its answer may have
        been skipped)."""
        self.again.update(self.inflight)

    def on_sweep(self, now: float) -> Ended:
        """Time passed: find silent commands, and end those that waited too long for a leader."""
        if self.leader is None:
            waited_s = now - self.no_leader_since
            if waited_s < self.limits.leader_wait_s and not self.storage_full:
                return []
            return self._end_unsent()
        if now < self.silence_check_at:
            return []
        self.silence_check_at = now + SILENCE_CHECK_S
        silence_s = min(max(self.limits.silence_s, self.silence_s), SILENCE_MAX_S)
        for sequence, pending in self.inflight.items():
            if now - pending.sent_at >= silence_s * min(pending.sends, 4):
                self.again[sequence] = pending
        return []

    def _end_unsent(self) -> Ended:
        unsent = [*self.waiting, *(p for p in self.inflight.values() if p.copies == 0)]
        opening = self.session.opening if self.session is not None else None
        ended: Ended = []
        for pending in unsent:
            if pending is opening:
                continue
            self.abandon(pending)
            self.counters.ended_without_answer += 1
            ended.append((pending, self._no_leader_error()))
        return ended

    def close(self, unsent: Ending, sent: Ending) -> Ended:
        """Take nothing more and end everything: by `unsent` what certainly never left, by `sent`
        the rest."""
        self.closed = unsent
        opening = self.session.opening if self.session is not None else None
        ended: Ended = []
        for pending in [*self.waiting, *self.inflight.values()]:
            if pending is not opening:
                ending = sent if pending.copies > 0 else unsent
                ended.append((pending, ending_error(ending, leader=self.leader)))
        self.counters.ended_without_answer += len(ended)
        self.waiting.clear()
        self.inflight.clear()
        self.again.clear()
        self.waiting_bytes = self.inflight_bytes = 0
        return ended

    @property
    def busy(self) -> bool:
        """Something waits or is on its way."""
        return bool(self.waiting or self.inflight)

    def _forget(self, pending: Pending) -> None:
        del self.inflight[pending.sequence]
        self.again.pop(pending.sequence, None)
        self.inflight_bytes -= pending.size_bytes

    def _no_leader_error(self) -> QuorateError:
        if self.storage_full:
            return ending_error(Ending.STORAGE_FULL)
        return ending_error(Ending.NO_LEADER if self.quorum_reachable else Ending.NO_QUORUM)

    def statistics(self) -> dict[str, object]:
        """Counters since the start and the present depth."""
        return {
            "waiting_ops": len(self.waiting),
            "waiting_bytes": self.waiting_bytes,
            "inflight_ops": len(self.inflight),
            "inflight_bytes": self.inflight_bytes,
            **self.counters.totals(),
        }
