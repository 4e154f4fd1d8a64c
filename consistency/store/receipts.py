"""What an update gives back: the receipt says what was asked, what was achieved, and where it is.

The law of this file: values only. A receipt tells the moment of the acknowledgement and never
changes afterwards. Its token is made when it is asked for, because most are not.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from quorate.consistency.store.levels import UpdateLevel
from quorate.consistency.store.tokens import Past


class Version(NamedTuple):
    """One version of one key."""

    actor: int
    """Who made it: an actor of the local plane; 0 for the group (strong updates)."""
    seq: int
    """The actor's own sequence number: (actor, seq) names one update for ever. Of a strong update
    the number of strong writes that the key has seen, which `cas` compares."""
    stamp: int
    """Hybrid logical clock, 64 bits: milliseconds since 1970 times 65536, and a counter."""


class Minting(Protocol):
    """Makes tokens, once it has the cluster's key."""

    def token(self, past: Past) -> bytes: ...


class Receipt(NamedTuple):
    """The receipt of an update."""

    asked: UpdateLevel
    achieved: UpdateLevel
    """What was reached; less than asked only where the store says `on_partition="degraded"`."""
    version: Version
    term: int | None
    """Of the strong plane: where it was applied; None for the other levels."""
    index: int | None  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleMethodOverride]
    replicas: tuple[str, ...]
    """The hosts that were known to hold it when it was acknowledged."""
    durable: bool
    """On disk at all of `replicas`; False: in memory only (`durable=False`)."""
    epoch: int
    """Of the ring by which its owners were chosen."""
    past: Past
    """What a session must have seen to see this update."""
    minting: Minting

    @property
    def token(self) -> bytes:
        """A session token that covers this update: `host.session(receipt.token)` reads it, on any
        host."""
        return self.minting.token(self.past)

    @property
    def dot(self) -> tuple[int, int]:
        """(actor, seq): the update's name for ever."""
        return self.version[:2]

    def __repr__(self) -> str:
        where = "" if self.index is None else f", term={self.term}, index={self.index}"
        held = "durable" if self.durable else "in memory"
        return (
            f"<Receipt {self.achieved} (asked {self.asked}){where}, version={tuple(self.version)}, "
            f"{held} at {', '.join(self.replicas)}, epoch {self.epoch}>"
        )


StoreReceipt = Receipt
"""Its public name: `quorate.Receipt` is what `host.kv` gives."""


class Entry(NamedTuple):
    """A key as `get_entry` shows it."""

    key: str
    exists: bool
    value: Any
    """Decoded; None when it does not exist."""
    version: Version | None
    """None when nothing is known of the key."""
    type: str
    """`register` or the kind of a CRDT."""
    level: str
    """The level that was asked for."""
    degraded: bool
    """A linearizable read that was answered locally because this host is cut off."""
    siblings: tuple[Any, ...]
    """All concurrent values, the newest first; one or none where nothing is in conflict."""
    host: str
    """Who answered."""
