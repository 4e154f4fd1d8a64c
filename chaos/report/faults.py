"""Faults as spans of time, and the state of links and hosts that follows from them.

The law of this file: it knows of a fault what its events say (name, phase, time, hosts, pairs) and
one table of what each name does. An ordered pair (a, b) carries the messages of a to b.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Literal, cast

Pair = tuple[str, str]
Harm = Literal["cut", "impaired"]
Condition = Literal["down", "paused", "hurt"]

CUTTING = frozenset(
    (
        *("halves", "isolate", "isolate-leader", "majority-ring", "bridge", "one-way"),
        *("non-transitive", "flapping", "black-hole", "refuse", "stall", "partition"),
    )
)
"""Faults whose pairs carry nothing. Every other fault with pairs only makes them worse."""
CONDITIONS: dict[str, Condition] = {
    "kill": "down",
    "stop": "down",
    "restart-all": "down",
    "rolling-restart": "down",
    "pause": "paused",
}
"""What a fault does to its hosts. `hurt`: they run, with a bad disk, a wrong clock, a drain."""
CUT_KINDS = frozenset({"black_hole", "refused", "stalled", "cut"})
"""Kinds of a link's condition that carry nothing, where an event names them."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault from its beginning to its end, in seconds since the run began."""

    name: str
    begin: float
    end: float | None
    """None: the run ended first."""
    hosts: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()
    kind: str = ""
    """Of the links' condition, where the event says it; several with commas."""
    number: int = 0
    """From 1, in the order of beginnings: how pictures name it."""
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What else its events say: `effect`, how it was seen to hurt."""

    @property
    def harm(self) -> Harm:
        if self.kind:
            return "cut" if CUT_KINDS.issuperset(self.kind.split(", ")) else "impaired"
        return "cut" if self.name in CUTTING else "impaired"

    @property
    def condition(self) -> Condition | None:
        """Of its hosts: a fault of links names hosts, too, and does nothing to them."""
        known = CONDITIONS.get(self.name)
        return known if known or self.pairs or self.name in CUTTING else "hurt"

    def lasts_until(self, end_s: float) -> float:
        return max(self.begin, end_s) if self.end is None else self.end


_KNOWN = ("k", "name", "phase", "t", "time", "hosts", "pairs", "kind", "kinds")


def spans(events: Iterable[Mapping[str, Any]]) -> list[Fault]:
    """Match ends to beginnings of the same name, oldest first. A `change` of a running fault (a
    link that flaps) ends one span and begins the next."""
    running: dict[str, list[Fault]] = {}
    done: list[Fault] = []
    for event in sorted(events, key=lambda event: event["t"]):
        name, time = str(event["name"]), float(event["t"])
        phase = event.get("phase", "begin")
        if name == "none" or phase not in ("begin", "end", "change"):
            continue
        before = running.get(name, [])
        if phase != "begin" and before:
            ended = before.pop(0)
            done.append(replace(ended, end=time, more={**ended.more, **_more(event)}))
        if phase != "end":
            running.setdefault(name, []).append(_begun(event, name, time))
    done += [fault for waiting in running.values() for fault in waiting]
    done = [fault for fault in done if fault.more.get("phase") != "change" or fault.pairs]
    done.sort(key=lambda fault: (fault.begin, fault.name))
    return [replace(fault, number=number) for number, fault in enumerate(done, 1)]


def _more(event: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key not in _KNOWN}


def _begun(event: Mapping[str, Any], name: str, time: float) -> Fault:
    more = _more(event)
    if event.get("phase") == "change":
        more["phase"] = "change"
    kind = event.get("kind") or event.get("kinds") or ""
    if isinstance(kind, list | tuple):
        kind = ", ".join(str(one) for one in cast("list[Any]", kind))
    return Fault(name, time, None, _hosts(event), _pairs(event), str(kind), 0, more)


def _hosts(event: Mapping[str, Any]) -> tuple[str, ...]:
    hosts = event.get("hosts")
    items = cast("list[Any]", hosts) if isinstance(hosts, list | tuple) else []
    return tuple(dict.fromkeys(str(host) for host in items))


def _pairs(event: Mapping[str, Any]) -> tuple[Pair, ...]:
    pairs = event.get("pairs")
    items = cast("list[Any]", pairs) if isinstance(pairs, list | tuple) else []
    found: dict[Pair, None] = {}
    for item in items:
        both = cast("list[Any]", item) if isinstance(item, list | tuple) else []
        if len(both) == 2:
            found[(str(both[0]), str(both[1]))] = None
    return tuple(found)


# --- what was cut when ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Frame:
    """The network between two changes."""

    begin: float
    end: float
    links: Mapping[Pair, Harm]
    """Of the pairs that were not open."""
    hosts: Mapping[str, Condition]
    """Of the hosts that were not well."""
    faults: tuple[Fault, ...]

    @property
    def calm(self) -> bool:
        return not self.links and not self.hosts and not self.faults


def state_of(running: Sequence[Fault]) -> tuple[dict[Pair, Harm], dict[str, Condition]]:
    """Links and hosts under these faults: the worse harm wins."""
    links: dict[Pair, Harm] = {}
    hosts: dict[str, Condition] = {}
    worst: tuple[Condition, ...] = ("hurt", "paused", "down")
    for fault in running:
        for pair in fault.pairs:
            if links.get(pair) != "cut":
                links[pair] = fault.harm
        condition = fault.condition
        for host in fault.hosts if condition else ():
            worse = max(worst.index(hosts.get(host, "hurt")), worst.index(condition or "hurt"))
            hosts[host] = worst[worse]
    return links, hosts


def film(faults: Sequence[Fault], end_s: float) -> list[Frame]:
    """One frame between every two changes of the network, from 0 to the end."""
    if end_s <= 0:
        return []
    cuts = {0.0, end_s}
    for fault in faults:
        cuts |= {min(fault.begin, end_s), min(fault.lasts_until(end_s), end_s)}
    times = sorted(cuts)
    frames: list[Frame] = []
    for begin, end in pairwise(times):
        running = [f for f in faults if f.begin <= begin and f.lasts_until(end_s) >= end]
        links, hosts = state_of(running)
        frames.append(Frame(begin, end, links, hosts, tuple(running)))
    return frames


def picked(frames: Sequence[Frame], most: int) -> list[Frame]:
    """At most `most` frames, in order: first of all those that look different, then the longest."""
    seen: set[tuple[Any, ...]] = set()
    ranked: list[tuple[bool, float, int]] = []
    for place, frame in enumerate(frames):
        look = (frozenset(frame.links.items()), frozenset(frame.hosts.items()))
        ranked.append((look in seen, frame.begin - frame.end, place))
        seen.add(look)
    places = sorted(place for _, _, place in sorted(ranked)[:most])
    return [frames[place] for place in places]


def sides(hosts: Sequence[str], links: Mapping[Pair, Harm], down: Iterable[str]) -> list[list[str]]:
    """The hosts that could still talk with one another, both ways, directly or through others, the
    largest side first. Hosts that are down or paused are sides of their own."""
    gone = set(down)
    left = list(hosts)
    found: list[list[str]] = []
    while left:
        side: list[str] = []
        reach = [left.pop(0)]
        while reach:
            host = reach.pop()
            side.append(host)
            if host in gone:
                continue
            near = [
                other
                for other in left
                if other not in gone
                and links.get((host, other)) != "cut"
                and links.get((other, host)) != "cut"
            ]
            reach += near
            left = [other for other in left if other not in near]
        found.append(sorted(side))
    return sorted(found, key=lambda side: (-len(side), side))


def looks_worse(links: Mapping[Pair, Harm]) -> list[tuple[Pair, Harm]]:
    """The links in the order in which to name them: cut ones first."""
    return sorted(links.items(), key=lambda item: (item[1] != "cut", item[0]))
