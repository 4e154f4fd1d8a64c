"""Stories of owners, links and monitors: who ends with whom, who is told, and that it ends."""

from __future__ import annotations

from itertools import pairwise

import pytest

from quorate.core.machine import agent_commands as a
from quorate.core.machine import agent_rows, limits, results
from quorate.core.machine import commands as c
from quorate.core.machine.records import AgentDown
from tests.machine.agent_tools import (
    ANN,
    BOB,
    alive,
    commit,
    lives,
    start,
    two_hosts,
    why,
)
from tests.machine.harness import World


def test_an_agent_ends_with_its_last_owner() -> None:
    world = two_hosts()
    start(world, "boss")
    start(world, "deputy")
    start(world, "worker", "agent:boss", "agent:deputy")
    assert world.do(a.agent_stop("boss"))[1] == 1
    assert alive(world, "worker").owners == ("agent:deputy",) and why(world, "worker") == "updated"
    assert world.do(a.agent_stop("deputy", reason="done"))[1] == 2
    assert why(world, "worker") == "stopped owner agent:deputy ended"
    assert lives(world)


def test_an_agent_ends_with_the_lease_that_owns_it() -> None:
    world = two_hosts()
    start(world, "session", f"lease:{BOB}")
    start(world, "below", "agent:session")
    start(world, "other")
    assert world.machine.lease_attached(BOB) == [("agent", "session")]
    assert world.do(c.lease_revoke(BOB))[1] == 1, "one thing hung on it"
    assert why(world, "session") == f"stopped owner lease:{BOB} ended"
    assert why(world, "below") == "stopped owner agent:session ended"
    assert lives(world, "other")


def test_a_life_that_is_over_hangs_on_no_lease() -> None:
    world = two_hosts()
    start(world, "session", f"lease:{BOB}")
    world.do(a.agent_stop("session"))
    assert world.machine.lease_attached(BOB) == []
    start(world, "session")
    world.do(c.lease_revoke(BOB))
    assert lives(world, "session"), "the new life has no owner"


def test_orphans_follow_their_policy() -> None:
    world = two_hosts()
    start(world, "top")
    start(world, "boss", "agent:top", f"lease:{BOB}")
    start(world, "stops", "agent:boss")
    start(world, "goes-on", "agent:boss", orphan="continue")
    start(world, "adopted", "agent:boss", orphan="adopt")
    world.do(a.agent_stop("boss"))
    assert lives(world, "adopted", "goes-on", "top")
    assert alive(world, "goes-on").owners == ()
    assert alive(world, "adopted").owners == ("agent:top", f"lease:{BOB}")
    world.do(a.agent_stop("top"))
    assert alive(world, "adopted").owners == (f"lease:{BOB}",)
    world.do(c.lease_revoke(BOB))
    assert lives(world, "goes-on")


def test_who_finds_nobody_to_adopt_it_stops() -> None:
    world = two_hosts()
    start(world, "boss")
    start(world, "child", "agent:boss", orphan="adopt")
    world.do(a.agent_own("boss", "agent:child"))
    assert world.do(a.agent_stop("boss"))[1] == 2, "it is not its own owner"


def test_a_ring_of_owners_ends_each_once() -> None:
    """T26."""
    world = two_hosts()
    start(world, "a")
    start(world, "b", "agent:a")
    start(world, "c", "agent:b")
    world.do(a.agent_own("a", "agent:c"))
    world.run(a.agent_link("a", "b"), a.agent_link("b", "c"))
    assert world.do(a.agent_stop("b", reason="x"))[1] == 3
    stopped = [name for name, record, _ in world.machine.agent_changes if record is None]
    assert sorted(stopped) == ["a", "b", "c"]
    assert world.store.tables["agent_rows"] == {} == world.store.tables["agents"]


def test_an_owner_that_moves_keeps_its_agents() -> None:
    """T24."""
    world = two_hosts()
    boss = start(world, "boss")
    start(world, "worker", "agent:boss", lease=BOB)
    world.do(a.agent_bind("boss", boss.epoch, "bob", BOB, "move"))
    world.do(c.lease_revoke(ANN))
    assert lives(world, "boss", "worker") and world.machine.owned_by("agent:boss") == ["worker"]


