"""Making a failing thing smaller while it still fails. Bounded.

The law of this file: it never returns what it did not see fail. Delta debugging after Zeller &
Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
TRIES_MAX = 600


class Tries:
    """How often a shrinker may ask whether something fails."""

    __slots__ = ("left",)

    def __init__(self, left: int = TRIES_MAX) -> None:
        self.left = left

    def take(self) -> bool:
        self.left -= 1
        return self.left >= 0


def minimise(
    parts: Sequence[T], fails: Callable[[Sequence[T]], bool], tries: Tries | None = None
) -> list[T]:
    """A subsequence of `parts` that fails and of which, tries permitting, no single part can be
    left out. `parts` itself must fail."""
    tries = tries or Tries()
    kept = list(parts)
    size = max(1, len(kept) // 2)
    while kept:
        removed = False
        at = 0
        while at < len(kept):
            smaller = kept[:at] + kept[at + size :]
            if not tries.take():
                return kept
            if fails(smaller):
                kept = smaller
                removed = True
            else:
                at += size
        if size == 1 and not removed:
            break
        size = max(1, size // 2)
    return kept


def first_failing(low: int, high: int, fails: Callable[[int], bool], tries: Tries) -> int:
    """The least number in (low, high] that fails, when failing is monotone and `high` fails; a
    failing number at least."""
    while high - low > 1 and tries.take():
        middle = (low + high) // 2
        if fails(middle):
            high = middle
        else:
            low = middle
    return high
