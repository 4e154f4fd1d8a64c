"""Stories of updates between replicas: applied, synced, pushed, acknowledged; lost links, crashes,
full disks and clocks.
"""

from __future__ import annotations

import pytest

from quorate.consistency.replica import redo_log
from quorate.consistency.versions.hlc import ClockAhead
from quorate.core import codec
from tests.replica.replica_tools import Town


def test_an_update_reaches_every_owner_after_its_own_sync() -> None:
    town = Town("a", "b", "c")
    town.pass_time(0.1)
    update = town["a"].put("k", {"qty": 1})
    assert town["a"].get("k") == {"qty": 1}
    assert town["a"].replica.synced_lsn < update.lsn
    assert not [m for s, _, m in town.sent if s == "a" and m["k"] == "push"]
    town.pass_time(0.1)
    assert town["a"].notes.durable == update.seq
    assert town["b"].get("k") == town["c"].get("k") == {"qty": 1}
    assert town["a"].notes.held == {"b": update.seq, "c": update.seq}
    assert town["a"].replica.holders("s", "k", update.seq) == ["a", "b", "c"]
    assert town["b"].replica.covers({town["a"].replica.actor: update.seq})
    assert len(town.digests()) == 1


def test_the_log_keeps_what_an_absent_owner_lacks() -> None:
    town = Town("a", "b", "c")
    town.pass_time(0.1)
    town["c"].crash()
    for number in range(50):
        town["a"].put(f"k{number}", number)
        town.pass_time(0.05)
    assert town["b"].get("k49") == 49
    town["c"].start()
    town.pass_time(1.0)
    assert town["c"].get("k0") == 0
    assert town["c"].get("k49") == 49
    assert len(town.digests()) == 1
    town.pass_time(6.0)
    assert town["a"].replica.log.statistics()["retained_records"] == 0


def test_an_absent_owner_costs_disk_and_not_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redo_log, "FRESH_BYTES_MAX", 2_000)
    town = Town("a", "b", "c")
    town.pass_time(0.1)
    town["c"].crash()
    for number in range(60):
        town["a"].put(f"k{number}", "x" * 200)
        town.pass_time(0.05)
    told = town["a"].replica.log.statistics()
    retained, in_memory = told["retained_bytes"], told["in_memory_bytes"]
    assert isinstance(retained, int) and isinstance(in_memory, int)
    assert in_memory <= 2_000 < retained
    town["c"].start()
    town.pass_time(1.0)
    assert [town["c"].get(f"k{number}") for number in range(60)] == ["x" * 200] * 60


def test_a_crash_keeps_what_was_acknowledged_and_numbers_go_on() -> None:
    town = Town("a", "b", "c")
    town.pass_time(0.1)
    town.isolate("a")
    first = town["a"].put("k", "kept")
    town.pass_time(0.1)
    assert town["a"].notes.durable == first.seq
    town["a"].put("k", "not synced")
    town["a"].crash()
    town["a"].start()
    assert town["a"].get("k") == "kept"
    town.heal()
    town.pass_time(1.0)
    again = town["a"].put("k", "later")
    assert again.seq > first.seq
    town.pass_time(0.5)
    assert [town[h].get("k") for h in "abc"] == ["later"] * 3
    assert len(town.digests()) == 1


def test_states_on_disk_need_no_log() -> None:
    town = Town("a", "b", "c")
    for number in range(300):
        town["a"].put(f"k{number}", number)
    town.pass_time(5.0)
    for host in "abc":
        town[host].crash()
    for host in "abc":
        town[host].start()
    town.pass_time(1.0)
    assert town["b"].get("k299") == 299
    assert len(list(town["c"].replica.log.records())) == 0
    assert len(town.digests()) == 1
    town["b"].put("k1", "new")
    town.pass_time(0.5)
    assert [town[h].get("k1") for h in "abc"] == ["new"] * 3


def test_concurrent_writes_are_resolved_alike_and_told() -> None:
    town = Town("a", "b", "c")
    town.pass_time(0.1)
    town.isolate("a")
    town["a"].put("k", "from a")
    town.pass_time(0.01)
    town["b"].put("k", "from b")
    town.pass_time(0.5)
    assert town["c"].get("k") == "from b"
    town.heal()
    town.pass_time(0.5)
    assert [town[h].get("k") for h in "abc"] == ["from b"] * 3
    conflicts = town["c"].replica.conflicts("s")
    assert [c.reason for _, c in conflicts] == ["concurrent"]
    assert len(town.digests()) == 1


