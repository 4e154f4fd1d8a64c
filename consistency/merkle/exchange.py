"""Anti-entropy: two replicas compare digests and give each other what differs, and only that.

The law of this file: it routes. Who asks runs a `Session`; who is asked answers from `Answering`
and keeps nothing. A malformed message is counted and raised, and changes nothing. All messages
leave as bulk, behind everything that somebody waits for.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from quorate.consistency.merkle import messages
from quorate.consistency.merkle.answering import Answering
from quorate.consistency.merkle.descend import RootsStep
from quorate.consistency.merkle.ports import Data, Message, Send
from quorate.consistency.merkle.session import ExchangeConfig, Pacer, Report, Session
from quorate.consistency.merkle.steps import Round
from quorate.consistency.merkle.tree import PAGES
from quorate.core.clock import Clock, Scheduler
from quorate.core.errors import UsageError

__all__ = ["Exchange", "ExchangeConfig", "Report"]

Done = Callable[[Report], None]


class Exchange:
    """All exchanges of one host, begun here or by peers. One thread owns it; nothing blocks."""

    def __init__(
        self,
        data: Data,
        *,
        send: Send,
        clock: Clock,
        scheduler: Scheduler,
        rng: random.Random,
        config: ExchangeConfig | None = None,
    ) -> None:
        self._data, self._send = data, send
        self._clock, self._scheduler = clock, scheduler
        self.settings = config or ExchangeConfig()
        self._pacer = Pacer(clock, self.settings.rate_bytes_s, self.settings.burst_bytes)
        self._answering = Answering(data, pushes_max=self.settings.pushes_per_peer_max)
        self._sessions: dict[int, tuple[Session, Done]] = {}
        # Begins at a random place: an answer to an earlier life of this host finds no session.
        self._number = rng.getrandbits(48)
        self._running = True
        self.told: Done | None = None
        """Hears of every exchange that ended."""
        self._counts = dict.fromkeys(
            ("begun", "complete", "incomplete", "malformed", "keys_sent", "keys_received"), 0
        ) | dict.fromkeys(("bytes_sent", "bytes_received", "bytes_answered"), 0)

    # --- what is asked of it ----------------------------------------------------------------------

    def start(
        self, peer: str, stores: Sequence[str] | None, partitions: Iterable[int], done: Done
    ) -> bool:
        """Make this host and `peer` equal in these stores (None: all that either knows) and
        partitions, both ways; then `done(report)`, later and exactly once.

        False, and nothing begins, when stopped or when too many exchanges with that peer run.
        """
        running = sum(session.peer == peer for session, _ in self._sessions.values())
        if not self._running or running >= self.settings.sessions_per_peer_max:
            return False
        wanted = tuple(sorted(set(partitions)))
        if not all(0 <= partition < PAGES for partition in wanted):
            raise UsageError(f"partitions are numbered 0 to {PAGES - 1}")
        names = sorted(self._data.stores()) if stores is None else list(dict.fromkeys(stores))
        whole = Round(self._data, wanted, follow_others=stores is None)
        self._number += 1
        session = Session(
            self._number,
            peer,
            whole,
            [RootsStep(names)] if wanted else [],
            config=self.settings,
            clock=self._clock,
            scheduler=self._scheduler,
            pacer=self._pacer,
            send=self._send,
            finished=self._finished,
        )
        self._sessions[session.number] = (session, done)
        self._counts["begun"] += 1
        self._scheduler.call_soon(lambda: self._begin(session))
        return True

    def is_busy(self, peer: str) -> bool:
        """Whether an exchange with `peer` that began here is running."""
        return any(session.peer == peer for session, _ in self._sessions.values())

    def stop(self) -> None:
        """End all exchanges; nothing more is sent."""
        self._running = False
        for session, _ in list(self._sessions.values()):
            session.end("stopped")

    def _begin(self, session: Session) -> None:
        if not session.ended:
            self._data.settle()
            session.begin()

    def _finished(self, session: Session, report: Report) -> None:
        _, done = self._sessions.pop(session.number)
        counts = self._counts
        counts["complete" if report.complete else "incomplete"] += 1
        for name in ("keys_sent", "keys_received", "bytes_sent", "bytes_received"):
            counts[name] += getattr(report, name)
        if self.told is not None:
            self.told(report)
        done(report)

    # --- what happens to it -----------------------------------------------------------------------

    def on_peer(self, peer: str, up: bool) -> None:
        """The link to `peer` went up or down; what was running with it is over when down."""
        if not up:
            for session, _ in list(self._sessions.values()):
                if session.peer == peer:
                    session.end("the peer went away")

    def on_message(self, peer: str, message: Message) -> None:
        """A message of an exchange. Raises UsageError when it is malformed: close the link."""
        if not self._running:
            return
        try:
            number = messages.number_of(message, "s")
            if message.get("o") == messages.ANSWER:
                found = self._sessions.get(number)
                if found is not None and found[0].peer == peer:
                    found[0].on_answer(message)
            else:
                self._answer(peer, message, number)
        except UsageError:
            self._counts["malformed"] += 1
            raise

    def _answer(self, peer: str, request: Message, session: int) -> None:
        number = messages.number_of(request, "n")

        def reply(body: dict[str, Any]) -> None:
            if self._running:
                self._counts["bytes_answered"] += messages.size_of(body)
                self._send(peer, messages.message(session, number, messages.ANSWER, body), True)

        self._answering.on_request(peer, request, reply)

    def statistics(self) -> dict[str, int]:
        answering = self._answering
        return {
            **self._counts,
            "running": len(self._sessions),
            "answered": answering.answered,
            "busy": answering.busy,
            "answered_keys_sent": answering.keys_sent,
            "answered_keys_received": answering.keys_received,
        }
