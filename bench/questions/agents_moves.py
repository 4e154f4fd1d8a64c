"""How long does a caller wait while the agent it asks moves to another host with a megabyte?

The law of this file: one caller asks without a pause from a third host; the pause of a move is the
longest of its asks that overlapped it, from call to answer. The megabyte is in `self.state` (of
which every host has a copy), then in the object's own memory (which goes along). Asked of systems
whose agents can be ordered to move.
"""

from __future__ import annotations

from typing import Any

from quorate.bench.child import ChildFailed
from quorate.bench.figures import summary
from quorate.bench.questions.base import Context
from quorate.bench.systems.agent_system import AgentSystem

STATE_BYTES = 1_000_000
REST_S = 0.05
MOVE_WITHIN_S = 20.0


async def ask(context: Context) -> None:
    """To and fro, with each kind of state."""
    found: list[dict[str, Any]] = []
    for kind in context.agent_systems:
        if not kind.moves:
            continue
        async with context.unless_lost(kind), context.running_agents(kind) as system:
            for where in ("store", "memory"):
                found.append(await _one(context, system, where))
                context.found["agents_moves"] = list(found)


async def _one(context: Context, system: AgentSystem, where: str) -> dict[str, Any]:
    caller, first, second = system.hosts
    prefix, moves = f"heavy-{where}", context.plan.moves
    made = await system.order(first, "make", prefix=prefix, count=1)
    held = await system.order(
        first, "fill_state", name=made[0], where=where, size_bytes=STATE_BYTES
    )
    done = await system.order(
        caller,
        "moves",
        name=made[0],
        to=[(second, first)[n % 2] for n in range(moves)],
        rest_s=REST_S,
        within_s=MOVE_WITHIN_S,
        timeout_s=60.0 + moves * (MOVE_WITHIN_S + 2 * REST_S),
    )
    if held != STATE_BYTES:
        raise ChildFailed(f"the agent held {held} bytes, not {STATE_BYTES}")
    pauses = summary([ns / 1e6 for ns in done["pause_ns"]])
    context.say(
        f"agents {system.name}: {moves} moves, 1 MB in {where}: pause p50 "
        f"{pauses['median']:.1f} ms, p99 {pauses['p99']:.1f} ms"
    )
    return {
        "system": system.name,
        "where": where,
        "state_bytes": STATE_BYTES,
        "moves": moves,
        "pause_ms": pauses,
        "call_ms": summary([ns / 1e6 for ns in done["call_ns"]]),
        "failures": done["failures"],
        "errors": done["errors"],
    }
