"""Growth, sizes of values and clients outside: the arithmetic, the tables, and tiny real groups."""

from __future__ import annotations

import asyncio
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from quorate.bench.growth_report import cost_ratio, growth_report
from quorate.bench.growth_worker import item
from quorate.bench.plan import FULL, QUICK, Plan
from quorate.bench.questions import clients, growth, sizes
from quorate.bench.questions.base import Context
from quorate.bench.systems.http_group import HttpGroup
from quorate.bench.systems.raft_group import RaftGroup
from quorate.bench.targets import verdicts

TINY = replace(QUICK.changed(seconds=0.05, repetitions=1), growth_sizes=(20,), value_sizes=(1_000,))


def cost(thing: str, op: str, items: int, us: float) -> dict[str, Any]:
    return {
        "thing": thing,
        "op": op,
        "items": items,
        "cpu_us_per_op": us,
        "ops_per_s": 1000.0,
        "spread_percent": 1.0,
        "p50_us": 10.0,
        "filled_per_s": 100.0,
        "bytes_host_max": 300.0,
        "bytes_host_max_anonymous": 200.0,
        "bytes_all": 900.0,
        "errors": 0,
    }


def grown(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"hosts": [], "rows": list(rows), "not_taken": ["1,000,000 agents: about 9 GB more"]}


def verdict(found: dict[str, Any], what: str) -> str:
    name = f"cost of an operation with 1 000 000 {what}, to 10 000"
    return next(row.verdict for row in verdicts({"growth": found}) if row.name == name)


def context(folder: Path, plan: Plan) -> Context:
    return Context(plan, [RaftGroup], [], folder, lambda _: None, random.Random(1))


def test_the_worst_operation_of_a_thing_decides() -> None:
    found = grown(
        cost("keys", "strong write", 10_000, 10.0),
        cost("keys", "strong write", 1_000_000, 11.0),
        cost("keys", "linearizable read", 10_000, 4.0),
        cost("keys", "linearizable read", 1_000_000, 5.0),
        cost("names", "registration", 10_000, 10.0),
        cost("names", "registration", 1_000_000, 9.0),
        cost("agents", "ask", 10_000, 10.0),
    )
    assert cost_ratio(found, "keys", 1_000_000) == 1.25
    assert verdict(found, "strong keys") == "missed"
    assert verdict(found, "names") == "reached"
    assert verdict(found, "agents") == "not measured"
    assert verdict(found, "keys of a store") == "not measured"


def test_a_size_without_its_base_or_with_a_cost_of_nothing_gives_no_ratio() -> None:
    alone = grown(cost("keys", "strong write", 1_000_000, 11.0))
    assert math.isnan(cost_ratio(alone, "keys", 1_000_000))
    unknown = grown(
        cost("keys", "strong write", 10_000, 10.0),
        cost("keys", "strong write", 1_000_000, math.nan),
    )
    assert math.isnan(cost_ratio(unknown, "keys", 1_000_000))


def test_the_report_shows_sizes_of_one_operation_below_each_other_and_what_was_left_out() -> None:
    rows = [
        cost("keys", op, items, us)
        for items, us in ((10_000, 10.0), (1_000_000, 12.0))
        for op in ("strong write", "linearizable read")
    ]
    text = growth_report({"growth": grown(*rows)}, {})
    shown = [line.split()[1:3] + line.split()[3:4] for line in text if line.startswith("keys:")]
    assert shown == [
        ["strong", "write", "10,000"],
        ["strong", "write", "1,000,000"],
        ["linearizable", "read", "10,000"],
        ["linearizable", "read", "1,000,000"],
    ]
    assert "1.20" in next(line for line in text if "1,000,000" in line)
    assert "not taken: 1,000,000 agents: about 9 GB more" in text


def test_every_item_of_a_size_has_its_turn() -> None:
    for count in FULL.growth_sizes[:2]:
        assert {item(number, count) for number in range(count)} == set(range(count))


def test_large_values_are_fewer_at_a_time() -> None:
    assert [sizes.in_flight_of(size) for size in (16, 100_000, 1_000_000)] == [64, 64, 8]
    assert [sizes.keys_of(size) for size in (16, 100_000, 1_000_000)] == [4_000, 160, 16]


