"""How far an agent's turns are, as one host's replica tells.

The law of this file: each epoch has a register of its own; the furthest (epoch, number) counts, and
never the latest stamp: a clock that is ahead must not make an old turn the last one. Looks only.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from quorate.consistency.replica.states import RegisterEntry
from quorate.consistency.store.plane import Plane
from quorate.hosts.agents.state.marks import NO_TURN, TurnMark, turn_mark
from quorate.hosts.agents.state.scope import STORE, TURN

EPOCHS_MAX: Final = 512
"""Looked at: those before the last turn go with it, so there are few."""


class Found(NamedTuple):
    """The last turn, who wrote its mark (0, 0: nobody), and all registers there are."""

    mark: TurnMark = NO_TURN
    actor: int = 0
    seq: int = 0
    keys: tuple[str, ...] = ()


def entry_at(plane: Plane, key: str) -> RegisterEntry | None:
    """The entry that a register of this host shows."""
    state: Any = plane.replica.read(STORE, key)
    return getattr(state, "winner", None)


def find_own(plane: Plane, key: str) -> Found | None:
    """The last turn of the epoch whose register is `key`; None if it has none. Later than any of an
    earlier epoch, and one look-up."""
    entry = entry_at(plane, key)
    if entry is None or entry.value is None:
        return None
    return Found(turn_mark(entry.value), entry.actor, entry.seq)


def find_last(plane: Plane, scope: str) -> Found:
    """The last turn of a scope that this host has."""
    best, keys = Found(), list[str]()
    for key in plane.replica.keys_under(STORE, f"{scope}/{TURN}", limit=EPOCHS_MAX):
        entry = entry_at(plane, key)
        if entry is None or entry.value is None:
            continue
        keys.append(key)
        mark = turn_mark(entry.value)
        if mark.place > best.mark.place:
            best = Found(mark, entry.actor, entry.seq)
    return best._replace(keys=tuple(keys))
