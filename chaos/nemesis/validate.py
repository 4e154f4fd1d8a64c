"""Whether the faults of a run were faults: a fault without an effect makes the run invalid. Pure.

The law of this file: it reads what the nemesis told (`faults.jsonl`) and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from quorate.chaos.nemesis.schedule import Plan


def without_effect(faults: Iterable[Mapping[str, Any]]) -> list[str]:
    """One sentence for each fault that began and did not show; and for one that never ended. One
    that met only hosts which another fault held down is excused if it showed at another time."""
    told = list(faults)
    showed = {event.get("name") for event in told if event.get("shown")}
    open_ones: dict[str, float] = {}
    found: list[str] = []
    for event in told:
        name, phase = str(event.get("name")), event.get("phase")
        if phase == "begin":
            open_ones[name] = float(event.get("t", 0.0))
        elif phase == "end":
            open_ones.pop(name, None)
            excused = event.get("nobody_there") and event.get("name") in showed
            if not event.get("shown") and not excused:
                found.append(f"the fault {name} showed no effect: {event.get('effect')}")
    return [*found, *(f"the fault {name} was never ended" for name in open_ones)]


def reasons_against(plan: Plan, faults: Iterable[Mapping[str, Any]]) -> list[str]:
    """Why a run under this plan proves nothing; empty when it does."""
    told = list(faults)
    if plan.does_nothing:
        return []
    skipped = [event for event in told if event.get("phase") == "skipped"]
    if not any(event.get("phase") == "begin" for event in told):
        why = f": {skipped[0].get('why')}" if skipped else ""
        return [f"no fault of {plan.name!r} was begun{why}"]
    return without_effect(told)