def test_a_host_that_is_cut_off_does_not_end_what_its_agents_own() -> None:
    """T23: the owner is re-placed, it did not die."""
    world = two_hosts()
    boss = start(world, "boss")
    start(world, "worker", "agent:boss", lease=BOB)
    world.do(c.lease_revoke(ANN))
    assert lives(world, "boss", "worker")
    world.do(a.agent_bind("boss", boss.epoch, "bob", BOB, "take"))
    assert world.machine.owned_by("agent:boss") == ["worker"]


def test_an_owner_that_dies_during_the_start_starts_nothing() -> None:
    """T25."""
    world = two_hosts()
    start(world, "boss")
    stop, late = world.run(
        a.agent_stop("boss"), a.agent_start("worker", "K", owners=["agent:boss"])
    )
    assert stop[1] == 1 and late == ["failed", "owner_dead", "agent:boss"]
    world.do(c.lease_revoke(BOB))
    late = world.do(a.agent_start("worker", "K", owners=[f"lease:{BOB}"]))
    assert late == ["failed", "owner_dead", f"lease:{BOB}"]
    assert lives(world)


def test_who_would_end_with_the_replaced_life_cannot_own_the_new_one() -> None:
    world = two_hosts()
    start(world, "boss")
    start(world, "worker", "agent:boss")
    start(world, "friend")
    world.do(a.agent_link("worker", "friend"))
    before = world.image()
    for owner in ("agent:worker", "agent:friend"):
        replace = a.agent_start("boss", "K", owners=[owner], policy="replace")
        assert world.do(replace) == ["failed", "owner_dead", owner]
    assert world.image()["agents"] == before["agents"], "a refusal changes nothing"


def test_an_agent_that_is_found_is_linked_to_its_new_owner_too() -> None:
    world = two_hosts()
    start(world, "one")
    start(world, "two")
    start(world, "shared", "agent:one")
    answer = world.do(
        a.agent_start("shared", "K", owners=["agent:two", "agent:one"], policy="use_existing")
    )
    assert answer[1] == "existing"
    assert alive(world, "shared").owners == ("agent:one", "agent:two")
    world.do(a.agent_stop("one"))
    assert lives(world, "shared", "two")


def test_an_owner_taken_away_on_purpose_leaves_the_agent_on_its_own() -> None:
    world = two_hosts()
    start(world, "boss")
    start(world, "worker", "agent:boss")
    world.do(a.agent_own("worker", "agent:boss", on=False))
    world.do(a.agent_stop("boss"))
    assert lives(world, "worker") and alive(world, "worker").owners == ()


def test_linked_agents_end_together() -> None:
    world = two_hosts()
    for name in ("a", "b", "c", "d"):
        start(world, name)
    world.run(a.agent_link("a", "b"), a.agent_link("c", "b"), a.agent_link("c", "d"))
    world.do(a.agent_link("d", "c", on=False))
    assert world.do(a.agent_stop("a", reason="x"))[1] == 3
    assert why(world, "b") == "stopped linked: a: x"
    assert why(world, "c") == "stopped linked: b: linked: a: x"
    assert lives(world, "d")


def test_a_watcher_is_told_once_and_until_it_says_so() -> None:
    world = two_hosts()
    watcher = start(world, "watcher")
    start(world, "target")
    assert world.do(a.agent_monitor("watcher", "target"))[1] is True
    assert world.do(a.agent_monitor("watcher", "target"))[1] is False
    world.do(a.agent_stop("target", reason="x"))
    down = AgentDown("watcher", 1, "target", "x")
    assert world.machine.agent_downs == [down]
    world.restart()
    assert world.machine.agent_downs == [], "of an entry"
    assert world.machine.downs_for("watcher") == [down], "it stays until acknowledged"
    start(world, "target")
    world.do(a.agent_stop("target"))
    assert world.machine.downs_for("watcher") == [down], "a monitor is for one life"
    assert commit(world, watcher, ["down", 1])[0] != "failed"
    assert world.machine.downs_for("watcher") == []


def test_who_watches_nobody_is_told_at_once() -> None:
    world = two_hosts()
    start(world, "watcher")
    world.do(a.agent_monitor("watcher", "nobody"))
    assert world.machine.agent_downs == [AgentDown("watcher", 1, "nobody", "not_found")]
    assert world.do(a.agent_monitor("nobody", "watcher")) == results.NOT_FOUND


