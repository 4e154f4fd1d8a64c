"""Commands and reads that start on a host that does not lead: sent to the leader, answered, or
given up on.

The law: a refusal is definite and is told; silence is not, and is told as nothing at all for
commands (their session sends them again with the same sequence) and as `NO_LEADER` for reads (which
may simply be asked again). Nothing is kept for ever.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from quorate.core.clock import Clock
from quorate.core.raft.engine import HardenedRaft, MalformedMessage
from quorate.core.raft.outbox import Message
from quorate.core.raft.refusals import Refusal

PENDING_REQUESTS_MAX = 16_384
READ_PATIENCE_S = 1.0

OnRefused = Callable[[Refusal], None]
OnReadPoint = Callable[[int | None, Refusal | None], None]


@dataclass(slots=True)
class _Read:
    asked_at: float
    done: OnReadPoint


class Forwarding:
    """Both sides of the four messages `submit`, `submit_refused`, `read_index`, `read_point`."""

    def __init__(
        self, engine: HardenedRaft, clock: Clock, send: Callable[[str, Message], object]
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._send = send
        self._next_id = 0
        self._submits: OrderedDict[int, OnRefused] = OrderedDict()
        self._reads: OrderedDict[int, _Read] = OrderedDict()

    # --- this host asks ---------------------------------------------------------------------------

    def submit(self, leader: str, batch: bytes, on_refused: OnRefused) -> None:
        self._next_id += 1
        message = {"type": "submit", "id": self._next_id, "batch": batch}
        if self._send(leader, message) is False:
            on_refused(Refusal.NO_LEADER)
            return
        self._submits[self._next_id] = on_refused
        if len(self._submits) > PENDING_REQUESTS_MAX:
            self._submits.popitem(last=False)

    def read_index(self, leader: str, done: OnReadPoint) -> None:
        self._next_id += 1
        if len(self._reads) >= PENDING_REQUESTS_MAX:
            done(None, Refusal.QUEUE_FULL)
        elif self._send(leader, {"type": "read_index", "id": self._next_id}) is False:
            done(None, Refusal.NO_LEADER)
        else:
            self._reads[self._next_id] = _Read(self._clock.monotonic(), done)

    def give_up_reads(self, now: float) -> None:
        """Reads that were not answered for `READ_PATIENCE_S` are told that there is no leader."""
        while self._reads:
            request, read = next(iter(self._reads.items()))
            if now - read.asked_at < READ_PATIENCE_S:
                return
            del self._reads[request]
            read.done(None, Refusal.NO_LEADER)

    def leader_changed(self) -> None:
        """What was asked of the old leader will not be answered by it."""
        self._submits.clear()
        reads, self._reads = self._reads, OrderedDict()
        for read in reads.values():
            read.done(None, Refusal.NO_LEADER)

    @property
    def waiting(self) -> bool:
        return bool(self._reads)

    # --- this host is asked -----------------------------------------------------------------------

    def on_message(self, peer: str, message: Message) -> None:
        kind, request = message["type"], message.get("id")
        if type(request) is not int:
            raise MalformedMessage(f"a {kind} message without an id")
        if kind == "submit":
            self._on_submit(peer, request, message.get("batch"))
        elif kind == "submit_refused":
            on_refused = self._submits.pop(request, None)
            if on_refused is not None:
                on_refused(_refusal(message.get("reason")))
        elif kind == "read_index":
            self._on_read_index(peer, request)
        else:
            read = self._reads.pop(request, None)
            index = message.get("index")
            if read is not None:
                read.done(index, None) if type(index) is int else read.done(
                    None, Refusal.NOT_LEADER
                )

    def _on_submit(self, peer: str, request: int, batch: object) -> None:
        if not isinstance(batch, bytes):
            raise MalformedMessage("a submit message without a batch")

        def refused(reason: Refusal) -> None:
            self._send(peer, {"type": "submit_refused", "id": request, "reason": reason.value})

        self._engine.submit(batch, refused, peer)

    def _on_read_index(self, peer: str, request: int) -> None:
        def point(index: int | None) -> None:
            if index is not None:
                self._engine.is_awaited(peer, index)
            self._send(peer, {"type": "read_point", "id": request, "index": index})

        self._engine.ask_read_point(point)


def _refusal(reason: object) -> Refusal:
    try:
        return Refusal(reason)
    except ValueError:
        return Refusal.DENIED
