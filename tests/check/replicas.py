"""A small correct replicated store with sessions, and the faults it can be given.

The law of this file: every update has a dot, and a host applies the updates of an actor in order,
after what they depend on. The faults switch one rule off each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from quorate.consistency.check.history import Event, History, pair

KEYS = ("x", "y")
Vector = dict[Any, int]


@dataclass(slots=True)
class Update:
    actor: int
    seq: int
    key: str
    f: str
    value: Any
    deps: Vector
    seen: Vector
    """The key's context where it was made: what it replaces or removes."""
    time: float


@dataclass(slots=True)
class Host:
    applied: Vector = field(default_factory=dict[Any, int])
    updates: list[Update] = field(default_factory=list[Update])


class Replicas:
    """`faults`: `no-token` reads anywhere, `no-deps` delivers out of causal order, `no-bound`
    serves bounded reads as they come, `drop` loses a hint, `resurrect` forgets removes,
    `lose-conflict` keeps one back from the feed."""

    def __init__(self, seed: int, f: str, *faults: str, hosts: int = 3) -> None:
        self.rng = Random(seed)
        self.f = f
        self.faults = faults
        self.hosts = [Host() for _ in range(hosts)]
        self.logs: list[list[Update]] = [[] for _ in range(hosts)]
        self.tokens: dict[str, Vector] = {}
        self.acked: list[tuple[float, int, int]] = []
        self.events: list[Event] = []
        self.now = 0.0
        self.values = 0

    # --- replication ------------------------------------------------------------------------------

    def deliver(self, at: int, actor: int, upto: int) -> None:
        """Bring host `at` to `upto` of that actor."""
        host = self.hosts[at]
        while host.applied.get(actor, 0) < upto:
            update = self.logs[actor][host.applied.get(actor, 0)]
            host.applied[actor] = update.seq
            if "no-deps" not in self.faults:
                self.cover(at, update.deps)
            if "drop" in self.faults and at != actor and self.rng.random() < 0.05:
                continue
            host.updates.append(update)

    def cover(self, at: int, wanted: Vector) -> None:
        for actor, seq in wanted.items():
            self.deliver(at, actor, seq)

    def gossip(self) -> None:
        at, actor = (self.rng.randrange(len(self.hosts)) for _ in range(2))
        done = self.hosts[at].applied.get(actor, 0)
        self.deliver(at, actor, self.rng.randint(done, len(self.logs[actor])))

    def settle(self) -> None:
        for at in range(len(self.hosts)):
            for actor, log in enumerate(self.logs):
                self.deliver(at, actor, len(log))

    # --- state ------------------------------------------------------------------------------------

    def context(self, at: int, key: str) -> Vector:
        seen: Vector = {}
        for update in self.hosts[at].updates:
            if update.key == key:
                seen[update.actor] = max(seen.get(update.actor, 0), update.seq)
        return seen

    def alive(self, at: int, key: str) -> list[Update]:
        """Adds that no applied remove had seen; for registers, writes that no write had seen."""
        mine = [u for u in self.hosts[at].updates if u.key == key]
        enders = [u for u in mine if u.f == ("remove" if self.f == "add" else self.f)]
        forgets = "resurrect" in self.faults and at == 1
        return [
            u
            for u in mine
            if u.f == self.f
            and not any(
                o is not u
                and (self.f != "add" or (o.value == u.value and not forgets))
                and o.seen.get(u.actor, 0) >= u.seq
                for o in enders
            )
        ]

    def value(self, at: int, key: str) -> Any:
        alive = self.alive(at, key)
        if self.f == "add":
            return sorted({u.value for u in alive})
        return max(alive, key=lambda u: (u.time, u.actor)).value if alive else None

    # --- clients ----------------------------------------------------------------------------------

    def _event(self, type_: Any, process: str, **more: Any) -> None:
        self.now += 0.001 + self.rng.random() * 0.01
        self.events.append(Event(type_, process, self.now, **more))

    def update(self, session: str) -> None:
        at, key = self.rng.randrange(len(self.hosts)), self.rng.choice(KEYS)
        token = self.tokens.setdefault(session, {})
        if "no-token" not in self.faults:
            self.cover(at, token)
        f, self.values = self.f, self.values + 1
        value: Any = self.values
        if f == "add":
            value = self.rng.randrange(6)
            f = "remove" if value in self.value(at, key) and self.rng.random() < 0.5 else "add"
        self._event("invoke", session, f=f, key=key, value=value, session=session, host=f"h{at}")
        log, seen = self.logs[at], self.context(at, key)
        update = Update(at, len(log) + 1, key, f, value, dict(token), seen, self.now)
        log.append(update)
        self.deliver(at, at, update.seq)
        dot = (at, update.seq)
        if self.rng.random() < 0.05:
            self._event("unknown", session, dot=dot, versions=self.context(at, key))
            return
        self._event("ok", session, dot=dot, versions=self.context(at, key))
        token[at] = update.seq
        self.acked.append((self.now, at, update.seq))

    def read(self, session: str, level: str | None = None, bound_ms: float = 0) -> None:
        at, key = self.rng.randrange(len(self.hosts)), self.rng.choice(KEYS)
        token = self.tokens.setdefault(session, {})
        self._event("invoke", session, f="read", key=key, session=session, level=level)
        if level == "bounded":
            if "no-bound" not in self.faults:
                for time, actor, seq in self.acked:
                    if time < self.now - bound_ms / 1000:
                        self.deliver(at, actor, seq)
        elif "no-token" not in self.faults:
            self.cover(at, token)
        seen = self.context(at, key)
        shown = {u.actor: u.seq for u in sorted(self.alive(at, key), key=lambda u: u.seq)}
        value = self.value(at, key)
        self._event("ok", session, value=value, versions=seen, shown=shown, host=f"h{at}")
        if level != "bounded":
            for actor, seq in shown.items():
                token[actor] = max(token.get(actor, 0), seq)

    def finals(self) -> None:
        """What every replica shows in the end, and the feed of conflicts."""
        self.settle()
        for at in range(len(self.hosts)):
            for key in KEYS:
                self._event("invoke", f"final{at}", f="final", key=key, host=f"h{at}")
                self._event("ok", f"final{at}", value=self.value(at, key))
        if self.f == "write":
            for key in KEYS:
                lost = [u.value for u in self.alive(0, key) if u.value != self.value(0, key)]
                self._event("invoke", "feed", f="conflicts", key=key)
                found = lost[1:] if "lose-conflict" in self.faults else lost
                self._event("ok", "feed", value=found)

    def history(self) -> History:
        return pair(self.events)


def sessions(seed: int, *faults: str) -> History:
    world = Replicas(seed, "write", *faults)
    for _ in range(60):
        world.gossip()
        session = f"s{world.rng.randrange(4)}"
        (world.update if world.rng.random() < 0.4 else world.read)(session)
    return world.history()


def bounded(seed: int, bound_ms: float, *faults: str) -> History:
    world = Replicas(seed, "write", *faults)
    for number in range(60):
        if number % 3 == 0:
            world.gossip()
        if world.rng.random() < 0.5:
            world.update("w")
        else:
            world.read("r", "bounded", bound_ms)
    return world.history()


def replicated(seed: int, f: str, *faults: str) -> History:
    world = Replicas(seed, f, *faults)
    for _ in range(40):
        world.gossip()
        world.update(f"s{world.rng.randrange(4)}")
    world.finals()
    return world.history()
