"""What one activation knows of its own state: how far its turns are, what it has seen, what is in
doubt.

The law of this file: values of one activation, changed by who opens and commits; nothing here
waits.
"""

from __future__ import annotations

from typing import Protocol

from quorate.consistency.replica.writing import Update
from quorate.consistency.store.core import Core
from quorate.consistency.store.plane import Plane
from quorate.consistency.store.tokens import Past
from quorate.core.group.bindings import Bindings
from quorate.core.machine.agent_commands import Mark, Write
from quorate.hosts.agents.state import applying
from quorate.hosts.agents.state.applying import LocalPart
from quorate.hosts.agents.state.marks import (
    NO_TURN,
    Redo,
    TurnMark,
    actor_of,
    decode_redo,
    first_dot,
)
from quorate.hosts.agents.state.scope import Holder, Keys, Usage

__all__ = ["Bindings", "Fetch", "Ledger", "Mark", "Write"]


class Fetch(Protocol):
    """Brings a key's state here from an owner."""

    async def __call__(self, core: Core, key: str, until: float) -> None: ...


class Ledger:
    """See the law above."""

    __slots__ = (
        "_turn_key",
        "bindings",
        "brought",
        "core",
        "fetch",
        "former",
        "found",
        "holder",
        "is_writing",
        "keys",
        "last",
        "mark",
        "plane",
        "redo",
        "redo_due",
        "redo_seqs",
        "seen",
        "unknown",
        "usage",
    )

    def __init__(
        self,
        holder: Holder,
        keys: Keys,
        core: Core,
        bindings: Bindings,
        fetch: Fetch,
        *,
        bytes_max: int,
    ) -> None:
        self.holder = holder
        self.keys = keys
        self.core = core
        self.plane: Plane = core.plane
        self.bindings = bindings
        self.fetch = fetch
        self.usage = Usage(bytes_max)
        self.mark: TurnMark = NO_TURN
        """The last turn whose local updates are in this host's replica."""
        self.found: TurnMark = NO_TURN
        """What `mark` was when the activation began."""
        self.last = (0, 0)
        """The dot of the agent's last local update."""
        self.seen = Past({})
        """What it saw beside that, and the index of its last strong commit."""
        self.former: list[str] = []
        """Registers of the turns of earlier epochs, to go with the first turn of this one."""
        self._turn_key = (0, "")
        self.is_writing = False
        """Its updates go into the replica at this moment."""
        self.unknown = False
        """A strong commit ended without an answer: it may have happened, or may still."""
        self.redo_due = False
        """The local part of a turn that was committed is not in the replica yet."""
        self.redo: list[Redo] = []
        """What `~redo` holds."""
        self.redo_seqs: dict[tuple[int, int], int] = {}
        """Place of a turn -> this host's own update with which its local part was here."""
        self.brought: set[str] = set()
        """Keys of which this host, that owns them not, has what their owners had."""

    @property
    def in_doubt(self) -> bool:
        return self.unknown or self.redo_due

    # --- places -----------------------------------------------------------------------------------

    @property
    def is_home(self) -> bool:
        """Whether this host has everything of the agent; all its keys live together."""
        core = self.core
        return core.whole or core.is_home(self.keys.turns)

    def next_mark(self, used_bytes: int) -> TurnMark:
        """Of the turn that is being committed."""
        epoch, mark, found = self.holder.epoch, self.mark, self.found
        if mark.epoch == epoch:
            return TurnMark(epoch, mark.number + 1, used_bytes, *mark[3:])
        return TurnMark(epoch, mark.number + 1, used_bytes, found.epoch, found.number)

    def dots_of_next_turn(self) -> tuple[int, int]:
        """(actor, the dot before the first)"""
        ahead = 2 if self.in_doubt else 1
        return actor_of(self.holder.epoch), first_dot(self.mark.number + ahead)

    # --- looking ----------------------------------------------------------------------------------

    def turn_key(self) -> str:
        """Where this epoch's turns are told."""
        epoch = self.holder.epoch
        if self._turn_key[0] != epoch:
            self._turn_key = (epoch, self.keys.turn(epoch))
        return self._turn_key[1]

    def read_redo(self) -> list[Redo]:
        """`~redo` as this host's copy of the group has it. Raises `CorruptStorage`."""
        self.redo = decode_redo(
            self.core.record(self.keys.redo).value, f"agent {self.keys.agent!r}"
        )
        return self.redo

    def kept_redo(self) -> list[Redo]:
        """Of `redo`, what no other owner is known to have yet."""
        replica, core, key = self.plane.replica, self.core, self.keys.turns
        if core.homes(key) == self.plane.me:
            return []
        kept: list[Redo] = []
        for one in self.redo:
            seq = self.redo_seqs.get(one.mark.place)
            if seq is None:
                continue  # it was here when the activation began, from another owner's disk
            if not any(host != self.plane.host_id for host in replica.holders(core.name, key, seq)):
                kept.append(one)
        return kept

    # --- what was written and seen ----------------------------------------------------------------

    def apply(self, part: LocalPart, deps: dict[int, int] | None) -> Update:
        """Put a turn's local part into the replica; `applying.check` came before, in this step."""
        self.is_writing = True
        try:
            update = applying.apply(self.core, part, self.keys.turn(part.mark.epoch), deps)
            self.applied(part.mark, update)
        finally:
            self.is_writing = False
        return update

    def applied(self, mark: TurnMark, update: Update) -> None:
        """The local part of this turn is in the replica; in the same step."""
        self.mark = mark
        self.usage.local = mark.used_bytes
        self.wrote(self.plane.replica.actor, update.seq)
        if self.former and mark.epoch == self.holder.epoch:
            for key in self.former:  # what they say, this mark says too
                self.plane.replica.put(self.core.name, key, None)
            self.former = []

    @property
    def past(self) -> Past:
        """What the agent wrote and saw: a host that covers it has everything of the agent."""
        actor, seq = self.last
        if not actor:
            return self.seen
        vector = dict(self.seen.vector)
        vector[actor] = max(seq, vector.get(actor, 0))
        return self.seen._replace(vector=vector)

    def wrote(self, actor: int, seq: int) -> None:
        """The agent's last local update is this one."""
        if self.last[0] not in (0, actor):
            self.seen = self.past
        self.last = (actor, seq)

    def committed(self, index: int) -> None:
        """Its last strong commit is this one."""
        self.seen = self.seen._replace(strong=max(index, self.seen.strong))

    def saw(self, past: Past) -> None:
        """It came after this."""
        mine = self.seen
        vector = dict(mine.vector)
        for actor, seq in past.vector.items():
            vector[actor] = max(seq, vector.get(actor, 0))
        self.seen = Past(vector, max(mine.strong, past.strong), max(mine.stamp, past.stamp))
