"""Hosts die by kill -9 under load, again and again, and nothing that was acknowledged is lost or
doubled.

Twenty kills by default; five hundred with QUORATE_SOAK=1, in rounds with a fresh cluster each. The
seed of the choices is printed when a round fails; give it back as QUORATE_SEED to make the same
choices (the timing of a machine cannot be repeated).
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from pathlib import Path

import pytest

from quorate.hosts.cli.client import AdminClient, kv_path
from quorate.hosts.demo import lines
from quorate.hosts.demo.arena import Arena
from quorate.hosts.demo.record import COUNTER_MARK

SOAK = os.environ.get("QUORATE_SOAK") == "1"
KILLS_PER_ROUND = 25 if SOAK else 20
ROUNDS = 20 if SOAK else 1
RATE = 700
"""Writes per second and host: enough to have writes on their way at every kill, few enough to count
them all."""


def seed_of(round_number: int) -> int:
    given = os.environ.get("QUORATE_SEED")
    return int(given) if given else random.SystemRandom().randrange(1 << 32) + round_number


@pytest.mark.parametrize("round_number", range(ROUNDS))
def test_nothing_acknowledged_is_lost_or_doubled_by_kills(
    tmp_path: Path, round_number: int
) -> None:
    seed = seed_of(round_number)
    kills = asyncio.run(round_of_kills(tmp_path, random.Random(seed), seed))
    assert kills >= KILLS_PER_ROUND


def test_the_check_finds_a_cluster_that_forgot_and_one_that_wrote_twice(tmp_path: Path) -> None:
    """The control of the test above: all folders are thrown away while everybody is dead, and a key
    that a writer wrote once is written again."""

    async def story() -> None:
        async with Arena(tmp_path, writers=32, rate=RATE, admin=True) as arena:
            await arena.start_all()
            arena.load()
            await arena.wait_for(lambda: arena.ledger.acked_count > 300, 20, "some load")
            assert all(verdict.held for verdict in await arena.verify())

            writer = next(w for w in arena.ledger.acked if not w.endswith(COUNTER_MARK))
            again = lines.value_of(writer, 0, 100)
            async with AdminClient(arena.views["a"].admin or "", None, 5) as client:
                path = kv_path(lines.key_of(writer, 0))
                await client.ask("PUT", path, body=again)
            assert [verdict.duplicated for verdict in await arena.verify()] == [1, 1, 1]

            for host_id in arena.views:
                await arena.kill(host_id)
                shutil.rmtree(tmp_path / host_id)
            for host_id in arena.views:
                await arena.start(host_id)
            await arena.wait_for(
                lambda: arena.leader is not None and arena.up, 20, "everybody back, with nothing"
            )
            for verdict in await arena.verify():
                assert verdict.lost >= 300

    asyncio.run(story())


async def round_of_kills(folder: Path, rng: random.Random, seed: int) -> int:
    """Kill until there were enough, then compare every copy with what was acknowledged."""
    async with Arena(folder, writers=48, rate=RATE) as arena:
        await arena.start_all()
        arena.load()
        kills = 0
        while kills < KILLS_PER_ROUND:
            await asyncio.sleep(rng.uniform(0.1, 0.8))
            victims = choose(arena, rng)
            for victim in victims:
                await arena.kill(victim)
            kills += len(victims)
            await asyncio.sleep(rng.choice((0.0, 0.0, rng.uniform(0.1, 1.0))))
            for victim in victims:
                await arena.start(victim)
            acked = arena.ledger.acked_count
            await arena.wait_for(
                lambda before=acked, gone=victims: (
                    arena.ledger.acked_count > before and all(map(arena.caught_up, gone))
                ),
                30,
                f"{victims} to be back after {kills} kills (seed {seed})",
            )
        verdicts = await arena.verify()
        assert arena.ledger.acked_count > 1000, "too little was written to prove anything"
        for verdict in verdicts:
            assert verdict.held, f"seed {seed}: {verdict}"
            assert verdict.checked >= arena.ledger.acked_count
        return kills


def choose(arena: Arena, rng: random.Random) -> list[str]:
    """Mostly the leader, often anybody, sometimes two at once, sometimes all."""
    hosts = sorted(arena.views)
    dice = rng.random()
    if dice < 0.45 and arena.leader is not None:
        return [arena.leader]
    if dice < 0.8:
        return [rng.choice(hosts)]
    return rng.sample(hosts, 2) if dice < 0.92 else hosts
