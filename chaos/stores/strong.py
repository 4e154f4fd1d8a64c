"""The strong plane as an oracle: one ordered log, which every host applies after a while.

The law: what is committed stays committed, in one order; a host sees a prefix of it, and sees it
grow while it lives; a new process may begin with less (the state on disk lags the log); a call of
a host that reaches no majority is refused, or nobody knows what became of it. How a group agrees is
another simulator's subject.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from quorate.chaos.sim.events import EventQueue, Life
from quorate.chaos.sim.transcript import Transcript
from quorate.chaos.stores.settings import MEMBERS
from quorate.consistency.strong import NAMESPACE_PREFIX
from quorate.core import codec
from quorate.core.machine import commands, ops, results
from quorate.core.machine.dict_store import DictStore
from quorate.core.machine.machine import Machine

TICK_S = 0.05
HOP_S = (0.0005, 0.003)
ELECTION_S = (0.15, 0.6)
LATE_PROBABILITY = 0.04
LATE_S = 0.4
FORGOTTEN_ENTRIES_MAX = 12
"""So much of what it had applied a host may have to apply again after a restart."""

Outcome = Literal["ok", "no", "refused", "unknown"]


SESSION = 1
MACHINE = "the machine"
"""Commands of this key are for the replicated machine; the others are plain values."""


class Command(NamedTuple):
    """Set `key` to `value` if its revision is `expected` (None: whatever it is); of `MACHINE`:
    `value` is a command of the machine."""

    key: str
    value: Any
    expected: int | None = None


class Answer(NamedTuple):
    """`no`: the compare failed. `refused`: certainly not applied. `at` is its place in the log,
    `result` what the machine answered."""

    outcome: Outcome
    at: int = 0
    result: Any = None


class StrongWritten(NamedTuple):
    """A strong write of a store's key: the key's version after it."""

    version: int
    stamp: int
    value: Any


class Record(NamedTuple):
    revision: int
    value: Any


class Copy:
    """The group's state as it is after a prefix of the log: the product's machine, and values."""

    def __init__(self) -> None:
        self.machine = Machine(DictStore())
        self.records: dict[str, Record] = {}
        self.applied = 0

    def apply(self, index: int, command: Command) -> tuple[bool, Any]:
        """Whether its compare held, and what the machine says."""
        self.applied = index
        batches: list[bytes] = []
        if command.key == MACHINE:
            row = (index, *command.value)
            batches.append(commands.encode_batch(SESSION, index, [row]))
        elif index == 1:
            row = (1, *commands.open_session(0))
            batches.append(commands.encode_batch(SESSION, 1, [row]))
        applied = self.machine.apply(index, 1, batches)
        if command.key == MACHINE:
            result = applied[-1][2]
            return not results.is_failed(result), result
        known = self.records.get(command.key)
        held = command.expected in (None, 0 if known is None else known.revision)
        if held:
            self.records[command.key] = Record(index, command.value)
        return held, None


Done = Callable[[Answer], object]


class View(Copy):
    """What one process has applied."""

    def __init__(self, life: Life) -> None:
        super().__init__()
        self.life = life
        self.on_applied: Callable[[int, Command, bool], object] = lambda index, command, held: None
        self.waiting: list[tuple[int, Callable[[], object]]] = []

    def get(self, key: str) -> Record | None:
        return self.records.get(key)

    def when_applied(self, index: int, act: Callable[[], object]) -> None:
        """Run `act` once `index` is applied here."""
        if self.applied >= index:
            act()
        else:
            self.waiting.append((index, act))


class Oracle:
    """The group. `reach(a, b)`: bytes of `a` come to `b` now, and both processes run."""

    def __init__(
        self,
        queue: EventQueue,
        rng: random.Random,
        voters: tuple[str, ...],
        reach: Callable[[str, str], bool],
        transcript: Transcript,
    ) -> None:
        self._queue, self._rng, self._voters, self._reach = queue, rng, voters, reach
        self._transcript = transcript
        self.log: list[Command] = []
        """Entries from index 1 on."""
        self.truth = Copy()
        self.writes: dict[str, list[StrongWritten]] = {}
        """Store and key -> its strong writes, in their order."""
        self.leader: str | None = voters[0]
        self.term = 1
        self._views: dict[str, View] = {}
        self._kept: dict[str, int] = {}
        self._electing = False
        self._queue.after(TICK_S, self._tick)

    # --- hosts ----------------------------------------------------------------------------------

    def join(
        self, host: str, life: Life, on_applied: Callable[[int, Command, bool], object]
    ) -> View:
        """A process starts: it knows most of what its predecessor had applied."""
        kept = max(0, self._kept.get(host, 0) - self._rng.randint(0, FORGOTTEN_ENTRIES_MAX))
        view = self._views[host] = View(life)
        for index in range(1, kept + 1):
            self._apply(view, index)
        view.on_applied = on_applied
        return view

    def leave(self, host: str, *, wiped: bool = False) -> None:
        """The process is gone, with `wiped` its disk as well."""
        view = self._views.pop(host, None)
        if view is not None:
            self._kept[host] = view.applied
        if wiped:
            self._kept[host] = 0

    def bootstrap(self, key: str, value: Any) -> None:
        """The first entry of the log, before anybody runs."""
        self._commit(Command(key, value))

    def value(self, key: str) -> Any:
        """What the group has agreed on, last."""
        return self.truth.records[key].value

    def _both(self, one: str, other: str) -> bool:
        return one == other or (self._reach(one, other) and self._reach(other, one))

    def _has_majority(self, host: str) -> bool:
        if host not in self._views:
            return False
        near = sum(self._both(host, voter) for voter in self._voters)
        return near > len(self._voters) // 2

    def reaches_majority(self, host: str) -> bool:
        """Whether strong calls of `host` can succeed now."""
        leader = self.leader
        return leader is not None and self._has_majority(leader) and self._both(host, leader)

    # --- calls ----------------------------------------------------------------------------------

    def propose(self, host: str, command: Command, done: Done) -> None:
        """`done` is called at most once, in the life of the caller; never when the answer is
        lost."""
        life = self._views[host].life
        if not self.reaches_majority(host):
            self._answer(life, done, Answer("refused"))
            return
        leader, term = self.leader, self.term
        self._queue.after(
            self._hop_s(), lambda: self._at_leader(host, life, leader, term, command, done)
        )

    def _at_leader(
        self, host: str, life: Life, leader: str | None, term: int, command: Command, done: Done
    ) -> None:
        if self.term != term or leader is None or not self._has_majority(leader):
            if self._rng.random() < 0.5:  # it lingers in some log, and is committed after all
                self._queue.after(0.05 + self._rng.random(), lambda: self._commit_late(command))
            self._answer(life, done, Answer("unknown"))
            return
        answer = self._commit(command)
        if self._both(leader, host):
            self._answer(life, done, answer)

    def _commit_late(self, command: Command) -> None:
        if self.leader is not None and self._has_majority(self.leader):
            self._commit(command)

    def read_point(self, host: str, done: Callable[[int | None], object]) -> None:
        """An index that covers everything committed before this call; None: no majority."""
        life = self._views[host].life
        if not self.reaches_majority(host):
            self._queue.after(self._hop_s(), lambda: life.run(lambda: done(None)))
            return

        def confirm() -> None:
            point = len(self.log) if self.reaches_majority(host) else None
            self._queue.after(self._hop_s(), lambda: life.run(lambda: done(point)))

        self._queue.after(self._hop_s(), confirm)

    def _answer(self, life: Life, done: Done, answer: Answer) -> None:
        self._queue.after(self._hop_s(), lambda: life.run(lambda: done(answer)))

    def _hop_s(self) -> float:
        return self._rng.uniform(*HOP_S)

    # --- the log --------------------------------------------------------------------------------

    def _commit(self, command: Command) -> Answer:
        self.log.append(command)
        index = len(self.log)
        held, result = self.truth.apply(index, command)
        if command.key == MACHINE and held and command.value[0] == ops.PUT_STAMPED:
            _, namespace, key, data, *_ = command.value
            name = f"{namespace.removeprefix(NAMESPACE_PREFIX)}/{key}"
            value = None if data is None else codec.decode_value(data)
            self.writes.setdefault(name, []).append(StrongWritten(result[1], result[2], value))
        if command.key == MEMBERS and held:
            self._voters = tuple(command.value)
        self._transcript.trace("strong", index, command.key, "held" if held else "failed")
        for host in self._views:
            self._spread(host)
        return Answer("ok" if held else "no", index, result)

    def _spread(self, host: str) -> None:
        late = LATE_S if self._rng.random() < LATE_PROBABILITY else 0.0
        delay = self._hop_s() + self._rng.random() * late
        view, end = self._views[host], len(self.log)

        def arrive() -> None:
            leader = self.leader
            if self._views.get(host) is view and leader is not None and self._both(leader, host):
                view.life.run(lambda: self._advance(view, end))

        self._queue.after(delay, arrive)

    def _advance(self, view: View, end: int) -> None:
        while view.applied < end:
            self._apply(view, view.applied + 1)
        ready = [act for index, act in view.waiting if index <= view.applied]
        view.waiting = [row for row in view.waiting if row[0] > view.applied]
        for act in ready:
            act()

    def _apply(self, view: View, index: int) -> None:
        command = self.log[index - 1]
        held, _ = view.apply(index, command)
        view.on_applied(index, command, held)

    # --- time -----------------------------------------------------------------------------------

    def _tick(self) -> None:
        leader = self.leader
        if leader is None or not self._has_majority(leader):
            self.leader = None
            if not self._electing:
                self._electing = True
                self._queue.after(self._rng.uniform(*ELECTION_S), self._elect)
        else:
            for host, view in self._views.items():
                if view.applied < len(self.log):
                    self._spread(host)
        self._queue.after(TICK_S, self._tick)

    def _elect(self) -> None:
        self._electing = False
        able = [voter for voter in self._voters if self._has_majority(voter)]
        if able:
            self.leader = self._rng.choice(able)
            self.term += 1
            self._transcript.note("the strong plane is led by", self.leader)

    def statistics(self) -> dict[str, object]:
        return {"entries": len(self.log), "leader": self.leader, "term": self.term}