def test_a_short_run_does_not_fill_a_million() -> None:
    assert FULL.changed(seconds=0.01, repetitions=None).growth_sizes == (1_000,)
    assert FULL.changed(seconds=4.0, repetitions=None).growth_sizes == FULL.growth_sizes


def test_a_step_that_does_not_fit_the_memory_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        available = 1

    class Group:
        """A group whose items have a thousand bytes each."""

        hosts = ("a",)
        used = 0.0

        async def prepare(self, *, agents: bool) -> None: ...

        async def wait_caught_up(self, host: str, timeout_s: float) -> None: ...

        def memory_bytes(self) -> dict[str, dict[str, float]]:
            return {"a": {"rss": self.used, "anonymous": self.used}}

        async def fill(self, thing: str, first: int, count: int, **fields: Any) -> float:
            self.used += count * 1000
            return 1.0

        async def leader(self) -> str:
            return "a"

    monkeypatch.setattr(growth.psutil, "virtual_memory", Full)
    plan = replace(TINY, growth_sizes=(10_000, 20_000))
    found: dict[str, Any] = {"hosts": [], "rows": [], "not_taken": []}
    group: Any = Group()
    thing = growth.Thing("keys", ())
    asyncio.run(growth.grow(context(tmp_path, plan), group, thing, found))
    assert group.used == 10_000_000
    assert found["not_taken"] == ["20,000 keys: about 0.0 GB more, and 0.0 GB are free"]


def test_tiny_groups_answer_all_of_growth_and_sizes_and_leave_nothing(tmp_path: Path) -> None:
    run = context(tmp_path, TINY)
    grew: dict[str, Any] = {"hosts": [], "rows": [], "not_taken": []}
    sized: dict[str, Any] = {"rows": [], "limit_bytes": 1 << 20, "not_asked": []}

    async def story() -> None:
        async with run.growth_group(("a",)) as group:
            for thing in growth.THINGS:
                await growth.grow(run, group, thing, grew)
            await sizes.of_size(run, group, 1_000, sized)
            await group.add_learner()
            await growth.writes_of(run, group, grew)

    asyncio.run(story())
    rows = [*grew["rows"], *grew["hosts"], *sized["rows"]]
    assert [(row["op"], row["error"]) for row in rows if row["errors"]] == []
    assert [(row["thing"], row["op"], row["items"]) for row in grew["rows"]] == [
        (thing.name, op, 20) for thing in growth.THINGS for op, _ in thing.uses
    ]
    assert [(row["voters"], row["learners"]) for row in grew["hosts"]] == [(1, 1)]
    assert {row["op"] for row in sized["rows"]} == {op for op, _ in sizes.OPS}
    text = "\n".join(growth_report({"growth": grew, "sizes": sized}, {}))
    assert "1 voters, 1 learners" in text
    assert list(tmp_path.iterdir()) == []


def test_a_tiny_group_answers_clients_inside_and_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "KEYS", 20)
    monkeypatch.setattr(clients, "IN_FLIGHT", (1, 8))
    monkeypatch.setattr(clients, "HttpGroup", OneHost)
    run = context(tmp_path, TINY)
    asyncio.run(clients.ask(run))
    rows = run.found["clients"]
    assert [(row["op"], row["in_flight"], row["system"]) for row in rows] == [
        (op, n, name)
        for op in ("put", "get")
        for n in (1, 8)
        for name in (clients.INSIDE, clients.OUTSIDE)
    ]
    assert [row["error"] for row in rows if row["errors"]] == []
    rows[0]["system"] = "redis"
    text = growth_report({"clients": rows}, {"redis": {"marks": {"put": "asynchronous"}}})
    assert any("quorate, HTTP" in line for line in text)
    assert any("redis (asynchronous)" in line for line in text)
    assert list(tmp_path.iterdir()) == []


class OneHost(HttpGroup):
    """A group of one, which starts quickly."""

    def __init__(self) -> None:
        super().__init__(("a",))
