"""Keys move when hosts come and go; none is lost while fewer than `replicas` hosts are."""

from __future__ import annotations

import random

import pytest

from quorate.consistency.merkle.exchange import ExchangeConfig
from quorate.consistency.ring.absent import Absent
from quorate.consistency.ring.dropping import Dropping
from quorate.consistency.ring.gaining import Gaining
from quorate.consistency.ring.mover import MoverConfig
from quorate.consistency.ring.placement import Placement, Ring, partition_of, point
from quorate.core.errors import UsageError
from tests.ring.world import STORE, Cluster

KIB, MIB = 1 << 10, 1 << 20


def keep_writing(cluster: Cluster, seconds: float, hosts: str) -> None:
    """One update after another, each acknowledged by an owner of its key among `hosts`."""
    end = cluster.queue.now + seconds
    rng = random.Random(5)

    def one() -> None:
        key = f"live-{rng.randrange(200)}"
        owners = [h for h in cluster.hosts["a"].replica.to(key) if h in hosts]
        if owners:
            cluster.write(rng.choice(owners), key, rng.random())
        if cluster.queue.now < end:
            cluster.queue.after(0.02, one)

    one()


def test_the_first_ring_is_ready_at_once() -> None:
    cluster = Cluster()
    cluster.settle(5)
    assert cluster.rings == [Ring.of(1, "abc")]
    host = cluster.hosts["a"]
    placement = Placement(cluster.rings[0])
    assert all(host.mover.ready(partition) for partition in placement.owned("a", 2))


def test_a_host_joins_and_gets_its_share_and_no_more() -> None:
    cluster = Cluster()
    cluster.fill(600)
    before = cluster.network.bytes["ae"]
    cluster.add("d")
    cluster.settle()
    assert cluster.ring == Ring.of(3, "abcd") and not cluster.missing()
    share = len(cluster.hosts["d"].replica.everything(STORE))
    assert 0.25 < share / 600 < 0.75
    cluster.run(20)
    assert cluster.strays() == 0 and not cluster.missing()
    assert sum(h.mover.dropping.dropped for h in cluster.hosts.values()) > 0
    assert cluster.network.bytes["ae"] - before < 600 * 80 * 4


@pytest.mark.parametrize("seed", range(3))
def test_writes_go_on_while_hosts_come_and_leave(seed: int) -> None:
    cluster = Cluster(seed=seed)
    cluster.fill(200)
    keep_writing(cluster, 60, "abc")
    cluster.add("d")
    cluster.run(12)
    cluster.add("e")
    cluster.run(15)
    left: list[float] = []
    cluster.hosts["d"].mover.drain(lambda: left.append(cluster.queue.now))
    cluster.run(40)
    assert left
    cluster.settle()
    cluster.run(15)
    assert cluster.ring is not None and cluster.ring.hosts == ("a", "b", "c", "e")
    assert not cluster.missing() and cluster.strays() == 0


@pytest.mark.parametrize("victim", ["b", "c", "d"])
def test_a_dead_host_is_replaced_and_nothing_is_lost(victim: str) -> None:
    cluster = Cluster("abcd")
    cluster.fill(400)
    cluster.kill(victim)
    cluster.run(15)
    assert cluster.ring == Ring.of(1, "abcd")  # it might come back
    cluster.settle()
    assert cluster.ring is not None and victim not in cluster.ring.hosts
    assert not cluster.missing()


def test_with_three_replicas_two_may_die() -> None:
    cluster = Cluster("abcdefg", replicas=3)
    cluster.fill(300)
    cluster.kill("b")
    cluster.kill("e")
    cluster.settle()
    assert not cluster.missing()


def test_a_host_dies_while_another_joins() -> None:
    cluster = Cluster("abcd")
    cluster.fill(300)
    cluster.add("e")
    cluster.run(1.0)
    cluster.kill("c")
    cluster.settle()
    assert cluster.ring is not None and cluster.ring.hosts == ("a", "b", "d", "e")
    assert not cluster.missing()


def test_the_joiner_dies_on_its_way() -> None:
    cluster = Cluster("abc", exchange=ExchangeConfig(rate_bytes_s=2 * KIB, burst_bytes=KIB))
    cluster.fill(400)
    cluster.add("d")
    cluster.run(1.5)
    assert cluster.ring is not None and cluster.ring.before is not None
    cluster.kill("d")
    cluster.settle()
    assert cluster.ring.hosts == ("a", "b", "c") and not cluster.missing()


