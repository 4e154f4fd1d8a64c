"""The options of writes and reads of an agent's state, checked.

The law of this file: an unknown option, or a value that means nothing, is a `UsageError` that names
what there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypedDict

from quorate.consistency.store import levels
from quorate.consistency.store.levels import Bounded, ReadLevel, UpdateLevel
from quorate.consistency.store.options import check_names, check_session
from quorate.consistency.store.session import Session
from quorate.core.errors import UsageError

LEVELS: Final[dict[str, int]] = {"crdt": 1, "eventual": 2, "session": 3, "strong": 4}
"""From the weakest on."""
WRITE_NAMES: Final = ("consistency", "wait_for", "durable", "session", "timeout")
READ_NAMES: Final = ("level", "session", "timeout")
HOSTS_MAX: Final = 64


class WriteOptions(TypedDict, total=False):
    """What every write takes."""

    consistency: UpdateLevel | None
    """strong, session, eventual, or (CRDTs) crdt; None: what the caller of the turn asked for, or
    the class's own."""
    wait_for: int
    """Commit only when so many hosts have the turn on disk; 1: this host."""
    durable: bool
    """False: this write need not be on disk when the turn is answered."""
    session: Session | None
    """The turn comes after all that the session wrote and saw, and the session has seen it
    afterwards."""
    timeout: float | None
    """Seconds that the call itself may take; it is the commit that waits, until the turn's
    deadline."""


class ReadOptions(TypedDict, total=False):
    """What every read takes."""

    level: ReadLevel | None
    """linearizable, session, local or `bounded(ms=, versions=)`; None: what goes with the class's
    consistency. The agent's own host has everything of it, so all but linearizable are the same
    there."""
    session: Session | None
    timeout: float | None


class Asked(NamedTuple):
    """What one write asks for."""

    level: UpdateLevel
    durable: bool = True
    wait_for: int = 1
    session: Session | None = None


PLAIN: Final[dict[str, Asked]] = {level: Asked(level) for level in levels.UPDATE_LEVELS}
"""What writes without options ask for."""


def asked(options: Mapping[str, Any], own: str, what: str, *, crdt: bool) -> Asked:
    """What a write asks for; `own`: the level of writes that name none. Raises `UsageError`."""
    if crdt and own != "session":
        own = "crdt"
    if not options:
        return PLAIN[own]
    if len(options) == 1 and not crdt:
        found = PLAIN.get(options.get("consistency", ""))
        if found is not None and found.level != "crdt":
            return found
    check_names(options, WRITE_NAMES, what)
    session = check_session(options.get("session"), what)
    level = options.get("consistency")
    if level is None:
        level = "session" if session is not None and own == "eventual" else own
    level = levels.check_update_level(level, crdt=crdt, what=what)
    wait_for = levels.check_count("wait_for", options.get("wait_for", 1), HOSTS_MAX, what)
    durable = levels.check_flag("durable", options.get("durable", True), what)
    if level == "strong" and (not durable or wait_for > 1):
        raise UsageError(
            f"{what}: durable= and wait_for= are for session, eventual and crdt writes; a strong "
            "one is on the disks of a majority"
        )
    if not durable and (wait_for > 1 or session is not None):
        raise UsageError(f"{what}: wait_for= and session= count disks: leave durable=False away")
    return Asked(level, durable, wait_for, session)


def read_level(options: Mapping[str, Any], own: str, what: str, *, crdt: bool) -> ReadLevel:
    """At which level a read is made; `own`: the level of writes. Raises `UsageError`."""
    level: Any = None
    if options:
        check_names(options, READ_NAMES, what)
        check_session(options.get("session"), what)
        level = options.get("level")
    if level is None:
        return "linearizable" if own == "strong" and not crdt else "local"
    if isinstance(level, Bounded) or level in levels.READ_LEVELS:
        return levels.check_read_level(level, crdt=crdt, what=what)
    return levels.check_read_level(level, crdt=crdt, what=what)
