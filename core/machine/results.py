"""What a command answers: plain lists that CBOR can hold, and the errors they stand for.

The law of this file: an answer is `[revision, ...]` or `["failed", code, info]`. Codes and infos
are part of the replicated state (answers are kept for retries and are digested), so they hold no
sentences that a later version may reword; the sentences are here, on the reading side. `FAILURES`
has a row for every code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from quorate.core.errors import (
    LeaseExpired,
    LimitExceeded,
    LockLost,
    NameTaken,
    NotFound,
    OutcomeUnknown,
    Overloaded,
    OwnerDead,
    QuorateError,
    Refused,
    SessionExpired,
    StillHeld,
    UsageError,
)
from quorate.core.machine.records import AgentRecord, Registration

Result = list[Any]
"""`[revision, ...]` or `["failed", code, info]`"""

FAILED: Final = "failed"


def failed(code: str, info: object = None) -> Result:
    """The answer of a command that changed nothing."""
    return [FAILED, code, info]


MALFORMED: Final = failed("malformed")
SESSION_EXPIRED: Final = failed("session_expired")
ALREADY_ACKNOWLEDGED: Final = failed("already_acknowledged")
SESSION_WINDOW_FULL: Final = failed("session_window_full")
LEASE_EXPIRED: Final = failed("lease_expired")
LEASE_EXISTS: Final = failed("lease_exists")
LEASE_FULL: Final = failed("lease_full")
STALE_GENERATION: Final = failed("stale_generation")
STALE_TERM: Final = failed("stale_term")
NOT_HOLDER: Final = failed("not_holder")
QUEUE_FULL: Final = failed("queue_full")
NOT_FOUND: Final = failed("not_found")
TOO_LARGE: Final = failed("too_large")
OWNER_FULL: Final = failed("owner_full")
AGENT_FULL: Final = failed("agent_full")
REMINDERS_FULL: Final = failed("reminders_full")

_OWNERS_AT: Final = AgentRecord._fields.index("owners")

FAILURES: Final[Mapping[str, tuple[type[QuorateError], str]]] = {
    "malformed": (
        UsageError,
        "the command is malformed or over a limit; validate it before proposing",
    ),
    "session_expired": (SessionExpired, "the group does not know this client session (any more)"),
    "already_acknowledged": (
        OutcomeUnknown,
        "the client acknowledged this sequence before, so its answer is forgotten",
    ),
    "session_window_full": (Overloaded, "the session has too many unacknowledged commands"),
    "compare_failed": (Refused, "the compare failed: the key is not as expected"),
    "lease_expired": (LeaseExpired, "the lease expired, was revoked, or never existed"),
    "lease_exists": (Refused, "a lease with this id exists already"),
    "lease_full": (LimitExceeded, "too much hangs on this lease already: use several leases"),
    "stale_generation": (Refused, "the lease was granted anew since: this expiry is void"),
    "stale_term": (Refused, "this expiry was decided by an earlier leader: it is void"),
    "name_taken": (NameTaken, "the name is registered already"),
    "stale_epoch": (NotFound, "this binding is gone: the name has a later epoch now"),
    "not_found": (NotFound, "there is no such thing"),
    "not_holder": (LockLost, "not the holder (any more), nor waiting"),
    "queue_full": (Overloaded, "too many wait for this lock or election already"),
    "owner_dead": (OwnerDead, "an owner does not live (any more)"),
    "owner_full": (LimitExceeded, "the agent has as many owners as it may"),
    "agent_full": (LimitExceeded, "too much hangs on an agent: owned ones, links, monitors, news"),
    "still_held": (StillHeld, "the host that the agent is placed on is still alive"),
    "not_placed": (Refused, "the agent has no place: it can only be failed, or bound to one"),
    "reminder_gone": (Refused, "the reminder is not due at that time (any more): it fired already"),
    "reminders_full": (LimitExceeded, "the agent has as many reminders as it may"),
    "too_large": (LimitExceeded, "the transaction's reads return too much: read less, or outside"),
}
"""By failure code: the error and its sentence."""


def is_failed(result: Any) -> bool:
    """Whether the command was refused (it then changed nothing)."""
    return isinstance(result, list) and result[:1] == [FAILED]  # pyright: ignore[reportUnknownMemberType]


def failure_code(result: Any) -> str | None:
    """The failure code of an answer, or None for a success."""
    return result[1] if is_failed(result) else None


def is_session_expired(result: Any) -> bool:
    return result == SESSION_EXPIRED


def raise_for(result: Any, what: str = "") -> Any:
    """The answer itself if it is a success; otherwise raises what its code stands for. `what` opens
    the text.
    """
    if not is_failed(result):
        return result
    code, info = result[1], result[2]
    kind, text = FAILURES.get(code, (Refused, f"refused: {code}"))
    if what:
        text = f"{what}: {text}"
    if kind is NameTaken or kind is StillHeld:
        raise kind(text, holder=_holder(info))
    if kind is SessionExpired:
        raise SessionExpired(text, outcome="unknown")
    if code == "compare_failed" and info is not None:
        text += f" (it has version {info[0]} of revision {info[1]})"
    raise kind(text)


def _holder(info: Any) -> object:
    """The record in an answer: of a name or of an agent."""
    if not isinstance(info, list):
        return info
    row = cast("list[Any]", info)
    return agent_of(row) if len(row) > len(Registration._fields) else Registration(*row)


def agent_of(row: list[Any]) -> AgentRecord:
    """An agent's record as an answer carries it."""
    return AgentRecord._make((*row[:_OWNERS_AT], tuple(row[_OWNERS_AT]), *row[_OWNERS_AT + 1 :]))
