"""The hardened engine: PySyncObj's `SyncObj` with Raft's rules closed over it, a table of messages,
and one decision per turn.

Deciding only: it reads a clock it was handed, changes the journal (staged, not yet on disk) and
puts messages into its outbox. When anything reaches the disk, the network or the replicated machine
is the driver's business (`driver.py`).
"""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pysyncobj.config import FAIL_REASON
from pysyncobj.node import Node

from quorate.core.errors import UsageError
from quorate.core.raft import entries
from quorate.core.raft.engine_base import CANDIDATE, LEADER, ROLE_NAMES
from quorate.core.raft.members import Configuration
from quorate.core.raft.membership import MembershipRules
from quorate.core.raft.outbox import Message
from quorate.core.raft.progress import Mode
from quorate.core.raft.refusals import Refusal

INT, BOOL = int, bool
SHAPES: dict[str, dict[str, type]] = {
    "append": {
        "term": INT,
        "prev": INT,
        "prev_term": INT,
        "entries": list,
        "commit": INT,
        "read": INT,
        "notice": BOOL,
    },
    "append_ack": {
        "term": INT,
        "ok": BOOL,
        "match": INT,
        "verified": INT,
        "rejected": INT,
        "hint": INT,
        "read": INT,
    },
    "pre_vote": {"term": INT, "last": INT, "last_term": INT, "round": INT, "transfer": BOOL},
    "pre_vote_reply": {"term": INT, "round": INT, "ok": BOOL},
    "vote": {"term": INT, "last": INT, "last_term": INT, "round": INT, "transfer": BOOL},
    "vote_reply": {"term": INT, "ok": BOOL},
    "timeout_now": {"term": INT},
    "removed": {"term": INT, "index": INT},
}
"""Every message of the engine, field by field. Anything else is turned away before a rule sees it
(S12)."""

FROM_STRANGERS = frozenset({"pre_vote", "vote"})
"""What a host outside the configuration may say: it is answered that it is out. All else from it is
dropped."""


class MalformedMessage(UsageError):
    """A peer's message does not have the shape of its type."""


def check_shape(message: Message) -> None:
    """Raise `MalformedMessage` unless `message` is one of `SHAPES`."""
    shape = SHAPES.get(message.get("type", ""))
    if shape is None:
        raise MalformedMessage(f"unknown Raft message type {message.get('type')!r}")
    for name, kind in shape.items():
        value: Any = message.get(name)
        if type(value) is not kind or (kind is INT and not 0 <= value < 1 << 62):
            raise MalformedMessage(
                f"field {name!r} of a {message['type']} message is {type(value).__name__}"
            )
    if "entries" in shape:
        _check_entries(message["entries"], message["prev"])


def _check_entries(rows: list[Any], previous: int) -> None:
    for step, row in enumerate(rows, 1):
        parts = list(map(type, row)) if isinstance(row, list) else []  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        if parts != [INT, INT, bytes] or not row[2]:
            raise MalformedMessage(
                "an append message holds an entry that is not [index, term, command]"
            )
        if row[0] != previous + step:
            raise MalformedMessage("the entries of an append message do not follow each other")


