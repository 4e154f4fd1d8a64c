"""S1 to S4: what moves the commit index, what truncates, what counts as acknowledged, who is a
member."""

from __future__ import annotations

from typing import Any

from tests.contracts.base import BaseWorld, virtual_time
from tests.contracts.ours import OurWorld

# --- S1: a message that speaks of a snapshot advances the commit index over an unverified tail ----


def old_tail_under_a_snapshot(world: Any) -> tuple[bool, bool]:
    """(the lost write was acknowledged, it was applied by its host)"""
    world.elect("a")
    world.write("a", "base")
    world.run(0.5)
    world.isolate("a")
    lost = world.write("a", "LOST")
    world.run(0.1, skip="bc")
    world.elect("b", skip="a")
    for number in range(40):
        world.write("b", f"b{number}")
        world.run(0.01, skip="a")
    world.run(0.5, skip="a")
    world.compact("b")
    world.run(0.5, skip="a")
    world.let_stand("")
    world.heal("a")
    for _ in range(60):
        world.tick("b")
        world.deliver("b", "a", 1)
        world.tick("a", 0.0)
        world.deliver("a", "b")
    return lost.acked, "LOST" in world.values("a")


def test_s1_base_acknowledges_a_write_that_no_majority_has() -> None:
    with virtual_time() as clock:
        assert old_tail_under_a_snapshot(BaseWorld(clock)) == (True, True)


def test_s1_ours_does_not() -> None:
    world = OurWorld(trailing_entries=1, compact_slack_entries=1)
    assert old_tail_under_a_snapshot(world) == (False, False)
    world.run(3.0)
    assert any(message["type"] == "snapshot" for _, _, message in world.sent)
    assert world.values("a") == world.values("b") == world.values("c")


# --- S2: append_entries truncates without a conflict ----------------------------------------------


def late_heartbeat(world: Any) -> tuple[bool, bool]:
    """(the write was acknowledged, it survives its leader)"""
    world.elect("a")
    world.run(0.3)
    old = world.heartbeat("a", "b")
    world.isolate("c")
    paid = world.write("a", "PAID")
    world.run(0.09, skip="c")
    world.inject("a", "b", old)
    world.tick("b", 0.001)
    kept = "b" in world.copies("PAID")
    acked = paid.acked
    world.isolate("a")
    world.heal("c", "b")
    world.let_stand("c")
    world.run(3.0, skip="a")
    return acked, kept


def test_s2a_base_forgets_acknowledged_entries_on_a_late_heartbeat() -> None:
    with virtual_time() as clock:
        world = BaseWorld(clock)
        assert late_heartbeat(world) == (True, False)
        assert "PAID" not in world.values("c")


def test_s2a_ours_keeps_them() -> None:
    world = OurWorld()
    assert late_heartbeat(world) == (True, True)
    world.let_stand("b")
    world.run(2.0, skip="a")
    assert world.values("b") == world.values("c") == ["PAID"]


def backlog_sent_twice(world: Any, number: int) -> list[str]:
    """FIFO links only: the leader dies after `number` of its messages arrived. Lost acknowledged
    writes."""
    world.elect("a")
    world.run(0.3)
    world.isolate("c")
    world.lossy = {("a", "b")}
    calls = {f"w{n}": world.write("a", f"w{n}") for n in range(8)}
    world.tick("a")
    world.lossy = set()
    for _ in range(3):
        world.tick("a", 0.11)
    world.deliver("a", "b")
    world.tick("b", 0.001)
    for _ in range(2):
        world.deliver("b", "a", 1)
        world.tick("a", 0.11)
    world.deliver("a", "b", number)
    world.tick("b", 0.001)
    world.deliver("b", "a")
    world.tick("a", 0.02)
    acked = [value for value, call in calls.items() if call.acked]
    world.deliver("a", "b", 1)
    world.tick("b", 0.001)
    world.isolate("a")
    world.heal("c", "b")
    world.let_stand("b")
    world.run(3.0, skip="a")
    world.write("b", "after")
    world.run(1.0, skip="a")
    return [value for value in acked if value not in world.values("b")]


def test_s2b_base_loses_acknowledged_writes_on_fifo_links() -> None:
    with virtual_time() as clock:
        lost = [
            backlog_sent_twice(BaseWorld(clock, appendEntriesBatchSizeBytes=64), number)
            for number in range(6)
        ]
    assert any(lost)


def test_s2b_ours_loses_none_wherever_the_leader_dies() -> None:
    for number in range(8):
        world = OurWorld(append_bytes_max=64, entry_bytes_max=64)
        assert backlog_sent_twice(world, number) == []
        assert world.values("b") == world.values("c")


# --- S3: an acknowledgement carries no term -------------------------------------------------------


def old_acks_arrive(world: Any) -> tuple[bool, int]:
    """(a write was acknowledged, on how many disks it was then), five hosts"""
    hold = (("b", "a"), ("a", "b"))
    world.elect("a")
    world.run(0.3)
    for host_id in "ab":
        world.isolate(host_id, "cde")
    for number in range(7):
        world.write("a", f"old{number}")
    world.tick("a")
    world.deliver("a", "b")
    world.tick("b", 0.005)
    world.elect("d", hold=hold, skip="ab")
    world.run(0.3, hold=hold, skip="ab")
    world.heal("a", "cde")
    world.run(0.7, hold=hold, skip="b")
    world.isolate("d")
    world.elect("a", hold=hold, skip="bd")
    world.run(0.3, hold=hold, skip="bd")
    world.isolate("e")
    world.deliver("b", "a")
    calls = [world.write("a", f"PAID{number}") for number in range(4)]
    world.run(0.4, hold=hold, skip="bde")
    return calls[0].acked, len(world.copies("PAID0"))


def test_s3_base_commits_on_the_acknowledgement_of_another_term() -> None:
    with virtual_time() as clock:
        assert old_acks_arrive(BaseWorld(clock, "abcde")) == (True, 2)


def test_s3_ours_does_not_count_it() -> None:
    acked, copies = old_acks_arrive(OurWorld("abcde"))
    assert not acked and copies <= 2


# --- S4: the membership guard is dead code --------------------------------------------------------


def lonely_leader_removes_the_others(world: Any) -> tuple[bool, bool]:
    """(the minority's write was acknowledged, the majority's was)"""
    world.elect("a")
    world.write("a", "base")
    world.run(0.5)
    world.isolate("a")
    world.remove("a", "b")
    world.remove("a", "c")
    minority = world.write("a", "minority")
    world.elect("b", skip="a")
    majority = world.write("b", "majority")
    world.run(1.0)
    return minority.acked, majority.acked


def test_s4_base_splits_its_brain() -> None:
    with virtual_time() as clock:
        world = BaseWorld(clock, dynamicMembershipChange=True)
        assert lonely_leader_removes_the_others(world) == (True, True)


def test_s4_ours_takes_one_change_at_a_time() -> None:
    world = OurWorld()
    assert lonely_leader_removes_the_others(world) == (False, True)
    world.heal("a")
    world.run(3.0)
    assert world.values("a") == world.values("b") == ["base", "majority"]