def test_a_host_that_leaves_hands_over_first() -> None:
    """When `drain` is done it may be destroyed at once, and then as many more as ever."""
    cluster = Cluster("abcd")
    cluster.fill(400)
    for number in range(50):
        cluster.write("d", f"last-{number}", number)
    done: list[float] = []
    cluster.hosts["d"].mover.drain(lambda: done.append(cluster.queue.now))
    assert cluster.hosts["d"].mover.report().leaving and not done
    cluster.queue.run_until(cluster.queue.now + 60, lambda: bool(done))
    assert done and cluster.ring is not None and cluster.ring.hosts == ("a", "b", "c")
    cluster.kill("d")
    assert not cluster.missing()
    assert all(len(cluster.holders(key)) >= 2 for key in cluster.written)


def test_a_host_that_leaves_hands_over_while_others_go_on_writing() -> None:
    """What changes on it comes from owners by then: it need not chase what they write."""
    cluster = Cluster("abcd", replicas=2)
    cluster.fill(400)
    done: list[float] = []
    cluster.hosts["d"].mover.drain(lambda: done.append(cluster.queue.now))
    for number in range(600):
        if done:
            break
        cluster.write("abc"[number % 3], f"busy-{number % 7}", number)
        cluster.run(0.1)
    assert done, "the host never came to leave"
    assert cluster.hosts["d"].replica.refuses
    cluster.kill("d")
    cluster.settle()
    assert not cluster.missing()
    cluster.hosts["a"].mover.stay()
    assert not cluster.hosts["a"].replica.refuses


def test_the_last_host_cannot_drain_and_may_stay() -> None:
    cluster = Cluster("a", replicas=1)
    cluster.settle()
    done: list[int] = []
    cluster.hosts["a"].mover.drain(lambda: done.append(1))
    cluster.run(30)
    assert not done
    cluster.hosts["a"].mover.stay()
    assert not cluster.hosts["a"].mover.report().leaving


def let_one_come_back(cluster: Cluster) -> None:
    """A host is cut off until others took its keys over. What it accepted meanwhile is with it
    alone, and its log was cut short. It comes back."""
    cluster.fill(200)
    cluster.cut_off("a")
    cluster.add("e")
    cluster.network.part("a", "e")
    cluster.run(40)
    assert cluster.ring is not None and "a" not in cluster.ring.hosts
    for number in range(100):
        cluster.write("a", f"lone-{number}", number)
    cluster.hosts["a"].replica.log.clear()
    cluster.network.heal()


def lone_updates_survive(cluster: Cluster) -> bool:
    """Who comes back owns less than before, and lets go."""
    let_one_come_back(cluster)
    cluster.settle()
    cluster.run(30)
    assert cluster.strays() == 0
    return not cluster.missing()


QUIET = MoverConfig(anti_entropy_s=1e6, dead_after_s=20.0)


def test_what_only_a_returning_host_has_is_handed_over() -> None:
    assert lone_updates_survive(Cluster("abcd", mover=QUIET))


def test_plant_dropping_at_once_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Absent, "on_spoke", lambda *of: None)  # or they ask for it themselves
    monkeypatch.setattr(Dropping, "_is_shown", lambda *of: True)
    assert not lone_updates_survive(Cluster("abcd", mover=QUIET))


def heard_means_complete(cluster: Cluster) -> bool:
    """While a host does not name the one that was away, it has what that one had made."""
    let_one_come_back(cluster)
    named: set[str] = set()
    heard: set[str] = set()
    missing = 0
    for _ in range(2_000):
        cluster.run(0.01)
        for name in "bcde":
            host = cluster.hosts[name]
            mine = host.replica.everything(STORE)
            for number in range(100):
                key = f"lone-{number}"
                partition = _partition(key)
                if name not in host.replica.to(key) or not host.mover.ready(partition):
                    continue
                if "a" in host.mover.unheard(partition):
                    named.add(name + key)
                elif name + key in named:
                    heard.add(name + key)
                    missing += key not in mine
    assert heard
    return not missing


def test_who_was_away_is_heard_when_all_of_its_updates_are_here() -> None:
    assert heard_means_complete(Cluster("abcd", mover=QUIET))


def test_plant_heard_at_its_word_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Absent, "_sources", lambda *of: set[str]())
    assert not heard_means_complete(Cluster("abcd", mover=QUIET))


