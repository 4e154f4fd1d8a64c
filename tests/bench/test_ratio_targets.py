"""Targets that are ratios to a peer of the same run."""

from __future__ import annotations

from typing import Any

from quorate.bench.targets import verdicts


def write(system: str, in_flight: int, per_s: float, p50_us: float = 1000.0) -> dict[str, Any]:
    return {
        "system": system,
        "in_flight": in_flight,
        "where": "leader",
        "ops_per_s": per_s,
        "p50_us": p50_us,
        "p99_us": p50_us,
    }


def ask(system: str, per_s: float) -> dict[str, Any]:
    return {"system": system, "case": "local ask, 200 callers, many agents", "ops_per_s": per_s}


def judged(**results: Any) -> dict[str, tuple[str, float]]:
    return {row.name: (row.verdict, row.measured) for row in verdicts(results)}


def test_a_rate_is_divided_by_the_peers_best() -> None:
    ours, theirs = write("quorate", 1024, 40_000), write("etcd", 1024, 5_000)
    name = "writes, 1 024 in flight, to etcd's"
    assert judged(writes=[ours, theirs])[name] == ("reached", 8.0)
    better = {**theirs, "where": "spread", "ops_per_s": 10_000}
    assert judged(writes=[ours, theirs, better])[name] == ("missed", 4.0)


def test_one_clients_time_is_divided_by_the_peers() -> None:
    name = "one client's write on the leader, p50, to etcd's"
    rows = [write("quorate", 1, 1, 800.0), write("etcd", 1, 1, 1000.0)]
    assert judged(writes=rows)[name] == ("reached", 0.8)


def test_without_the_peer_there_is_no_verdict() -> None:
    found = judged(writes=[write("quorate", 1024, 1e6)], agents_calls=[ask("quorate", 1e6)])
    assert found["writes, 1 024 in flight, to etcd's"][0] == "not measured"
    assert found["local asks, 200 callers, to casty's"][0] == "not measured"


def test_asks_stand_beside_each_peer() -> None:
    found = judged(agents_calls=[ask("quorate", 50_000), ask("casty", 49_000), ask("ray", 2_600)])
    assert found["local asks, 200 callers, to casty's"][0] == "reached"
    assert found["local asks, 200 callers, to Ray's"][0] == "missed"
