"""Stories of agents: their names, their places, and what an earlier epoch may not do any more."""

from __future__ import annotations

import pytest

from quorate.core import codec
from quorate.core.errors import LimitExceeded, NameTaken, StillHeld, UsageError
from quorate.core.machine import agent_commands as a
from quorate.core.machine import commands as c
from quorate.core.machine import limits, results
from quorate.core.machine.records import Reminder
from quorate.core.machine.watches import WatchFilter
from tests.machine.agent_tools import (
    ANN,
    BOB,
    SPACE,
    alive,
    commit,
    lives,
    start,
    two_hosts,
    why,
    written,
)


def test_a_name_lives_once_and_the_policies_say_what_then() -> None:
    world = two_hosts()
    first = start(world, "cart", meta=b"m")
    refused = world.do(a.agent_start("cart", "K"))
    with pytest.raises(NameTaken) as taken:
        results.raise_for(refused)
    assert taken.value.holder == first
    existing = world.do(a.agent_start("cart", "Other", policy="use_existing"))
    assert existing[:2] == [first.revision, "existing"] and results.agent_of(existing[2]) == first
    outcome = world.do(a.agent_start("cart", "Other", policy="replace"))
    assert outcome[1] == "replaced"
    assert [change[2] for change in world.machine.agent_changes] == ["stopped replaced", "started"]
    second = alive(world, "cart")
    assert second.kind == "Other" and second.life == second.epoch > first.epoch


def test_a_name_is_free_straight_after_death_and_nothing_of_the_old_life_is_seen() -> None:
    """T18."""
    world = two_hosts()
    start(world, "friend")
    old = start(world, "cart")
    commit(world, old, ["remind", "r", 5, 0, b""])
    world.run(a.agent_link("cart", "friend"), a.agent_monitor("cart", "friend"))
    world.run(a.agent_monitor("cart", "nobody"), a.agent_own("friend", "agent:cart"))
    world.run(
        a.agent_link("cart", "friend", on=False), a.agent_own("friend", "agent:cart", on=False)
    )
    world.run(
        a.agent_stop("cart"), a.agent_start("cart", "K", host="ann", lease=ANN, status="placed")
    )
    new = alive(world, "cart")
    assert new.epoch > old.epoch and new.reminders == 0
    machine = world.machine
    assert machine.reminders("cart") == machine.downs_for("cart") == machine.links_of("cart") == []
    assert machine.monitors_of("friend") == machine.owned_by("agent:cart") == []
    world.do(a.agent_stop("friend"))
    assert world.machine.agent_downs == [], "the old life watched, not the new one"
    assert lives(world, "cart")


def test_an_old_epoch_writes_nothing() -> None:
    """T15."""
    world = two_hosts()
    old = start(world, "cart")
    assert (
        world.do(a.agent_bind("cart", old.epoch, "bob", BOB, "move"))[0]
        == alive(world, "cart").epoch
    )
    assert commit(world, old) == ["failed", "stale_epoch", alive(world, "cart").epoch]
    assert not written(world, "cart")
    assert commit(world, alive(world, "cart"))[0] == world.machine.revision
    assert written(world, "cart")


def test_a_host_whose_lease_is_over_writes_nothing_though_nobody_took_its_agents() -> None:
    """T15: the epoch is still the present one."""
    world = two_hosts()
    record = start(world, "cart")
    world.do(c.lease_revoke(ANN))
    assert alive(world, "cart") == record, "a lease that ends does not touch what is placed on it"
    assert commit(world, record) == results.LEASE_EXPIRED
    assert not written(world, "cart")


def test_a_later_lease_with_the_same_id_keeps_nothing() -> None:
    world = two_hosts()
    record = start(world, "cart")
    world.run(c.lease_revoke(ANN), c.lease_grant(1000, ANN))
    assert commit(world, record) == results.LEASE_EXPIRED
    assert world.do(a.agent_bind("cart", record.epoch, "bob", BOB, "take"))[0] > record.epoch


