"""What an agent may be called. Pure.

The law of this file: a name is checked once, where a program hands it in; the sentence says what is
wrong with it and what to do.
"""

from __future__ import annotations

from typing import Final

from quorate.core.errors import LimitExceeded, UsageError

NAME_BYTES_MAX: Final = 256
ANONYMOUS: Final = "~"
"""Names of agents without a binding begin with it; `~host/number` says where they are."""


def check_name(name: object) -> str:
    """The name itself if an agent can have it. Raises `UsageError`, `LimitExceeded`."""
    if not isinstance(name, str):
        raise UsageError(f"an agent's name must be a str, not {type(name).__name__}")
    if not name:
        raise UsageError("an agent's name is empty: give it at least one character")
    if name.startswith(ANONYMOUS):
        raise UsageError(
            f"the name {name[:40]!r} begins with {ANONYMOUS!r}: that is for agents "
            "without a name (see `spawn`)"
        )
    if not name.isprintable() or name != name.strip():
        raise UsageError(
            f"the name {name[:40]!r} has characters that cannot be printed, or blanks "
            "at its ends: use letters, digits and signs such as ':' '/' '-'"
        )
    if "*" in name:
        raise UsageError(f"the name {name[:40]!r} has a star: stars are for patterns in list()")
    try:
        size_bytes = len(name.encode())
    except UnicodeEncodeError as error:
        raise UsageError(f"the name {name[:40]!r} is not valid Unicode") from error
    if size_bytes > NAME_BYTES_MAX:
        raise LimitExceeded(
            f"the name {name[:40]!r}... has {size_bytes} bytes, {NAME_BYTES_MAX} at "
            "most: shorten it"
        )
    return name


def anonymous(host_id: str, number: int) -> str:
    """The name of an agent without a binding."""
    return f"{ANONYMOUS}{host_id}/{number:x}"


def home_of(name: str) -> str | None:
    """The host of an agent without a binding; None for a name that is looked up."""
    if not name.startswith(ANONYMOUS):
        return None
    return name[len(ANONYMOUS) :].rpartition("/")[0]
