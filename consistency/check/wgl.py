"""Linearizability by search: Wing & Gong 1993, Lowe 2017 (linked list, cache of configurations).

The law of this file: it knows no model, only `step(state, code)`, which gives the next state or
None. It answers True, False, or None when the budget of steps is used up; None is never a pass. An
operation whose outcome is unknown may take effect at any time after its invocation, or never.

An operation that never changes the state, whatever it is (a read), may take effect as soon as the
state agrees with it: if any order explains the rest, so does the one that has it now. It is taken
at once and no alternative to it is ever tried. And a state that something still needs is not left
when nothing can lead to it again. Together they make histories of unique values nearly linear.

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
IMPURE, PURE = -1, -2
"""How a known operation was taken; an unknown one is taken by its number."""


class Call(NamedTuple):
    """An operation as the search sees it. `ended` is `NEVER` when the outcome is unknown."""

    invoked: int
    ended: int
    code: Code
    pure: bool = False
    """Wherever `step` accepts it, the state stays as it is: a read."""
    needs: State | None = None
    """The only state in which `step` accepts it, if there is only one."""
    gives: State | None = None
    """The only state it can lead to, if there is only one."""


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

    def lift(self, call: int, back: int) -> None:
        """Take a call and its return out."""
        following, previous = self.next, self.previous
        before, behind = previous[call], following[call]
        following[before] = behind
        previous[behind] = before
        before, behind = previous[back], following[back]
        following[before] = behind
        previous[behind] = before

    def unlift(self, call: int, back: int) -> None:
        """Put them back where they were."""
        following, previous = self.next, self.previous
        following[previous[back]] = back
        previous[following[back]] = back
        following[previous[call]] = call
        previous[following[call]] = call


def search(calls: Sequence[Call], initial: State, step: Step, steps_max: int = STEPS_MAX) -> Search:
    """Find an order of the calls that respects real time and that `step` accepts.

    One loop on purpose: it is the inner loop of every check. `entry` walks the calls up to the
    first return. First what is pure is taken wherever it fits, then one impure call is tried, then,
    at the return, one that is unknown.
    """
    by_call = sorted(range(len(calls)), key=lambda i: calls[i].invoked)
    known = [i for i in by_call if calls[i].ended != NEVER]
    maybe = [i for i in by_call if calls[i].ended == NEVER]
    lists = _Lists(calls, known)
    following = lists.next
    operation, position, return_of = lists.operation, lists.position, lists.return_of
    codes = [calls[i].code for i in known]
    pure = [calls[i].pure for i in known]
    needs = [calls[i].needs for i in known]
    gives = [calls[i].gives for i in known]
    maybe_gives = [calls[i].gives for i in maybe]
    tracked = all(call.pure or call.gives is not None for call in calls)
    # Of what was not taken yet: how many can only happen in a state, and how many lead to it.
    states = (None, initial, *needs, *gives, *maybe_gives)
    needed, given = dict.fromkeys(states, 0), dict.fromkeys(states, 0)
    for wanted, more in zip(needs, gives, strict=True):
        needed[wanted] += 1
        given[more] += 1
    for more in maybe_gives:
        given[more] += 1
    maybe_codes = [calls[i].code for i in maybe]
    maybe_from = [calls[i].invoked for i in maybe]
    count, maybe_count, head = len(known), len(maybe), 2 * len(known)

    seen: set[tuple[int, int, int, State]] = set()
    stack: list[tuple[int, int, State, int, int, int]] = []
    state, base, bits, taken = initial, 0, 0, 0
    entry, unknown, looking = following[head], 0, True
    done = deepest = steps = 0
    stuck = -1
    while done < count:
        i = operation[entry]
        if i >= 0:  # a call: may it take effect now?
            if pure[i] is not looking:
                entry = following[entry]
                continue
            steps += 1
            after = step(state, codes[i])
            if after is None:
                entry = following[entry]
                continue
            new_base, new_bits = base, bits | 1 << (i - base)
            if new_bits & 1:
                full = (new_bits ^ (new_bits + 1)).bit_length() - 1
                new_base += full
                new_bits >>= full
            if not looking:
                free = not tracked or given[state] or needed[state] <= (needs[i] == state)
                configuration = (new_base, new_bits, taken, after)
                if configuration in seen or not (free or after == state):
                    entry = following[entry]
                    continue
                seen.add(configuration)
            stack.append((entry, PURE if looking else IMPURE, state, base, bits, taken))
            state, base, bits = after, new_base, new_bits
            done += 1
            if tracked:
                needed[needs[i]] -= 1
                given[gives[i]] -= 1
            goes_on = following[entry]
            lists.lift(entry, return_of[i])
            if looking:
                entry = goes_on if goes_on != return_of[i] else following[goes_on]
            else:
                entry, unknown, looking = following[head], 0, True
            continue
        if looking:  # nothing more to see in this state
            entry, looking = following[head], False
            continue
        # A return: what is behind it must wait. What is unknown may still take effect before it.
        if done >= deepest:
            deepest, stuck = done, -1 - i
        limit = position[entry]
        while unknown < maybe_count and maybe_from[unknown] < limit:
            if not taken >> unknown & 1:
                steps += 1
                after = step(state, maybe_codes[unknown])
                free = not tracked or given[state] or not needed[state]
                if after is not None and after != state and free:
                    configuration = (base, bits, taken | 1 << unknown, after)
                    if configuration not in seen:
                        break
            unknown += 1
        else:
            if steps > steps_max:
                return Search(None, steps, (), known[stuck])
            how = PURE
            while how == PURE:
                if not stack:
                    return Search(False, steps, (), known[stuck])
                entry, how, state, base, bits, taken = stack.pop()
                if how < 0:
                    i = operation[entry]
                    lists.unlift(entry, return_of[i])
                    done -= 1
                    if tracked:
                        needed[needs[i]] += 1
                        given[gives[i]] += 1
            if how < 0:
                entry, unknown = following[entry], 0
            else:
                unknown = how + 1
                given[maybe_gives[how]] += 1
            continue
        seen.add(configuration)
        stack.append((entry, unknown, state, base, bits, taken))
        given[maybe_gives[unknown]] -= 1
        state, taken = after, taken | 1 << unknown
        entry, unknown, looking = following[head], 0, True
    order = [known[operation[e]] if how < 0 else maybe[how] for e, how, *_ in stack]
    return Search(True, steps, tuple(order))
