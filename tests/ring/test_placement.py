"""Placement: stable for ever, balanced, and moving no more than it must."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from quorate.consistency.ring.placement import (
    PARTITIONS,
    Placement,
    Ring,
    bucket_of,
    destinations,
    owners,
    partition_of,
    point,
    ranking,
)
from quorate.core.errors import UsageError

HOSTS = tuple(f"host-{number}" for number in range(8))


def test_points_and_rankings_never_change() -> None:
    """These are on disks and in other processes: a change of any of them loses data (T22)."""
    assert point("carts", b"ann") == 1037332918
    assert [partition_of(0xAB12_CDEF), bucket_of(0xAB12_CDEF)] == [0xAB, 0xAB12]
    assert ranking(HOSTS, 0)[:3] == ("host-6", "host-3", "host-0")
    assert ranking(HOSTS, 255)[:3] == ("host-2", "host-3", "host-0")


def test_another_process_with_another_hash_seed_agrees() -> None:
    code = (
        "from quorate.consistency.ring.placement import *;"
        "print(point('s', b'k'), [ranking(['a','b','c','ü'], p) for p in range(256)])"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1 and said != {b""}


@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_a_host_that_joins_takes_only_what_it_owns(replicas: int) -> None:
    small, large = Ring.of(1, HOSTS[:-1]), Ring.of(2, HOSTS)
    moved = 0
    for partition in range(PARTITIONS):
        before = owners(small, partition, replicas)
        after = owners(large, partition, replicas)
        if HOSTS[-1] in after:
            moved += 1
            assert len(set(after) - set(before)) == 1
            assert [host for host in after if host != HOSTS[-1]] == list(before[:-1])
        else:
            assert after == before
    assert moved == pytest.approx(PARTITIONS * replicas / len(HOSTS), rel=0.35)


@pytest.mark.parametrize("count", [2, 3, 5, 8, 16])
def test_hosts_own_about_the_same(count: int) -> None:
    hosts = [f"host-{number}" for number in range(count)]
    placement = Placement(Ring.of(1, hosts))
    for replicas in (1, 2, 3):
        shares = Counter(h for p in range(PARTITIONS) for h in placement.owners(p, replicas))
        fair = PARTITIONS * min(replicas, count) / count
        assert set(shares) == set(hosts)
        assert all(0.4 * fair <= share <= 1.7 * fair for share in shares.values()), shares


def test_a_small_cluster_owns_everything_everywhere() -> None:
    placement = Placement(Ring.of(1, HOSTS[:3]))
    assert all(set(placement.owners(p, 3)) == set(HOSTS[:3]) for p in range(PARTITIONS))
    assert placement.owned("host-0", 3) == frozenset(range(PARTITIONS))


def test_while_keys_move_updates_go_to_both() -> None:
    ring = Ring.of(5, HOSTS[1:], before=HOSTS[:-1])
    placement = Placement(ring)
    for partition in range(PARTITIONS):
        now, both = owners(ring, partition, 3), destinations(ring, partition, 3)
        then = owners(Ring.of(4, HOSTS[:-1]), partition, 3)
        assert both[:3] == now and set(both) == set(now) | set(then)
        assert placement.owners(partition, 3) == now
        assert placement.destinations(partition, 3) == both
        assert placement.former(partition, 3) == then
        for host in HOSTS:
            assert (partition in placement.gained(host, 3)) == (host in now and host not in then)
            assert (partition in placement.held(host, 3)) == (host in both)
    assert placement.gained("host-0", 3) == frozenset()
    pair = placement.shared("host-1", "host-2", 3)
    assert pair == placement.held("host-1", 3) & placement.held("host-2", 3)


def test_a_ring_travels_as_plain_values() -> None:
    ring = Ring.of(3, ["b", "a"], before=["a"])
    assert ring == (3, ("a", "b"), ("a",))
    assert Ring.from_plain(ring.to_plain()) == ring
    assert Ring.from_plain(Ring.of(0, []).to_plain()) == (0, (), None)


@pytest.mark.parametrize(
    "plain",
    [
        None,
        [],
        {},
        {"epoch": 1, "hosts": ["a"]},
        {"epoch": 1, "hosts": ["a"], "before": None, "more": 1},
        {"epoch": -1, "hosts": ["a"], "before": None},
        {"epoch": True, "hosts": ["a"], "before": None},
        {"epoch": 1.0, "hosts": ["a"], "before": None},
        {"epoch": 2**53 + 1, "hosts": ["a"], "before": None},
        {"epoch": 1, "hosts": "ab", "before": None},
        {"epoch": 1, "hosts": ["a", "a"], "before": None},
        {"epoch": 1, "hosts": ["a", 7], "before": None},
        {"epoch": 1, "hosts": [""], "before": None},
        {"epoch": 1, "hosts": ["x" * 256], "before": None},
        {"epoch": 1, "hosts": ["\ud800"], "before": None},
        {"epoch": 1, "hosts": [str(n) for n in range(65)], "before": None},
        {"epoch": 1, "hosts": ["a"], "before": {"a": 1}},
    ],
)
def test_what_is_no_ring_is_refused(plain: Any) -> None:
    with pytest.raises(UsageError):
        Ring.from_plain(plain)
