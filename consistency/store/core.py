"""One store on one host, without its public face: where its keys live and what they show.

The law of this file: look-ups only, at once; nothing here waits or asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from quorate.consistency.replica.definitions import KEY_BYTES_MAX, StoreDef
from quorate.consistency.replica.definitions import check_key as check_replica_key
from quorate.consistency.replica.states import GROUP, CrdtState, RegisterState, joined
from quorate.consistency.store.levels import OnPartition, UpdateLevel
from quorate.consistency.store.merging import Merger
from quorate.consistency.store.plane import Plane
from quorate.consistency.store.session import Session
from quorate.consistency.store.tokens import Past
from quorate.consistency.store.views import View, view_of
from quorate.consistency.strong import ABSENT, StrongRecord
from quorate.core.errors import NoQuorum, Partitioned, UsageError, WrongType

EVERYTHING_SEEN = Past({})


def check_key(key: object) -> str:
    """A key: text of 1 to 448 bytes of UTF-8. Raises `UsageError`."""
    if type(key) is str and key.isascii() and 0 < len(key) <= KEY_BYTES_MAX:
        return key
    text = check_replica_key(key)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"key {text[:40]!r} cannot be written as UTF-8") from error
    return text


class Wanted(NamedTuple):
    """What one update asks for."""

    level: UpdateLevel
    until: float
    """The deadline, in monotonic seconds."""
    session: Session | None = None
    wait_for: int = 1
    durable: bool = True
    on_partition: OnPartition = "continue"
    replicas: int | None = None
    past: Past = EVERYTHING_SEEN
    """What the host that makes the update must have seen before."""


class Core:
    """`definition`: as agreed, or as this host was told while nobody could be asked."""

    def __init__(self, plane: Plane, definition: StoreDef) -> None:
        self.plane = plane
        self.name = definition.name
        self.definition = definition
        self.merger: Merger | None = None
        self.whole = False
        self.redefine(definition)

    def redefine(self, definition: StoreDef) -> None:
        self.definition = definition
        merge = definition.merge
        if merge is None:
            self.merger = None
        elif self.merger is None or self.merger.merge is not merge:
            self.merger = Merger(merge)
        self.place()

    def place(self) -> None:
        """The ring changed."""
        self.whole = self.plane.whole(self.definition.replicas)

    # --- where ------------------------------------------------------------------------------------

    def homes(self, key: str) -> tuple[str, ...]:
        """The hosts that have everything of a key."""
        partition = self.plane.replica.partition_of(self.name, key)
        return self.plane.homes(partition, self.definition.replicas)

    def is_home(self, key: str) -> bool:
        return self.whole or self.plane.host_id in self.homes(key)

    # --- what -------------------------------------------------------------------------------------

    def what(self, key: str) -> str:
        """How error texts name the key."""
        return f"store {self.name!r}, key {key!r:.60}"

    def record(self, key: str) -> StrongRecord:
        """The strong record as this host has it."""
        strong = self.plane.strong
        return strong.peek(self.name, key) if strong.has_any(self.name) else ABSENT

    def view(self, key: str) -> View:
        """The newer of both planes, as this host has them."""
        check_key(key)
        state = self.plane.replica.read(self.name, key)
        return view_of(state, self.record(key), self.merger)

    def floor(self, key: str) -> int:
        """The stamp that a local update must exceed so as not to hide behind a strong one."""
        strong = self.plane.strong
        return strong.peek(self.name, key).stamp if strong.has_any(self.name) else 0

    def synced(self, key: str) -> bool:
        """Whether what a read would show is on this host's disk."""
        replica = self.plane.replica
        state = replica.read(self.name, key)
        return state is None or state.lsn <= replica.synced_lsn

    def whole_with_past(self, key: str) -> bool:
        """Whether what a session would be shown is here together with what it depends on. Of a
        CRDT an update can be here while an earlier one, which its writer had seen, is not: it
        comes from another host. A register shows one write, and what it depends on is asked for
        by the session's next read."""
        state = self.plane.replica.read(self.name, key)
        if not isinstance(state, CrdtState) or not state.deps:
            return True
        deps = dict(state.deps)
        strong = deps.pop(GROUP, 0)
        return self.covers(Past(deps, strong))

    def may_miss(self, key: str, past: Past) -> bool:
        """Whether something of the key that is in the past may not have come here: see `Plane`."""
        partition = self.plane.replica.partition_of(self.name, key)
        return self.plane.may_miss(partition, past.vector)

    def covers(self, past: Past) -> bool:
        """Whether this host has everything a session wrote and saw that concerns it."""
        return self.plane.strong.applied_index >= past.strong and self.plane.replica.covers(
            past.vector
        )

    # --- refusals ---------------------------------------------------------------------------------

    def refuse_crdt(self, key: str, doing: str) -> None:
        """Raises `WrongType` if the key holds a CRDT here."""
        state = self.plane.replica.read(self.name, check_key(key))
        if isinstance(state, CrdtState) and not state.is_dead:
            raise WrongType(
                f"{self.what(key)} is a {state.kind}: {doing} is for plain values; use its typed "
                "handle"
            )

    def refuse_strong(self, key: str, kind: str) -> None:
        """Raises `WrongType` if the group holds a plain value under the key."""
        record = self.record(key)
        if record.value is None:
            return
        state = self.plane.replica.read(self.name, key)
        if state is None or isinstance(state, RegisterState):
            raise WrongType(
                f"{self.what(key)} holds a strongly written plain value, not a {kind}: delete it "
                "first or use another key"
            )

    def refuse_cut_off(self, policy: OnPartition, key: str) -> None:
        """Raises `Partitioned` if the store pauses now."""
        if policy == "pause" and self.plane.world.cut_off():
            raise Partitioned(
                f"{self.what(key)}: this host reaches no majority and the store pauses then; "
                "nothing was changed"
            )

    def refuse_without_majority(self, key: str) -> None:
        """Raises `NoQuorum` at once where the group could only be waited for in vain."""
        if self.plane.world.cut_off():
            raise NoQuorum(f"{self.what(key)}: this host reaches no majority; nothing was sent")

    def versions_seen(self, key: str) -> dict[int, int]:
        """The updates of the key that this host has seen: actor -> sequence."""
        replica = self.plane.replica
        state = replica.read(self.name, check_key(key))
        seen = dict(replica.collected_cut(self.name, key))
        if isinstance(state, RegisterState):
            found = state.context
        elif state is None:
            found = {}
        else:
            context = state.crdt.context
            found = {actor: context.high(actor) for actor in context.actors()}
        return joined(seen, found)

    def statistics(self) -> Mapping[str, object]:
        return {} if self.merger is None else self.merger.statistics()
