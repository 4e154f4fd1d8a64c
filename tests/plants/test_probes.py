"""The judges of the probes and the control's workload, on histories small enough to read."""

from __future__ import annotations

import asyncio
from random import Random
from types import SimpleNamespace
from typing import Any

from quorate.chaos.control.register import ControlRegister
from quorate.chaos.lab.client import Client
from quorate.chaos.plants.find import first_seen, is_known
from quorate.chaos.plants.plant import Plant
from quorate.chaos.plants.probes import check_counting, check_holding
from quorate.consistency.check.history import Event, pair
from quorate.consistency.check.lines import dump
from quorate.consistency.check.verdict import Anomaly


def done(process: str, at: int, f: str, key: str | None, value: Any, answer: Any) -> list[Event]:
    """An operation and its answer, one after the other."""
    return [
        Event("invoke", process, at, f, key, value),
        Event("ok", process, at + 1, value=answer),
    ]


def test_who_believes_after_another_was_granted_is_seen() -> None:
    first = done("a", 0, "acquire", "x", None, 3)
    told = done("a", 2, "believe", "x", 3, True)
    second = done("b", 4, "acquire", "x", None, 7)
    late = done("a", 6, "believe", "x", 3, True)
    honest = done("a", 6, "believe", "x", 3, False)
    assert check_holding(pair([*first, *told, *second, *honest])).verdict == "held"
    found = check_holding(pair([*first, *told, *second, *late]))
    assert found.verdict == "broken"
    assert found.kinds == {"two-holders"}


def test_a_write_that_was_done_twice_is_counted() -> None:
    puts = [event for at in (0, 2, 4) for event in done("c", at, "put", "c", at, None)]
    for version, word in ((3, "held"), (4, "broken"), (2, "broken")):
        final = done("d", 6, "final", None, None, [["c", version]])
        assert check_counting(pair([*puts, *final])).verdict == word, version
    assert check_counting(pair(puts)).verdict == "unknown"


def test_an_unknown_write_may_be_there_or_not() -> None:
    events = [*done("c", 0, "put", "c", 0, None), Event("invoke", "c", 2, "put", "c", 1)]
    for version in (1, 2):
        final = done("d", 3, "final", None, None, [["c", version]])
        assert check_counting(pair([*events, *final])).verdict == "held", version


def test_the_first_counterexample_is_timed_from_the_first_operation(tmp_path: Any) -> None:
    second = 1_000_000_000
    events = [
        Event("invoke", "a", 5 * second, "read", "x"),
        Event("ok", "a", 6 * second),
        Event("invoke", "a", 7 * second, "read", "x"),
        Event("ok", "a", 9 * second),
    ]
    file = tmp_path / "history.jsonl"
    file.write_text("".join(map(dump, events)))
    early, late = pair(events).operations
    anomalies = [Anomaly("stale-read", "", (early, late)), Anomaly("stale-read", "", (early,))]
    assert first_seen(anomalies, file) == 1.0
    assert first_seen([], file) is None


def test_a_plant_is_known_by_its_words() -> None:
    plant = Plant("p", "", "register", "none", ("stale-read", "conflicts with"), ())
    assert is_known(plant, Anomaly("stale-read", "anything"))
    assert is_known(plant, Anomaly("host-failed", "its log conflicts with entry 3"))
    assert not is_known(plant, Anomaly("host-failed", "its disk is full"))


class Registers:
    """A `kv` of one host, which always has the same place in the log to tell."""

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {}

    async def get(self, key: str, *, timeout: float) -> Any:
        return self.rows.get(key)

    async def put(self, key: str, value: Any, *, timeout: float) -> Any:
        self.rows[key] = value
        return SimpleNamespace(term=1, index=1, revision=1)

    async def cas(self, key: str, value: Any, *, expected: Any, timeout: float) -> Any:
        return await self.put(key, value, timeout=timeout)


def test_the_control_leaves_the_place_in_the_log_out() -> None:
    events: list[Event] = []
    host: Any = SimpleNamespace(id="a", kv=Registers())
    nothing: Any = None
    client = Client(host, "a.1/0", rng=Random(1), resource=nothing, sink=events.append)

    async def some() -> None:
        for _ in range(30):
            await ControlRegister().invoke(client)

    asyncio.run(some())
    assert {event.f for event in events if event.type == "invoke"} == {"read", "write", "cas"}
    assert {event.type for event in events} == {"invoke", "ok"}
    assert all(event.witness is None for event in events)
