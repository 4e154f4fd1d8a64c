"""Anti-entropy as upkeep: when it runs, how soon all are equal, and which vectors it earns."""

from __future__ import annotations

import pytest

from quorate.consistency.ring.mover import MoverConfig
from quorate.consistency.ring.upkeep import Upkeep
from tests.ring.world import STORE, Cluster

QUIET = MoverConfig(anti_entropy_s=1e6, dead_after_s=1e6)


def same_everywhere(cluster: Cluster) -> bool:
    states = [host.replica.everything(STORE) for host in cluster.hosts.values()]
    return all(state == states[0] for state in states)


def lose(cluster: Cluster, host: str, keys: int) -> None:
    """Updates that will never be pushed."""
    for number in range(keys):
        cluster.write(host, f"{host}-{number}", number)
    cluster.hosts[host].replica.log.clear()


def test_now_and_then_hosts_compare_by_themselves() -> None:
    cluster = Cluster(replicas=3, mover=MoverConfig(anti_entropy_s=10.0))
    cluster.fill(50)
    lose(cluster, "b", 20)
    assert not same_everywhere(cluster)
    cluster.run(40)
    assert same_everywhere(cluster)
    periodic = [host.mover.upkeep.periodic for host in cluster.hosts.values()]
    assert all(2 <= count <= 10 for count in periodic)


def test_a_peer_that_comes_back_is_compared_with_at_once() -> None:
    """Convergence within 2 s after a heal, though the logs are gone."""
    cluster = Cluster(replicas=3, mover=QUIET)
    cluster.fill(50)
    cluster.cut_off("c")
    for number in range(30):
        cluster.write("a", f"a-{number}", number)
    cluster.run(5)
    cluster.hosts["a"].replica.log.clear()
    lose(cluster, "c", 30)
    cluster.network.heal()
    healed = cluster.queue.now
    cluster.queue.run_until(healed + 2, lambda: same_everywhere(cluster))
    assert same_everywhere(cluster)
    cluster.run(0.1)
    reports = cluster.hosts["a"].mover.reports()
    assert reports[-1].peer == "c" and reports[-1].keys_changed >= 30


def test_a_gap_is_mended_and_earns_the_vector() -> None:
    cluster = Cluster(replicas=3, mover=QUIET)
    cluster.fill(50)
    lose(cluster, "b", 40)
    a, b = cluster.hosts["a"], cluster.hosts["b"]
    actor = b.replica.actor
    assert a.replica.applied.get(actor, 0) < b.replica.head
    a.mover.sync_needed("b")
    cluster.run(2)
    assert a.replica.everything(STORE) == b.replica.everything(STORE)
    assert a.replica.applied[actor] == b.replica.head
    statistics = a.mover.statistics()["upkeep"]
    assert isinstance(statistics, dict) and statistics["asked"] == 1 <= statistics["advanced"]


def test_a_gap_waits_until_the_peer_is_back() -> None:
    cluster = Cluster(replicas=3, mover=QUIET)
    cluster.fill(50)
    lose(cluster, "b", 40)
    cluster.cut_off("b")
    cluster.run(1)
    a, b = cluster.hosts["a"].replica, cluster.hosts["b"].replica
    cluster.hosts["a"].mover.sync_needed("b")
    cluster.run(10)
    assert a.applied.get(b.actor, 0) < b.head
    cluster.network.heal()
    cluster.run(2)
    assert a.applied[b.actor] == b.head


def test_where_owners_differ_a_gap_earns_the_vector_of_that_peer_alone() -> None:
    """Each host holds two thirds; `b` says of `c`'s updates nothing about what `b` is not told. It
    answers for the actor as well that it was before it lost what was in memory only."""
    cluster = Cluster("abcde", replicas=2, mover=QUIET)
    cluster.fill(300)
    a, b = cluster.hosts["a"], cluster.hosts["b"]
    lose(cluster, "b", 100)
    b.replica.applied[cluster.hosts["c"].replica.actor] = 10**6
    b.replica.own_actors.append(77)
    b.replica.applied[77] = 5
    a.mover.sync_needed("b")
    cluster.run(3)
    assert a.replica.advanced == [{b.replica.actor: b.replica.head, 77: 5}]
    mine = a.replica.everything(STORE)
    assert all(key in mine for key in cluster.written if "a" in a.replica.to(key))


def test_with_all_others_compared_all_vectors_are_earned() -> None:
    cluster = Cluster("abcd", replicas=2, mover=MoverConfig(anti_entropy_s=2.0))
    cluster.fill(300)
    cluster.run(1)
    for host in cluster.hosts.values():
        host.replica.applied[4711] = 99  # of an actor that everybody has heard of but `a`
    del cluster.hosts["a"].replica.applied[4711]
    cluster.hosts["d"].replica.applied[4711] = 60
    cluster.run(40)
    assert cluster.hosts["a"].replica.applied[4711] == 60  # the least that somebody had


def earns_only_what_is_here(cluster: Cluster) -> bool:
    """After every advance of a vector, everything that it covers is here."""
    cluster.fill(200)
    a = cluster.hosts["a"]
    for name in "bcd":
        lose(cluster, name, 60)
    cluster.hosts["a"].mover.sync_needed("b")
    cluster.run(3)
    mine = a.replica.everything(STORE)
    for name in "bcd":
        replica = cluster.hosts[name].replica
        upto = a.replica.applied.get(replica.actor, 0)
        for key in cluster.written:
            entry = replica.export(STORE, key)
            told = "a" in a.replica.to(key)
            covered = entry is not None and entry[1] == replica.actor and entry[2] <= upto
            if told and covered and key not in mine:
                return False
    return True


def test_a_vector_is_earned_only_for_what_is_here() -> None:
    assert earns_only_what_is_here(Cluster("abcd", mover=QUIET))


def test_plant_a_vector_earned_by_half_a_comparison_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = Upkeep._sync  # pyright: ignore[reportPrivateUsage]
    earn = Upkeep._earn  # pyright: ignore[reportPrivateUsage]

    def shared_only(self: Upkeep, peer: str, placement: object) -> None:
        gaps, self._gaps = self._gaps, set()  # pyright: ignore[reportPrivateUsage]
        whole(self, peer, placement)  # pyright: ignore[reportArgumentType]
        self._gaps = gaps  # pyright: ignore[reportPrivateUsage]

    monkeypatch.setattr(Upkeep, "_sync", shared_only)
    monkeypatch.setattr(
        Upkeep, "_earn", lambda self, peer, ring, reports, _: earn(self, peer, ring, reports, True)
    )
    assert not earns_only_what_is_here(Cluster("abcd", mover=QUIET))
