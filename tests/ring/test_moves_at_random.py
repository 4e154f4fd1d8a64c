"""Joins, leavings, deaths and cuts at random; in the end every key is where it belongs.

A host is killed only when every update is at all its owners: what one host alone acknowledged dies
with its disk, and no move can help that.
"""

from __future__ import annotations

import os
import random

import pytest

from quorate.consistency.ring.mover import MoverConfig
from tests.ring.world import STORE, Cluster

SEEDS = range(100 if os.environ.get("QUORATE_SOAK") else 4)
CONFIG = MoverConfig(anti_entropy_s=6.0, dead_after_s=20.0)


class Nemesis:
    """One random thing after another."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.cluster = Cluster("abcd", seed=seed, replicas=self.rng.choice([2, 3]), mover=CONFIG)
        self.cluster.fill(60)
        self.number = 0
        self.names = iter("efghij")
        self.drained: list[str] = []

    def alive(self) -> list[str]:
        return [n for n, h in self.cluster.hosts.items() if not h.life.over]

    def serving(self) -> list[str]:
        return [n for n in self.alive() if not self.cluster.hosts[n].mover.leaving]

    def write(self) -> None:
        for _ in range(self.rng.randint(1, 20)):
            self.number += 1
            host = self.rng.choice(self.serving())
            self.cluster.write(host, f"random-{self.number}", self.number)

    def cut_a_log_short(self) -> None:
        """Its limits were hit: what was not pushed yet is in states only."""
        self.cluster.hosts[self.rng.choice(self.alive())].replica.log.clear()

    def cut_some(self) -> None:
        alive = self.alive()
        if self.rng.random() < 0.5:
            self.cluster.cut_off(self.rng.choice(alive))
        else:
            self.cluster.network.part(*self.rng.sample(alive, 2))

    def join(self) -> None:
        name = next(self.names, None)
        if name is not None:
            self.cluster.add(name)

    def drain(self) -> None:
        if len(self.serving()) > 3 and self.serving() == self.alive():
            name = self.rng.choice(self.serving())
            self.cluster.hosts[name].mover.drain(lambda: self.drained.append(name))

    def destroy_the_drained(self) -> None:
        for name in self.drained:
            self.cluster.kill(name)
            self.cluster.members.discard(name)
        self.drained.clear()

    def kill(self) -> None:
        self.cluster.network.heal()
        if len(self.alive()) > 4 and self.cluster.is_settled() and not self.cluster.missing():
            self.cluster.kill(self.rng.choice(self.alive()))

    def step(self) -> None:
        if self.rng.random() < 0.7:
            self.write()
        acts = [self.cut_some, self.cut_some, self.cluster.network.heal, self.join]
        acts += [self.cut_a_log_short, self.drain, self.kill]
        self.rng.choice(acts)()
        self.cluster.run(self.rng.choice([0.2, 1.0, 3.0, 8.0]))
        self.destroy_the_drained()

    def end(self) -> None:
        """Quiet, until everything is in its place."""
        cluster = self.cluster
        cluster.network.heal()
        cluster.queue.run_until(cluster.queue.now + 120, self._quiet)
        self.destroy_the_drained()
        cluster.settle()
        cluster.run(30)

    def _quiet(self) -> bool:
        waiting = [n for n in self.alive() if self.cluster.hosts[n].mover.leaving]
        return set(waiting) <= set(self.drained)


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_every_key_ends_with_its_owners(seed: int) -> None:
    nemesis = Nemesis(seed)
    for _ in range(25):
        nemesis.step()
    nemesis.end()
    cluster = nemesis.cluster
    assert nemesis.number > 20
    assert not cluster.missing(), {key: cluster.holders(key) for key in cluster.missing()}
    assert cluster.strays() == 0
    assert cluster.ring is not None and set(cluster.ring.hosts) == set(nemesis.serving())
    for name in cluster.ring.hosts:
        host = cluster.hosts[name]
        assert all(
            host.replica.everything(STORE)[k] == cluster.written[k] for k in _own(cluster, name)
        )


def _own(cluster: Cluster, name: str) -> list[str]:
    replica = cluster.hosts[name].replica
    return [key for key in cluster.written if name in replica.to(key)]
