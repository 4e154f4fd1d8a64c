"""Why a command batch or a request was not taken. Every reason here means: certainly not applied by
this attempt."""

from __future__ import annotations

from enum import Enum

from pysyncobj.config import FAIL_REASON


class Refusal(Enum):
    """The engine's answers that are no. The value is the text that crosses the wire."""

    NO_LEADER = "no_leader"
    NOT_LEADER = "not_leader"
    QUEUE_FULL = "queue_full"
    TOO_LARGE = "too_large"
    STORAGE_FULL = "storage_full"
    TRANSFERRING = "transferring"
    REMOVED = "removed"
    STOPPED = "stopped"
    DENIED = "denied"


FROM_FAIL_REASON: dict[int, Refusal] = {
    FAIL_REASON.QUEUE_FULL: Refusal.QUEUE_FULL,
    FAIL_REASON.MISSING_LEADER: Refusal.NO_LEADER,
    FAIL_REASON.NOT_LEADER: Refusal.NOT_LEADER,
    FAIL_REASON.REQUEST_DENIED: Refusal.DENIED,
}
"""The base engine's reasons that mean «not appended». The other ones are not refusals and never
reach a caller of ours."""