def test_an_agent_is_taken_only_from_a_host_whose_lease_is_over() -> None:
    world = two_hosts()
    record = start(world, "cart")
    take = a.agent_bind("cart", record.epoch, "bob", BOB, "take")
    with pytest.raises(StillHeld) as held:
        results.raise_for(world.do(take))
    assert held.value.holder == record
    world.do(c.lease_revoke(ANN))
    moved = results.agent_of(world.do(take)[1])
    assert (moved.host, moved.lease, moved.life) == ("bob", BOB, record.life)
    assert why(world, "cart") == "moved"
    again = world.do(take)
    assert again[1] == "stale_epoch", "two that race to take it: one does"


def test_an_agent_gives_up_its_place_and_is_taken_from_nowhere() -> None:
    world = two_hosts()
    record = start(world, "cart")
    world.do(a.agent_bind("cart", record.epoch, "", 0, "move"))
    nowhere = alive(world, "cart")
    assert (nowhere.status, nowhere.host, nowhere.lease) == ("unplaced", "", 0)
    assert world.machine.agents_unplaced() == [nowhere]
    assert commit(world, nowhere) == results.LEASE_EXPIRED, "nobody may write for it"
    world.do(a.agent_bind("cart", nowhere.epoch, "bob", BOB, "take"))
    assert alive(world, "cart").status == "placed", "its start is behind it"
    assert world.machine.agents_unplaced() == []


def test_on_start_is_done_once_per_life_wherever_that_is() -> None:
    world = two_hosts()
    start(world, "cart", lease=0)
    world.do(a.agent_bind("cart", alive(world, "cart").epoch, "ann", ANN, "take"))
    assert alive(world, "cart").status == "starting"
    world.do(c.lease_revoke(ANN))
    world.do(a.agent_bind("cart", alive(world, "cart").epoch, "bob", BOB, "take"))
    assert alive(world, "cart").status == "starting", "it was not done at ann's"
    commit(world, alive(world, "cart"), ["started"])
    assert alive(world, "cart").status == "placed" and why(world, "cart") == "updated"
    world.do(a.agent_bind("cart", alive(world, "cart").epoch, "", 0, "move"))
    world.do(a.agent_bind("cart", alive(world, "cart").epoch, "bob", BOB, "take"))
    assert alive(world, "cart").status == "placed"


def test_the_loser_cannot_stop_the_winner() -> None:
    """T19."""
    world = two_hosts()
    loser = start(world, "cart")
    world.do(a.agent_start("cart", "K", policy="replace", host="bob", lease=BOB, status="placed"))
    winner = alive(world, "cart")
    for late in (a.agent_stop("cart", loser.epoch), a.agent_stop("cart", 0, loser.life)):
        assert world.do(late)[1] == "stale_epoch"
    assert alive(world, "cart") == winner
    assert world.do(a.agent_stop("cart", winner.epoch, winner.life))[1] == 1
    assert world.do(a.agent_stop("cart"))[1] == 0, "nothing to stop is no error"


def test_a_commit_is_one_revision_all_of_it_or_nothing() -> None:
    world = two_hosts()
    record = start(world, "cart")
    writes = [[SPACE, "x", b"1", 50], [SPACE, "y", None, 7], [SPACE, "x", b"2", 7]]
    before = world.machine.revision
    answer = world.do(a.agent_commit("cart", record.epoch, writes, [["remind", "r", 9, 0, b"d"]]))
    assert answer == [before + 1, 1, 50, 1, 7, 2, 51], "versions and stamps as put_stamped's"
    row = world.machine.kv_get("x", SPACE)
    assert row is not None and codec.loads(row.value) == [51, b"2"]
    assert world.machine.reminders("cart") == [Reminder("r", 9, 0, b"d")]
    gone = a.agent_commit("cart", record.epoch, [[SPACE, "z", b"", 1]], [["reminded", "r", 8, 0]])
    assert world.do(gone) == ["failed", "reminder_gone", "r"]
    assert world.machine.kv_get("z", SPACE) is None and world.machine.revision == before + 1


