"""Faults of the network: links cut, slowed, narrowed, by the proxy in each of them.

The law of this file: a fault changes the links it chose and makes exactly those as new again. Links
that are hurt already are left to whoever hurt them. What it did is seen in what hosts heard of each
other, as they count it, not in what the proxy was told.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, ClassVar

from quorate.chaos.faults import cuts
from quorate.chaos.faults.fault import ActiveFault, Fault, Look, Scene, Shown
from quorate.chaos.faults.picture import Picture
from quorate.chaos.lab.children import LabError
from quorate.chaos.lab.links import OPEN, Condition, Pair

SETTLE_S = 0.1
"""What was on its way when a link was cut has arrived by then."""
SHARE_SILENT = 0.5
RTT_GREW_MS = 3.0
HOLE = Condition("black_hole")
DRAWN_WITH = 5
NO_PACKETS = (
    "Toxiproxy forwards streams: it loses no single packets, doubles none, changes none and "
    "swaps none; whoever dials still gets a connection."
)


def numbers(look: Look, pair: Pair) -> dict[str, float] | None:
    """What is counted of a link: at its listener `heard`, `reads`, `connections`; at its dialler
    `connects`, `rtt_ms`. None when one of the two was not seen."""
    sender, listener = look.get(pair[0]), look.get(pair[1])
    if sender is None or listener is None:
        return None
    found = {
        name: float(listener[name].get(pair[0], 0)) for name in ("heard", "reads", "connections")
    }
    return found | {name: float(sender[name].get(pair[1], 0)) for name in ("connects", "rtt_ms")}


def effect(kind: str, before: Mapping[str, float], now: Mapping[str, float], size: int) -> bool:
    """Whether one link shows what a condition of this kind does to it."""
    grew = {name: now[name] - before[name] for name in now}
    reconnected = grew["connects"] >= 1 or grew["connections"] >= 1
    if kind in ("black_hole", "refused", "stalled"):
        return grew["heard"] <= 0
    if kind == "reset":
        return grew["heard"] <= 0 or reconnected
    if kind == "limited":
        return reconnected
    if kind == "sliced":
        return grew["reads"] >= 10 and grew["heard"] / grew["reads"] <= 2 * size
    return grew["rtt_ms"] >= RTT_GREW_MS or grew["heard"] <= 0


class LinkFault(Fault):
    """A condition on links chosen once."""

    needs_all: ClassVar[bool] = True
    """Whether half of the links must show the effect, or one of them."""

    def __init__(self) -> None:
        super().__init__()
        self._changes: dict[Pair, Condition] = {}
        self._before: Look = {}

    @classmethod
    @abstractmethod
    def choose(cls, hosts: Sequence[str], rng: Random, leader: str) -> Mapping[Pair, Condition]:
        """Which links become what. Pure."""

    wants: ClassVar[str] = "any"
    """Which host `choose` is given: "leader", "often" (the leader half of the time), "any"."""

    async def begin(self, scene: Scene) -> Mapping[str, Any]:
        cluster = scene.cluster
        match self.wants:
            case "leader":
                one = await cluster.leader()
            case "often":
                one = await scene.leader_often()
            case _:
                one = scene.any_host()
        state = cluster.links.state
        wanted = self.choose(cluster.hosts, scene.rng, one)
        self._changes = {pair: new for pair, new in wanted.items() if state[pair] == OPEN}
        if not self._changes:
            raise LabError("every link it would hurt is hurt already")
        earlier = await cluster.look()
        await cluster.links.apply(self._changes)
        await scene.sleep(SETTLE_S)
        later = await cluster.look()
        # counts are compared with what they were once the link was cut, times with before
        self._before = {
            h: {**later[h], "rtt_ms": earlier[h]["rtt_ms"]} for h in later if h in earlier
        }
        self.hurt.pairs = list(self._changes)
        self.hurt.hosts = [one] if self.wants != "any" else _touched_most(self._changes)
        kinds = sorted({condition.kind for condition in self._changes.values()})
        self.hurt.facts = {"kinds": kinds}
        return self.hurt.told()

    async def shown(self, scene: Scene) -> Shown:
        look = await scene.cluster.look()
        seen, showed = 0, 0
        for pair, condition in self._changes.items():
            before, now = numbers(self._before, pair), numbers(look, pair)
            if before is None or now is None:
                continue
            seen += 1
            showed += effect(condition.kind, before, now, condition.size_bytes)
        enough = showed >= max(1.0, seen * SHARE_SILENT if self.needs_all else 1.0)
        text = f"{showed} of {seen} links that could be looked at showed it"
        return Shown(enough, text, nobody_there=seen == 0)

    async def end(self, scene: Scene) -> None:
        changed, self._changes = self._changes, {}
        if changed:
            await scene.cluster.links.heal(list(changed))

    @classmethod
    def draw(cls, hosts: Sequence[str]) -> Picture:
        chosen = cls.choose(hosts, Random(DRAWN_WITH), hosts[0])
        marks = {hosts[0]: "leader"} if cls.wants == "leader" else {}
        return Picture(tuple(hosts), {p: c.kind for p, c in chosen.items()}, marks)


def _touched_most(changes: Mapping[Pair, Condition]) -> list[str]:
    """The hosts at which most of the changed links meet."""
    counts: dict[str, int] = {}
    for pair in changes:
        for host in pair:
            counts[host] = counts.get(host, 0) + 1
    most = max(counts.values())
    return sorted(host for host, count in counts.items() if count == most)


# --- partitions -----------------------------------------------------------------------------------


class Halves(LinkFault):
    name = "halves"
    does = "Cuts the hosts into two groups that do not hear each other; one has a majority, if any."
    cannot = NO_PACKETS

    @classmethod
    def choose(cls, hosts: Sequence[str], rng: Random, leader: str) -> Mapping[Pair, Condition]:
        return dict.fromkeys(cuts.halves(hosts, rng), HOLE)


class Isolate(LinkFault):
    name = "isolate"
    does = "Cuts one host off from all others, in both directions."
    cannot = NO_PACKETS
    wants = "often"

    @classmethod
    def choose(cls, hosts: Sequence[str], rng: Random, leader: str) -> Mapping[Pair, Condition]:
        return dict.fromkeys(cuts.around(leader, hosts), HOLE)


class IsolateLeader(Isolate):
    name = "isolate-leader"
    does = "Cuts the leader off from all others, in both directions: who leads and does not know."
    wants = "leader"


class MajorityRing(LinkFault):
    name = "majority-ring"
    does = "Every host hears a majority, and no two hosts hear the same one."
    cannot = NO_PACKETS
    hosts_min = 3

    @classmethod
    def choose(cls, hosts: Sequence[str], rng: Random, leader: str) -> Mapping[Pair, Condition]:
        return dict.fromkeys(cuts.majority_ring(hosts, rng), HOLE)


class Bridge(LinkFault):
    name = "bridge"
    does = "Cuts the hosts into two groups that hear each other only through one host in between."
    cannot = NO_PACKETS
    hosts_min = 3

    @classmethod
    def choose(cls, hosts: Sequence[str], rng: Random, leader: str) -> Mapping[Pair, Condition]:
        return dict.fromkeys(cuts.bridge(hosts, rng), HOLE)


class OneWay(LinkFault):
    name = "one-way"
    does = "Loses all that one host says, or all that is said to it, and not the other direction."
    cannot = NO_PACKETS + " The lost direction loses its acknowledgements too, and nothing else."
    wants = "often"

    @classmethod
    def choose(cls, hosts: Sequence[str], rng: Random, leader: str) -> Mapping[Pair, Condition]:
        return dict.fromkeys(cuts.one_way(leader, hosts, rng), HOLE)


class NonTransitive(LinkFault):
    name = "non-transitive"
    does = "Two hosts do not hear each other; all others hear both."
    cannot = NO_PACKETS
    hosts_min = 3

    @classmethod
    def choose(cls, hosts: Sequence[str], rng: Random, leader: str) -> Mapping[Pair, Condition]:
        return dict.fromkeys(cuts.non_transitive(hosts, rng), HOLE)


class Flapping(ActiveFault):
    name = "flapping"
    does = "Cuts one host off and lets it back, again and again, 0.3 to 1.5 s each."
    cannot = NO_PACKETS

    def __init__(self) -> None:
        super().__init__()
        self._down: list[Pair] = []
        self._before: Look = {}
        self._cut: Look = {}
        """What was counted when the links were cut for the first time."""
        self._silent = 0
        """How many links were silent just before they came up for the first time."""

    async def choose(self, scene: Scene) -> None:
        host = await scene.leader_often()
        around = cuts.around(host, scene.cluster.hosts)
        self.hurt.pairs = [pair for pair in around if scene.cluster.links.state[pair] == OPEN]
        if not self.hurt.pairs:
            raise LabError("every link it would hurt is hurt already")
        self.hurt.hosts = [host]
        self.hurt.facts = {"kinds": ["black_hole", "refused"]}
        self._before = await scene.cluster.look()

    async def act(self, scene: Scene) -> None:
        """Down once and up once."""
        links = scene.cluster.links
        self._down = self.hurt.pairs
        kind = scene.rng.choice([HOLE, Condition("refused")])
        await links.apply(dict.fromkeys(self._down, kind))
        first = not self._cut
        if first:
            await scene.sleep(SETTLE_S)
            self._cut = await scene.cluster.look()
        await scene.sleep(scene.rng.uniform(0.3, 1.5))
        if first:
            self._silent = self._silent_since_cut(await scene.cluster.look())
        await links.heal(self._down)
        self._down = []
        self.acts += 1
        await scene.sleep(scene.rng.uniform(0.3, 1.5))

    def _silent_since_cut(self, look: Look) -> int:
        return sum(
            effect("refused", before, now, 0)
            for pair in self.hurt.pairs
            if (before := numbers(self._cut, pair)) and (now := numbers(look, pair))
        )

    async def shown(self, scene: Scene) -> Shown:
        look = await scene.cluster.look()
        down = f"{self.acts} times down and up"
        for pair in self.hurt.pairs:
            before, now = numbers(self._before, pair), numbers(look, pair)
            if before is not None and now is not None and effect("limited", before, now, 0):
                return Shown(True, f"{down}, and links came back anew")
        if not self.acts and self._cut:
            silent = self._silent_since_cut(look)
            return Shown(silent > 0, f"down for the first time: {silent} links are silent")
        return Shown(self._silent > 0, f"{down}, {self._silent} links were silent the first time")

    async def end(self, scene: Scene) -> None:
        try:
            await self.stop_acting()
        finally:
            await asyncio.shield(scene.cluster.links.heal(self.hurt.pairs))

    @classmethod
    def draw(cls, hosts: Sequence[str]) -> Picture:
        around = cuts.around(hosts[0], hosts)
        return Picture(tuple(hosts), dict.fromkeys(around, "refused"), {hosts[0]: "off and on"})


# --- one condition --------------------------------------------------------------------------------


class AroundOne(LinkFault):
    """A condition on every link from and to one host."""

    cannot = NO_PACKETS
    wants = "often"
    condition: ClassVar[Condition]

    @classmethod
    def choose(cls, hosts: Sequence[str], rng: Random, leader: str) -> Mapping[Pair, Condition]:
        return dict.fromkeys(cuts.around(leader, hosts), cls.condition)


class OneLink(LinkFault):
    """Cuts the two links between one host and another one."""

    cannot = NO_PACKETS
    wants = "often"

    @classmethod
    def choose(cls, hosts: Sequence[str], rng: Random, leader: str) -> Mapping[Pair, Condition]:
        other = rng.choice([host for host in hosts if host != leader])
        return dict.fromkeys(cuts.between([leader], [other]), HOLE)


class BlackHole(OneLink):
    name = "black-hole"
    does = "Drops everything between one host and another one; their connections stay open."


class Refuse(AroundOne):
    name = "refuse"
    does = "Ends the connections of one host and refuses new ones, at once and audibly."
    condition = Condition("refused")


class Reset(AroundOne):
    name = "reset"
    does = "Ends the connections of one host, and resets each new one at its first byte."
    condition = Condition("reset")


class Stall(AroundOne):
    name = "stall"
    does = "Holds back everything from and to one host, and delivers all of it at the end."
    condition = Condition("stalled")


class Narrow(AroundOne):
    name = "narrow"
    does = "Lets 8 kilobytes a second through each link of one host."
    condition = Condition("narrow")
    needs_all = False


class CutAfter(AroundOne):
    name = "cut-after"
    does = "Ends every connection of one host after 16 384 bytes of it."
    condition = Condition("limited")
    needs_all = False


class Everywhere(LinkFault):
    """A condition on all links."""

    cannot = NO_PACKETS

    @classmethod
    def condition_of(cls, rng: Random) -> Condition:
        raise NotImplementedError

    @classmethod
    def choose(cls, hosts: Sequence[str], rng: Random, leader: str) -> Mapping[Pair, Condition]:
        pairs = [(a, b) for a in hosts for b in hosts if a != b]
        return {pair: cls.condition_of(rng) for pair in pairs}


class Slow(Everywhere):
    name = "slow"
    does = "Delays every link by 30 to 120 ms, each by another amount, with as much jitter."
    cannot = NO_PACKETS + " Order is kept, so one late piece delays all behind it."

    @classmethod
    def condition_of(cls, rng: Random) -> Condition:
        latency_ms = rng.randint(30, 120)
        return Condition("slow", latency_ms=latency_ms, jitter_ms=latency_ms // 2)


class Sliced(Everywhere):
    name = "sliced"
    does = "Cuts everything on every link into pieces of about 64 bytes, 0.2 ms apart."
    needs_all = False

    @classmethod
    def condition_of(cls, rng: Random) -> Condition:
        return Condition("sliced", size_bytes=64, delay_us=200)
