"""What the checks of commands are made of: one value each.

The law of this file: a part looks at one value, says what is wrong with it and what to do, and
raises UsageError or LimitExceeded.
"""

from __future__ import annotations

from typing import Any, Final

from quorate.core.errors import LimitExceeded, UsageError
from quorate.core.machine import limits

KEY_BYTES_MAX: Final = limits.KEY_BYTES_MAX
IDS_MAX: Final = limits.IDS_MAX


def text(what: str, value: Any, bytes_max: int, bytes_min: int = 1) -> None:
    if type(value) is not str:
        raise UsageError(f"the {what} must be a str, not {type(value).__name__}")
    try:
        size_bytes = len(value.encode())
    except UnicodeEncodeError as error:
        raise UsageError(f"the {what} {value[:40]!r} is not valid Unicode: {error}") from error
    if size_bytes < bytes_min:
        raise UsageError(f"the {what} is empty: give it at least one character")
    if size_bytes > bytes_max:
        raise LimitExceeded(
            f"the {what} {value[:40]!r} has {size_bytes} bytes, {bytes_max} at most: shorten it"
        )


def namespace(value: Any) -> None:
    text("namespace", value, limits.NAMESPACE_BYTES_MAX, 0)
    if "\0" in value:
        raise UsageError("a namespace must not contain the character NUL")


def name(value: Any, what: str = "name") -> None:
    text(what, value, KEY_BYTES_MAX)


def octets(what: str, value: Any, bytes_max: int) -> None:
    if type(value) is not bytes:
        raise UsageError(f"the {what} must be bytes, not {type(value).__name__}")
    if len(value) > bytes_max:
        raise LimitExceeded(
            f"the {what} has {len(value)} bytes, {bytes_max} at most: make it smaller"
        )


def integer(what: str, value: Any, low: int = 0, high: int = IDS_MAX) -> None:
    if type(value) is not int:
        raise UsageError(f"the {what} must be an int, not {type(value).__name__}")
    if not low <= value <= high:
        raise LimitExceeded(f"the {what} is {value}; {low} to {high} is allowed")
