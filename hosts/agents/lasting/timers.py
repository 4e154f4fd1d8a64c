"""Timers: work of an agent that ends with its time in this host's memory.

The law of this file: what a timer does is a turn of its own, in its place in the mailbox; so it is
fenced and committed like every other turn, and no turn of it begins while the host may not act. One
turn of a timer is on its way at a time: what came due meanwhile is left out. Nothing here lasts.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from quorate.core import clock
from quorate.core.errors import Fenced, LimitExceeded, QuorateError, UsageError
from quorate.hosts.agents.lasting.tries import said

if TYPE_CHECKING:
    from quorate.hosts.agents.activation import Activation
    from quorate.hosts.agents.agent import Agent
    from quorate.hosts.agents.world import AgentWorld

EVERY_MIN_S: Final = 0.001
TIMERS_PER_AGENT_MAX: Final = 1024

Work = Callable[[], Awaitable[object] | object]


class Timer:
    """One timer: `cancel()` ends it, and no turn of it begins after that."""

    __slots__ = ("_timers", "activation", "at", "every_s", "over", "planned", "turns", "work")

    def __init__(
        self, timers: Timers, activation: Activation, work: Work, at: float, every_s: float | None
    ) -> None:
        self._timers = timers
        self.activation = activation
        self.work = work
        self.at = at
        """When it is due (monotonic)."""
        self.every_s = every_s
        self.planned: clock.Timer | None = None
        self.turns = 0
        self.over = False

    def cancel(self) -> None:
        """No turn of it begins any more. Safe to call twice."""
        self._timers.end(self)

    def __repr__(self) -> str:
        how = "once" if self.every_s is None else f"every {self.every_s:g} s"
        return f"<Timer of {self.activation.name!r} {how}{', over' if self.over else ''}>"


class Timers:
    """One per host."""

    def __init__(self, world: AgentWorld) -> None:
        self._world = world
        self._now = world.group.clock.monotonic
        self._of: dict[Activation, dict[Timer, None]] = {}
        self._stopped = False
        self._counts = dict.fromkeys(("set", "turns", "failed"), 0)

    def timer(
        self,
        activation: Activation,
        work: Work,
        *,
        after: float | None = None,
        every: float | None = None,
    ) -> Timer:
        """Run `work` `after` so many seconds, and then `every` so many. Raises `UsageError`,
        `LimitExceeded`, and `Fenced` while the host cannot be sure that it runs the agent."""
        if not callable(work):
            raise UsageError(f"timer(work): give it a function without arguments, not {work!r:.60}")
        if after is None and every is None:
            raise UsageError("timer() needs after= or every=")
        _check("after", after, 0.0)
        _check("every", every, EVERY_MIN_S)
        if self._stopped or not activation.holds:
            raise Fenced(f"agent {activation.name!r}: this host cannot be sure that it runs it")
        own = self._of.setdefault(activation, {})
        if len(own) >= TIMERS_PER_AGENT_MAX:
            raise LimitExceeded(
                f"agent {activation.name!r} has {TIMERS_PER_AGENT_MAX} timers: cancel some"
            )
        first_s = after if after is not None else every
        assert first_s is not None
        made = Timer(self, activation, work, self._now() + first_s, every)
        own[made] = None
        self._counts["set"] += 1
        self._plan(made)
        return made

    def has(self, activation: Activation) -> bool:
        """Whether the agent has timers: it is not taken out of memory then."""
        return activation in self._of

    # --- firing -----------------------------------------------------------------------------------

    def _plan(self, timer: Timer) -> None:
        delay_s = max(0.0, timer.at - self._now())
        timer.planned = self._world.group.scheduler.call_later(delay_s, lambda: self._fire(timer))

    def _fire(self, timer: Timer) -> None:
        timer.planned = None
        if timer.over or self._stopped:
            return

        async def turn(_: Agent) -> None:
            if timer.over:
                return
            timer.turns += 1
            self._counts["turns"] += 1
            result = timer.work()
            if inspect.isawaitable(result):
                await result

        try:
            timer.activation.post(
                turn, label="timer", done=lambda error: self._on_done(timer, error)
            )
        except QuorateError:
            self.end(timer)  # the activation is over, or is leaving

    def _on_done(self, timer: Timer, error: BaseException | None) -> None:
        if error is not None and not isinstance(error, Fenced):
            self._counts["failed"] += 1
            self._world.on_problem(f"agent {timer.activation.name!r}: a timer raised {said(error)}")
        if timer.over:
            return
        if timer.every_s is None or not timer.activation.alive:
            self.end(timer)
            return
        passed = math.floor((self._now() - timer.at) / timer.every_s)
        timer.at += timer.every_s * max(1, passed + 1)
        self._plan(timer)

    # --- the end ----------------------------------------------------------------------------------

    def end(self, timer: Timer) -> None:
        """It fires no more. Safe to call twice."""
        timer.over = True
        if timer.planned is not None:
            timer.planned.cancel()
            timer.planned = None
        own = self._of.get(timer.activation)
        if own is not None:
            own.pop(timer, None)
            if not own:
                del self._of[timer.activation]

    def on_gone(self, activation: Activation) -> None:
        """The activation is over: so are its timers."""
        for timer in list(self._of.get(activation, ())):
            self.end(timer)

    def stop(self) -> None:
        """End all of them. Safe to call twice."""
        self._stopped = True
        for activation in list(self._of):
            self.on_gone(activation)

    def statistics(self) -> dict[str, Any]:
        return {
            "timers": sum(map(len, self._of.values())),
            **{f"{name}_total": count for name, count in self._counts.items()},
        }


def _check(what: str, value: float | None, least_s: float) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError(f"{what}= must be a number of seconds, not {value!r:.60}")
    if value < least_s:
        raise UsageError(f"{what}= must be at least {least_s:g} seconds, not {value!r}")