def test_a_commit_of_keys_tells_nothing_of_agents() -> None:
    world = two_hosts()
    record = start(world, "cart")
    commit(world, record)
    assert world.machine.agent_changes == []
    assert alive(world, "cart") == record
    assert world.do(a.agent_commit("cart", record.epoch)) == [world.machine.revision]


def test_a_reminder_fires_once() -> None:
    """T17: whoever settles it a second time is refused, with all that turn did."""
    world = two_hosts()
    record = start(world, "cart")
    commit(world, record, ["remind", "once", 100, 0, b""], ["remind", "often", 100, 10, b""])
    assert alive(world, "cart").reminders == 2 and why(world, "cart") == "updated"
    assert commit(world, record, ["reminded", "once", 100, 0])[0] != "failed"
    assert commit(world, record, ["reminded", "once", 100, 0])[1] == "reminder_gone"
    commit(world, record, ["reminded", "often", 100, 0])
    assert world.machine.reminders("cart") == [Reminder("often", 110, 10, b"")]
    assert world.machine.agent_changes == [], "as many reminders as before"
    commit(world, record, ["reminded", "often", 110, 155])
    assert world.machine.reminders("cart")[0].due_ms == 160, "missed ones are one, by whole periods"
    commit(world, record, ["reminded", "often", 160, 170])
    assert world.machine.reminders("cart")[0].due_ms == 170


def test_what_the_turn_itself_says_of_the_reminder_that_fired_stays() -> None:
    world = two_hosts()
    record = start(world, "cart")
    commit(world, record, ["remind", "r", 100, 10, b""], ["remind", "s", 100, 10, b""])
    for marks in (
        [["remind", "r", 500, 0, b"new"], ["reminded", "r", 100, 0]],
        [["reminded", "s", 100, 0], ["forget", "s"]],
    ):
        commit(world, record, *marks)
    assert world.machine.reminders("cart") == [Reminder("r", 500, 0, b"new")]
    assert alive(world, "cart").reminders == 1


def test_reminders_are_bounded_and_a_refusal_changes_nothing() -> None:
    world = two_hosts()
    record = start(world, "cart")
    for at in range(0, limits.AGENT_REMINDERS_MAX, 128):
        world.do(
            a.agent_commit(
                *("cart", record.epoch, ()),
                [["remind", str(at + n), 1, 0, b""] for n in range(128)],
            )
        )
    assert commit(world, record, ["remind", "more", 1, 0, b""]) == results.REMINDERS_FULL
    assert not written(world, "cart")
    swap = commit(world, record, ["forget", "0"], ["remind", "more", 1, 0, b""])
    assert swap[0] != "failed", "one for another is no more"
    with pytest.raises(LimitExceeded):
        results.raise_for(results.REMINDERS_FULL)


def test_metadata_and_status_change_under_the_epoch() -> None:
    world = two_hosts()
    record = start(world, "cart")
    assert world.do(a.agent_update("cart", record.epoch + 1, b"x"))[1] == "stale_epoch"
    world.do(a.agent_update("cart", record.epoch, b"x", "failed"))
    failed = alive(world, "cart")
    assert (failed.meta, failed.status, failed.epoch) == (b"x", "failed", record.epoch)
    same = world.do(a.agent_update("cart", record.epoch, b"x", "failed"))
    assert same[0] == failed.revision, "nothing changed, nothing is told"
    assert world.machine.agent_changes == []
    world.do(a.agent_update("cart", 0, None, "placed"))
    assert alive(world, "cart").status == "placed"


