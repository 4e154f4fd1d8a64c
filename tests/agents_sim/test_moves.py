"""A crash at every step of a move, of the source, the target, the leader or of all: each message is
handled once and in order, nothing strong is lost, and the agent is in exactly one place.

One agent is moved while programs on all hosts write to it; at the step, in the very moment, a host
dies or stands still for longer than its lease. What the whole run was is then judged as any other.
"""

from __future__ import annotations

import gc
import os
import random
import warnings
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from quorate.chaos.agents.options import draw
from quorate.chaos.agents.parts import AgentParts
from quorate.chaos.agents.plants_moves import IN_DOUBT
from quorate.chaos.agents.record import AgentCall
from quorate.chaos.agents.world import Report, World
from quorate.chaos.sim.network import Weather
from quorate.hosts.agents.moving.mover import STEPS

SEEDS = 20 if os.environ.get("QUORATE_SOAK") else 1
NAME = "n0"
WHO = ("source", "target", "leader", "all")
HURTS = (
    *(f"kill {who}" for who in WHO),
    *(f"pause {who}" for who in WHO[:3]),
    "deafen source",
    "depose leader",
)
STRATEGIES = ("checkpoint_restore", "state_transfer", "cold_start")
LEASE_S = 0.8
PLACED_S, BEFORE_S, AFTER_S = 6.0, 0.3, 2.0
MOVE_S = 0.25
DEAF_S = 0.5
"""Shorter than the lease: the source goes on, and does not hear what became of its binding."""


class Story(World):
    """Three hosts, one of which leads; the agent goes from another one to the third."""

    def __init__(
        self, seed: int, step: str, hurt: str, strategy: str, parts: AgentParts | None = None
    ) -> None:
        options = replace(
            draw(seed, 0.0),
            hosts=("a", "b", "c"),
            voters=("a", "b", "c"),
            weather=Weather(delay_min_s=0.0003, delay_max_s=0.003),
            faults=("depose",),
            faults_per_s=0.0,
            lease_s=LEASE_S,
            names=1,
            calls_per_s=20.0,
            moves_weight=0,
            lives_weight=0,
            start_fails=0.0,
        )
        super().__init__(options, parts)
        self.reached = False
        """The step was reached, and what is told happened."""
        self._step, self._hurt, self._strategy = step, hurt, strategy
        self._chance = random.Random(f"story {seed} {step} {hurt}")
        self._cast: dict[str, str] = {}

    def trouble(self) -> None:
        if not self.until(self._unplaced, PLACED_S, "the agent is not where the story begins"):
            return
        self.pass_time(BEFORE_S)
        leader, source = str(self.log.leader), self.witness.present[NAME].host
        target = next(iter({*self.hosts} - {leader, source}))
        self._cast = {"leader": leader, "source": source, "target": target}
        self.hosts[source].engine.parts.mover.on_step = self._on_step
        self._move(source, target, MOVE_S if self._hurt == "deafen source" else 1.0)
        self.pass_time(AFTER_S)

    def _unplaced(self) -> str | None:
        """Have the agent on a host that does not lead."""
        present, leader = self.witness.present.get(NAME), self.log.leader
        if present is None or not present.begun or leader is None:
            return "it has not begun"
        if present.host == leader:
            self._move(leader, min({*self.hosts} - {leader}), 1.0)
            return "it is where the leader is"
        return None

    def _move(self, by: str, to: str, timeout_s: float) -> None:
        async def move(host: Any, call: AgentCall) -> None:
            await host.engine.face.move(NAME, to, self._strategy, timeout=timeout_s)

        self.programs.do(self.hosts[by], "move", NAME, move, {"to": to})

    # --- the hurt ---------------------------------------------------------------------------------

    def _on_step(self, name: str, step: str) -> None:
        if self.reached or name != NAME or step != self._step:
            return
        self.reached = True
        self.transcript.note("story:", self._hurt, "at", step, self._cast)
        how, _, who = self._hurt.partition(" ")
        for host in [*self.hosts] if who == "all" else [self._cast[who]]:
            getattr(self, f"_{how}")(self.hosts[host])

    def _kill(self, host: Any) -> None:
        host.kill()
        self.queue.after(self._chance.uniform(0.1, 1.5), lambda: self._revive(host))

    def _revive(self, host: Any) -> None:
        if host.life is None:
            host.start()

    def _pause(self, host: Any) -> None:
        host.pause()
        self.queue.after(LEASE_S * self._chance.uniform(1.1, 2.0), host.resume)

    def _deafen(self, host: Any) -> None:
        """Nothing reaches it for a while, and no link breaks."""
        links = [link for link in self.network.of(host.id) if link.target == host.id]
        for link in links:
            self.network.block(link, 60.0)
            self.queue.after(DEAF_S, partial(self.network.unblock, link))

    def _depose(self, host: Any) -> None:
        self.log.depose()


def told(
    step: str, hurt: str, strategy: str, parts: AgentParts | None = None, seed: int = 0
) -> Report:
    """Of a run that reached the step."""
    story = Story(seed, step, hurt, strategy, parts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # coroutines of killed processes
        report = story.run()
        reached = story.reached
        del story
        gc.collect()  # what is left of killed processes ends in here
    assert reached
    return report


# --- it holds -------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("hurt", HURTS)
def test_whatever_happens_at_a_step_of_a_move_nothing_is_lost_or_doubled(
    step: str, hurt: str
) -> None:
    strategy = STRATEGIES[(STEPS.index(step) + HURTS.index(hurt)) % len(STRATEGIES)]
    for seed in range(SEEDS):
        report = told(step, hurt, strategy, seed=seed)
        assert report.verdict == "held", (seed, report.findings, report.story[-30:])
        assert report.answered > 20


# --- it can fail ----------------------------------------------------------------------------------


def test_a_source_that_takes_no_answer_for_a_no_is_found() -> None:
    for seed in range(20):
        report = told("binding", "deafen source", STRATEGIES[0], IN_DOUBT, seed)
        if any("the group had given it to" in text for text in report.findings):
            return
    pytest.fail("it was not found")
