"""The shapes of a cut network, by what they promise."""

from __future__ import annotations

from random import Random

import pytest

from quorate.chaos.faults import cuts
from quorate.chaos.lab.links import Pair

SIZES = ["abc", "abcd", "abcde", "abcdefg"]


def hears(hosts: str, pairs: list[Pair]) -> dict[str, set[str]]:
    """Whom each host hears, itself included."""
    return {one: {other for other in hosts if (other, one) not in pairs} for one in hosts}


@pytest.mark.parametrize("hosts", SIZES)
@pytest.mark.parametrize("seed", range(5))
def test_shapes(hosts: str, seed: int) -> None:
    rng, majority = Random(seed), len(hosts) // 2 + 1
    halves = hears(hosts, cuts.halves(hosts, rng))
    assert len({frozenset(group) for group in halves.values()}) == 2
    assert {len(group) for group in halves.values()} == {len(hosts) // 2, (len(hosts) + 1) // 2}

    ring = hears(hosts, cuts.majority_ring(hosts, rng))
    assert {len(group) for group in ring.values()} == {majority}
    assert all(host in group for host, group in ring.items())
    assert len({frozenset(group) for group in ring.values()}) == len(hosts)

    bridge = hears(hosts, cuts.bridge(hosts, rng))
    assert sum(len(group) == len(hosts) for group in bridge.values()) == 1
    assert all(len(group) < len(hosts) for group in list(bridge.values()) if group != set(hosts))

    pair = cuts.non_transitive(hosts, rng)
    assert len(pair) == 2 and pair[0] == pair[1][::-1]

    one_way = cuts.one_way("a", hosts, rng)
    assert len(one_way) == len(hosts) - 1
    assert all("a" in pair for pair in one_way)
    assert not {pair[::-1] for pair in one_way} & set(one_way)

    around = cuts.around("a", hosts)
    assert len(around) == 2 * (len(hosts) - 1)
