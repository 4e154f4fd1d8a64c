"""Runs that never happened, as a real one would have left them: clients of a register, a leader
that is cut off, a fail-over, calls that hang or are refused, and, when asked for, one stale read.

A run is a function of its seed. The judge is the real one, so that a planted violation has the
counterexample that a real one would have.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from quorate.consistency.check import lines, models
from quorate.consistency.check.history import Event, pair

ZERO_NS = 5_123_456_789_000
"""A monotonic clock does not begin at 0."""
FAILOVER_S = 0.9


@dataclass
class Cut:
    """A host that cannot be reached and reaches nobody, for some seconds."""

    host: str
    begin: float
    end: float
    name: str = "isolate-leader"
    leader: bool = True


@dataclass
class Scene:
    """The options of a run."""

    hosts: tuple[str, ...] = ("a", "b", "c")
    clients: int = 5
    seconds: float = 20.0
    rate: float = 20.0
    seed: int = 7
    cuts: Sequence[Cut] = (
        Cut("a", 3.0, 8.0),
        Cut("b", 11.0, 15.0, "pause", leader=False),
    )
    stale: bool = False
    keys: int = 4
    judge: bool = True
    more: Sequence[dict[str, Any]] = ()
    """Faults that hurt nobody here, for the pictures: name, begin, end, hosts, pairs."""


@dataclass
class Run:
    """What the run leaves."""

    events: list[Event] = field(default_factory=list[Event])
    faults: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    run: dict[str, Any] = field(default_factory=dict[str, Any])

    def texts(self) -> tuple[str, list[str], list[str]]:
        """`run.json`, `history.jsonl` and `faults.jsonl`."""
        return (
            json.dumps(self.run),
            [lines.dump(event) for event in self.events],
            [json.dumps(fault) + "\n" for fault in self.faults],
        )

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        run, history, faults = self.texts()
        (folder / "run.json").write_text(run, encoding="utf-8")
        (folder / "history.jsonl").write_text("".join(history), encoding="utf-8")
        (folder / "faults.jsonl").write_text("".join(faults), encoding="utf-8")
        return folder


def ns(time_s: float) -> int:
    return ZERO_NS + round(time_s * 1e9)


@dataclass
class _World:
    scene: Scene
    dice: Random
    told: list[tuple[float, int, Event]] = field(default_factory=list[tuple[float, int, Event]])
    queue: list[tuple[float, int, Any]] = field(default_factory=list[tuple[float, int, Any]])
    values: dict[str, list[int | None]] = field(default_factory=dict[str, list[int | None]])
    planted: bool = False
    index: int = 0
    number: int = 0
    ticket: Any = field(default_factory=count)

    def tell(self, time: float, event: Event) -> None:
        heappush(self.told, (time, next(self.ticket), event))

    def at(self, time: float, what: Any) -> None:
        heappush(self.queue, (time, next(self.ticket), what))

    def run(self) -> list[Event]:
        for host in self.scene.hosts:
            for client in range(self.scene.clients):
                self.at(self.dice.random() * 0.05, ("invoke", host, f"{host}.1/{client}"))
        while self.queue:
            time, _, what = heappop(self.queue)
            if what[0] == "invoke":
                if time < self.scene.seconds:
                    self._invoke(time, what[1], what[2])
            else:
                self._effect(time, *what[1:])
        ordered = [heappop(self.told) for _ in range(len(self.told))]
        return [event for _, _, event in ordered]

    def _invoke(self, time: float, host: str, client: str) -> None:
        key = f"k{self.dice.randrange(self.scene.keys)}"
        f = self.dice.choices(("read", "write", "cas"), (5, 4, 1))[0]
        self.number += 1
        known = self.values.setdefault(key, [None])
        value = {"read": None, "write": self.number, "cas": [known[-1], self.number]}[f]
        level = "linearizable" if f == "read" else "strong"
        self.tell(time, Event("invoke", client, ns(time), f, key, value, host=host, level=level))
        cut = next((c for c in self.scene.cuts if c.begin <= time < c.end), None)
        took = self.dice.lognormvariate(-5.9, 0.5) + (0.004 if f != "read" else 0)
        if cut and cut.host == host:
            self._cut_off(time, host, client, key, f, cut)
            return
        if cut and cut.leader and time < cut.begin + FAILOVER_S:
            took += cut.begin + FAILOVER_S - time + self.dice.random() * 0.1
        self.at(
            time + took * self.dice.uniform(0.3, 0.8),
            ("effect", time + took, host, client, f, key, value),
        )

    def _cut_off(self, time: float, host: str, client: str, key: str, f: str, cut: Cut) -> None:
        known = self.values[key]
        wanted = self.scene.stale and not self.planted and f == "read" and len(known) > 3
        if wanted and time > cut.begin + 2.5:
            self.planted = True
            end = time + 0.003
            self.tell(end, Event("ok", client, ns(end), value=known[-3], host=host))
            self.at(end + 0.1, ("invoke", host, client))
            return
        if self.dice.random() < 0.8:
            end = time + self.dice.uniform(0.02, 0.3)
            error = "NoLeader: no leader is known here; nothing was changed"
            self.tell(end, Event("fail", client, ns(end), host=host, error=error))
        else:
            end = time + 2.0
            error = "OutcomeUnknown: no answer within 2 s"
            self.tell(end, Event("unknown", client, ns(end), host=host, error=error))
        self.at(end + self.dice.expovariate(self.scene.rate), ("invoke", host, client))

    def _effect(
        self, now: float, end: float, host: str, client: str, f: str, key: str, value: Any
    ) -> None:
        del now
        known = self.values[key]
        self.index += 1
        answer: Any = known[-1] if f == "read" else None
        if f == "write":
            known.append(value)
        elif f == "cas":
            answer = known[-1] == value[0]
            if answer:
                known.append(value[1])
        witness = None if self.scene.stale else (1, self.index)
        self.tell(end, Event("ok", client, ns(end), value=answer, host=host, witness=witness))
        self.at(end + self.dice.expovariate(self.scene.rate), ("invoke", host, client))


def make(scene: Scene | None = None) -> Run:
    """A register under cuts, judged."""
    scene = scene or Scene()
    events = _World(scene, Random(scene.seed)).run()
    faults: list[dict[str, Any]] = []
    for cut in scene.cuts:
        others = [host for host in scene.hosts if host != cut.host]
        links = [[cut.host, o] for o in others] + [[o, cut.host] for o in others]
        pairs = links if cut.leader else []
        body = {"k": "fault", "name": cut.name, "hosts": [cut.host], "pairs": pairs}
        faults += [
            {**body, "phase": "begin", "t": ns(cut.begin)},
            {**body, "phase": "end", "t": ns(cut.end)},
        ]
    for fault in scene.more:
        body = {"k": "fault", "hosts": [], "pairs": [], **fault}
        begin, end = body.pop("begin"), body.pop("end")
        faults.append({**body, "phase": "begin", "t": ns(begin)})
        if end is not None:
            faults.append({**body, "phase": "end", "t": ns(end)})
    verdicts = [models.check("register", pair(events)).as_dict()] if scene.judge else []
    run = {
        "options": {
            "workload": "register",
            "nemesis": "isolate-leader,pause",
            "hosts": len(scene.hosts),
            "seconds": scene.seconds,
            "seed": scene.seed,
            "plant": "read-from-deposed-leader" if scene.stale else None,
        },
        "seed": scene.seed,
        "versions": {"quorate": "0.1.0", "python": "3.11.7", "toxiproxy": "2.12.0"},
        "promise": "read, write and cas are linearizable per key, with unknown outcomes",
        "verdict": verdicts[0]["verdict"] if verdicts else "unknown",
        "verdicts": verdicts,
        "operations": sum(event.type == "invoke" for event in events),
        "per_s": sum(event.type == "invoke" for event in events) / scene.seconds,
    }
    return Run(events, faults, run)
