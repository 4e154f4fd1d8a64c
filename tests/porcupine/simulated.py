"""What clients were told in the simulator, as histories of registers.

The law of this file: a translation. The log's indices are left out, so that only the answers speak.
"""

from __future__ import annotations

from typing import Any

from quorate.chaos.sim.history import Op
from quorate.chaos.sim.options import draw
from quorate.chaos.sim.plants import planted
from quorate.chaos.sim.world import World
from quorate.consistency.check.history import Event

FS = {"read": "read", "cas": "cas", "set": "write", "add": "write"}
ENDS: dict[str, Any] = {"ok": "ok", "no": "fail", "unknown": "unknown"}


def recorded(seed: int, plant: str | None, seconds: float) -> list[Event]:
    """One run of the simulator; `plant`: with that hazard in it, and nobody watching."""
    world = World(draw(seed, seconds), None if plant is None else planted(plant, seed))
    if plant is not None:
        world.watch.find = lambda text: None  # the run goes on to where it hurts
    world.run()
    moments: list[tuple[float, int, Event]] = []
    for op in world.history.ops:
        moments += _events(op)
    return [event for _, _, event in sorted(moments, key=lambda m: m[:2])]


def _events(op: Op) -> list[tuple[float, int, Event]]:
    """Every operation is a process of its own: clients of the simulator call without waiting. At
    equal times calls come first, which claims no order that was not seen."""
    name, value = op.id, op.value
    if op.kind == "read":
        asked, answer = None, value
    elif op.kind == "cas":
        asked, answer = [op.expected, value], op.swapped
    else:
        asked, answer = value, None
    events = [(op.called, 0, Event("invoke", name, op.called, FS[op.kind], op.key, asked))]
    if op.outcome in ENDS:
        kind = ENDS[op.outcome]
        told = Event(kind, name, op.returned, value=answer if kind == "ok" else None)
        events.append((op.returned, 1, told))
    return events
