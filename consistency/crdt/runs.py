"""The items of a sequence as plain values, each run named once.

The law of this file: written in the order of the sequence, so equal sequences give equal bytes.
Read as if an enemy had written it: every index, order, depth and dot is checked, and the work is
bounded by `PATH_LEVELS_TOTAL_MAX` whatever the shape.

    body  = [actors that are not in the context, runs, groups]
    run   = [0, rank, actor, run]  or  [parent run + 1, key, seq, side, rank, actor, run]
    group = [run, key, seq, item, step of key, step of seq, item, ...]   items side by side in a run
    item  = value                  or  [actor, seq, stamp, value, ...]   if it was `set`

Ranks and keys are mostly multiples of 2**32: written as 2 * the factor, others as 2 * n + 1. A step
of a key of 2**32 is written as 0 (and one of 0, which hardly occurs, as 2**32).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from quorate.consistency.crdt.limits import PATH_LEVELS_MAX, PATH_LEVELS_TOTAL_MAX
from quorate.consistency.crdt.places import LEVEL, SPACE, Place
from quorate.consistency.crdt.values import listed, named, natural, value_bytes, whole
from quorate.consistency.versions.context import GREATEST_ACTOR, CausalContext
from quorate.core.codec import Malformed

Item = tuple[Place, int, bytes]
Dots = Mapping[int, Mapping[int, Item]]
_ROOT: Final = 4
_HUNG: Final = 7
_SPACED_BITS_MAX: Final = 80


def write_items(
    order: list[Place],
    cells: Mapping[Place, tuple[tuple[int, int], ...]],
    dots: Dots,
    names: Mapping[int, int],
) -> list[Any]:
    """`names` gives every actor of the context its index."""
    actors = {level for place in order for level in place[1::LEVEL]}
    others = sorted(actors - names.keys())
    index = {**names, **{actor: len(names) + at for at, actor in enumerate(others)}}
    runs: list[list[Any]] = []
    known: dict[Place, int] = {}
    groups: list[list[Any]] = []
    before: Place = ()
    for place in order:
        run, key, seq = place[:-3], place[-3], place[-2]
        if before and before[:-3] == run:
            step = key - before[-3]
            group = groups[-1]
            group += (0 if step == SPACE else step or SPACE, seq - before[-2])
        else:
            group: list[Any] = [_run_number(run, runs, known, index), _spaced(key), seq]
            groups.append(group)
        cell = cells[place]
        owner, (actor, dot) = place[-5], cell[0]
        if len(cell) == 1 and actor == owner and dot == seq and not dots[actor][dot][1]:
            group.append(dots[actor][dot][2])
        else:
            group.append([part for a, s in sorted(cell) for part in (index[a], s, *dots[a][s][1:])])
        before = place
    return [others, runs, groups]


def _run_number(
    run: Place, runs: list[list[Any]], known: dict[Place, int], index: Mapping[int, int]
) -> int:
    """The number of a run, written with all it hangs on if it is new."""
    for end in range(3, len(run) + 1, LEVEL):
        path = run[:end]
        if path not in known:
            rank, actor, first = path[-3:]
            itself = [_spaced(rank), index[actor], first]
            if end == 3:
                runs.append([0, *itself])
            else:
                key, seq, side = path[-6:-3]
                runs.append([known[path[:-6]] + 1, _spaced(key), seq, side, *itself])
            known[path] = len(runs) - 1
    return known[run]


def _spaced(number: int) -> int:
    return number // SPACE * 2 if number % SPACE == 0 else number * 2 + 1


# --- reading --------------------------------------------------------------------------------------


def read_items(
    body: list[Any], actors: list[int], context: CausalContext
) -> Iterator[tuple[int, int, Item]]:
    """(actor, seq, item) of every dot, in the order of the sequence. Raises Malformed."""
    others, runs, groups = listed(body, "a sequence", 3)
    everybody = actors + _other_actors(others, actors)
    paths = _read_runs(listed(runs, "the runs of a sequence"), everybody)
    _check_total(listed(groups, "the groups of a sequence"), paths)
    before: Place = ()
    found: set[tuple[int, int]] = set()
    for group in groups:
        for place, item in _read_group(group, paths):
            if place <= before:
                raise Malformed("the items of a sequence are out of order")
            before = place
            for actor, seq, stamp, value in _read_cell(item, place, actors):
                if not context.contains(actor, seq) or (actor, seq) in found:
                    raise Malformed("an item's dot is unknown to the causal context, or not alone")
                found.add((actor, seq))
                yield actor, seq, (place, stamp, value)


def _other_actors(wire: Any, actors: list[int]) -> list[int]:
    others = listed(wire, "the other actors of a sequence")
    for at, actor in enumerate(others):
        if type(actor) is not int or not 0 < actor <= GREATEST_ACTOR:
            raise Malformed("an actor must be an int of 1 .. 2**53")
        if at and actor <= others[at - 1]:
            raise Malformed("the other actors of a sequence must be ascending")
    if not set(others).isdisjoint(actors):
        raise Malformed("the other actors of a sequence are in the context")
    return others


def _read_runs(runs: list[Any], actors: list[int]) -> list[Place]:
    paths: list[Place] = []
    levels = 0
    for wire in runs:
        run = listed(wire, "a run")
        if len(run) not in (_ROOT, _HUNG):
            raise Malformed("a run must have 4 or 7 items")
        path: Place = ()
        parent = natural(run[0], "the parent of a run")
        if len(run) == _HUNG:
            if not 0 < parent <= len(paths) or run[3] not in (-1, 1) or type(run[3]) is not int:
                raise Malformed("a run hangs on one that does not come before it, or on no side")
            path = (*paths[parent - 1], _unspaced(run[1]), natural(run[2], "a seq", 1), run[3])
        elif parent:
            raise Malformed("a run of 4 items hangs on no other")
        path = (*path, _unspaced(run[-3]), named(run[-2], actors), natural(run[-1], "a seq", 1))
        levels += len(path)
        if len(path) > PATH_LEVELS_MAX * LEVEL or levels > PATH_LEVELS_TOTAL_MAX * LEVEL:
            raise Malformed("the runs of a sequence nest too deep")
        paths.append(path)
    return paths


def _check_total(groups: list[Any], paths: list[Place]) -> None:
    """Every group has a run, and all places together are not too deep, before any is made."""
    total = 0
    for wire in groups:
        group = listed(wire, "a group of a sequence")
        if len(group) < 4 or (len(group) - 1) % 3:
            raise Malformed("a group of a sequence must be a run and items in threes")
        number = natural(group[0], "the number of a run")
        if number >= len(paths):
            raise Malformed("a group names a run that is not there")
        total += (len(paths[number]) + 3) * (len(group) // 3)
    if total > PATH_LEVELS_TOTAL_MAX * LEVEL:
        raise Malformed("the items of a sequence nest too deep in total")


def _read_group(group: list[Any], paths: list[Place]) -> Iterator[tuple[Place, Any]]:
    number: int = group[0]
    path, key, seq = paths[number], 0, 0
    for at in range(1, len(group), 3):
        step = group[at]
        if at == 1:
            key = _unspaced(step)
        else:
            step = natural(step, "the step of a key")
            key += SPACE if step == 0 else 0 if step == SPACE else step
        seq += whole(group[at + 1], "the step of a seq", 64)
        if seq < 1:
            raise Malformed("the seq of an item must be 1 or more")
        yield (*path, key, seq, 0), group[at + 2]


def _read_cell(item: Any, place: Place, actors: list[int]) -> Iterator[tuple[int, int, int, bytes]]:
    if type(item) is bytes:
        yield place[-5], place[-2], 0, value_bytes(item, "an item")
        return
    parts = listed(item, "the dots of an item")
    if not parts or len(parts) % 4:
        raise Malformed("the dots of an item must come in fours")
    for at in range(0, len(parts), 4):
        seq, stamp = natural(parts[at + 1], "a seq", 1), natural(parts[at + 2], "a stamp")
        yield named(parts[at], actors), seq, stamp, value_bytes(parts[at + 3], "an item")


def _unspaced(wire: Any) -> int:
    number = whole(wire, "a rank or key", _SPACED_BITS_MAX)
    return number // 2 if number % 2 else number // 2 * SPACE