def test_agents_are_listed_found_and_counted() -> None:
    world = two_hosts()
    for at in range(7):
        start(world, f"cart:{at}", lease=ANN if at % 2 else BOB)
    start(world, "user:1", lease=0)
    machine = world.machine
    assert machine.agents_count() == 8 and machine.agents_count("cart:") == 7
    assert [r.name for r in machine.agents("cart:", limit=2, after="cart:3")] == [
        "cart:4",
        "cart:5",
    ]
    assert [r.name for r in machine.agents(pattern="*:1")] == ["cart:1", "user:1"]
    assert [r.name for r in machine.agents("u", pattern="*:1")] == ["user:1"]
    assert machine.agents("u", pattern="cart*") == []
    assert [r.name for r in machine.agents_on(ANN, limit=2)] == ["cart:1", "cart:3"]
    assert [r.name for r in machine.agents_on(ANN, after="cart:3")] == ["cart:5"]
    assert machine.agent_leases() == [(ANN, 3), (BOB, 4)]
    world.do(c.lease_revoke(ANN))
    assert world.machine.agent_leases() == [(ANN, 3), (BOB, 4)], "also of leases that are over"
    assert world.machine.agents_on_count(0) == 1


def test_watches_see_the_lives_of_agents() -> None:
    world = two_hosts()
    record = start(world, "cart")
    world.run(
        a.agent_bind("cart", record.epoch, "bob", BOB, "move"),
        a.agent_update("cart", 0, b"x"),
        a.agent_stop("cart", reason="enough"),
    )
    wanted = WatchFilter("agent", prefix="ca")
    events = [event for event in world.machine.read_events(0)[0] if wanted.matches(event)]
    epoch = record.epoch
    assert [(e.kind, e.value and codec.loads(e.value), e.version, e.info) for e in events] == [
        ("agent.started", "ann", epoch, b""),
        ("agent.moved", "bob", epoch + 1, b""),
        ("agent.updated", "bob", epoch + 1, b""),
        ("agent.stopped", None, epoch + 1, b"enough"),
    ]


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (a.agent_start("", "K"), "empty"),
        (a.agent_start("n", "K", bytes(limits.AGENT_SPEC_BYTES_MAX + 1)), "65537 bytes"),
        (a.agent_start("n", "K", host="h"), "or neither"),
        (a.agent_start("n", "K", host="h", lease=1), "starting, placed"),
        (a.agent_start("n", "K", owners=["someone"]), "'agent:<name>' or 'lease:<id>'"),
        (a.agent_start("n", "K", owners=["lease:07"]), "zeros in front"),
        (a.agent_start("n", "K", owners=["lease:1", "lease:1"]), "twice"),
        (a.agent_start("n", "K", owners=[f"lease:{at}" for at in range(1, 18)]), "16 at most"),
        (a.agent_start("n", "K", owners=["agent:n"]), "own itself"),
        (a.agent_stop("n", reason="x" * 1025), "1025 bytes"),
        (a.agent_update("n", 0, None, "starting"), "placed, failed"),
        (a.agent_commit("n", 0), "epoch is 0"),
        (a.agent_commit("n", 1, [["s", "k", b"", 0]] * 129), "129 writes, 128 at most"),
        (a.agent_commit("n", 1, [["s", "k", "text", 0]]), "must be bytes"),
        (a.agent_commit("n", 1, [["s\0", "k", b"", 0]]), "NUL"),
        (a.agent_commit("n", 1, [], [["down", 0]]), "number of the news"),
        (a.agent_commit("n", 1, [], [["remind", "r", 1, 0]]), "wrong arguments"),
        (a.agent_commit("n", 1, [], [[1]]), "a mark must be one of"),
        (a.agent_commit("n", 1, [[["s"], "k", b"", 0]]), "wrong arguments"),
        (a.agent_link("n", "n"), "itself"),
        ((a.ops.AGENT_OWN, "n", "lease:1", 1), "True or False"),
    ],
)
def test_what_is_wrong_is_said_before_proposing(command: c.Command, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        c.validate(command)
    assert two_hosts().do(command) == results.MALFORMED, "and refused alike by every machine"
