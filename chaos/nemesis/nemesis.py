"""The nemesis: does the faults of a plan to a cluster, and always heals it in the end.

The law of this file: whatever happens, also a cancellation in the middle of a fault, every fault
that began is ended, and the cluster is healed before `run` returns. What was done is told at once
(`on_fault`), and whether it showed; nothing is judged here (`validate.py` does).

    {"k": "fault", "phase": "begin", "name", "t", "hosts", "pairs", ...}
    {"k": "fault", "phase": "end", "name", "t", "hosts", "pairs", "shown", "effect", "held_s"}
    {"k": "fault", "phase": "skipped", "name", "t", "why"}        it could not begin, or not end
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

from quorate.chaos.faults.catalogue import fault_of
from quorate.chaos.faults.fault import ClusterFace, Fault, Scene, Shown
from quorate.chaos.lab.children import LabError
from quorate.chaos.nemesis.schedule import Pace, Plan, check_plan

OnFault = Callable[[dict[str, Any]], object]
LEAST_HOLD_S = 2.5
"""No fault is begun for a shorter time than this: a quiet link speaks once a second, and a slow one
answers later, so less would not show."""
NOBODY_LOOKED = Shown(False, "nobody looked")
LATE = frozenset({"pause"})
"""Begun last and ended first: links are not changed around a host that stands still."""


@dataclass(slots=True)
class _Begun:
    """A fault of this turn."""

    fault: Fault
    at: float
    hurt: dict[str, Any] = field(default_factory=lambda: {"hosts": [], "pairs": []})
    whole: bool = False
    """Whether `begin` came to its end."""
    shown: Shown = NOBODY_LOOKED


class Nemesis:
    """Raises `UsageError` when the cluster is too small for the plan."""

    def __init__(
        self,
        cluster: ClusterFace,
        plan: Plan,
        rng: Random,
        on_fault: OnFault,
        *,
        pace: Pace | None = None,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        check_plan(plan, cluster.hosts)
        self.current: tuple[str, ...] = ()
        """The faults that last now."""
        self._cluster = cluster
        self._plan = plan
        self._rng = rng
        self._on_fault = on_fault
        self._pace = pace or Pace()
        self._sleep = sleep
        self._now = now
        self._scene = Scene(cluster, rng, sleep)

    async def run(self, seconds: float) -> None:
        """Do faults for so long, then heal. A cancellation heals first and then goes on."""
        try:
            await self._turns(seconds)
        finally:
            await _to_the_end(self._cluster.heal())

    async def _turns(self, seconds: float) -> None:
        until = self._now() + seconds
        if self._plan.does_nothing:
            return await self._sleep(seconds)
        number = 0
        while (left_s := until - self._now()) >= min(LEAST_HOLD_S, seconds):
            names = self._plan.drawn(number, self._rng)
            number += 1
            await self._turn(names, self._pace.hold(self._rng, left_s))
            left_s = until - self._now()
            if left_s > 0:
                await self._sleep(self._pace.calm(self._rng, left_s))
        return None

    async def _turn(self, names: tuple[str, ...], hold_s: float) -> None:
        """One turn: all begin, last, are looked at, and end in the other order."""
        begun: list[_Begun] = []
        try:
            for name in sorted(names, key=lambda name: name in LATE):
                one = _Begun(fault_of(name)(), self._now())
                begun.append(one)
                try:
                    one.hurt.update(await one.fault.begin(self._scene))
                except LabError as error:
                    self._tell(one.fault, "skipped", one.at, one.hurt, why=str(error))
                    continue
                one.whole = True
                self._tell(one.fault, "begin", one.at, one.hurt)
                self.current = (*self.current, name)
                hosts = one.hurt["hosts"]
                if len(hosts) < len(self._cluster.hosts):
                    self._scene.taken.update(hosts)
            if self.current:
                await self._sleep(hold_s)
        finally:
            for one in begun:
                if one.whole:
                    one.shown = await _to_the_end(self._shown(one.fault))
            for one in reversed(begun):
                await self._over(one)
            self.current = ()
            self._scene.taken.clear()

    async def _over(self, one: _Begun) -> None:
        """End it, whether it had begun whole or not, and tell."""
        why = await _to_the_end(self._ended(one.fault))
        now = self._now()
        if one.whole:
            shown, held_s = one.shown, round(now - one.at, 3)
            more = {"shown": shown.ok, "effect": shown.text, "held_s": held_s}
            if shown.nobody_there:
                more["nobody_there"] = True
            self._tell(one.fault, "end", now, one.hurt, **more)
        if why:
            self._tell(one.fault, "skipped", now, one.hurt, why=why)

    async def _shown(self, fault: Fault) -> Shown:
        try:
            return await fault.shown(self._scene)
        except LabError as error:
            return Shown(False, f"nobody could look: {error}")

    async def _ended(self, fault: Fault) -> str:
        """End it; what went wrong. The heal at the end does what could not be done here."""
        try:
            await fault.end(self._scene)
        except LabError as error:
            return f"it could not be ended: {error}"
        return ""

    def _tell(
        self, fault: Fault, phase: str, at: float, hurt: Mapping[str, Any], **more: Any
    ) -> None:
        told = {"k": "fault", "name": fault.name, "phase": phase, "t": at, **hurt, **more}
        self._on_fault(told)


async def _to_the_end(work: Any) -> Any:
    """Finish it even when cancelled; the cancellation goes on afterwards."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task])
        raise
