"""Availability: who could work when, and that nobody waited for ever.

The law of this file: every call ends by its deadline (for as long as its host's process runs at
all: a host that stands still is told by the silence of all its clients); what a call ends with says
whether it happened; and after the heal everybody works again. How long service was gone is for the
report, not for the verdict.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from quorate.chaos.workloads.workload import Workload
from quorate.consistency.check.history import History, Operation
from quorate.consistency.check.verdict import Anomaly, Verdict, judged

if TYPE_CHECKING:
    from quorate.chaos.lab.client import Client

STORE = "availability"
DEADLINE_S = 2.0
LATE_S = 0.75
"""A call may end so much after its deadline: timers are coarse, and the processors shared."""
SILENCE_S = 0.5
KEYS = 50


class AvailabilityWorkload(Workload):
    """A strong write, a strong read, an eventual write, a local read."""

    name: ClassVar[str] = "availability"
    promise: ClassVar[str] = "every call ends by its deadline; after the heal all serve again"

    async def invoke(self, client: Client) -> None:
        if client.id.endswith("/0"):  # one that never waits: its silence is its host's
            await self._call(client, "eventual")
        else:
            await self._call(client, client.rng.choice(("strong", "eventual")))

    async def _call(self, client: Client, level: str) -> None:
        key, host = f"av/{client.rng.randrange(KEYS)}", client.host
        read = client.rng.random() < 0.5
        value: Any = None if read else client.unique()
        async with client.op("read" if read else "write", key, value, level=level) as op:
            if level == "strong" and read:
                op.ok(await host.kv.get(key, timeout=DEADLINE_S))
            elif level == "strong":
                await host.kv.put(key, value, timeout=DEADLINE_S)
                op.ok()
            elif read:
                op.ok(await host.store(STORE).get(key, timeout=DEADLINE_S))
            else:
                await host.store(STORE).put(key, value, timeout=DEADLINE_S)
                op.ok()

    async def final_reads(self, client: Client) -> None:
        for level in ("strong", "eventual"):
            async with client.op("final", level, level=level) as op:
                key, value = f"av/final/{client.host.id}", client.id
                if level == "strong":
                    await client.host.kv.put(key, value, timeout=DEADLINE_S)
                else:
                    await client.host.store(STORE).put(key, value, timeout=DEADLINE_S)
                op.ok()

    def check(self, history: History) -> Verdict:
        return check_deadlines(history, DEADLINE_S + LATE_S)


def check_deadlines(history: History, longest_s: float) -> Verdict:
    """Every call ended within `longest_s`, not counting the times in which nobody on its host was
    heard; and every `final` one succeeded."""
    beats: dict[str, list[float]] = {}
    for op in history.operations:
        for time in (op.start, op.end):
            if time is not None:
                beats.setdefault(_process(op), []).append(history.seconds(time))
    found: list[Anomaly] = []
    for times in beats.values():
        times.sort()
    for op in history.operations:
        if op.f == "final" and op.outcome != "ok":
            text = f"{op.host} does not serve {op.key} after the heal: {op.error}"
            found.append(Anomaly("no-service", text, (op,)))
        if op.end is None:
            continue  # its host was killed, or the run ended
        start_s, end_s = history.seconds(op.start), history.seconds(op.end)
        took_s = end_s - start_s - _silent_s(beats[_process(op)], start_s, end_s)
        if took_s > longest_s:
            text = f"{op.where} took {took_s:.2f} s; {longest_s:.2f} s at most"
            found.append(Anomaly("past-its-deadline", text, (op,)))
    finals = [op for op in history.operations if op.f == "final"]
    doubts = [] if finals else ["nobody was asked after the heal"]
    return judged("availability", len(history.operations), found, history=history, unknown=doubts)


def _process(op: Operation) -> str:
    """The life of a host: `a.2` of `a.2/3`."""
    return str(op.process).partition("/")[0]


def _silent_s(beats: list[float], start_s: float, end_s: float) -> float:
    """How long nobody was heard in between."""
    within = [start_s, *beats[bisect_left(beats, start_s) : bisect_left(beats, end_s)], end_s]
    gaps = (later - earlier for earlier, later in pairwise(within))
    return sum(gap for gap in gaps if gap > SILENCE_S)
