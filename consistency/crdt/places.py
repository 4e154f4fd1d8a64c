"""Where an item of a sequence stands, said in a way that needs no other item.

The law of this file: a place is a tuple of ints, places compare as tuples, and that is the order of
the sequence. It is a path of levels (rank, actor, run, key, seq, side): the run started by (actor,
run) stands among its siblings by rank, then actor; the item (key, seq) stands in its run by key.
Side 0 ends the path at that item; -1 and 1 go on to runs that hang before and after it. Since a
path names all it needs, deleted items leave nothing behind: there are no tombstones.

Only its own actor adds to a run. Whoever types forwards or backwards stays in one run, and runs
begun at the same spot apart from each other are siblings: one whole run stands before the other.

Sources: Weidner, Kleppmann, "The Art of the Fugue" (2023), for the tree with sides; Weidner's
position strings for runs as the unit of nesting. Ranks and keys are spaced, so that inserting
again and again into one spot deepens the path by one level per about 32 halvings.
"""

from __future__ import annotations

from typing import Final

Place = tuple[int, ...]

LEVEL: Final = 6
SPACE: Final = 1 << 32
_KEY, _SEQ, _SIDE = 3, 4, 5


def between(left: Place, right: Place, actor: int, first: int, count: int) -> list[Place]:
    """Places for `count` new items between two neighbours, ascending; () is the edge.

    The items have the dots (actor, first), (actor, first + 1), ... and share one run.
    """
    seqs = range(first, first + count)
    run_left, run_right = left[:-3], right[:-3]
    ends = bool(left) and left[-LEVEL + 1] == actor
    begins = bool(right) and right[-LEVEL + 1] == actor
    if ends and begins and run_left == run_right:
        low = left[-3]
        step = (right[-3] - low) // (count + 1)
        if step:
            return [(*run_left, low + step * at, seq, 0) for at, seq in enumerate(seqs, 1)]
    elif ends and right[: len(run_left)] != run_left:
        low = left[-3] + SPACE
        return [(*run_left, low + at, seq, 0) for at, seq in enumerate(seqs)]
    elif begins and left[: len(run_right)] != run_right:
        low = right[-3] - SPACE - count + 1
        return [(*run_right, low + at, seq, 0) for at, seq in enumerate(seqs)]
    path, rank = _hang(left, right)
    return [(*path, rank, actor, first, at, seq, 0) for at, seq in enumerate(seqs)]


def _hang(left: Place, right: Place) -> tuple[Place, int]:
    """The path and the rank of a new run between two neighbours, as near to the root as it can."""
    if not left or not right:
        return (), left[0] + SPACE if left else right[0] - SPACE if right else 0
    at = 0
    while left[at : at + LEVEL] == right[at : at + LEVEL]:
        at += LEVEL
    if left[at : at + _KEY] != right[at : at + _KEY]:
        gap = right[at] - left[at]
        if gap >= 2:
            return left[:at], left[at] + gap // 2
        return _after(left, at)
    if left[at + _KEY : at + _SIDE] != right[at + _KEY : at + _SIDE]:
        return _after(left, at)
    if left[at + _SIDE] < 0:
        return left[: at + LEVEL], left[at + LEVEL] + SPACE
    return right[: at + LEVEL], right[at + LEVEL] - SPACE


def _after(left: Place, at: int) -> tuple[Place, int]:
    """Behind all that hangs after the item of `left` at level offset `at`."""
    if left[at + _SIDE] > 0:
        return left[: at + LEVEL], left[at + LEVEL] + SPACE
    return (*left[: at + _SIDE], 1), 0
