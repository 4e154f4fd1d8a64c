"""One run: which systems are here, which questions are asked, and what came out.

The law of this file: a question that fails is written down and the next one is asked; an
interrupted run keeps what it has; whatever happens, processes and folders of the run are gone
at its end.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from quorate.bench import machine
from quorate.bench.load import overhead_ns
from quorate.bench.plan import Plan
from quorate.bench.questions import QUESTIONS, Context, about_agents
from quorate.bench.results_file import SCHEMA
from quorate.bench.systems import AGENT_SYSTEMS, SYSTEMS, AgentSystem, Missing, System

QUESTION_WITHIN_S = 3600.0
SEED = 20


async def run(
    *,
    plan: Plan,
    questions: list[str],
    systems: list[str],
    data: Path | None,
    command: str,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Ask the questions; returns the result document. A cancelled run returns what it has, with
    `interrupted` set."""
    folder = Path(tempfile.mkdtemp(prefix="quorate-bench-", dir=data or data_home()))
    began = time.time()
    result: dict[str, Any] = {
        "schema": SCHEMA,
        "command": command,
        "commit": _commit(),
        "began_at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(began)),
        "plan": dataclasses.asdict(plan),
        "machine": machine.record(folder, min(machine.PROBE_S, plan.seconds)),
        "overhead_ns": {
            str(n): await overhead_ns(n, min(0.3, plan.seconds)) for n in plan.in_flight
        },
        "systems": {},
        "results": {},
        "failed": {},
        "lost": {},
        "sync_us": [],
        "interrupted": False,
    }
    try:
        asked = [about_agents(question) for question in questions]
        here = await _systems_here([] if all(asked) else systems, result, say)
        agents = await _agent_systems_here(systems if any(asked) else [], result, say)
        rng = random.Random(SEED)
        context = Context(
            *(plan, here, agents, folder, say, rng, result["results"], result["sync_us"]),
            lost=result["lost"],
        )
        await _ask_all(context, questions, result)
    except asyncio.CancelledError:
        result["interrupted"] = True
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    result["load_average_after"] = os.getloadavg()[0]
    result["seconds"] = round(time.time() - began, 1)
    return result


async def _ask_all(context: Context, questions: list[str], result: dict[str, Any]) -> None:
    for question in questions:
        try:
            async with asyncio.timeout(QUESTION_WITHIN_S):
                await QUESTIONS[question](context)
        except Exception as error:
            result["failed"][question] = f"{type(error).__name__}: {error}"
            context.say(f"{question} FAILED: {type(error).__name__}: {error}")


async def _systems_here(
    names: list[str], result: dict[str, Any], say: Callable[[str], None]
) -> list[type[System]]:
    """Those that can be measured; the others are named in the result with the reason."""
    here: list[type[System]] = []
    for name in names:
        kind = SYSTEMS.get(name)
        if kind is None or not await _is_here(kind, result, say):
            continue
        here.append(kind)
        result["systems"][name] = {
            "durable": kind.durable,
            "synced": kind.synced,
            "marks": kind.marks,
            "configuration": kind.configuration(),
        }
    return here


async def _agent_systems_here(
    names: list[str], result: dict[str, Any], say: Callable[[str], None]
) -> list[type[AgentSystem]]:
    """The same for agents; what a system is asked for both stands in one place of the result."""
    here: list[type[AgentSystem]] = []
    for name in names:
        kind = AGENT_SYSTEMS.get(name)
        if kind is None or not await _is_here(kind, result, say):
            continue
        here.append(kind)
        row = result["systems"].setdefault(
            name, {"durable": kind.durable, "synced": kind.synced, "configuration": {}}
        )
        row["configuration"] |= kind.agent_configuration()
        row["lacks"] = kind.lacks
    return here


async def _is_here(
    kind: type[System | AgentSystem], result: dict[str, Any], say: Callable[[str], None]
) -> bool:
    try:
        await asyncio.to_thread(kind.check)
    except Missing as missing:
        result["systems"][kind.name] = {"missing": str(missing)}
        say(f"{kind.name} is not measured: {missing}")
        return False
    return True


def data_home() -> Path:
    """The system's temporary folder, or the current one if the former is kept in memory: a sync
    must be a sync."""
    temporary = Path(tempfile.gettempdir())
    return Path.cwd() if machine.filesystem(temporary) in machine.MEMORY_FILESYSTEMS else temporary


def _commit() -> str | None:
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=Path(__file__).parent,
            check=True,
            capture_output=True,
            text=True,
            timeout=10,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
