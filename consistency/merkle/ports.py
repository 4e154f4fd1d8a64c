"""What an exchange asks of the data it compares: the shape of a store replica, nothing more.

The law of this file: types only. `consistency/replica` gives the real thing, tests a small one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from quorate.consistency.merkle.tree import BucketTree

Message = dict[str, Any]
Send = Callable[[str, Message, bool], bool]
"""(peer, message, bulk): False when there is no link or no room."""


class Absorbed(NamedTuple):
    """What became of states that were handed to `absorb`, once that is durable."""

    changed: int = 0
    """Keys whose state here is another one now."""
    gone: list[tuple[str, str]] = []  # noqa: RUF012 - never changed in place
    """(store, key) of entries that were not taken: deleted and collected here. `cut` proves it."""
    cut: Mapping[int, int] = {}
    failed: str | None = None
    """Why nothing is durable; None when all is."""


class Data(Protocol):
    """A store replica as an exchange sees it."""

    @property
    def own_actors(self) -> Sequence[int]:
        """Whose updates are made here, and whose were before, on this disk."""
        ...

    @property
    def applied(self) -> Mapping[int, int]:
        """For each actor the position up to which everything meant for this host is here."""
        ...

    def stores(self) -> Mapping[str, int]:
        """Every store known here, with its number of replicas."""
        ...

    def settle(self) -> None:
        """Make the trees contain all that `applied` covers."""
        ...

    def tree(self, store: str) -> BucketTree: ...

    def bucket(self, store: str, bucket: int) -> list[tuple[str, int]]:
        """The keys of a bucket with their digests."""
        ...

    def export(self, store: str, key: str) -> Any | None:
        """The state of a key as CBOR-able values; equal states give equal ones. None: no key."""
        ...

    def absorb(self, entries: list[list[Any]], done: Callable[[Absorbed], None]) -> None:
        """Merge [store, key, state] at once; `done` when synced. The state ["gone", cut] takes away
        what is not newer than `cut`. Raises UsageError, with nothing changed, for a malformed
        entry."""
        ...

    def barrier(self, done: Callable[[], None]) -> None:
        """`done` once all that is in memory now is on the disk."""
        ...
