"""The second half of `quorate demo`: the same key at each level while a minority is cut off.

The law of this file: the order of the story; every figure is measured, and it is only told as
kept what the record shows (`level_record.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from quorate.hosts.demo.level_record import kept
from quorate.hosts.demo.level_scene import HOSTS, MINORITY, Scene, side_of
from quorate.hosts.demo.level_view import LevelView


async def tell(folder: Path, view: LevelView) -> dict[str, Any]:
    """Start, cut, write and read at each level, heal, reconcile; the record, with `held`."""
    view.say("three hosts again, with stores; every link goes through a relay that can be cut")
    async with Scene(folder) as scene:
        await scene.begin()
        cut = await scene.cut()
        cut_off = ", ".join(MINORITY)
        states = ", ".join(f"{host} {state}" for host, state in cut["states"].items())
        view.say(f"cut {cut_off} off, silently; noticed after {cut['ms']} ms: {states}")
        writes = await scene.writes()
        view.say("wrote the key at each level on both sides; now reading it at each level")
        reads = await scene.reads()
        heal = await scene.heal()
        view.say(f"healed: the same on every host after {heal['same_ms']} ms")
        promoted = await scene.promote()
        view.say("wrote the surviving value strongly: promote()")
    record: dict[str, Any] = {
        "sides": {host: side_of(host) for host in HOSTS},
        "cut": cut,
        "writes": writes,
        "reads": reads,
        "heal": heal,
        "promoted": promoted,
    }
    verdicts = kept(record)
    view.show(record, verdicts)
    return {
        **record,
        "promises": {one.promise: one.held for one in verdicts},
        "held": all(held for _, held in verdicts),
    }
