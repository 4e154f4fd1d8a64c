"""What the report and the front page say of agents, and which targets a run answers."""

from __future__ import annotations

from typing import Any

import pytest

from quorate.bench import ratio_targets
from quorate.bench.agent_report import agent_report
from quorate.bench.figures import summary
from quorate.bench.front_page import parts, placed
from quorate.bench.histogram import Histogram
from quorate.bench.load import Load
from quorate.bench.questions import agents_calls, agents_state
from quorate.bench.targets import verdicts

SYSTEMS: dict[str, Any] = {
    "quorate": {"configuration": {"version": "0.1.0"}},
    "casty": {
        "configuration": {"version": "0.30.2 (Rust core), CPython 3.13.0"},
        "lacks": {"moves": "none can be ordered to move"},
    },
    "ray": {"missing": "ray needs Python 3.11 or 3.12, which is not on PATH"},
}


def load(per_s: int, us: float) -> Load:
    return Load(per_s, 0, 1.0, Histogram.of([int(us * 1000)] * 100))


def rows(cases: Any) -> list[dict[str, Any]]:
    return [
        {**agents_calls.row(system, case.name, [load(per_s, us)]), "cpu_us_per_op": 20.0}
        for case in cases
        for system, per_s, us in (("quorate", 80_000, 25.0), ("casty", 40_000, 100.0))
    ]


def names(agents: int = 100_000) -> dict[str, Any]:
    sizes = {
        f"{what}_bytes_{which}{kind}": 2500.0
        for what in ("started", "passive")
        for which in ("host_max", "all")
        for kind in ("", "_anonymous")
    }
    return {
        "system": "quorate",
        "agents": agents,
        "started_s": 50.0,
        "answered_s": 9.0,
        "still_active": 0,
        **sizes,
        "look_up": {"per_s": 600_000.0, "p50_us": 1.0},
    }


def moves(where: str, p99_ms: float) -> dict[str, Any]:
    return {
        "system": "quorate",
        "where": where,
        "state_bytes": 1_000_000,
        "moves": 100,
        "pause_ms": summary([5.0, p99_ms]),
        "call_ms": summary([9.0]),
        "failures": 0,
        "errors": [],
    }


def found(**more: Any) -> dict[str, Any]:
    kill = {
        "system": "quorate",
        "kills": 6,
        "agents": 6_000,
        "back_ms": summary([1500.0, 1900.0]),
        "missing": 0,
        "lost": 0,
        "failures": 12,
        "answers": 9,
    }
    drain = {
        "system": "quorate",
        "drains": 3,
        "agents": 3_000,
        "seconds": summary([2.0]),
        "stayed": 0,
        "failures": 0,
        "lost": 0,
    }
    return {
        "agents_calls": rows(agents_calls.CASES),
        "agents_state": rows(agents_state.CASES),
        "agents_names": [names()],
        "agents_moves": [moves("store", 20.0), moves("memory", 30.0)],
        "agents_failover": {"kills": [{**kill, **more}], "drains": [drain]},
    }


def verdict_of(results: dict[str, Any]) -> dict[str, str]:
    beside_peers = {row[0] for row in ratio_targets.ROWS}
    return {
        verdict.name: verdict.verdict
        for verdict in verdicts(results)
        if verdict.name not in beside_peers
    }


AGENT_TARGETS = {
    "local ask, p50",
    "local asks, 200 callers, many agents",
    "local asks, 200 callers, one agent",
    "remote ask, p50",
    "remote asks, 200 callers over three processes",
    "turns with strong state",
    "100 000 named agents started",
    "memory of a passive agent on a host",
    "look-ups of a name",
    "pause of a move with 1 MB of state, p99",
    "agents answer after kill -9 of their host, p99",
    "strong updates lost by kills",
    "calls that a drain failed",
}


def test_every_target_of_agents_is_answered_by_a_full_run() -> None:
    judged = verdict_of(found())
    assert {name for name, verdict in judged.items() if verdict != "not measured"} == AGENT_TARGETS
    assert {judged[name] for name in AGENT_TARGETS} == {"reached"}


@pytest.mark.parametrize(
    ("question", "row", "change", "missed"),
    [
        ("agents_names", 0, {"started_s": 61.0}, "100 000 named agents started"),
        (
            "agents_names",
            0,
            {"passive_bytes_host_max": 3500.0},
            "memory of a passive agent on a host",
        ),
        (
            "agents_moves",
            1,
            {"pause_ms": summary([51.0])},
            "pause of a move with 1 MB of state, p99",
        ),
    ],
)
def test_a_figure_beyond_its_bound_is_missed(
    question: str, row: int, change: dict[str, Any], missed: str
) -> None:
    results = found()
    results[question][row] |= change
    assert {name for name, verdict in verdict_of(results).items() if verdict == "missed"} == {
        missed
    }


def test_an_agent_that_never_came_back_misses_the_target() -> None:
    judged = verdict_of(found(missing=1))
    assert judged["agents answer after kill -9 of their host, p99"] == "missed"
    assert verdict_of(found(lost=1))["strong updates lost by kills"] == "missed"


def test_a_run_with_few_agents_does_not_answer_for_many() -> None:
    small = found(agents=600)
    small["agents_names"] = [names(3_000)]
    judged = verdict_of(small)
    assert judged["agents answer after kill -9 of their host, p99"] == "not measured"
    assert judged["look-ups of a name"] == "not measured"


def test_the_report_compares_and_says_what_is_not_comparable() -> None:
    lines = agent_report(found(), SYSTEMS)
    row = next(
        line for line in lines if line.startswith("remote ask, one caller") and "casty" in line
    )
    assert "2.00" in row  # twice the rate
    assert "0.25" in row  # in a quarter of the time
    assert any(
        "1 MB in memory: its caller waits p50 17.5 ms, p99 30.0 ms" in line for line in lines
    )
    assert any("6,000 agents in all: each answers again" in line for line in lines)
    assert "casty, moves: none can be ordered to move" in lines
    assert agent_report({}, SYSTEMS) == []


def test_the_front_page_gets_a_column_for_each_peer_that_was_measured() -> None:
    result = {
        "command": "python -m quorate.bench run --only agents",
        "machine": {"cores": 2, "load_average": 0.1},
        "load_average_after": 2.0,
        "systems": SYSTEMS,
        "results": found(),
    }
    made = parts(result, "bench/results/agents.json")
    assert set(made) == {"AGENTS"}
    text = made["AGENTS"]
    assert "| agents, three processes | quorate | casty 0.30.2 |" in text
    assert "| remote ask, one caller | 25.0 us | 100 us |" in text
    assert "| answers after kill -9 of its host, p99 | 1.90 s (1,000 agents, 0 lost) | - |" in text
    assert "1,000 agents under load takes 2.00 s and failed 0 calls" in text
    page = "a\n<!-- AGENTS: begin (x) -->\nold\n<!-- AGENTS: end -->\nb"
    assert "old" not in placed(page, text, "AGENTS")
    with pytest.raises(ValueError, match="no part AGENTS"):
        placed("<!-- STORES: begin -->\n<!-- STORES: end -->", text, "AGENTS")
