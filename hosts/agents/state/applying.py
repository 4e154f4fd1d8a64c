"""The local updates of one turn, into this host's replica: all of them in one step.

The law of this file: what could refuse an update is asked before the first of them; after that none
can fail, and none waits, so they are one batch in the log and one batch for every other owner. The
turn's mark comes last. Does no IO of its own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from quorate.consistency import crdt as crdts
from quorate.consistency.crdt import Crdt
from quorate.consistency.replica.states import CrdtState, RegisterState
from quorate.consistency.replica.writing import Update
from quorate.consistency.store.core import Core
from quorate.core.errors import WrongType
from quorate.hosts.agents.state.buffer import TurnBuffer
from quorate.hosts.agents.state.drafts import BY_STATE
from quorate.hosts.agents.state.marks import Joined, Put, Redo, TurnMark


class Operate(NamedTuple):
    """Operations on one CRDT that are done now, under dots of this host's log."""

    key: str
    kind: str
    ops: list[tuple[str, list[Any]]]


class Delta(NamedTuple):
    """What was done to a CRDT beforehand."""

    key: str
    delta: Crdt
    stamp: int


class LocalPart(NamedTuple):
    """The local updates of one turn; keys are full ones."""

    mark: TurnMark
    puts: list[Put]
    operations: list[Operate]
    deltas: list[Delta]
    size_bytes: int

    @property
    def updates(self) -> int:
        operations = sum(len(one.ops) for one in self.operations)
        return 1 + len(self.puts) + operations + len(self.deltas)


def local_part(core: Core, buffer: TurnBuffer, mark: TurnMark, *, again: bool) -> LocalPart:
    """Of a buffer. `again`: it may have to be done again elsewhere, so every CRDT comes as a
    delta."""
    puts = [Put(key, value) for key, value in buffer.puts.items()]
    operations: list[Operate] = []
    deltas: list[Delta] = []
    for key, draft in buffer.drafts.items():
        if again or draft.kind in BY_STATE:
            state = core.plane.replica.read(core.name, key)
            draft.draw(state if isinstance(state, CrdtState) else None)
            if draft.delta is not None:
                deltas.append(Delta(key, draft.delta, draft.stamp))
        else:
            operations.append(Operate(key, draft.kind, draft.ops))
    return LocalPart(mark, puts, operations, deltas, buffer.local_bytes + 128)


def check(core: Core, part: LocalPart) -> None:
    """Raise what would refuse any of it: `WrongType`, `StorageFull`, `Overloaded`, `Stopped`."""
    replica, name = core.plane.replica, core.name
    replica.admit(part.updates, part.size_bytes)
    for key, _ in part.puts:
        state = replica.read(name, key)
        if state is not None and not isinstance(state, RegisterState):
            raise WrongType(f"{core.what(key)} is a {state.kind} by now, not a plain value")
    kinds = [(one.key, one.kind) for one in part.operations]
    kinds += [(one.key, one.delta.kind) for one in part.deltas]
    for key, kind in kinds:
        state = replica.read(name, key)
        if state is not None and state.kind != kind:
            raise WrongType(f"{core.what(key)} is a {state.kind} by now, not a {kind}")


def apply(core: Core, part: LocalPart, turn_key: str, deps: dict[int, int] | None) -> Update:
    """All of it, now. `check` came before in the same step. `deps`: what a reader of it must have
    seen, beside what this host made."""
    replica, name, floor = core.plane.replica, core.name, core.floor
    for key, value in part.puts:
        replica.put(name, key, value, deps=deps, floor=floor(key))
    for key, kind, ops in part.operations:
        least = floor(key)
        for op, args in ops:
            replica.operate(name, key, kind, op, args, deps=deps, floor=least)
    for key, delta, stamp in part.deltas:
        replica.join_delta(name, key, delta, stamp=stamp, deps=deps, floor=floor(key))
    return replica.put(name, turn_key, part.mark.encode(), deps=deps)


def as_redo(part: LocalPart, host: str, prefix: str) -> Redo:
    """How it is kept; keys are those after the prefix."""
    cut = len(prefix)
    return Redo(
        part.mark,
        host,
        [Put(key[cut:], value) for key, value in part.puts],
        [Joined(key[cut:], delta.wire(), stamp) for key, delta, stamp in part.deltas],
    )


def from_redo(redo: Redo, prefix: str) -> LocalPart:
    """The inverse. Raises `UsageError` for deltas that are none."""
    deltas = [Delta(prefix + key, crdts.decode(wire), stamp) for key, wire, stamp in redo.deltas]
    puts = [Put(prefix + key, value) for key, value in redo.puts]
    return LocalPart(redo.mark, puts, [], deltas, redo.size_bytes() + 128)
