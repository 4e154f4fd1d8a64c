"""Hosts with agents are paused beyond their lease, killed, drained and told to stop, under load:
every agent goes on elsewhere, and nothing acknowledged is lost, doubled or out of order.

Once each by default; with QUORATE_SOAK=1 again and again, the victims restarted in between.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from quorate.hosts.demo.agent_record import AgentVerdict, Heard, judge_heard, percentile
from quorate.hosts.demo.agent_scene import AgentScene, recovered, spread

SOAK = os.environ.get("QUORATE_SOAK") == "1"
ROUNDS = 10 if SOAK else 1
MANY = 1000
"""Agents on the host that is hurt."""
RATE = 400
"""Calls per second, of all callers together."""
AGAIN_S = 20.0
P99_S = 3.0
LEADER_P99_S = 6.0
CHECKED = 1000
"""So many acknowledged calls are judged at least."""
PAUSED_CALL_S = 0.5
"""Whoever calls a host that says nothing and breaks no link calls again after so long."""


def shops(prefix: str, count: int) -> list[str]:
    return [f"{prefix}:{n:04d}" for n in range(count)]


def report(test: str, **figures: object) -> None:
    """Shown by pytest -s, and when the test fails."""
    print(f"{test}: " + ", ".join(f"{name} {figure}" for name, figure in figures.items()))


def assert_held(verdict: AgentVerdict, least: int) -> None:
    assert verdict.held, verdict
    assert verdict.checked >= least, "too little was acknowledged to prove anything"


async def everyone_answers(
    scene: AgentScene,
    names: Sequence[str],
    epochs: dict[str, int],
    at: float,
    call_s: float = AGAIN_S,
) -> tuple[float, float]:
    """Call all names from all hosts that are up, again after `call_s`; p50 and p99 of the seconds
    since `at` until each was answered by a newer epoch."""
    answered = asyncio.ensure_future(recovered(scene, names, epochs, at, AGAIN_S))
    while not answered.done():
        probes = [scene.ask(host, "probe", call_s, names=list(names)) for host in scene.up]
        await asyncio.gather(*probes)
    found = await answered
    return percentile(found, 50), percentile(found, 99)


# --- a pause --------------------------------------------------------------------------------------


def test_a_host_that_was_paused_beyond_its_lease_does_nothing_any_more(tmp_path: Path) -> None:
    asyncio.run(paused(tmp_path))


async def paused(folder: Path) -> None:
    names, heralds = shops("shop", 200), [f"herald:{n}" for n in range(5)]
    async with AgentScene(folder) as scene:
        await scene.start_agents("Shop", names)
        await scene.start_agents("Scribe", ["listener"], on="a")
        for round_number in range(ROUNDS):
            victim = "bc"[round_number % 2]
            await pause(scene, victim, names, heralds, round_number)
        verdict = await scene.verdict(
            [*names, *(f"{h}/{n}" for h in heralds for n in range(ROUNDS))]
        )
        lines = (await scene.must("a", "read", name="listener"))["lines"]
        judge_heard((Heard(*line) for line in lines), verdict)
        report("pause", heard=len(lines), turned_away=scene.ledger.turned_away, verdict=verdict)
        assert_held(verdict, 500)


async def pause(
    scene: AgentScene, victim: str, names: list[str], heralds: list[str], number: int
) -> None:
    """SIGSTOP in the middle of everything, until all agents act elsewhere; then SIGCONT."""
    heralds = [f"{herald}/{number}" for herald in heralds]
    await scene.start_agents("Herald", heralds, on=victim)
    await scene.load(names, rate=RATE, ship_every=4)

    def proclaim(by: str, times: int) -> list[asyncio.Task[dict[str, object]]]:
        orders = {"listener": "listener", "times": times, "pause_s": 0.01}
        return [
            asyncio.create_task(scene.ask(by, "proclaim", 30, name=name, **orders))
            for name in heralds
        ]

    old = proclaim("a", 100_000)
    await scene.wait_for(
        lambda: set(heralds) <= set(scene.ledger.highest), 10, "all heralds to act"
    )
    await asyncio.sleep(0.5)
    there = await scene.where("", by="a")
    mine = [name for name in names if there[name] == victim]
    assert len(mine) > 10
    assert all(there[name] == victim for name in heralds)
    led, epochs = await scene.leader() == victim, scene.ledger.epochs(mine)
    tokens = dict(scene.ledger.highest)

    at = scene.signal(victim, signal.SIGSTOP)
    scene.up.remove(victim)
    p50, p99 = await everyone_answers(scene, mine, epochs, at, PAUSED_CALL_S)
    new = await asyncio.gather(*proclaim("a", 20))
    assert all(answer["ok"] for answer in new), new
    assert all(scene.ledger.highest[name] > tokens[name] for name in heralds)
    paused_s = time.monotonic() - at
    turned_away = scene.ledger.turned_away

    scene.up.append(victim)
    scene.signal(victim, signal.SIGCONT)
    ended = await asyncio.gather(*old)
    assert not any(answer["ok"] for answer in ended), "a turn of a past epoch was acknowledged"
    await scene.wait_ready()
    fresh = shops(f"fresh{number}", 20)
    await scene.start_agents("Shop", fresh, on=victim)
    assert set((await scene.where(f"fresh{number}:")).values()) == {victim}
    await scene.all("probe", names=[*names, *fresh])
    names += fresh
    await scene.load()
    report(
        "pause",
        agents=len(mine),
        led=led,
        paused_s=round(paused_s, 2),
        p50=round(p50, 2),
        p99=round(p99, 2),
        turned_away=scene.ledger.turned_away - turned_away,
    )


# --- kill -9 --------------------------------------------------------------------------------------


def test_a_thousand_agents_of_a_killed_host_answer_again_elsewhere(tmp_path: Path) -> None:
    asyncio.run(killed(tmp_path))


async def killed(folder: Path) -> None:
    names = shops("shop", MANY)
    async with AgentScene(folder) as scene:
        leader = await scene.leader()
        victim = next(host for host in scene.hosts if host != leader)
        await scene.start_agents("Shop", names, on=victim)
        await scene.all("probe", names=names)
        for number in range(ROUNDS):
            there = await scene.where("shop:")
            leader = await scene.leader()
            counts = spread(there)
            victim = max((h for h in scene.hosts if h != leader), key=lambda h: counts.get(h, 0))
            await kill(scene, victim, names, P99_S, f"kill {number}")
        assert_held(await scene.verdict(names), MANY * 3)


def test_the_agents_of_a_killed_host_that_led_answer_again(tmp_path: Path) -> None:
    asyncio.run(leader_killed(tmp_path))


async def leader_killed(folder: Path) -> None:
    names = shops("shop", 300)
    async with AgentScene(folder) as scene:
        await scene.start_agents("Shop", names)
        await scene.all("probe", names=names)
        for number in range(ROUNDS):
            await kill(scene, await scene.leader(), names, LEADER_P99_S, f"kill leader {number}")
        assert_held(await scene.verdict(names), 1000)


async def kill(scene: AgentScene, victim: str, names: list[str], p99_s: float, what: str) -> None:
    """kill -9 under load; every agent that was there answers elsewhere in time. Then the host comes
    back, if there is a next time."""
    await scene.load(names, rate=RATE, ship_every=10)
    await asyncio.sleep(1.0)
    there = await scene.where("shop:")
    mine = [name for name in names if there[name] == victim]
    assert mine
    epochs = scene.ledger.epochs(mine)
    at = await scene.kill(victim)
    p50, p99 = await everyone_answers(scene, mine, epochs, at)
    now = await scene.where("shop:")
    report(what, agents=len(mine), p50=round(p50, 2), p99=round(p99, 2), now=spread(now))
    assert set(now) == set(names)
    assert victim not in now.values()
    assert p99 <= p99_s
    await asyncio.sleep(0.5)
    if ROUNDS > 1:
        await scene.start(victim)
        await scene.wait_ready()
        await scene.load()


# --- in good order --------------------------------------------------------------------------------


def test_agents_leave_a_host_that_is_drained_or_told_to_stop_and_no_call_fails(
    tmp_path: Path,
) -> None:
    asyncio.run(drained(tmp_path))


async def drained(folder: Path) -> None:
    here, there = shops("here", MANY), shops("there", MANY)
    names = [*here, *there]
    async with AgentScene(folder) as scene:
        await scene.start_agents("Shop", here, on="b")
        await scene.start_agents("Shop", there, on="c")
        for number in range(ROUNDS):
            await scene.load(names, rate=RATE, ship_every=10)
            await asyncio.sleep(1.0)
            await drain(scene, "b", number)
            await stop(scene, "c", number)
            await scene.wait_for(
                lambda least=CHECKED * (number + 1): scene.ledger.acked_count >= least,
                AGAIN_S,
                "enough calls to judge",
            )
            await scene.load()
            failures = scene.ledger.failures
            assert not failures, f"{len(failures)} calls failed: {failures[:3]}"
            if number + 1 < ROUNDS:
                await scene.start("c")
                await scene.wait_ready()
                for host, group in (("b", here), ("c", there)):
                    moves = (scene.must("a", "move", name=n, to=host) for n in group[:200])
                    await asyncio.gather(*moves)
        assert_held(await scene.verdict(names), CHECKED)


async def drain(scene: AgentScene, host: str, number: int) -> None:
    before = spread(await scene.where("")).get(host, 0)
    answer = await scene.must("a", "drain", 40, which=host)
    assert host not in (await scene.where("")).values()
    report(f"drain {number}", agents=before, moved=answer["moved"], took_ms=answer["took_ms"])
    await scene.must("a", "undrain", which=host)


async def stop(scene: AgentScene, host: str, number: int) -> None:
    before = spread(await scene.where("")).get(host, 0)
    at = time.monotonic()
    assert await asyncio.wait_for(scene.terminate(host), 45) == 0
    took_s = time.monotonic() - at
    now = await scene.where("")
    report(f"SIGTERM {number}", agents=before, took_s=round(took_s, 2), now=spread(now))
    assert host not in now.values()
    assert len(now) == 2 * MANY
    await asyncio.sleep(0.5)


# --- all of it, by chance -------------------------------------------------------------------------


@pytest.mark.skipif(not SOAK, reason="long")
def test_any_hurt_in_any_order(tmp_path: Path) -> None:
    seed = int(os.environ.get("QUORATE_SEED") or random.SystemRandom().randrange(1 << 32))
    print("seed", seed)
    asyncio.run(anything(tmp_path, random.Random(seed)))


async def anything(folder: Path, rng: random.Random) -> None:
    names = shops("shop", 300)
    async with AgentScene(folder) as scene:
        await scene.start_agents("Shop", names)
        for _ in range(4 * ROUNDS):
            await scene.load(names, rate=RATE, ship_every=4)
            await asyncio.sleep(rng.uniform(0.1, 1.0))
            victim = rng.choice(scene.hosts)
            how = rng.choice(("kill", "pause", "stop"))
            if how == "pause":
                scene.signal(victim, signal.SIGSTOP)
                await asyncio.sleep(rng.uniform(0.1, 4.0))
                scene.signal(victim, signal.SIGCONT)
            else:
                await (scene.kill(victim) if how == "kill" else scene.terminate(victim))
                await asyncio.sleep(rng.choice((0.0, rng.uniform(0.0, 3.0))))
                await scene.start(victim)
            await scene.wait_ready()
            await scene.all("probe", AGAIN_S, names=names)
        assert_held(await scene.verdict(names), 5000)
