"""Who no longer reaches whom: the shapes of a cut network. Pure.

The law of this file: each shape is a function of the hosts and the dice to ordered pairs. A pair is
in the answer when the messages of the first to the second are to be lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from quorate.chaos.lab.links import Pair


def shuffled(hosts: Sequence[str], rng: Random) -> list[str]:
    found = list(hosts)
    rng.shuffle(found)
    return found


def between(ones: Sequence[str], others: Sequence[str]) -> list[Pair]:
    """Both directions between two groups."""
    return [pair for a in ones for b in others for pair in ((a, b), (b, a))]


def around(host: str, hosts: Sequence[str]) -> list[Pair]:
    """Everything from and to one host."""
    return between([host], [other for other in hosts if other != host])


def halves(hosts: Sequence[str], rng: Random) -> list[Pair]:
    """Two groups that do not hear each other; the smaller one has just no majority."""
    mixed = shuffled(hosts, rng)
    middle = len(mixed) // 2
    return between(mixed[:middle], mixed[middle:])


def majority_ring(hosts: Sequence[str], rng: Random) -> list[Pair]:
    """Every host hears a majority, and no two hear the same: each hears only its neighbours on a
    ring (Jepsen's "majorities ring"). With three hosts every host hears one of the others."""
    ring = shuffled(hosts, rng)
    size, majority = len(ring), len(ring) // 2 + 1
    before = (majority - 1) // 2
    pairs: list[Pair] = []
    for number, listener in enumerate(ring):
        heard = {ring[(number - before + step) % size] for step in range(majority)}
        pairs += [(sender, listener) for sender in ring if sender not in heard]
    return pairs


def bridge(hosts: Sequence[str], rng: Random) -> list[Pair]:
    """Two groups that do not hear each other, and one host that hears and is heard by all."""
    mixed = shuffled(hosts, rng)[1:]
    middle = len(mixed) // 2
    return between(mixed[:middle], mixed[middle:])


def non_transitive(hosts: Sequence[str], rng: Random) -> list[Pair]:
    """Two hosts do not hear each other; all others hear both."""
    return between(*([one] for one in shuffled(hosts, rng)[:2]))


def one_way(host: str, hosts: Sequence[str], rng: Random) -> list[Pair]:
    """All that one host says is lost, or all that is said to it."""
    silent = rng.random() < 0.5
    others = [other for other in hosts if other != host]
    return [(host, other) if silent else (other, host) for other in others]
