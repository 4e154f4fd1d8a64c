"""A register outside of the cluster, with fencing tokens: what an agent does to the world.

The law: it takes a token that is at least the highest it has seen for that name, and refuses lower
ones; requests take their time on the way, sometimes long, and arrive even when who sent them is
dead by then.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from quorate.chaos.agents.record import Effect, Record, TurnRow
from quorate.chaos.sim.events import EventQueue, Life

HOP_S = (0.0005, 0.004)
LATE_PROBABILITY = 0.05
LATE_S = 2.0


class OutsideRegister:
    """One for all names."""

    def __init__(self, queue: EventQueue, rng: random.Random, record: Record) -> None:
        self._queue, self._rng, self._record = queue, rng, record
        self._highest: dict[str, int] = {}

    def write(self, life: Life, turn: TurnRow, token: int, make_future: Callable[[], Any]) -> Any:
        """Send an effect; the future gets whether it was accepted, if the process lives then."""
        told = make_future()
        delay = self._rng.uniform(*HOP_S)
        if self._rng.random() < LATE_PROBABILITY:
            delay += self._rng.random() * LATE_S

        def arrive() -> None:
            accepted = self._accept(turn, token)
            back = self._rng.uniform(*HOP_S)
            self._queue.after(back, lambda: life.run(lambda: _give(told, accepted)))

        self._queue.after(delay, arrive)
        return told

    def _accept(self, turn: TurnRow, token: int) -> bool:
        if token < self._highest.get(turn.name, 0):
            self._record.refused_effects += 1
            return False
        self._highest[turn.name] = token
        self._record.effects.append(Effect(self._queue.now, turn.name, token, turn))
        return True


def _give(waiter: Any, value: object) -> None:
    if not waiter.done():
        waiter.set_result(value)
