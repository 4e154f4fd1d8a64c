"""What a replica tells its host.

The law of this file: news only; a hook must not call back into the replica's writing methods.
"""

from __future__ import annotations

from quorate.consistency.replica.definitions import Conflict


class ReplicaHooks:
    """Every hook does nothing unless it is overridden."""

    def on_durable(self, seq: int) -> None:
        """Own updates up to `seq` are on this disk."""

    def on_applied(self) -> None:
        """More of somebody's updates is on this disk."""

    def on_held(self, peer: str, upto: int) -> None:
        """The peer's disk has own updates up to `upto` that concern it."""

    def on_changed(self, store: str, key: str) -> None:
        """The key's state here is another one."""

    def on_conflict(self, conflict: Conflict) -> None:
        """Written to the feed."""

    def on_fresh(self) -> None:
        """Freshness or lag of a member is known better."""

    def on_gap(self, peer: str) -> None:
        """The peer's log does not have what is missing here: compare whole states with it."""

    def on_problem(self, text: str) -> None:
        """Something an operator should know, in one sentence; the replica goes on."""

    def on_fatal(self, error: BaseException) -> None:
        """The replica stopped: its disk failed or a law was broken."""