def test_a_message_that_is_lost_is_told_again() -> None:
    town = Town("a", "b", "c")
    town.pass_time(0.1)
    lost: list[object] = []

    def lose(source: str, target: str, parts: dict[str, object]) -> bool:
        if parts["k"] == "push" and target == "b" and len(lost) < 3:
            lost.append(parts)
            return True
        return False

    town.lose = lose
    for number in range(10):
        town["a"].put(f"k{number}", number)
        town.pass_time(0.02)
    town.pass_time(10.0)
    assert len(lost) == 3
    assert town["b"].get("k9") == 9
    assert town["b"].get("k0") == 0
    assert len(town.digests()) == 1


def test_a_clock_an_hour_ahead_is_refused_and_nothing_is_lost() -> None:
    town = Town("a", "b", "c")
    town.pass_time(0.1)
    town["a"].crash()
    town["a"].wall_offset_s = 3600.0
    town["a"].start()
    town["a"].put("k", "from the future")  # before anybody could say so
    town.pass_time(2.0)
    assert town["b"].get("k") is None
    assert any("clock" in text for text in town["a"].notes.problems)
    with pytest.raises(ClockAhead, match="set the clock right"):
        town["a"].put("k", "more of it")
    town["b"].put("other", 1)
    town.pass_time(1.0)
    assert town["a"].get("other") == 1
    town["a"].wall_offset_s = 0.0  # somebody sets it right
    town.pass_time(5.0)
    town["a"].put("here", "again")
    town.pass_time(0.5)
    assert town["a"].get("k") == "from the future"
    with pytest.raises(ClockAhead):  # what must come after it would be from the future as well
        town["a"].put("k", "too soon")


def test_a_future_stamp_is_not_carried_on_by_a_session() -> None:
    town = Town("a", "b", "c")
    town.pass_time(0.1)
    hour = 3600 * 1000 << 16
    with pytest.raises(ClockAhead):
        town["b"].put("k", 1, floor=town["b"].replica.hlc.now() + hour)
    town["b"].put("k", 2)
    town.pass_time(0.5)
    assert town["a"].get("k") == 2


def test_a_clock_that_began_behind_is_set_right_by_the_wall_and_its_peers() -> None:
    town = Town("a", "b", "c")
    town.pass_time(0.1)
    town["a"].crash()
    town["a"].wall_offset_s = -600.0
    town["a"].start()
    town["b"].put("k", 1)
    town.pass_time(1.0)
    assert town["a"].get("k") is None
    town["a"].wall_offset_s = 0.0
    town.pass_time(5.0)
    assert town["a"].get("k") == 1
    town["a"].put("j", 2)
    town.pass_time(0.5)
    assert town["b"].get("j") == 2


def test_a_host_writes_again_as_soon_as_those_that_refused_its_clock_were_set_right() -> None:
    town = Town("a", "b", "c")
    town.pass_time(0.1)
    town.start_behind("bc")  # two clocks that are behind refuse the one that is right
    town.pass_time(1.0)
    with pytest.raises(ClockAhead):
        town["a"].put("k", 1)
    town.set_right("bc")
    town.pass_time(1.25)  # they hear of its time within 0.5 s, and it of theirs 0.5 s later
    town["a"].put("k", 2)
    town.pass_time(0.5)
    assert [town[host].get("k") for host in "abc"] == [2, 2, 2]


def test_a_tombstone_goes_when_every_owner_has_it() -> None:
    town = Town("a", "b", "c")
    town["a"].put("k", 1)
    town.pass_time(0.5)
    town["b"].put("k", None)
    town.pass_time(10.0)
    for host in "abc":
        assert town[host].replica.read("s", "k") is None, host
    town["c"].put("k", 2)
    town.pass_time(1.0)
    assert [town[h].get("k") for h in "abc"] == [2, 2, 2]
    assert len(town.digests()) == 1


def test_a_tombstone_stays_while_an_owner_is_away() -> None:
    town = Town("a", "b", "c")
    town["a"].put("k", 1)
    town.pass_time(0.5)
    town["c"].crash()
    town["b"].put("k", None)
    town.pass_time(10.0)
    assert town["a"].replica.read("s", "k") is not None
    town["c"].start()
    town.pass_time(10.0)
    assert [town[h].replica.read("s", "k") for h in "abc"] == [None] * 3


def test_a_wiped_host_is_another_actor() -> None:
    town = Town("a", "b", "c")
    town["a"].put("k", 1)
    town.pass_time(0.5)
    before = town["a"].replica.actor
    town["a"].crash()
    town["a"].wipe()
    town["a"].start()
    assert town["a"].replica.actor != before
    town["a"].put("j", 2)
    town.pass_time(1.0)
    assert town["b"].get("j") == 2


def test_memory_acknowledgements_cost_the_actor_after_a_crash() -> None:
    town = Town("a", "b", "c")
    told: list[int] = []
    town["a"].replica.mark_volatile(lambda: told.append(1))
    town.pass_time(0.1)
    assert told == [1]
    before = town["a"].replica.actor
    town["a"].put("k", 1)
    town.pass_time(0.1)
    town["a"].crash()
    town["a"].start()
    assert town["a"].replica.actor != before
    town["a"].put("k", 2)
    town.pass_time(1.0)
    assert [town[h].get("k") for h in "abc"] == [2] * 3
    assert len(town.digests()) == 1


