"""When a reminder is due, first and next. Pure.

The law of this file: times are milliseconds since 1970, and a reminder keeps its rhythm: after it
fired it is due a whole number of periods later, never twice for what was missed. What a program
hands in is checked here.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from quorate.core import codec
from quorate.core.errors import LimitExceeded, UsageError
from quorate.core.machine.limits import REMINDER_BYTES_MAX, REMINDER_ID_BYTES_MAX
from quorate.core.machine.records import Reminder

EVERY_MIN_S: Final = 0.1
"""Each firing is a command of the group."""
SPAN_MAX_S: Final = 100 * 366 * 86_400.0


class Plan(NamedTuple):
    """When a reminder is to fire."""

    due_ms: int
    period_ms: int
    """0: once."""


class Next(NamedTuple):
    """What comes after a firing."""

    due_ms: int
    """0: nothing, it was a one-shot."""
    missed: int
    """How many more times it was due until now, beside the one that fires."""


def plan(now_ms: int, *, after: float | None, at: float | None, every: float | None) -> Plan:
    """When it is due: `after` so many seconds, `at` a time (seconds since 1970), or `every` so many
    seconds, the first time that long from now unless one of the others is given too. Raises
    `UsageError`."""
    if after is not None and at is not None:
        raise UsageError("a reminder is due either after= so many seconds or at= a time, not both")
    if after is None and at is None and every is None:
        raise UsageError("a reminder needs after=, at= or every=")
    period_ms = 0
    if every is not None:
        period_ms = max(1, round(_seconds("every", every, EVERY_MIN_S) * 1000))
    if at is not None:
        due_ms = round(_seconds("at", at, 0.0) * 1000)
    elif after is not None:
        due_ms = now_ms + round(_seconds("after", after, 0.0) * 1000)
    else:
        due_ms = now_ms + period_ms
    return Plan(due_ms, period_ms)


def _seconds(what: str, value: object, least_s: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{what}= must be a number of seconds, not {value!r:.60}")
    if not least_s <= value <= SPAN_MAX_S:
        raise UsageError(f"{what}= must be {least_s:g} to {SPAN_MAX_S:g} seconds, not {value!r}")
    return float(value)


def check_id(id_: object) -> str:
    """The id itself if a reminder can have it. Raises `UsageError`, `LimitExceeded`."""
    if type(id_) is not str or not id_:
        raise UsageError(f"a reminder's id must be a text that is not empty, not {id_!r:.60}")
    try:
        size_bytes = len(id_.encode())
    except UnicodeEncodeError as error:
        raise UsageError(f"the id {id_[:40]!r} is not valid Unicode") from error
    if size_bytes > REMINDER_ID_BYTES_MAX:
        raise LimitExceeded(
            f"the id {id_[:40]!r}... has {size_bytes} bytes, {REMINDER_ID_BYTES_MAX} at most"
        )
    return id_


def encode_data(id_: str, data: object) -> bytes:
    """What the reminder carries, as the group keeps it. Raises `UsageError`, `LimitExceeded`."""
    if data is None:
        return b""
    try:
        encoded = codec.encode_value(data)
    except UsageError as error:
        raise UsageError(f"data= of reminder {id_!r} cannot be encoded: {error}") from error
    if len(encoded) > REMINDER_BYTES_MAX:
        raise LimitExceeded(
            f"data= of reminder {id_!r} has {len(encoded)} bytes, {REMINDER_BYTES_MAX} at most: "
            "keep it in self.state"
        )
    return encoded


def stands_already(present: Reminder, wanted: Plan, data: bytes, *, at: bool) -> bool:
    """Whether a periodic reminder that is there is what is asked for: set again by each activation,
    it must keep its rhythm, or it would never fire in an agent that comes and goes. `at`: a certain
    time was asked for."""
    if not wanted.period_ms or present.period_ms != wanted.period_ms or present.data != data:
        return False
    return not at or (present.due_ms - wanted.due_ms) % wanted.period_ms == 0


def after_firing(reminder: Reminder, now_ms: int) -> Next:
    """When it is due again after it fired now, and how many times it was due in vain."""
    if not reminder.period_ms:
        return Next(0, 0)
    missed = max(0, now_ms - reminder.due_ms) // reminder.period_ms
    return Next(reminder.due_ms + (missed + 1) * reminder.period_ms, missed)
