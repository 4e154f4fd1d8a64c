"""What does each level cost when the hosts are apart? With so many milliseconds on every link.

The law of this file: the delay is one way, so a round trip takes two of it, and it is made by a
real Toxiproxy between the processes. A delay of 0 goes through the same proxies and says what they
cost. One client stands at the leader or at another host; many are shared out over all three.
Without a Toxiproxy the question says how to get it, and nothing has failed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from quorate.bench.delays import DelayedLinks
from quorate.bench.figures import median
from quorate.bench.load import Load, summary_of
from quorate.bench.questions.base import Context
from quorate.bench.questions.levels import MANY
from quorate.bench.questions.probes import BY_NAME, closed, probe_group
from quorate.bench.systems.base import Missing
from quorate.bench.systems.probe_group import ProbeGroup


class Case(NamedTuple):
    """One client (`in_flight` 1) at one host, or many at all."""

    call: str
    where: str
    in_flight: int = 1


CASES = (
    Case("strong writes", "leader"),
    Case("strong writes", "elsewhere"),
    Case("linearizable reads", "leader"),
    Case("linearizable reads", "elsewhere"),
    Case("session writes", "elsewhere"),
    Case("eventual writes", "elsewhere"),
    Case("CRDT increments", "elsewhere"),
    Case("session reads", "elsewhere"),
    Case("local reads", "elsewhere"),
    Case("strong writes", "spread", MANY),
    Case("linearizable reads", "spread", MANY),
    Case("eventual writes", "spread", MANY),
)
Loads = dict[tuple[int, Case], list[Load]]
Behind = dict[tuple[int, Case], list[float]]


async def ask(context: Context) -> None:
    """Every case at every delay, `repetitions` times."""
    try:
        DelayedLinks.check()
    except Missing as missing:
        context.found["delays"] = {"missing": str(missing), "rows": []}
        context.say(f"delays are not measured: {missing}")
        return
    loads: Loads = {}
    behind: Behind = {}
    for _ in range(context.plan.repetitions):
        async with probe_group(context, delayed=True) as group:
            assert group.delays is not None
            for delay_ms in context.plan.delays_ms:
                await group.delays.become(delay_ms)
                for case in CASES:
                    key = delay_ms, case
                    load = await _one(context, group, case)
                    loads.setdefault(key, []).append(load)
                    if case.call == "eventual writes" and case.in_flight == MANY:
                        behind.setdefault(key, []).append(await group.even())
                    context.found["delays"] = {"rows": rows(loads, behind)}
                context.say(f"delays: {delay_ms} ms one way is done")


async def _one(context: Context, group: ProbeGroup, case: Case) -> Load:
    hosts = group.hosts
    if case.where != "spread":
        leader = await group.leader()  # asked anew: a delay may end a term
        others = tuple(host for host in group.hosts if host != leader)
        hosts = (leader,) if case.where == "leader" else others[:1]
    return await closed(context, group, BY_NAME[case.call], case.in_flight, hosts)


def rows(loads: Loads, behind: Behind) -> list[dict[str, Any]]:
    """The lines of the result; latencies in microseconds, over all repetitions."""
    found: list[dict[str, Any]] = []
    for (delay_ms, case), each in loads.items():
        found.append(
            {
                "one_way_ms": delay_ms,
                "call": case.call,
                "where": case.where,
                "in_flight": case.in_flight,
                "behind_s": median(behind.get((delay_ms, case), [])),
                **summary_of(each),
            }
        )
    return found
