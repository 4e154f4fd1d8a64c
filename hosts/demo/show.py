"""`quorate demo`: three hosts, the leader killed with -9 in full load, every acknowledged write
counted afterwards; then the same key written at each level while a minority is cut off; then
agents, whose host is killed.

The law of this file: the story is told in the order it happens, every figure is measured, and the
exit code is 0 only when nothing was lost, nothing was applied twice and each level and each agent
kept its promises. What a person sees is in `view.py`; the second part is in `levels.py`, the third
in `agents.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import Any, cast

from quorate.hosts.demo import agents, levels
from quorate.hosts.demo.agent_view import AgentView
from quorate.hosts.demo.arena import Arena
from quorate.hosts.demo.level_view import LevelView
from quorate.hosts.demo.view import Audience, audience

ELECTION_MAX_S = 15.0
CATCH_UP_MAX_S = 30.0
AFTER_S = 2.0
TERMINATED = 128 + signal.SIGTERM
WRITERS = 128
"""Per host, each with one write on its way: the load is as full as the machine makes it."""


async def run(args: argparse.Namespace) -> int:
    """Tell the story and return the exit code. SIGTERM ends it, and its hosts, with 143."""
    telling = cast("asyncio.Task[Any]", asyncio.current_task())
    terminated = asyncio.Event()

    def on_terminate() -> None:
        terminated.set()
        telling.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, on_terminate)
    folder = Path(args.data) if args.data else Path(tempfile.mkdtemp(prefix="quorate-demo-"))
    shown = audience("none" if args.json else "plain" if args.plain else "auto")
    try:
        async with Arena(folder, writers=WRITERS, admin=True) as arena:
            figures = await story(arena, shown, args.seconds)
        shown.close()
        view = LevelView(silent=args.json, plain=args.plain)
        figures["levels"] = await levels.tell(folder / "levels", view)
        agent_view = AgentView(silent=args.json, plain=args.plain)
        figures["agents"] = await agents.tell(folder / "agents", agent_view)
    except asyncio.CancelledError:
        if not terminated.is_set():
            raise
        telling.uncancel()
        return TERMINATED
    finally:
        shown.close()
        if not args.data:
            shutil.rmtree(folder, ignore_errors=True)
    if args.json:
        print(json.dumps(figures))
    kept = figures["levels"]["held"] and figures["agents"]["held"]
    return 0 if kept and figures["lost"] == 0 and figures["duplicated"] == 0 else 1


async def story(arena: Arena, shown: Audience, seconds: float) -> dict[str, Any]:
    """Start, load, kill, fail over, restart, catch up, verify. Returns the figures."""
    watching = asyncio.ensure_future(shown.follow(arena))
    try:
        return await _story(arena, shown, seconds)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _story(arena: Arena, shown: Audience, seconds: float) -> dict[str, Any]:
    shown.say("starting three hosts")
    began = time.monotonic()
    await arena.start_all()
    shown.say(f"{arena.leader} leads after {_ms(time.monotonic() - began)} ms; all three write now")
    arena.load()
    await asyncio.sleep(seconds)

    leader = arena.leader or "a"
    term, before = arena.views[leader].status["term"], arena.ledger.acked_count
    writes_per_s = before / seconds
    killed_at = await arena.kill(leader)
    shown.say(f"killed the leader {leader} with -9 after {before} acknowledged writes")

    def took_over() -> bool:
        return any(later > term for later in arena.first_ack_at) and arena.leader is not None

    await arena.wait_for(took_over, ELECTION_MAX_S, "a new leader that acknowledges writes")
    first_ack_at = min(at for later, at in arena.first_ack_at.items() if later > term)
    failover_ms = _ms(first_ack_at - killed_at)
    shown.say(f"{arena.leader} leads now; first acknowledged write {failover_ms} ms after the kill")
    await asyncio.sleep(AFTER_S)

    restarted_at = time.monotonic()
    await arena.start(leader)
    shown.say(f"started {leader} again, the others keep writing")
    caught_up_at = await arena.wait_for(
        lambda: arena.caught_up(leader), CATCH_UP_MAX_S, f"{leader} to catch up"
    )
    catch_up_ms = _ms(caught_up_at - restarted_at)
    shown.say(f"{leader} has caught up {catch_up_ms} ms after its start")
    await asyncio.sleep(AFTER_S / 2)

    shown.say(f"comparing {arena.ledger.acked_count} acknowledged writes with all three copies")
    verdicts = await arena.verify()
    for verdict in verdicts:
        for example in verdict.examples:
            shown.say(example)
    figures = {
        "acked": arena.ledger.acked_count,
        "lost": max(verdict.lost + verdict.wrong for verdict in verdicts),
        "duplicated": max(verdict.duplicated for verdict in verdicts),
        "failover_ms": failover_ms,
        "writes_per_s": round(writes_per_s),
        "catch_up_ms": catch_up_ms,
        "unknown": arena.ledger.unknown_count,
        "checked": sum(verdict.checked for verdict in verdicts),
    }
    shown.figures(figures)
    return figures


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
