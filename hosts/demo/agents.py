"""The third part of `quorate demo`: agents on three hosts, one of which is killed under load.

The law of this file: the order of the story; every figure is measured from outside, by what callers
were told; what was kept is decided in `agent_record.py`, over all that was acknowledged.
"""

from __future__ import annotations

import asyncio
import time
from itertools import cycle
from pathlib import Path
from typing import Any

from quorate.hosts.demo.agent_record import AgentVerdict, percentile
from quorate.hosts.demo.agent_scene import AgentScene, recovered, spread
from quorate.hosts.demo.agent_view import AgentView

SHOPS = 300
BRANCHES = 9
MOVES = 6
RATE = 600
"""Sales per second, of all callers together."""
LINES = 100
"""Lines per second and host for the scribe."""
LOAD_S, BETWEEN_S, AFTER_S = 2.0, 0.25, 1.5
ANSWER_MAX_S = 20.0
SCRIBE = "scribe"
Record = dict[str, Any]


async def tell(folder: Path, view: AgentView) -> Record:
    """Start, call, end, move, kill; the record, with `held`."""
    view.say("three hosts once more, now with agents")
    names = [f"shop:{n:03d}" for n in range(SHOPS)]
    async with AgentScene(folder) as scene:
        record = await begin(scene, names)
        counts = ", ".join(f"{host} {count}" for host, count in record["spread"].items())
        view.say(f"started {SHOPS} agents in {record['started_ms']} ms: {counts}")
        record["anywhere"] = await anywhere(scene, names[0])
        view.say(f"called {names[0]} from every host: {record['anywhere']['totals']}")
        owner = record["owner"] = await owner_ends(scene)
        view.say(
            f"an owner ended: its {owner['agents']} agents on {owner['hosts']} hosts were gone "
            f"{owner['gone_ms']} ms later"
        )
        await scene.load(names, rate=RATE, ship_every=8)
        view.say(f"every host calls every agent now, {RATE} strong calls per second")
        await asyncio.sleep(LOAD_S)
        moves = record["moves"] = await migrate(scene)
        view.say(
            f"moved an agent {MOVES} times while it was called: {moves['failed']} calls failed, "
            f"the longest wait was {moves['pause_ms']} ms"
        )
        took = [ack.ended - ack.began for acks in scene.ledger.acks.values() for ack in acks]
        calls = {"p50_ms": _ms(percentile(took, 50)), "p99_ms": _ms(percentile(took, 99))}
        kill = record["kill"] = await kill_one(scene, names, view)
        view.say(
            f"all {kill['agents']} answer again, on {' and '.join(kill['now'])}: "
            f"p50 {kill['p50_ms']} ms, p99 {kill['p99_ms']} ms after the kill"
        )
        await asyncio.sleep(AFTER_S)
        verdict = await scene.verdict(names, scribes=[SCRIBE])
        record["calls"] = {"acked": scene.ledger.acked_count, **calls}
        turned_away, acts = scene.ledger.turned_away, len(scene.ledger.effects)
        record["acts"] = {"accepted": acts - turned_away, "turned_away": turned_away}
    record.update(verdict.counts())
    record["examples"] = verdict.examples
    record["promises"] = promises(record, verdict)
    record["held"] = all(record["promises"].values())
    view.show_agents(record)
    return record


def promises(record: Record, verdict: AgentVerdict) -> dict[str, bool]:
    """What was promised, and whether it was kept."""
    acked, moves = record["calls"]["acked"], record["moves"]
    return {
        f"no acknowledged call of {acked} was lost": not verdict.lost,
        "none was counted twice": not verdict.doubled,
        "none was out of order, also across the moves": not verdict.disordered,
        "acts outside never overlapped, and none of a past epoch was accepted": not (
            verdict.overlapping or verdict.outdated
        ),
        f"no call of {moves['lines']} failed while the agent moved": not moves["failed"],
        "an owner's agents ended with it, on every host": bool(record["owner"]["gone"]),
        "every agent of the killed host came back": record["kill"]["back"],
    }


