"""The steps of an exchange, on the side that asks: what a step is, and what all of one share.

The law of this file: a step makes one bounded request and turns its answer into further steps. It
keeps no more than its own listing, plans nothing and sends nothing. Whatever changes meanwhile is
sound: what was here at the start is compared later, and later states contain earlier ones.

    RootsStep -> NodesStep -> ListStep (both have something) -> SendStep (what the other lacks)
             \\-> PullStep (we have nothing)                     \\-> GoneStep (what is dead here)
             \\-> SendStep (the other has nothing)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from quorate.consistency.merkle.ports import Data, Message
from quorate.consistency.merkle.tree import BucketTree
from quorate.core import codec

STATES_BYTES_MAX = 224 << 10
"""States in one message, so that all of it stays under 256 KiB (a state may be longer alone)."""
LISTING_BYTES_MAX = 64 << 10
LISTED_BUCKETS_MAX = 256
BUCKET_KEYS_MAX = 24_000
"""Digests listed of one bucket; beyond, the other side sends some states that we have."""
LOWER_LEVEL = 3
_NOTHING = BucketTree()


@dataclass(slots=True)
class Round:
    """What all steps of one exchange share: the data, what to compare, what came of it."""

    data: Data
    partitions: tuple[int, ...]
    follow_others: bool = False
    """Also compare stores that only the peer knows."""
    actors: tuple[int, ...] = ()
    applied: dict[int, int] | None = None
    others: dict[str, int] = field(default_factory=dict[str, int])
    keys_sent: int = 0
    keys_received: int = 0
    keys_changed: int = 0
    keys_gone: int = 0
    keys_too_large: int = 0
    buckets_differing: int = 0
    stores_differing: int = 0

    def tree(self, store: str) -> BucketTree:
        return self.data.tree(store) if store in self.data.stores() else _NOTHING

    def bucket(self, store: str, bucket: int) -> list[tuple[str, int]]:
        return self.data.bucket(store, bucket) if store in self.data.stores() else []


Next = Callable[["list[Step]"], None]
Stop = Callable[[str], None]


class Step(Protocol):
    """One request and its answer."""

    what: str

    def request(self, whole: Round) -> tuple[dict[str, Any] | None, Step | None]:
        """The body of the request, and the step that does what did not fit. No body: no need."""
        ...

    def on_answer(self, whole: Round, answer: Message, then: Next, stop: Stop) -> None:
        """Calls `then(steps)` once the answer is used up, or `stop(why)`. Raises Malformed."""
        ...


def exported(data: Data, store: str, key: str) -> bytes | None:
    """The bytes of a key's state; None when there is no such key (any more)."""
    state = data.export(store, key)
    return None if state is None else codec.dumps(state)
