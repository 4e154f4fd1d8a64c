"""Why something ended, in words that say more than a number. Pure.

The law of this file: the group gives reasons, and names leases by their ids; whoever knows what
stands behind a lease puts that in its place. Nothing else of a reason is changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

_LEASE: Final = re.compile(r"\blease:(\d+)")
TEXT_CHARS_MAX: Final = 200


def explained(reason: str, text_of: Callable[[int], str | None]) -> str:
    """The reason, with the leases in it called by what stands behind them."""

    def named(found: re.Match[str]) -> str:
        return text_of(int(found.group(1))) or found.group()

    return _LEASE.sub(named, reason)


def task_text(name: str, host_id: str) -> str:
    return f"task {name!r} of host {host_id!r}"[:TEXT_CHARS_MAX]


def session_text(number: int, host_id: str) -> str:
    return f"session {number} of host {host_id!r}"[:TEXT_CHARS_MAX]


def task_end(text: str, error: BaseException | None, *, cancelled: bool) -> str:
    """A task that has ended, and how."""
    if cancelled:
        return f"{text} (cancelled)"
    if error is not None:
        return f"{text} ({type(error).__name__}: {error})"[:TEXT_CHARS_MAX]
    return f"{text} (done)"
