"""What a write in a turn gives back: the receipt of the whole turn.

The law of this file: one receipt for a turn, handed out by its first write and filled by its
commit; until then it says that nothing has happened yet.
"""

from __future__ import annotations

from typing import Any

from quorate.consistency.store.receipts import Minting
from quorate.consistency.store.tokens import Past
from quorate.core.errors import UsageError


class TurnReceipt:
    """The receipt of a turn."""

    committed = False
    """Whether the turn has been committed."""
    asked = ""
    """The strongest level that a write of the turn asked for."""
    level = ""
    """What all of its writes have: strong, session, eventual or crdt; the least of them. A turn
    whose writes are not all strong may still have a strong part: then it has an `index`."""
    term: int | None = None
    index: int | None = None
    """Where the strong part was applied; None: there is none."""
    turn = 0
    """The number of the turn, if it has local updates."""
    durable = False
    """The local updates are on the disks of `replicas`; strong ones always are on a majority's."""
    replicas: tuple[str, ...] = ()
    """The hosts that were known to hold all of it when it was committed."""
    past: Past = Past({})
    """What a session must have seen to see this turn."""

    def __init__(self, minting: Minting, epoch: int) -> None:
        self.minting = minting
        self.epoch = epoch
        """Of the activation."""

    @property
    def token(self) -> bytes:
        """A session token that covers the turn. Raises `UsageError` before the commit."""
        if not self.committed:
            raise UsageError("the turn has not been committed: its token comes with the commit")
        return self.minting.token(self.past)

    def to_plain(self) -> dict[str, Any]:
        return {
            "committed": self.committed,
            "asked": self.asked,
            "level": self.level,
            "term": self.term,
            "index": self.index,
            "turn": self.turn,
            "epoch": self.epoch,
            "durable": self.durable,
            "replicas": list(self.replicas),
        }

    def __repr__(self) -> str:
        if not self.committed:
            return "<TurnReceipt of a turn that runs>"
        where = "" if self.index is None else f", term={self.term}, index={self.index}"
        held = "durable" if self.durable else "in memory"
        return (
            f"<TurnReceipt {self.level}{where}, turn {self.turn}, {held} at "
            f"{', '.join(self.replicas)}, epoch {self.epoch}>"
        )