class HardenedRaft(MembershipRules):
    """One Raft member. See `core/raft/README.md` for the map of rules to files and hazards."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._forwarders: set[str] = set()
        self._handlers: dict[str, Callable[[str, Message], None]] = {
            "append": self._on_append,
            "append_ack": self._on_append_ack,
            "pre_vote": self._on_pre_vote,
            "pre_vote_reply": self._on_pre_vote_reply,
            "vote": self._on_vote,
            "vote_reply": self._on_vote_reply,
            "timeout_now": self._on_timeout_now,
            "removed": self._on_removed,
        }

    # --- one turn ---------------------------------------------------------------------------------

    def decide(self, now: float) -> None:
        """Timers, and waiting commands into the log. Messages were handled as they came."""
        if self.role != LEADER:
            self._check_election(now)
        elif now >= self.lead_again_at or self.transfer_target is not None or self.storage_full:
            self._lead(now)
        if self.role == LEADER:
            self._append_waiting()
        else:
            self._refuse_waiting(
                FAIL_REASON.NOT_LEADER if self.leader else FAIL_REASON.MISSING_LEADER
            )

    def _onTick(self, timeToWait: float = 0.0) -> None:
        """Replaced: the base elects, commits, applies, sends and compacts in one tick, and sends
        before anything is on disk."""
        self.decide(self._clock.monotonic())

    def receive(self, peer: str, message: Message) -> None:
        """Handle one message of `peer`, whose identity the wire has proven.

        Raises `MalformedMessage` for a message that no honest member sends; nothing has changed
        then.
        """
        check_shape(message)
        if self.removed and message["type"] != "append":
            return
        stranger = not self._knows(peer) and message["type"] not in FROM_STRANGERS
        if stranger and not self._may_lead_us(message):
            return
        self._handlers[message["type"]](peer, message)

    def _knows(self, peer: str) -> bool:
        """A member, a removed one that is still told so, or anybody while this host has no
        configuration at all."""
        return peer in self.configuration or peer in self.progress or not self.configuration.members

    def _may_lead_us(self, message: Message) -> bool:
        """A leader that is newer than our configuration may be one we have not heard of yet, or a
        removed one finishing."""
        return message["type"] == "append" and message["term"] >= self.term

    def _SyncObj__onMessageReceived(self, node: Node, message: Message) -> None:
        """Replaced: the base's receiver holds S1, S2, S3 and trusts every field."""
        self.receive(str(node.id), message)

    def has_work_for(self, peer: str) -> bool:
        """After an acknowledgement: whether a turn would do anything that another will not do."""
        progress = self.progress.get(peer)
        return (
            progress is None
            or self.commit_index > self.applied_index
            or progress.next <= self.journal.last_index
            or progress.mode is not Mode.REPLICATE
            or bool(self.outbox)
            or self.journal.dirty
            or self.transfer_target is not None
        )

    # --- snapshots (the bytes travel in transfer.py) ----------------------------------------------

    def accept_leader(self, peer: str, term: int) -> bool:
        """A message that only a leader sends has come: follow it, or say False when its term is
        over."""
        if term < self.term:
            self._send_ack(peer, ok=False)
            return False
        self._follow(peer, term)
        return True

    def install_snapshot(
        self, index: int, term: int, configuration: Configuration, generation: str
    ) -> None:
        """The log becomes the snapshot at (`index`, `term`), staged as one change. Only the
        snapshot itself is committed by
        this, never a tail that was not verified (S1, S10)."""
        self.journal.reset_to(index, term, configuration, generation)
        at, newest = self.journal.configuration_at(self.journal.last_index)
        self._adopt(at, newest)
        self.commit_index = max(self.commit_index, index)
        self.verified = max(self.verified, index)

    # --- commands ---------------------------------------------------------------------------------

    def submit(
        self, batch: bytes, on_refused: Callable[[Refusal], None], origin: str | None = None
    ) -> None:
        """Take a command batch for the log of this leader, from `origin` if it was forwarded."""
        refusal = self._refusal(batch)
        if refusal is not None:
            on_refused(refusal)
            return
        self.enqueue(batch, on_refused)
        if origin is not None:
            self._forwarders.add(origin)

    def _refusal(self, batch: bytes) -> Refusal | None:
        if self.removed:
            return Refusal.REMOVED
        if self.storage_full:
            return Refusal.STORAGE_FULL
        if self.role != LEADER:
            return Refusal.NOT_LEADER if self.leader else Refusal.NO_LEADER
        if self.transfer_target is not None:
            return Refusal.TRANSFERRING
        if len(batch) > self.settings.batch_bytes_max:
            return Refusal.TOO_LARGE
        return None

    def _append_waiting(self) -> None:
        """Pack what waits into as few entries as fit; while a flush runs, waiting makes the next
        one larger."""
        if self.transfer_target is not None or self.journal.flushing:
            return
        while taken := self.take_commands(self.settings.entry_bytes_max):
            command = entries.pack_batches([batch for batch, _ in taken])
            self.journal.add(command, self.journal.last_index + 1, self.term)
        for peer in self._forwarders:
            self.is_awaited(peer, self.journal.last_index)
        self._forwarders.clear()

    def on_applied(self, index: int) -> None:
        """An entry was applied: who is left out by the newest configuration is out."""
        self.applied_index = index
        if index == self.configuration_index and self.role != LEADER:
            self.removed = self.removed or self.host_id not in self.configuration

    # --- looking in -------------------------------------------------------------------------------

    def statistics(self) -> dict[str, Any]:
        """Role, term, indices and each follower's progress."""
        return {
            "role": "removed" if self.removed else self._role_name(),
            "leader": self.leader,
            "term": self.term,
            "commit_index": self.commit_index,
            "configuration_index": self.configuration_index,
            "transfer_target": self.transfer_target,
            "storage_full": self.storage_full,
            "followers": {
                peer: {
                    "match": p.match,
                    "next": p.next,
                    "mode": p.mode.value,
                    "connected": p.connected,
                }
                for peer, p in self.progress.items()
            },
        }

    def _role_name(self) -> str:
        if self.role in (LEADER, CANDIDATE) or self.is_voter:
            return ROLE_NAMES[self.role]
        return "learner"