def ready_means_complete(cluster: Cluster) -> bool:
    """One writer hears of rings late and goes on by the old one. At the moment at which the joiner
    is ready, it has everything that was acknowledged to that writer by former owners."""
    cluster.fill(100)
    writer = cluster.hosts["c"]
    writer.ring_delay_s = 4.0
    cluster.add("d")
    cluster.run(1.5)  # the others know the new ring by now
    for number in range(200):
        cluster.write("c", f"late-{number}", number)
    joiner = cluster.hosts["d"]
    cluster.queue.run_until(cluster.queue.now + 60, lambda: 2 in joiner.hooks.readied)
    assert 2 in joiner.hooks.readied
    ring = Placement(joiner.replica.ring)
    mine = joiner.replica.everything(STORE)
    wanted = [k for k in cluster.written if "d" in joiner.replica.to(k)]
    return len(ring.gained("d", 2)) > 0 and all(key in mine for key in wanted)


def test_ready_means_that_writers_by_the_old_ring_were_waited_for() -> None:
    assert ready_means_complete(Cluster(mover=QUIET))


def test_plant_ready_before_the_last_writer_spoke_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Gaining, "_everyone_spoke", lambda self: True)
    assert not ready_means_complete(Cluster(mover=QUIET))


def test_plant_gaining_from_one_owner_only_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two former owners, each with updates that the other does not have yet."""

    def holds() -> bool:
        cluster = Cluster("abc", mover=QUIET)
        cluster.fill(100)
        cluster.network.part("b", "c")
        for number in range(100):
            cluster.write("bc"[number % 2], f"split-{number}", number)
        for name in "bc":
            cluster.hosts[name].replica.log.clear()
        joiner = cluster.add("d")
        cluster.queue.run_until(60, lambda: 2 in joiner.hooks.readied)
        owned = joiner.replica.placement.gained("d", 2)
        mine = joiner.replica.everything(STORE)
        to = {k: joiner.replica.placement.former(_partition(k), 2) for k in cluster.written}
        return bool(owned) and all(
            key in mine
            for key in cluster.written
            if "d" in joiner.replica.to(key) and {"b", "c"} == set(to[key])
        )

    assert holds()
    whole = Gaining._sources  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(Gaining, "_sources", lambda self: dict(sorted(whole(self).items())[:1]))
    assert not holds()


def _partition(key: str) -> int:
    return partition_of(point(STORE, key.encode()))


def test_partitions_are_not_ready_before_they_are_here() -> None:
    cluster = Cluster(exchange=ExchangeConfig(rate_bytes_s=2 * KIB, burst_bytes=KIB))
    cluster.fill(400)
    joiner = cluster.add("d")
    cluster.run(1.0)
    gained = joiner.replica.placement.gained("d", 2)
    assert gained and not any(joiner.mover.ready(p) for p in gained)
    assert not joiner.mover.report().ready
    start = cluster.queue.now
    cluster.settle()
    assert cluster.queue.now - start > 1  # throttled
    assert all(joiner.mover.ready(p) for p in gained)


def test_when_no_former_owner_is_left_it_is_told_and_goes_on() -> None:
    cluster = Cluster("abcde", replicas=1)
    cluster.fill(100)
    cluster.kill("b")
    cluster.settle(200)
    assert any("no former owner" in p for h in cluster.hosts.values() for p in h.hooks.problems)
    unheard = {x for h in "acde" for p in range(256) for x in cluster.hosts[h].mover.unheard(p)}
    assert unheard == {"b"}
    lost = [key for key in cluster.written if not cluster.holders(key)]
    assert set(cluster.missing()) == set(lost)


def test_an_older_ring_is_ignored_and_malformed_news_refused() -> None:
    cluster = Cluster()
    cluster.settle()
    mover = cluster.hosts["a"].mover
    mover.on_ring(Ring.of(1, "a"))
    assert mover.report().epoch == 1 and mover.report().ready
    for message in (
        {},
        {"k": "rescanned"},
        {"k": "rescanned", "epoch": -1},
        {"k": "x", "epoch": 1},
    ):
        with pytest.raises(UsageError):
            mover.on_message("b", message)
    mover.on_message("b", {"k": "rescanned", "epoch": 77})  # of another ring
    assert mover.statistics()["leaving"] is False


def test_members_that_left_are_not_waited_for_and_new_ones_are() -> None:
    """A host that starts again knows an older list of members than its ring."""
    cluster = Cluster("abc", replicas=2)
    cluster.settle()
    mover = cluster.hosts["a"].mover
    cluster.cut_off("b")
    mover.on_members("abcxyz")
    mover.on_ring(Ring.of(5, "abc", "bc"))
    waiting = mover.statistics()["gaining"]
    assert isinstance(waiting, dict)
    assert {"x", "y", "z"} <= set(waiting["waiting_for_members"])
    mover.on_members("abcw")
    waiting = mover.statistics()["gaining"]
    assert isinstance(waiting, dict)
    assert not {"x", "y", "z"} & set(waiting["waiting_for_members"])
    assert "w" in waiting["waiting_for_members"]
