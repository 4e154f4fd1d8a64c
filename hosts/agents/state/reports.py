"""What became of turns when an agent came here from a host that died.

The law of this file: values only. A report says what this host knows; what a host that is gone for
ever took with it, nobody knows.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class RecoveryReport(NamedTuple):
    """An agent was taken over, and something of its turns was missing, or came later."""

    name: str
    host: str
    """Where it went on."""
    from_host: str
    """Where it had been; empty if that is not known."""
    from_epoch: int
    """The epoch under which the turns were run."""
    epoch: int
    """The epoch under which it went on."""
    turns_recovered: int
    """The number of the last turn whose local updates were found when it went on."""
    turns_late: int
    """How many later ones came afterwards. Their updates are joined to what is there: of a plain
    value the newer one is kept (and the other is in the store's feed of conflicts), of CRDTs
    both."""
    missing: tuple[str, ...]
    """Hosts that could be reached and did not tell in time what they have; then it went on
    without."""
    at: float
    """When that was seen, seconds since 1970."""

    def to_plain(self) -> dict[str, Any]:
        return {**self._asdict(), "missing": list(self.missing)}