def test_a_full_disk_refuses_and_recovers() -> None:
    town = Town("a", "b", "c")
    town.pass_time(0.1)
    town["a"].disk.full = True
    update = town["a"].put("k", 1)
    town.pass_time(1.0)
    assert town["a"].notes.durable < update.seq
    assert town["b"].get("k") is None
    town["a"].disk.full = False
    town.pass_time(1.0)
    assert town["a"].notes.durable == update.seq
    assert town["b"].get("k") == 1


def test_freshness_is_measured_by_progress() -> None:
    town = Town("a", "b", "c")
    town.pass_time(0.1)
    hosts = ["b", "c"]
    start = town["a"].replica.now()
    assert town["a"].replica.freshness.fresh_at(hosts) < start
    town["a"].replica.probe()
    town.pass_time(0.1)
    assert town["a"].replica.freshness.fresh_at(hosts) == start
    assert town["a"].replica.freshness.lag(hosts, start) == 0
    town.lose = lambda source, target, parts: parts["k"] == "push"
    town["b"].put("k", 1)
    town.pass_time(0.1)
    later = town["a"].replica.now()
    town["a"].replica.probe()
    town.pass_time(0.1)
    assert town["a"].replica.freshness.fresh_at(hosts) == start
    assert town["a"].replica.freshness.lag(hosts, later) == 1


def test_updates_of_one_key_in_one_turn_are_told_once() -> None:
    town = Town("a", "b", "c")
    town.pass_time(0.1)
    replica = town["a"].replica
    for number in range(100):
        town["a"].put("k", number, destinations=1 if number else None)
        replica.operate("s", "likes", "pn_counter", "increment", [1])
        replica.operate("s", "tags", "or_set", "add", [number])
    replica.operate("s", "tags", "or_set", "remove", [7])
    town.pass_time(0.5)
    assert replica.log.statistics()["records"] == 1
    for host in "abc":
        assert town[host].get("k") == 99
        assert town[host].get("likes") == 100
        assert len(town[host].get("tags")) == 99
        assert town[host].replica.applied[replica.actor] == 301
    assert town["b"].replica.statistics()["incoming"]["updates"] == 3
    assert len(town.digests()) == 1


def test_hosts_that_all_began_behind_write_again_over_what_they_stamped_before() -> None:
    town = Town("a", "b", "c")
    town["a"].put("k", 1)
    town.pass_time(0.5)
    town.start_behind("abc")
    town.pass_time(1.0)
    with pytest.raises(ClockAhead):
        town["b"].put("k", 2)
    town.set_right("abc")
    town.pass_time(1.0)
    town["b"].put("k", 2)
    town.pass_time(1.0)
    assert [town[host].get("k") for host in "abc"] == [2, 2, 2]


def test_who_was_told_that_a_key_is_dead_remembers_it() -> None:
    """Two hosts of four have let it go, one of them only because it was told."""
    town = Town("a", "b", "c")
    town["a"].put("k", 1)
    town.pass_time(0.5)
    stale = town["c"].replica.export("s", "k")
    town["a"].put("k", None)
    town.pass_time(0.2)
    applied = dict(town["b"].replica.applied)
    town["b"].replica.absorb([["s", "k", ["gone", applied]]], lambda done: None)
    assert town["b"].replica.read("s", "k") is None
    town["b"].replica.absorb([["s", "k", stale]], lambda done: None)
    assert town["b"].replica.read("s", "k") is None
    ahead = {**applied, town["c"].replica.actor: 99}
    town["c"].replica.absorb([["s", "k", ["gone", ahead]]], lambda done: None)
    assert town["c"].replica.joiner.collected == {}  # it has not all of that: it cannot know


def test_a_register_wins_against_a_crdt_that_its_writer_had_collected() -> None:
    town = Town("a", "b", "c")
    actor = town["a"].replica.actor
    town["a"].replica.operate("s", "k", "or_set", "add", ["x"])
    town["a"].put("k", None)
    town.pass_time(0.5)
    entry = [7, 1, town["a"].replica.hlc.now(), codec.encode_value("new"), None]
    wire = ["register", [entry], [7, 1, actor, town["a"].replica.head]]
    late = ["register", [[8, 1, entry[2] + 1, codec.encode_value("late"), None]], [8, 1]]
    town["b"].replica.absorb([["s", "k", wire]], lambda done: None)
    assert town["b"].get("k") == "new"
    assert town["b"].notes.conflicts == []
    town["c"].replica.absorb([["s", "k", late]], lambda done: None)  # its writer had seen nothing
    assert len(town["c"].notes.conflicts) == 1