async def begin(scene: AgentScene, names: list[str]) -> Record:
    """The shops, wherever there is room."""
    took_s = await scene.start_agents("Shop", names)
    places = await scene.where("shop:")
    return {"started": len(places), "started_ms": _ms(took_s), "spread": spread(places)}


async def anywhere(scene: AgentScene, name: str) -> Record:
    """One agent, called from one host after the other."""
    rows = [await scene.must(host, "call", name=name) for host in scene.hosts]
    totals = [row["sold"][0] for row in rows]
    return {"totals": totals, "slowest_ms": max(row["took_ms"] for row in rows)}


async def owner_ends(scene: AgentScene) -> Record:
    """An agent with others of its own; it ends itself, and they are gone on every host."""
    branches = [f"branch:{n}" for n in range(BRANCHES)]
    await scene.start_agents("Chain", ["chain"])
    for host, branch in zip(cycle(scene.hosts), branches, strict=False):
        await scene.must(
            host, "start", cls="Shop", names=[branch], owner="chain", on=host, within_s=10
        )
    places = await scene.where("branch:")
    began = (await scene.must(scene.hosts[-1], "close", name="chain"))["began"]
    gone = await scene.all("gone", names=["chain", *branches])
    left = await scene.where("branch:")
    return {
        "agents": len(places),
        "hosts": len(set(places.values())),
        "gone_ms": _ms(max(row["at"] for row in gone.values()) - began),
        "gone": len(places) == BRANCHES and not left,
    }


async def migrate(scene: AgentScene) -> Record:
    """A scribe that all hosts write to without waiting, moved around meanwhile."""
    await scene.start_agents("Scribe", [SCRIBE], on=scene.hosts[0])
    for host in scene.hosts:
        await scene.must(host, "stream", name=SCRIBE, rate=LINES, sender=f"{SCRIBE}/{host}")
    began = time.monotonic()
    targets = cycle((*scene.hosts[1:], scene.hosts[0]))
    for _, to in zip(range(MOVES), targets, strict=False):
        await asyncio.sleep(BETWEEN_S)
        await scene.must(to, "move", name=SCRIBE, to=to)
    await asyncio.sleep(BETWEEN_S)
    await scene.all("stream")
    lines = scene.lines
    waits = [ended - at for _, _, at, ended, _ in lines if at >= began]
    return {
        "moves": MOVES,
        "lines": len(lines),
        "failed": sum(bool(error) for *_, error in lines),
        "pause_ms": _ms(max(waits, default=0.0)),
        "p50_ms": _ms(percentile(waits, 50)),
    }


async def kill_one(scene: AgentScene, names: list[str], view: AgentView) -> Record:
    """kill -9 of a host that does not lead, with all its agents."""
    leader = await scene.leader()
    places = await scene.where("")
    scribe_at = places.pop(SCRIBE)
    victim = next(host for host in scene.hosts if host not in (leader, scribe_at))
    mine = [name for name in names if places[name] == victim]
    epochs = scene.ledger.epochs(mine)
    at = await scene.kill(victim)
    view.say(f"killed host {victim} with -9, and its {len(mine)} agents")
    probing = asyncio.gather(
        *(scene.ask(host, "probe", ANSWER_MAX_S, names=mine) for host in scene.up)
    )
    again = await recovered(scene, mine, epochs, at, ANSWER_MAX_S)
    await probing
    now = await scene.where("shop:")
    return {
        "host": victim,
        "agents": len(mine),
        "now": sorted({now.get(name, "") for name in mine}),
        "p50_ms": _ms(percentile(again, 50)),
        "p99_ms": _ms(percentile(again, 99)),
        "back": set(now) == set(names) and victim not in now.values(),
    }


def _ms(seconds: float) -> float:
    milliseconds = seconds * 1000
    return round(milliseconds, 1) if milliseconds < 10 else round(milliseconds)
