"""Version vectors: dict[actor, seq], where an absent actor is 0.

The law of this file: plain functions over plain dicts, and `add` and `extend` are the only ones
that change what they are given. A vector says "everything of that actor up to seq".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def covers(a: Mapping[int, int], b: Mapping[int, int]) -> bool:
    """Whether `a` has everything that `b` has."""
    get = a.get
    for actor, seq in b.items():  # noqa: SIM110  (all() over a generator takes twice as long)
        if get(actor, 0) < seq:
            return False
    return True


def join(a: Mapping[int, int], b: Mapping[int, int]) -> dict[int, int]:
    """The smallest vector that covers both; a new dict."""
    joined = dict(a)
    extend(joined, b)
    return joined


def extend(a: dict[int, int], b: Mapping[int, int]) -> bool:
    """Let `a` cover `b`, in place. Whether `a` changed."""
    changed = False
    get = a.get
    for actor, seq in b.items():
        if get(actor, 0) < seq:
            a[actor] = seq
            changed = True
    return changed


def meet(vectors: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """The greatest vector that all of them cover; a new dict, empty if there are none."""
    found: dict[int, int] | None = None
    for vector in vectors:
        if found is None:
            found = {actor: seq for actor, seq in vector.items() if seq > 0}
            continue
        get = vector.get
        for actor, seq in list(found.items()):
            other = get(actor, 0)
            if other <= 0:
                del found[actor]
            elif other < seq:
                found[actor] = other
    return found or {}


def add(vector: dict[int, int], dot: tuple[int, int]) -> bool:
    """Let `vector` cover the dot (actor, seq), in place. Whether it changed."""
    actor, seq = dot
    if vector.get(actor, 0) >= seq:
        return False
    vector[actor] = seq
    return True
