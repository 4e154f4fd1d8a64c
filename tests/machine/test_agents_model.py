"""Agents in the machine against a naive model of them: same answers, same state, same news."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.core.machine.machine import Machine
from tests.machine.agent_model import AgentModel
from tests.machine.agent_workload import AGENTS, KEYS, LEASES, SPACE, random_agent
from tests.machine.harness import World


def plain(record: Any) -> list[Any] | None:
    """A record as the model has it."""
    if record is None:
        return None
    row: list[Any] = list(record)
    return [list(value) if isinstance(value, tuple) else value for value in row]


def assert_same_answers(answers: list[Any], expected: list[Any]) -> None:
    for answer, wanted in zip(answers, expected, strict=True):
        if wanted[-1] is ...:
            answer, wanted = answer[:-1], wanted[:-1]
        assert answer == wanted


def assert_same_agents(machine: Machine, model: AgentModel) -> None:
    assert machine.revision == model.revision
    rows = {name: model.row(name) for name in sorted(model.agents)}
    assert [plain(record) for record in machine.agents()] == list(rows.values())
    assert machine.agents_count() == len(rows)
    for name in AGENTS:
        assert plain(machine.agent(name)) == rows.get(name)
        linked = [pair[pair[0] == name] for pair in model.links if name in pair]
        assert machine.links_of(name) == sorted(linked)
        assert machine.monitors_of(name) == sorted(w for w, t in model.monitors if t == name)
        assert machine.monitored_by(name) == sorted(t for w, t in model.monitors if w == name)
        downs = [down for down in model.downs if down[0] == name]
        assert [list(down) for down in machine.downs_for(name)] == downs
        reminders = [[id_, *row] for (of, id_), row in model.reminders.items() if of == name]
        assert [list(reminder) for reminder in machine.reminders(name)] == sorted(reminders)
        assert_owns(machine, rows, f"agent:{name}")
    for lease in LEASES:
        assert_owns(machine, rows, f"lease:{lease}")
        record = machine.lease(lease)
        if record is not None:
            assert record.attached == len(machine.owned_by(f"lease:{lease}"))
    placed = [(lease, [n for n, row in rows.items() if row[4] == lease]) for lease in (0, *LEASES)]
    for lease, names in placed:
        assert [record.name for record in machine.agents_on(lease)] == names
        assert machine.agents_on_count(lease) == len(names)
    assert [r.name for r in machine.agents_unplaced()] == placed[0][1]
    assert machine.agent_leases() == [(at, len(names)) for at, names in placed[1:] if names]
    for key in KEYS:
        row = machine.kv_get(key, SPACE)
        assert (row and list(row[1:])) == model.kv.get((SPACE, key))
    assert machine.agents_dying == 0


def assert_owns(machine: Machine, rows: dict[str, list[Any]], owner: str) -> None:
    assert machine.owned_by(owner) == [name for name, row in rows.items() if owner in row[9]]


def assert_same_news(machine: Machine, model: AgentModel, downs_before: int) -> None:
    changes = [(name, plain(record), why) for name, record, why in machine.agent_changes]
    assert changes == model.changes
    told = [down.seq for down in machine.agent_downs]
    assert told == list(range(downs_before + 1, model.downs_ever + 1))


def check_agents(machine_class: type[Machine], rng: Random, entries: int = 15) -> None:
    world, model = World(machine_class), AgentModel()
    for _ in range(entries):
        some = [random_agent(rng, world.machine) for _ in range(rng.randrange(1, 7))]
        model.changes, downs_before = [], model.downs_ever
        expected = [model.run(command) for command in some]
        assert_same_answers(world.run(*some), expected)
        assert_same_agents(world.machine, model)
        assert_same_news(world.machine, model, downs_before)
        if rng.random() < 0.1:
            world.restart()
            assert_same_agents(world.machine, model)


@given(st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_agents_answer_and_end_as_the_model(rng: Random) -> None:
    check_agents(Machine, rng)


def test_long_runs_answer_and_end_as_the_model() -> None:
    for seed in range(60):
        check_agents(Machine, Random(seed), entries=60)
