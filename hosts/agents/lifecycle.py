"""The life of an agent on one host, as a table.

The law of this file: every change of status is a row here; whoever changes one asks `next_status`,
and what is not a row is our bug. Pure.

    starting ----> active <----> passive
       |            |  ^            |
       |            v  |            |
       |         migrating          |
       v            |               v
     failed         +----> gone <---+---- stopping <---- any
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from quorate.core.errors import InvariantBroken


class Status(Enum):
    """What an agent is on the host that holds its binding."""

    STARTING = "starting"
    """In memory; `on_start` or `on_activate` has not ended."""
    ACTIVE = "active"
    """In memory, takes messages."""
    PASSIVE = "passive"
    """Bound to this host, not in memory; the next message brings it up."""
    MIGRATING = "migrating"
    """In memory, takes no turn: it is on its way to another host."""
    STOPPING = "stopping"
    """`on_stop` runs; nothing is taken any more."""
    FAILED = "failed"
    """It could not be brought up; it is tried again later, or was given up."""
    GONE = "gone"
    """Not here any more: stopped, moved, or the host lost its lease."""


class Happening(Enum):
    """What makes a status another one."""

    STARTED = "started"
    """Its hooks ended well."""
    CALLED = "called"
    """A message came for one that is not in memory."""
    IDLE = "idle"
    LEAVES = "leaves"
    """It is to move to another host."""
    STAYS = "stays"
    """The move was given up."""
    MOVED = "moved"
    BROKE = "broke"
    """Its hooks raised, or it was found unhealthy."""
    RETRIED = "retried"
    STOPS = "stops"
    STOPPED = "stopped"
    LOST = "lost"
    """The host lost the lease under which it ran, or the binding is another's."""


S, H = Status, Happening

TABLE: Final[dict[tuple[Status, Happening], Status]] = {
    (S.STARTING, H.STARTED): S.ACTIVE,
    (S.STARTING, H.BROKE): S.FAILED,
    (S.ACTIVE, H.IDLE): S.PASSIVE,
    (S.PASSIVE, H.CALLED): S.STARTING,
    (S.ACTIVE, H.LEAVES): S.MIGRATING,
    (S.MIGRATING, H.STAYS): S.ACTIVE,
    (S.MIGRATING, H.MOVED): S.GONE,
    (S.ACTIVE, H.BROKE): S.FAILED,
    (S.FAILED, H.RETRIED): S.STARTING,
    **{
        (status, H.STOPS): S.STOPPING
        for status in (S.STARTING, S.ACTIVE, S.PASSIVE, S.MIGRATING, S.FAILED)
    },
    (S.STOPPING, H.STOPPED): S.GONE,
    **{(status, H.LOST): S.GONE for status in Status if status is not S.GONE},
}
"""(status, what happened) -> the next status."""


def next_status(status: Status, happening: Happening) -> Status:
    """The status that follows. Raises `InvariantBroken` for what is not in the table."""
    found = TABLE.get((status, happening))
    if found is None:
        raise InvariantBroken(f"an agent that is {status.value} cannot be {happening.value}")
    return found


def may(status: Status, happening: Happening) -> bool:
    """Whether the table has a row for it."""
    return (status, happening) in TABLE
