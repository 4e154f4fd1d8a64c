"""Promises about agents as functions of a machine class, so that a faulty machine can be put to
them too.

The law of this file: each function raises AssertionError when the promise does not hold.
"""

from __future__ import annotations

from random import Random

from quorate.core.machine import agent_commands as a
from quorate.core.machine import commands as c
from quorate.core.machine.machine import Machine
from tests.machine import properties
from tests.machine.agent_tools import ANN, BOB, SPACE, alive, commit, lives, start, two_hosts
from tests.machine.agent_workload import random_agent
from tests.machine.test_agents_model import check_agents


def only_the_present_epoch_writes(machine_class: type[Machine]) -> None:
    """A host that was resumed after its agent moved writes nothing (T15)."""
    for had_written in (False, True):
        world = two_hosts(machine_class)
        old = start(world, "cart")
        if had_written:
            commit(world, old)
        world.do(a.agent_bind("cart", old.epoch, "bob", BOB, "move"))
        commit(world, alive(world, "cart"), value=b"new")
        before = world.machine.kv_get("cart", SPACE)
        assert before is not None and before.version == 1 + had_written
        commit(world, old, value=b"late")
        assert world.machine.kv_get("cart", SPACE) == before


def only_a_living_lease_writes(machine_class: type[Machine]) -> None:
    """Nor does one whose lease is over, though nobody took the agent yet; not even when a lease of
    the same id is granted again.
    """
    for had_written in (False, True):
        world = two_hosts(machine_class)
        record = start(world, "cart")
        if had_written:
            commit(world, record)
        before = world.machine.kv_get("cart", SPACE)
        assert (before is not None) == had_written
        world.do(c.lease_revoke(ANN))
        commit(world, record)
        assert world.machine.kv_get("cart", SPACE) == before
        world.do(c.lease_grant(1000, ANN))
        commit(world, record)
        assert world.machine.kv_get("cart", SPACE) == before


def runs_in_one_place(machine_class: type[Machine]) -> None:
    """Whatever happens, the place changes only by its holder's word or after its lease ended."""
    for seed in range(20):
        rng, world = Random(seed), two_hosts(machine_class)
        record = start(world, "cart")
        for _ in range(30):
            epoch = rng.choice((record.epoch, record.epoch, record.epoch - 1))
            lease = rng.choice((ANN, BOB))
            was_held = world.machine.lease(record.lease) is not None
            held_by = record.lease
            answer = world.do(
                rng.choice(
                    (
                        a.agent_bind("cart", epoch, "h", lease, "take"),
                        a.agent_bind("cart", epoch, "h", lease, "take"),
                        c.lease_revoke(lease),
                        c.lease_grant(1000, lease),
                    )
                )
            )
            now = alive(world, "cart")
            assert now.epoch >= record.epoch
            if now.epoch != record.epoch:
                assert answer[0] == now.epoch
                granted = world.machine.lease(held_by)
                again = granted is not None and granted.generation > record.epoch
                assert not was_held or again, "taken from a host that lives"
            record = now


def a_family_ends_with_its_head(machine_class: type[Machine]) -> None:
    """All who are owned, on and on, each once, however many and in whatever ring."""
    world = two_hosts(machine_class)
    start(world, "n0")
    for at in range(1, 40):
        start(world, f"n{at}", f"agent:n{(at - 1) // 2}")
    world.do(a.agent_own("n0", "agent:n39"))
    start(world, "other")
    assert world.do(a.agent_stop("n0"))[1] == 40
    ended = [name for name, record, _ in world.machine.agent_changes if record is None]
    assert sorted(ended) == sorted(f"n{at}" for at in range(40))
    assert lives(world, "other")


def the_loser_erases_nothing(machine_class: type[Machine]) -> None:
    """T19: a stop that names an epoch or a life ends only that one."""
    for late_by in ("epoch", "life"):
        world = two_hosts(machine_class)
        loser = start(world, "cart")
        start(world, "cart", lease=BOB, policy="replace")
        winner = alive(world, "cart")
        assert winner.epoch > loser.epoch
        if late_by == "epoch":
            world.do(a.agent_stop("cart", loser.epoch))
        else:
            world.do(a.agent_stop("cart", 0, loser.life))
        assert world.machine.agent("cart") == winner


def a_new_life_knows_nothing_of_the_old_one(machine_class: type[Machine]) -> None:
    """T18: no reminder, no news, no kin."""
    world = two_hosts(machine_class)
    start(world, "target")
    record = start(world, "cart")
    commit(world, record, ["remind", "r", 5, 0, b""])
    world.run(a.agent_monitor("cart", "target"), a.agent_monitor("cart", "nobody"))
    start(world, "child", "agent:cart", orphan="continue")
    world.do(a.agent_stop("cart"))
    start(world, "cart")
    machine = world.machine
    assert machine.reminders("cart") == []
    assert machine.downs_for("cart") == []
    assert machine.monitors_of("target") == []
    assert machine.owned_by("agent:cart") == []


def same_everywhere(machine_class: type[Machine]) -> None:
    for seed in range(12):
        properties.same_everywhere(machine_class, seed, random_agent)


def history_is_complete(machine_class: type[Machine]) -> None:
    for seed in range(12):
        properties.history_is_complete(machine_class, seed, random_agent)


def as_the_model(machine_class: type[Machine]) -> None:
    for seed in range(12):
        check_agents(machine_class, Random(seed), entries=40)


PROMISES = (
    only_the_present_epoch_writes,
    only_a_living_lease_writes,
    runs_in_one_place,
    a_family_ends_with_its_head,
    the_loser_erases_nothing,
    a_new_life_knows_nothing_of_the_old_one,
    same_everywhere,
    history_is_complete,
    as_the_model,
)
