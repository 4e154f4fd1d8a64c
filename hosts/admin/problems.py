"""Errors as RFC 9457 problem objects: what happened, whether the update happened, and where to try
next. Pure.

The law of this file: one row per family of `core.errors`, looked up along the class's own line, so
that a new error has its parent's row until it gets its own. A problem always has `outcome`, and
`leader` when a leader is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quorate.core import errors
from quorate.core.errors import QuorateError

CONTENT_TYPE = "application/problem+json"

STATUS: Mapping[type[QuorateError], int] = {
    errors.UsageError: 400,
    errors.LimitExceeded: 413,
    errors.WrongDataFolder: 500,
    errors.Refused: 409,
    errors.NameTaken: 409,
    errors.NotFound: 404,
    errors.LeaseExpired: 410,
    errors.Compacted: 410,
    errors.Unavailable: 503,
    errors.Overloaded: 503,
    errors.StorageFull: 507,
    errors.Timeout: 504,
    errors.OutcomeUnknown: 504,
    errors.InvariantBroken: 500,
    QuorateError: 500,
}
RETRY_AFTER_S = 1


def status_of(error: QuorateError) -> int:
    """The HTTP status of `error`: its own row, or the nearest parent's."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def slug(name: str) -> str:
    """`NoQuorum` -> `no-quorum`."""
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")


def title(name: str) -> str:
    """`NoQuorum` -> `No quorum`."""
    return slug(name).replace("-", " ").capitalize()


def outcome_status(error: QuorateError) -> int:
    """Like `status_of`; what was applied and is not visible in time is late, not unavailable."""
    late = isinstance(error, errors.Unavailable) and error.outcome == "applied"
    return 504 if late else status_of(error)


def problem(error: QuorateError, leader: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The body for `error`. `leader`: {host, admin} where a caller may try instead."""
    name = type(error).__name__
    body: dict[str, Any] = {
        "type": f"urn:quorate:problem:{slug(name)}",
        "title": title(name),
        "status": outcome_status(error),
        "detail": str(error),
        "outcome": error.outcome,
    }
    if isinstance(error, errors.Compacted):
        body["oldest_revision"] = error.oldest_revision
    known = _leader_of(error)
    hint = leader or ({"host": known} if known else None)
    if hint is not None and isinstance(error, errors.Unavailable):
        body["leader"] = dict(hint)
    return body


def _leader_of(error: QuorateError) -> str | None:
    return error.leader if isinstance(error, errors.Unavailable) else None


def plain(status: int, name: str, detail: str, **more: Any) -> dict[str, Any]:
    """A problem of HTTP itself (no such resource, no token): it never touched the group."""
    return {
        "type": f"urn:quorate:problem:{slug(name)}",
        "title": title(name),
        "status": status,
        "detail": detail,
        "outcome": "not_applied",
        **more,
    }
