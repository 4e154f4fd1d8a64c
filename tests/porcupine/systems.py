"""Registers with one rule broken now and then, in the time of a seeded generator.

The law of this file: what is recorded is what such a system would have told its clients; whether
that history can still be explained is not known here. No witness is recorded: only the answers
speak.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from quorate.consistency.check.history import Event

FAULTS = (
    *("none", "stale-read", "lost-update", "late-effect", "early-effect", "blind-cas"),
    *("wrong-cas-answer", "failed-yet-done", "done-twice", "read-of-nothing"),
)
"""`done-twice`: an update takes effect again later. `early-effect`: before it was asked for."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One run, drawn from its seed."""

    operations: int
    clients: int
    keys: int
    values: int
    """How many different ones are written: few make many orders possible."""
    unknown_percent: int
    fail_percent: int
    cas: bool
    fault: str
    fault_percent: int


@dataclass(slots=True)
class Run:
    """What was recorded, and the states every key went through."""

    events: list[tuple[float, int, Event]] = field(default_factory=list[tuple[float, int, Event]])
    state: dict[str, Any] = field(default_factory=dict[str, Any])
    past: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])

    def set(self, key: str, value: Any) -> None:
        self.past.setdefault(key, [None]).append(value)
        self.state[key] = value


def draw(seed: int) -> Shape:
    rng = Random(f"shape {seed}")
    operations = rng.choice((6, 12, 30, 80, 160))
    return Shape(
        operations=operations,
        clients=rng.choice((2, 3, 5, 8)),
        keys=rng.choice((1, 1, 2, 4)),
        values=rng.choice((2, 4, 1 << 30, 1 << 30)),
        unknown_percent=rng.choice((0, 2, 6)) if operations > 12 else rng.choice((0, 20)),
        fail_percent=rng.choice((0, 5)),
        cas=rng.random() < 0.7,
        fault=FAULTS[seed % len(FAULTS)],
        fault_percent=rng.choice((5, 15, 40)),
    )


def run(seed: int) -> list[Event]:
    """The events of the run of `seed`, in their order."""
    rng, shape = Random(f"run {seed}"), draw(seed)
    run = Run()
    moments: list[tuple[float, int, Any]] = []
    free = [rng.random() for _ in range(shape.clients)]
    names = [0] * shape.clients
    for number in range(shape.operations):
        client = min(range(shape.clients), key=lambda c: free[c])
        start = free[client]
        effect = start + 0.01 + rng.random()
        end = effect + 0.01 + rng.random()
        free[client] = end + 0.01 + rng.random() * 0.2
        name = f"{client}.{names[client]}"
        key = f"k{rng.randrange(shape.keys)}"
        f = rng.choice(
            ("read", "read", "write", "write", "cas") if shape.cas else ("read", "write")
        )
        roll = rng.randrange(100)
        outcome = "unknown" if roll < shape.unknown_percent else "ok"
        if outcome == "ok" and roll < shape.unknown_percent + shape.fail_percent:
            outcome = "fail"
        wrong = shape.fault if rng.randrange(100) < shape.fault_percent else "none"
        if wrong == "failed-yet-done":
            outcome = "fail"
        names[client] += outcome == "unknown"
        call = _Call(run, rng, shape, name, key, f, number, outcome, wrong, end)
        moments.append((start, 2 * number, call.invoke))
        moments += call.moments(effect, number)
    for time, _, act in sorted(moments, key=lambda m: m[:2]):
        act(time)
    return [event for _, _, event in sorted(run.events, key=lambda e: e[:2])]


@dataclass(slots=True, eq=False)
class _Call:
    run: Run
    rng: Random
    shape: Shape
    name: str
    key: str
    f: str
    number: int
    outcome: str
    wrong: str
    end: float
    value: Any = None
    answer: Any = None

    def moments(self, effect: float, number: int) -> list[tuple[float, int, Any]]:
        order, told = 2 * number + 1, []
        if self.outcome != "fail" or self.wrong == "failed-yet-done":
            when = effect
            if self.outcome == "unknown":
                when += self.rng.random() * 4
            elif self.wrong == "late-effect" and self.f != "read":
                when = self.end + self.rng.random() * 2
            elif self.wrong == "early-effect":
                when -= 1.5 + self.rng.random()
            if self.outcome != "unknown" or self.rng.random() < 0.5:
                told.append((when, order, self.act))
            if self.wrong == "done-twice":
                told.append((self.end + self.rng.random() * 3, order, self.act))
        return [*told, (self.end, order + 1, self.tell)]

    def invoke(self, time: float) -> None:
        self._ask()
        asked = Event("invoke", self.name, time, self.f, self.key, self.value)
        self.run.events.append((time, 2 * self.number, asked))

    def _ask(self) -> None:
        """What it asks for is settled once, at its call or its effect, whichever is first."""
        if self.f == "read" or self.value is not None:
            return
        new = self.number % self.shape.values
        # a value is what it is as JSON: text, number, list or truth
        new = [new, f"v{new}", [new, True], {"n": new}][self.shape.clients % 4]
        if self.f == "write":
            self.value = new
            return
        expected = self.run.state.get(self.key)
        if self.rng.random() < 0.3:  # an old one
            expected = self.rng.choice(self.run.past.get(self.key, [None]))
        self.value = [expected, new]

    def act(self, _: float) -> None:
        run, key = self.run, self.key
        now = run.state.get(key)
        self._ask()
        if self.f == "read":
            self.answer = now
            if self.wrong == "stale-read" and key in run.past:
                self.answer = self.rng.choice(run.past[key])
            elif self.wrong == "read-of-nothing":
                self.answer = "nobody wrote this"
        elif self.wrong == "lost-update":
            self.answer = True if self.f == "cas" else None
        elif self.f == "write":
            run.set(key, self.value)
        else:
            self.answer = now == self.value[0] or self.wrong == "blind-cas"
            if self.answer:
                run.set(key, self.value[1])
            if self.wrong == "wrong-cas-answer":
                self.answer = not self.answer

    def tell(self, time: float) -> None:
        value = self.answer if self.outcome == "ok" else None
        if self.f == "cas" and self.outcome == "ok" and value is None:
            value = True
        kind: Any = self.outcome
        self.run.events.append(
            (time, 2 * self.number + 1, Event(kind, self.name, time, value=value))
        )
