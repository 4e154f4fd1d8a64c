"""Small correct systems with several clients, in the time of a seeded generator: what they record
holds, whatever the seed. And ways to spoil a history for certain.

The law of this file: an operation takes effect at one moment between its call and its answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from quorate.consistency.check.history import NEVER, Event, History, Operation, pair

Act = Callable[[Random, str, int], tuple[str, str | None, Any, Callable[[], Any]]]
"""(what is asked, key, argument, taking effect) of the next operation of a client."""


@dataclass(slots=True)
class Plan:
    """Shape of a run."""

    operations: int
    clients: int
    unknown_percent: int = 0
    witness: bool = False


def run(seed: int, plan: Plan, act: Act) -> History:
    """Clients one operation at a time each; effects at random moments within. Lost answers make the
    client go on under a new name; half of what is lost has no effect."""
    rng = Random(seed)
    free = [rng.random() for _ in range(plan.clients)]
    names = [0] * plan.clients
    moments: list[tuple[float, int, str, Any]] = []
    for number in range(plan.operations):
        client = min(range(plan.clients), key=lambda c: free[c])
        start = free[client]
        effect = start + 0.01 + rng.random()
        end = effect + 0.01 + rng.random()
        free[client] = end + 0.01 + rng.random() * 0.2
        name = f"{client}.{names[client]}"
        lost = rng.randrange(100) < plan.unknown_percent
        names[client] += lost
        moments.append((start, number, "invoke", name))
        if not lost or rng.random() < 0.5:
            moments.append((effect + (rng.random() * 3 if lost else 0), number, "effect", name))
        if not lost:
            moments.append((end, number, "ok", name))
    return _happen(rng, sorted(moments), plan, act)


def _happen(rng: Random, moments: list[Any], plan: Plan, act: Act) -> History:
    events: list[Event] = []
    effects: dict[int, Callable[[], Any]] = {}
    answers: dict[int, tuple[Any, int]] = {}
    index = 0
    for time, number, what, name in moments:
        if what == "invoke":
            f, key, value, effects[number] = act(rng, name, number)
            events.append(Event("invoke", name, time, f, key, value))
        elif what == "effect":
            index += 1
            answers[number] = (effects[number](), index)
        else:
            value, place = answers[number]
            witness = (1, place) if plan.witness else None
            events.append(Event("ok", name, time, value=value, witness=witness))
    return pair(events)


def registers(keys: int = 1, *, cas: bool = True, values: int = 1 << 60) -> Act:
    """Registers; written values are unique unless there are fewer `values` than operations."""
    state: dict[str, Any] = {}

    def act(rng: Random, _: str, number: int) -> tuple[str, str | None, Any, Callable[[], Any]]:
        key = f"k{rng.randrange(keys)}"
        f = rng.choice(("read", "read", "write", "write", "cas") if cas else ("read", "write"))
        new = number % values
        value = [state.get(key), new] if f == "cas" else new if f == "write" else None

        def effect() -> Any:
            if f == "read":
                return state.get(key)
            if f == "cas":
                assert isinstance(value, list)
                if state.get(key) != value[0]:
                    return False
                state[key] = value[1]
                return True
            state[key] = value
            return None

        return f, key, value, effect

    return act


def key_values(keys: int = 3) -> Act:
    """Keys with versions, and transactions over two of them."""
    state: dict[str, tuple[int, int]] = {}

    def do(step: list[Any]) -> Any:
        key = step[1]
        value, version = state.get(key, (None, 0))
        if step[0] == "put":
            state[key] = (step[2], version + 1)
            return version + 1
        if step[0] == "delete":
            return state.pop(key, None) is not None
        return value

    def act(rng: Random, _: str, number: int) -> tuple[str, str | None, Any, Callable[[], Any]]:
        one, other = (f"k{rng.randrange(keys)}" for _ in range(2))
        f = rng.choice(("get", "get", "put", "delete", "txn"))
        if f != "txn":
            step = [f, one, number] if f == "put" else [f, one]
            return f, one, number if f == "put" else None, lambda: do(step)
        compare = rng.choice(([one, "exists", "=", True], [one, "version", "<", 3]))
        then, otherwise = [["put", one, number], ["get", other]], [["put", other, number]]

        def effect() -> Any:
            version = state.get(one, (None, 0))[1]
            held = version > 0 if compare[1] == "exists" else version < 3
            return {"held": held, "results": [do(s) for s in (then if held else otherwise)]}

        return f, None, {"compare": [compare], "then": then, "else": otherwise}, effect

    return act


def lists(keys: int = 3) -> Act:
    """Append-only lists, one to four steps at once."""
    state: dict[str, list[int]] = {}

    def act(rng: Random, _: str, number: int) -> tuple[str, str | None, Any, Callable[[], Any]]:
        steps: list[list[Any]] = []
        for place in range(rng.randrange(1, 5)):
            key = f"k{rng.randrange(keys)}"
            append = ["append", key, number * 10 + place]
            steps.append(append if rng.random() < 0.5 else ["r", key, None])

        def effect() -> Any:
            seen: list[list[Any]] = []
            for step in steps:
                items = state.setdefault(step[1], [])
                if step[0] == "append":
                    items.append(step[2])
                    seen.append(step)
                else:
                    seen.append(["r", step[1], list(items)])
            return seen

        return "txn", None, steps, effect

    return act


# --- spoiling -------------------------------------------------------------------------------------


def stale_read(history: History, rng: Random) -> History | None:
    """One read shows a value that was certainly replaced before it began: the value's write and a
    second write, one after the other, and both before the read. None if there is no such place."""
    ops = history.operations
    reads = [op for op in ops if op.f == "read" and op.outcome == "ok"]
    rng.shuffle(reads)
    for read in reads:
        done = [
            op for op in ops if op.key == read.key and op.f == "write" and op.ended < read.invoked
        ]
        for old in done:
            if any(old.ended < new.invoked for new in done) and old.value != read.result:
                return swap(history, read, replace(read, result=old.value, witness=None))
    return None


def swap(history: History, old: Operation, new: Operation) -> History:
    return History([new if op is old else op for op in history.operations], history.unit)


def concurrency(history: History) -> float:
    """How many operations were in flight, on average, when another began."""
    ops = [op for op in history.operations if op.ended != NEVER]
    return sum(sum(o.invoked < op.invoked < o.ended for o in ops) for op in ops) / max(1, len(ops))
