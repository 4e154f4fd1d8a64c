"""Linearizability by search: Wing & Gong 1993, Lowe 2017 (linked list, cache of configurations).

The law of this file: it knows no model, only `step(state, code)`, which gives the next state or
None. It answers True, False, or None when the budget of steps is used up; None is never a pass. An
operation whose outcome is unknown may take effect at any time after its invocation, or never.

A configuration is the set of operations that took effect, and the state. The set is kept as the
number of leading operations that are all in it plus the bits behind them, so it stays small however
long the history is; unknown operations have bits of their own and are tried last.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

from quorate.consistency.check.history import NEVER

State = Hashable
Code = object
Step = Callable[[State, Code], State | None]

STEPS_MAX = 2_000_000


class Call(NamedTuple):
    """An operation as the search sees it. `ended` is `NEVER` when the outcome is unknown."""

    invoked: int
    ended: int
    code: Code


class Search(NamedTuple):
    """`linearizable`: True, False, or None (budget used up). `order`: positions in `calls` of an
    order that explains everything, when there is one. `stuck`: the position of the operation that
    no order could get past, when there is none."""

    linearizable: bool | None
    steps: int
    order: tuple[int, ...] = ()
    stuck: int = -1


class _Lists:
    """Calls and returns in order of time, as linked arrays. Entry `2n` is the head and the end."""

    def __init__(self, calls: Sequence[Call], known: list[int]) -> None:
        events = sorted(
            [(calls[c].invoked, 0, i) for i, c in enumerate(known)]
            + [(calls[c].ended, 1, i) for i, c in enumerate(known)]
        )
        count = len(events)
        self.position = [event[0] for event in events] + [NEVER]
        self.operation = [event[2] if event[1] == 0 else -1 - event[2] for event in events]
        self.operation.append(-1 - len(known))
        """i for the call of operation i, -1 - i for its return."""
        self.return_of = [0] * len(known)
        for entry, (_, kind, i) in enumerate(events):
            if kind:
                self.return_of[i] = entry
        self.next = [*range(1, count + 1), 0]
        self.previous = [count, *range(count)]


def search(calls: Sequence[Call], initial: State, step: Step, steps_max: int = STEPS_MAX) -> Search:
    """Find an order of the calls that respects real time and that `step` accepts."""
    by_call = sorted(range(len(calls)), key=lambda i: calls[i].invoked)
    known = [i for i in by_call if calls[i].ended != NEVER]
    maybe = [i for i in by_call if calls[i].ended == NEVER]
    lists = _Lists(calls, known)
    following, previous = lists.next, lists.previous
    operation, position, return_of = lists.operation, lists.position, lists.return_of
    codes = [calls[i].code for i in known]
    maybe_codes = [calls[i].code for i in maybe]
    maybe_from = [calls[i].invoked for i in maybe]
    count, maybe_count, head = len(known), len(maybe), 2 * len(known)

    seen: set[tuple[int, int, int, State]] = set()
    stack: list[tuple[int, int, State, int, int, int]] = []
    state, base, bits, taken = initial, 0, 0, 0
    entry, unknown = following[head], 0
    done = deepest = steps = 0
    stuck = -1
    while done < count:
        i = operation[entry]
        if i >= 0:  # a call: may it take effect now?
            steps += 1
            after = step(state, codes[i])
            if after is not None:
                new_base, new_bits = base, bits | 1 << (i - base)
                if new_bits & 1:
                    full = (new_bits ^ (new_bits + 1)).bit_length() - 1
                    new_base += full
                    new_bits >>= full
                configuration = (new_base, new_bits, taken, after)
                if configuration not in seen:
                    seen.add(configuration)
                    stack.append((entry, -1, state, base, bits, taken))
                    state, base, bits = after, new_base, new_bits
                    done += 1
                    back = return_of[i]
                    before, behind = previous[entry], following[entry]
                    following[before] = behind
                    previous[behind] = before
                    before, behind = previous[back], following[back]
                    following[before] = behind
                    previous[behind] = before
                    entry, unknown = following[head], 0
                    continue
            entry = following[entry]
            continue
        # A return: what is behind it must wait. What is unknown may still take effect before it.
        if done >= deepest:
            deepest, stuck = done, -1 - i
        limit = position[entry]
        moved = False
        while unknown < maybe_count and maybe_from[unknown] < limit:
            if not taken >> unknown & 1:
                steps += 1
                after = step(state, maybe_codes[unknown])
                if after is not None and after != state:
                    configuration = (base, bits, taken | 1 << unknown, after)
                    if configuration not in seen:
                        seen.add(configuration)
                        stack.append((entry, unknown, state, base, bits, taken))
                        state, taken = after, taken | 1 << unknown
                        entry, unknown = following[head], 0
                        moved = True
                        break
            unknown += 1
        if moved:
            continue
        if steps > steps_max:
            return Search(None, steps, (), known[stuck])
        if not stack:
            return Search(False, steps, (), known[stuck])
        entry, unknown, state, base, bits, taken = stack.pop()
        if unknown >= 0:
            unknown += 1
            continue
        unknown = 0
        back = return_of[operation[entry]]
        following[previous[back]] = back
        previous[following[back]] = back
        following[previous[entry]] = entry
        previous[following[entry]] = entry
        done -= 1
        entry = following[entry]
    order = [known[operation[e]] if u < 0 else maybe[u] for e, u, *_ in stack]
    return Search(True, steps, tuple(order))