def test_what_hangs_on_one_life_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_rows, "AGENT_ROWS_MAX", 50)
    world = two_hosts()
    start(world, "boss")
    world.run(*(a.agent_start(f"n{at}", "K", owners=["agent:boss"]) for at in range(50)))
    refused = results.AGENT_FULL
    assert world.do(a.agent_start("more", "K", owners=["agent:boss"])) == refused
    more = start(world, "more", orphan="adopt")
    assert world.do(a.agent_own("more", "agent:boss")) == refused
    assert world.do(a.agent_link("more", "boss")) == refused
    assert world.do(a.agent_monitor("boss", "more")) == refused
    assert world.do(a.agent_monitor("boss", "nobody")) == refused
    assert alive(world, "more") == more
    world.do(a.agent_stop("n7"))
    assert world.do(a.agent_own("more", "agent:boss"))[0] != "failed", "there is room again"
    assert world.do(a.agent_stop("boss"))[1] == 51


def test_who_is_full_adopts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_rows, "AGENT_ROWS_MAX", 2)
    world = two_hosts()
    start(world, "top")
    start(world, "boss", "agent:top")
    start(world, "other", "agent:top")
    start(world, "first", "agent:boss", orphan="adopt")
    start(world, "second", "agent:boss", orphan="adopt")
    world.do(a.agent_stop("boss"))
    assert lives(world, "first", "other", "top"), "boss made room for one"


@pytest.mark.parametrize("things_max", [1, 7, 40])
def test_a_cascade_goes_on_in_sweeps_and_ends_as_if_it_were_one_command(things_max: int) -> None:
    one, bit_by_bit = two_hosts(), two_hosts()
    for world in (one, bit_by_bit):
        start(world, "root")
        for at in range(30):
            above = "root" if at < 3 else f"n{(at - 1) // 3:02}"
            orphan = "adopt" if at % 11 == 5 else "continue" if at % 13 == 7 else "stop"
            start(world, f"n{at:02}", f"agent:{above}", orphan=orphan)
        start(world, "watcher")
        world.run(a.agent_monitor("watcher", "n29"), a.agent_link("n28", "n10"))
    died = one.do(a.agent_stop("root"))[1]
    bit_by_bit.machine._agent_deaths.things_max = things_max  # pyright: ignore[reportPrivateUsage]
    _, some, left = bit_by_bit.do(a.agent_stop("root"))
    assert left > 0 and some < died
    sweeps = 0
    while bit_by_bit.machine.agents_dying:
        some += bit_by_bit.do(a.agent_sweep())[1]
        sweeps += 1
        if sweeps == 2:
            bit_by_bit.restart()
    assert some == died and sweeps > 0
    assert bit_by_bit.do(a.agent_sweep())[1:] == [0, 0]

    def after(world: World) -> list[tuple[str, tuple[str, ...]]]:
        return [(record.name, record.owners) for record in world.machine.agents()]

    assert after(bit_by_bit) == after(one)
    downs = [[d.target for d in w.machine.downs_for("watcher")] for w in (one, bit_by_bit)]
    assert downs[0] == downs[1] == ["n29"]


def test_who_waits_for_a_sweep_has_no_dead_owner_and_may_be_stopped_first() -> None:
    world = two_hosts()
    world.machine._agent_deaths.things_max = 1  # pyright: ignore[reportPrivateUsage]
    start(world, "boss")
    start(world, "a", "agent:boss")
    start(world, "b", "agent:boss")
    assert world.do(a.agent_stop("boss"))[1:] == [1, 2]
    assert alive(world, "a").owners == ()
    world.do(a.agent_stop("a"))
    start(world, "a")
    while world.do(a.agent_sweep())[2]:
        pass
    assert lives(world, "a"), "a new life of the name was not decided to end"


def test_reasons_do_not_grow_along_a_chain() -> None:
    world = two_hosts()
    names = [f"{at:03}-" + "x" * 40 for at in range(60)]
    for name in names:
        start(world, name)
    world.run(*(a.agent_link(one, other) for one, other in pairwise(names)))
    assert world.do(a.agent_stop(names[0]))[1] == 60
    reasons = [reason for _, _, reason in world.machine.agent_changes]
    assert max(map(len, reasons)) <= limits.REASON_CHARS_MAX + len("stopped ")
