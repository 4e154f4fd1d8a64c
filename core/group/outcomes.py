"""The exhaustive table: every way a call can end, and what it means for the caller.

The law of this file: an error says whether the update happened, and no engine outcome lacks a row.
`REFUSALS` covers the driver's `Refusal` values, `ENGINE_OUTCOMES` the base engine's FAIL_REASON
names (PySyncObj 0.3.17), `FAILURES` the replicated machine's failure codes, `ENDINGS` what happens
on this host. Tests enumerate the enums and fail on a value without a row.

A command may be on its way in several copies, because unanswered commands are sent again under the
same (session, sequence). A refusal is about one copy only. So `Row.certain` says "this copy is
certainly not applied"; the call as a whole is `not_applied` only when no copy with an unknown fate
is left. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from quorate.core.errors import (
    InvariantBroken,
    LimitExceeded,
    NoLeader,
    NoQuorum,
    NotCommitted,
    NotLeader,
    OutcomeUnknown,
    Overloaded,
    QuorateError,
    RemovedFromCluster,
    SessionExpired,
    Stopped,
    StorageFull,
    Timeout,
    Unavailable,
)


class Retry(Enum):
    """What the proposer does with a command whose copy was not taken."""

    AT_ONCE = "send again at once, to whoever leads now"
    ON_LEADER = "keep it and send it when a leader is known"
    LATER = "send again after a short pause"
    NEVER = "give up and tell the caller"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    error: type[QuorateError]
    certain: bool
    """This copy of the command is certainly not applied, now or later."""
    retry: Retry
    text: str


REFUSALS: Mapping[str, Row] = {
    "NO_LEADER": Row(NoLeader, True, Retry.ON_LEADER, "no leader is known"),
    "NOT_LEADER": Row(NotLeader, True, Retry.LATER, "the host that was asked does not lead"),
    "QUEUE_FULL": Row(Overloaded, True, Retry.LATER, "the leader's command queue is full"),
    "TOO_LARGE": Row(LimitExceeded, True, Retry.NEVER, "the command is over the leader's limit"),
    "STORAGE_FULL": Row(
        StorageFull,
        True,
        Retry.NEVER,
        "the leader's disk is full; writes resume when space returns",
    ),
    "TRANSFERRING": Row(NotLeader, True, Retry.LATER, "the leadership is being handed over"),
    "REMOVED": Row(
        RemovedFromCluster, True, Retry.NEVER, "this host is no longer a member of the cluster"
    ),
    "STOPPED": Row(Stopped, True, Retry.NEVER, "the host is stopped or stopping"),
    "DENIED": Row(NotCommitted, True, Retry.NEVER, "the leader denied the command"),
}
"""By `core.raft.refusals.Refusal` name."""

ENGINE_OUTCOMES: Mapping[str, Row | None] = {
    "SUCCESS": None,
    "QUEUE_FULL": REFUSALS["QUEUE_FULL"],
    "MISSING_LEADER": REFUSALS["NO_LEADER"],
    "DISCARDED": Row(
        NotCommitted, True, Retry.AT_ONCE, "another leader's entry took the command's place"
    ),
    "NOT_LEADER": REFUSALS["NOT_LEADER"],
    "LEADER_CHANGED": Row(
        OutcomeUnknown, False, Retry.AT_ONCE, "the leader changed while the command was on its way"
    ),
    "REQUEST_DENIED": REFUSALS["DENIED"],
    "UNKNOWN_OUTCOME": Row(
        OutcomeUnknown, False, Retry.AT_ONCE, "the engine does not know the command's outcome"
    ),
}
"""By PySyncObj FAIL_REASON name; None is success."""


class Ending(Enum):
    """How a call ends on this host without an answer from the group."""

    TIMEOUT_UNSENT = "the deadline passed before the command left this host"
    TIMEOUT_SENT = "the deadline passed while the command was on its way"
    TIMEOUT_READ = "the deadline passed before the read was answered"
    NO_LEADER = "no leader was known for too long"
    NO_QUORUM = "this host cannot reach a majority of the voters"
    STORAGE_FULL = (
        "this host's disk is full and no other host leads; writes resume when space returns"
    )
    QUEUE_FULL = "too many calls wait on this host"
    STOP_UNSENT = "the host stopped before the command left it"
    STOP_SENT = "the host stopped while the command was on its way"
    REMOVED_UNSENT = "the host was removed before the command left it"
    REMOVED_SENT = "the host was removed while the command was on its way"
    SESSION_LOST_SENT = "the group forgot the session while the command was on its way"
    FAILED_UNSENT = "the host took itself out of service before the command left it"
    FAILED_SENT = "the host took itself out of service while the command was on its way"


ENDINGS: Mapping[Ending, type[QuorateError]] = {
    Ending.TIMEOUT_UNSENT: Timeout,
    Ending.TIMEOUT_SENT: OutcomeUnknown,
    Ending.TIMEOUT_READ: Timeout,
    Ending.NO_LEADER: NoLeader,
    Ending.NO_QUORUM: NoQuorum,
    Ending.STORAGE_FULL: StorageFull,
    Ending.QUEUE_FULL: Overloaded,
    Ending.STOP_UNSENT: Stopped,
    Ending.STOP_SENT: OutcomeUnknown,
    Ending.REMOVED_UNSENT: RemovedFromCluster,
    Ending.REMOVED_SENT: OutcomeUnknown,
    Ending.SESSION_LOST_SENT: SessionExpired,
    Ending.FAILED_UNSENT: Stopped,
    Ending.FAILED_SENT: OutcomeUnknown,
}


def row_of(refusal: Enum | str) -> Row:
    """The row of a driver refusal. A refusal without a row is our bug: `InvariantBroken`."""
    name = refusal if isinstance(refusal, str) else refusal.name
    row = REFUSALS.get(name)
    if row is None:
        raise InvariantBroken(f"the driver refused with {name!r}, which has no row in the table")
    return row


def refusal_error(
    refusal: Enum | str, *, leader: str | None = None, what: str = ""
) -> QuorateError:
    """The error for a refused copy of which no other copy is on its way: certainly not applied."""
    row = row_of(refusal)
    return _make(row.error, _join(what, row.text), leader)


def ending_error(
    ending: Ending, *, leader: str | None = None, what: str = "", detail: str = ""
) -> QuorateError:
    """The error for a call that ended on this host."""
    text = _join(what, ending.value)
    return _make(ENDINGS[ending], f"{text} ({detail})" if detail else text, leader)


def _join(what: str, text: str) -> str:
    return f"{what}: {text}" if what else text


def _make(kind: type[QuorateError], text: str, leader: str | None) -> QuorateError:
    if kind is SessionExpired:
        return SessionExpired(text, outcome="unknown", leader=leader)
    if issubclass(kind, Unavailable):
        return kind(text, leader=leader)
    return kind(text)
