"""Looks at the agents of this host, about once a second each, and does what is found to be needed.

The law of this file: what a look means is decided in `health.py`; here is what is measured, in
slices so that no look holds up the loop, and what each remedy is. An agent that does nothing costs
next to nothing. Whether an agent uses the loop, and not only takes long, is measured for those that
take long while others wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from quorate.core.errors import QuorateError
from quorate.hosts.agents.agent import Agent
from quorate.hosts.agents.health.backups import Backups, Corrupt
from quorate.hosts.agents.health.health import (
    CPU_HIGH_RATIO,
    LAG_HIGH_S,
    Look,
    Order,
    Track,
    judge,
)
from quorate.hosts.agents.health.meter import Meter
from quorate.hosts.agents.health.restarts import Restarts
from quorate.hosts.agents.health.weigh import weigh
from quorate.hosts.agents.lasting.tries import said
from quorate.hosts.agents.lifecycle import Status

if TYPE_CHECKING:
    from quorate.hosts.agents.activation import Activation
    from quorate.hosts.agents.world import AgentWorld

BEAT_S: Final = 0.2
"""How often `on_beat` is called."""
SLICES: Final = 5
SLICE_AGENTS_MAX: Final = 2000
LATE_S: Final = 1.0
"""A beat so late means that this host was starved or paused."""
WEIGH_S: Final = 10.0
WEIGHED_AGENTS_MAX: Final = 4
CHECK_S: Final = 30.0
QUIET_LOOKS: Final = 10
FINDINGS: Final = ("high_memory", "high_cpu", "unresponsive", "corrupted_state")


class _Seen:
    """What is kept of an agent that was not idle lately, or wants to be looked at."""

    __slots__ = (
        "at",
        "backed_up_at",
        "backed_up_commits",
        "busy_s",
        "checked_at",
        "checked_turns",
        "checking",
        "corrupt",
        "quiet",
        "suspect",
        "track",
        "used_s",
        "weighed_at",
        "weight_bytes",
    )

    def __init__(self, now: float, activation: Activation) -> None:
        self.track = Track()
        self.at = now
        self.busy_s = _busy_s(activation, now)
        self.used_s = 0.0
        self.quiet = 0
        """Looks in a row at which it did nothing."""
        self.weighed_at = float("-inf")
        self.weight_bytes = 0
        self.checked_at = self.backed_up_at = now
        self.checked_turns = activation.turns
        self.backed_up_commits = 0
        self.checking = False
        self.suspect = False
        """A read of its state made no sense: it is to be checked."""
        self.corrupt = ""


class Health:
    """One per host. `here`: the agents in its memory."""

    def __init__(
        self,
        world: AgentWorld,
        here: Mapping[str, Activation],
        restarts: Restarts,
        backups: Backups,
    ) -> None:
        self._world = world
        self._now = world.group.clock.monotonic
        self._here = here
        self._restarts = restarts
        self._backups = backups
        self._seen: dict[Activation, _Seen] = {}
        self._to_look_at: list[Activation] = []
        self._slice_agents = 0
        self._beat_at = 0.0
        self._late_until = 0.0
        self._lag_s = self._lag_before_s = 0.0
        self._weighed = 0
        self._counts = dict.fromkeys(FINDINGS, 0)

    # --- looking ----------------------------------------------------------------------------------

    def on_beat(self, now: float) -> None:
        """Five times a second: look at a slice."""
        lag_s = max(0.0, now - self._beat_at - BEAT_S) if self._beat_at else 0.0
        self._beat_at = now
        self._lag_s = max(self._lag_s, lag_s)
        if lag_s > LATE_S:
            self._late_until = now + 2 * SLICES * BEAT_S
        if not self._to_look_at:
            self._begin_pass()
        self._weighed = 0
        for _ in range(min(self._slice_agents, len(self._to_look_at))):
            activation = self._to_look_at.pop()
            if self._here.get(activation.name) is activation and not activation.anonymous:
                self._look_at(activation, now)

    def _begin_pass(self) -> None:
        self._to_look_at = list(self._here.values())
        self._slice_agents = min(SLICE_AGENTS_MAX, 1 + len(self._to_look_at) // SLICES)
        self._lag_before_s, self._lag_s = self._lag_s, 0.0
        for activation in [one for one in self._seen if self._here.get(one.name) is not one]:
            del self._seen[activation]

    def _look_at(self, activation: Activation, now: float) -> None:
        cls = activation.cls.cls
        idle = activation.idle
        seen = self._seen.get(activation)
        if seen is None:
            if idle and cls.memory_mb is None and not _is_checked(activation):
                return
            seen = self._seen[activation] = _Seen(now, activation)
            return
        if now <= seen.at:
            return
        orders = judge(seen.track, self._measure(activation, seen, now))
        seen.corrupt = ""
        for order in orders:
            self._do(activation, seen, order)
        self._check_later(activation, seen, now)
        seen.quiet = seen.quiet + 1 if idle and not seen.track.findings else 0
        if seen.quiet > QUIET_LOOKS and cls.memory_mb is None and not _is_checked(activation):
            activation.meter = None
            self._seen.pop(activation, None)

    def _measure(self, activation: Activation, seen: _Seen, now: float) -> Look:
        cls, turn = activation.cls.cls, activation.turn
        running_s = 0.0 if turn is None else now - turn.started_at
        allowed = cls.state_bytes_max
        if cls.memory_mb is not None:
            allowed = int(cls.memory_mb * 1024 * 1024)
            self._weigh(activation, seen, now)
        look = Look(
            at=now,
            late=now < self._late_until,
            lag_s=max(self._lag_s, self._lag_before_s),
            turns=activation.turns,
            queued=len(activation.queue),
            running_s=running_s,
            turn_limit_s=cls.turn_timeout_s,
            may_run=activation.holds
            and not activation.paused
            and activation.status is Status.ACTIVE,
            busy_ratio=self._busy_ratio(activation, seen, now),
            used_bytes=_state_bytes(activation) + seen.weight_bytes,
            allowed_bytes=allowed,
            corrupt=seen.corrupt,
        )
        seen.at = now
        return look

    def _busy_ratio(self, activation: Activation, seen: _Seen, now: float) -> float:
        """Of the loop's time since the last look, as far as it is measured."""
        passed_s = now - seen.at
        busy_s = _busy_s(activation, now)
        at_most = (busy_s - seen.busy_s) / passed_s
        if activation.shared_turns:
            at_most = 1.0
        seen.busy_s = busy_s
        meter = activation.meter
        if meter is None:
            if at_most >= CPU_HIGH_RATIO and max(self._lag_s, self._lag_before_s) >= LAG_HIGH_S:
                activation.meter = Meter(self._now)
                seen.used_s = 0.0
            return 0.0
        used_s, seen.used_s = meter.used_s - seen.used_s, meter.used_s
        return min(1.0, used_s / passed_s)

    def _weigh(self, activation: Activation, seen: _Seen, now: float) -> None:
        """What the object itself keeps, and its local layer."""
        if now - seen.weighed_at < WEIGH_S or self._weighed >= WEIGHED_AGENTS_MAX:
            return
        self._weighed += 1
        seen.weighed_at = now
        own = [value for key, value in vars(activation.agent).items() if key != "_activation"]
        local = activation.state.export_local() if hasattr(activation, "state") else {}
        seen.weight_bytes = weigh([*own, local])

    # --- checking the state -----------------------------------------------------------------------

    def on_error(self, activation: Activation, error: BaseException) -> None:
        """A turn of it ended with this error. It may come from elsewhere: so the state is looked at
        before anything is done."""
        if isinstance(error, Corrupt) and not activation.anonymous:
            seen = self._seen.get(activation)
            if seen is None:
                seen = self._seen[activation] = _Seen(self._now(), activation)
            seen.suspect = True

    def _check_later(self, activation: Activation, seen: _Seen, now: float) -> None:
        """Have the state checked, and copied, if it is time for that."""
        if seen.checking or activation.status is not Status.ACTIVE or activation.paused:
            return
        backup_s = activation.cls.cls.backup_s
        changed = activation.commits != seen.backed_up_commits
        copies = backup_s is not None and changed and now - seen.backed_up_at >= backup_s
        asks = _has_check(activation) and (
            activation.turns != seen.checked_turns and now - seen.checked_at >= CHECK_S
        )
        if not (seen.suspect or copies or asks):
            return
        work = partial(self._check, activation, seen, copies and not activation.degraded)
        try:
            activation.post(work, label="check_state", done=partial(self._on_checked, seen))
        except QuorateError:
            return
        seen.checking = True
        seen.checked_at = now

    async def _check(self, activation: Activation, seen: _Seen, copies: bool, agent: Agent) -> None:
        if seen.suspect:
            seen.corrupt = await self._backups.check(agent)
        elif _has_check(activation):
            seen.corrupt = await self._backups.ask(agent)
        seen.suspect = False
        if seen.corrupt or not copies:
            return
        seen.backed_up_at = self._now()
        await self._backups.take(activation)
        seen.backed_up_commits = activation.commits + 1  # this one

    def _on_checked(self, seen: _Seen, error: BaseException | None) -> None:
        seen.checking = False
        for activation, other in self._seen.items():
            if other is seen:
                seen.checked_turns = activation.turns
                if error is not None:
                    self._world.on_problem(
                        f"agent {activation.name!r}: its state was not checked: {said(error)}"
                    )
                return

    # --- remedies ---------------------------------------------------------------------------------

    def _do(self, activation: Activation, seen: _Seen, order: Order) -> None:
        name = activation.name
        if order.remedy == "throttle":
            rises = order.throttle_s > activation.throttle_s
            activation.throttle_s = order.throttle_s
            if not rises:
                return
        self._counts[order.finding] += 1
        self._world.on_problem(f"agent {name!r}: {order.finding}: {order.text}: {order.remedy}")
        if order.remedy == "clean_up":
            seen.weighed_at = float("-inf")
            self._clean_up(activation)
        elif order.remedy == "restart":
            self._restarts.restart(activation, f"{order.finding}: {order.text}")
        elif order.remedy == "restore":
            self._restarts.restart(
                activation,
                f"{order.finding}: {order.text}",
                partial(_restored, self._backups, order.text),
            )

    def _clean_up(self, activation: Activation) -> None:
        if "on_cleanup" not in activation.cls.overrides:
            return
        try:
            activation.post(_cleaned_up, label="on_cleanup")
        except QuorateError:
            return  # it is leaving

    # --- showing ----------------------------------------------------------------------------------

    def of(self, activation: Activation) -> dict[str, Any]:
        """How an agent is, as plain values."""
        seen = self._seen.get(activation)
        return {
            "findings": [] if seen is None else list(seen.track.findings),
            "throttle_s": activation.throttle_s,
            "used_bytes": _state_bytes(activation) + (0 if seen is None else seen.weight_bytes),
        }

    def on_gone(self, activation: Activation) -> None:
        """It is in this host's memory no more."""
        self._seen.pop(activation, None)

    def statistics(self) -> dict[str, Any]:
        return {
            "watched": len(self._seen),
            "loop_lag_s": round(max(self._lag_s, self._lag_before_s), 4),
            **{f"{name}_total": count for name, count in self._counts.items()},
            **self._backups.statistics(),
        }


def _busy_s(activation: Activation, now: float) -> float:
    turn = activation.turn
    return activation.busy_s + (0.0 if turn is None else now - turn.started_at)


def _state_bytes(activation: Activation) -> int:
    return activation.state.used_bytes if hasattr(activation, "state") else 0


def _has_check(activation: Activation) -> bool:
    return activation.cls.cls.check_state is not Agent.check_state


def _is_checked(activation: Activation) -> bool:
    return activation.cls.cls.backup_s is not None or _has_check(activation)


async def _cleaned_up(agent: Agent) -> None:
    await agent.on_cleanup()


async def _restored(backups: Backups, why: str, agent: Agent) -> None:
    activation: Any = agent._activation  # pyright: ignore[reportPrivateUsage]
    await backups.restore(activation, why)
