"""What this host has of everybody's updates, what the others said they have, and so what is stable.

The law of this file: `seen` is in memory, `applied` is on this disk; both only grow. The stable cut
is what every owner has on its disk, and nobody can still be about to send something older: each
report counts only once everything its host had made by then is here (causal stability; Baquero,
Almeida, Shoker 2017, "Pure operation-based replicated data types").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from quorate.consistency.replica.states import Vector


@dataclass(slots=True)
class Report:
    """What a host said last: under which ring, which vector, and how far its own updates go."""

    epoch: int
    vector: Vector
    heads: Vector


@dataclass(slots=True)
class Knowledge:
    """`actors`: who made updates, ever heard of: actor -> host."""

    seen: Vector = field(default_factory=dict[int, int])
    applied: Vector = field(default_factory=dict[int, int])
    actors: dict[int, str] = field(default_factory=dict[int, str])
    reports: dict[str, Report] = field(default_factory=dict[str, Report])
    waiting: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])
    """(commit group, actor, seq): applied once the group is synced."""

    def saw(self, actor: int, seq: int, group: int) -> None:
        """Everything of `actor` up to `seq` is in memory, and on disk with `group`."""
        if seq > self.seen.get(actor, 0):
            self.seen[actor] = seq
            self.waiting.append((group, actor, seq))

    def on_synced(self, group: int) -> Vector:
        """The group is on disk: what is applied now that was not."""
        moved: Vector = {}
        keep = 0
        for position, (at, actor, seq) in enumerate(self.waiting):
            if at > group:
                break
            keep = position + 1
            if seq > self.applied.get(actor, 0):
                self.applied[actor] = moved[actor] = seq
        del self.waiting[:keep]
        return moved

    def covers(self, vector: Mapping[int, int]) -> bool:
        """Whether everything in `vector` is on this disk."""
        applied = self.applied
        return all(applied.get(actor, 0) >= seq for actor, seq in vector.items())

    def orphans(self, own: Iterable[int]) -> Vector:
        """What is here of actors that are nobody's present folder, as far as hosts have told: no
        host answers for them, so whoever has something of them does."""
        alive = set(own)
        for report in self.reports.values():
            alive.update(report.heads)
        return {actor: seq for actor, seq in self.applied.items() if actor not in alive}

    def buried(self, own: Iterable[int], others: Iterable[str], epoch: int) -> Vector:
        """See `StoreReplica.buried`."""
        alive, highest = set(own), dict(self.applied)
        for host in others:
            report = self.reports.get(host)
            if report is None or report.epoch != epoch:
                return {}
            alive.update(report.heads)
            for actor, seq in report.vector.items():
                if seq > highest.get(actor, 0):
                    highest[actor] = seq
        return {
            actor: seq
            for actor, seq in highest.items()
            if actor not in alive and seq > self.applied.get(actor, 0)
        }

    def stable(self, host_id: str, hosts: Iterable[str], epoch: int) -> Vector:
        """What every one of `hosts` has; empty while somebody did not say so under this epoch."""
        cut: Vector | None = None
        for host in hosts:
            if host == host_id:
                vector = self.applied
            else:
                report = self.reports.get(host)
                if report is None or report.epoch != epoch or not self.covers(report.heads):
                    return {}
                vector = report.vector
            if cut is None:
                cut = dict(vector)
            else:
                cut = {a: min(s, vector[a]) for a, s in cut.items() if a in vector}
        return cut or {}
