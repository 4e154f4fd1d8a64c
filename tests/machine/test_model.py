"""The machine against a naive model of it: same answers, same state, same counts."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.core.machine.machine import Machine
from tests.machine.harness import World
from tests.machine.model import Model
from tests.machine.workload import KEYS, LEASES, LOCKS, NAMES, SPACES, random_command


def assert_same_state(machine: Machine, model: Model) -> None:
    assert machine.revision == model.revision
    for ns in SPACES:
        rows = machine.kv_range(ns=ns)
        assert [(row.key, list(row[1:])) for row in rows] == [
            (key, model.kv[ns, key]) for key in model.keys(ns)
        ]
        for key in KEYS:
            row = machine.kv_get(key, ns)
            assert (row and list(row[1:])) == model.kv.get((ns, key))
    assert machine.kv_count() == len(model.kv)
    assert {row.name: list(row[1:]) for row in machine.names()} == model.names
    assert machine.names_count() == len(model.names)
    for name in NAMES:
        assert (machine.name(name) is None) == (name not in model.names)
    for name in LOCKS:
        assert_same_line(machine, model, name)
    assert [row.id for row in machine.leases()] == sorted(model.leases)
    for lease in LEASES:
        row = machine.lease(lease)
        assert (row and [row.ttl_ms, row.generation]) == model.leases.get(lease)
        if row:
            assert row.attached == len(machine.lease_attached(lease)) == attached(model, lease)
    assert machine.statistics()["locks"] == len([k for k, _ in model.queues if k == "lock"])
    assert machine.statistics()["leases"] == len(model.leases)


def attached(model: Model, lease: int) -> int:
    return (
        sum(row[4] == lease for row in model.kv.values())
        + sum(row[4] == lease for row in model.names.values())
        + sum(any(claim[0] == lease for claim in line) for line in model.queues.values())
    )


def assert_same_line(machine: Machine, model: Model, name: str) -> None:
    lock, line = machine.lock(name), model.queues.get(("lock", name))
    assert (lock is None) == (line is None)
    if lock and line:
        assert [lock.lease, lock.owner, lock.token] == [line[0][0], line[0][1], line[0][3]]
        assert [list(waiter) for waiter in lock.waiters] == [claim[:3] for claim in line[1:]]
    election, line = machine.election(name), model.queues.get(("election", name))
    assert (election is None) == (line is None)
    if election and line:
        assert [election.lease, election.owner, election.value, election.term] == line[0]
        assert [list(waiter) for waiter in election.candidates] == [c[:3] for c in line[1:]]


def check_model(machine_class: type[Machine], rng: Random, entries: int = 12) -> None:
    world, model = World(machine_class), Model()
    for _ in range(entries):
        some = [random_command(rng) for _ in range(rng.randrange(1, 7))]
        expected = [model.run(command) for command in some]
        assert world.run(*some) == expected
        assert_same_state(world.machine, model)


@given(st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_the_machine_answers_and_ends_as_the_model(rng: Random) -> None:
    check_model(Machine, rng)


def test_long_runs_answer_and_end_as_the_model() -> None:
    for seed in range(60):
        check_model(Machine, Random(seed), entries=60)
