"""How busy the hosts are: this one is measured, the others say it.

The law of this file: figures are smoothed, told to all members about once a second, and forgotten
when nothing new came for `STALE_S`; whoever uses them is told how old they are. A host that is told
nothing loses nothing but evenness. Time and the probe are handed in.

    {"type": "agents.load", "cpu": 0..1000, "memory": 0..1000, "lag_ms", "memory_mb", "process_mb",
     "cores"}
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from quorate.core.clock import Clock, Scheduler, Timer
from quorate.core.wire.frames import ProtocolError
from quorate.core.wire.limits import Lane
from quorate.hosts.agents.placement.probe import Probe, Reading
from quorate.hosts.agents.placement.views import STALE_S, Load
from quorate.hosts.agents.world import Send

TYPE: Final = "agents.load"
TELL_S: Final = 1.0
LAG_LOOK_S: Final = 0.1
SMOOTHING: Final = 0.4
"""The part of a new figure in the smoothed one: after three seconds it is four fifths of it."""
LAG_FADES: Final = 0.9
"""A delay counts less by so much at each look: half of it is forgotten in 0.7 s."""
FIELDS: Final = ("cpu", "memory", "lag_ms", "memory_mb", "process_mb", "cores")


class Report(NamedTuple):
    """What a host said of itself."""

    load: Load
    memory_mb: float
    process_mb: float
    cores: int
    at_s: float
    """When it was heard, by this host's monotonic clock."""


class LoadMeter:
    """`members()`: whom to tell. `on_news()` is called when anybody's figures changed."""

    def __init__(
        self,
        host_id: str,
        *,
        clock: Clock,
        scheduler: Scheduler,
        send: Send,
        members: Callable[[], tuple[str, ...]],
        probe: Probe,
        on_news: Callable[[], object] = lambda: None,
    ) -> None:
        self._id = host_id
        self._now = clock.monotonic
        self._scheduler = scheduler
        self._send = send
        self._members = members
        self._probe = probe
        self._on_news = on_news
        self._reports: dict[str, Report] = {}
        self._lag_s = 0.0
        self._look: Timer | None = None
        self._tell: Timer | None = None
        self._counts = dict.fromkeys(("told", "not_told", "heard"), 0)

    # --- life -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Measure and tell from now on."""
        if self._tell is None:
            self._measure(1.0)
            self._plan_look()
            self._tell = self._scheduler.call_later(0.0, self._on_tell)

    def stop(self) -> None:
        for timer in (self._look, self._tell):
            if timer is not None:
                timer.cancel()
        self._look = self._tell = None

    # --- measuring --------------------------------------------------------------------------------

    def _plan_look(self) -> None:
        due = self._now() + LAG_LOOK_S

        def on_look() -> None:
            late_s = max(0.0, self._now() - due)
            self._lag_s = max(late_s, self._lag_s * LAG_FADES)
            self._plan_look()

        self._look = self._scheduler.call_later(LAG_LOOK_S, on_look)

    def _measure(self, part: float) -> None:
        reading: Reading = self._probe()
        former = self._reports.get(self._id)
        cpu = max(reading.cpu_machine, reading.cpu_process)
        if former is not None:
            cpu = former.load.cpu + part * (cpu - former.load.cpu)
        memory = reading.memory
        if former is not None:
            memory = former.load.memory + part * (memory - former.load.memory)
        self._reports[self._id] = Report(
            Load(cpu, memory, self._lag_s),
            reading.memory_mb,
            reading.process_mb,
            reading.cores,
            self._now(),
        )

    # --- telling ----------------------------------------------------------------------------------

    def _on_tell(self) -> None:
        self._tell = self._scheduler.call_later(TELL_S, self._on_tell)
        self._measure(SMOOTHING)
        message = self.message()
        members = self._members()
        for peer in members:
            if peer != self._id:
                told = self._send(peer, message, Lane.NORMAL)
                self._counts["told" if told else "not_told"] += 1
        for gone in set(self._reports) - set(members) - {self._id}:
            del self._reports[gone]
        self._on_news()

    def message(self) -> dict[str, Any]:
        """What is told."""
        own = self._reports[self._id]
        return {
            "type": TYPE,
            "cpu": round(own.load.cpu * 1000),
            "memory": round(own.load.memory * 1000),
            "lag_ms": round(own.load.lag_s * 1000),
            "memory_mb": round(own.memory_mb),
            "process_mb": round(own.process_mb),
            "cores": own.cores,
        }

    def on_message(self, peer: str, message: dict[str, Any]) -> None:
        """A host said how busy it is. Raises `ProtocolError` if it is malformed."""
        values = [message.get(name) for name in FIELDS]
        if any(type(value) is not int or not 0 <= value < 1 << 53 for value in values):
            raise ProtocolError(f"{TYPE} of {peer!r}: {', '.join(FIELDS)} are numbers from 0 on")
        if peer not in self._members():
            return
        cpu, memory, lag_ms, memory_mb, process_mb, cores = (int(value or 0) for value in values)
        load = Load(min(1.0, cpu / 1000), min(1.0, memory / 1000), lag_ms / 1000)
        self._reports[peer] = Report(load, memory_mb, process_mb, cores, self._now())
        self._counts["heard"] += 1
        self._on_news()

    # --- what is known ----------------------------------------------------------------------------

    def report(self, host: str) -> Report | None:
        """What the host said last, with the age of it; None if it said nothing yet."""
        found = self._reports.get(host)
        if found is None:
            return None
        age_s = max(0.0, self._now() - found.at_s)
        return found._replace(load=found.load._replace(age_s=age_s))

    def load(self, host: str) -> Load | None:
        """How busy the host is; None if that is not known."""
        found = self.report(host)
        return None if found is None else found.load

    def capacity(self, host: str) -> dict[str, float]:
        """The memory and cores of the host's machine, as far as known."""
        found = self._reports.get(host)
        if found is None or not found.memory_mb:
            return {}
        return {"memory_mb": float(math.floor(found.memory_mb)), "cpu": float(found.cores)}

    def statistics(self) -> dict[str, Any]:
        own = self._reports.get(self._id)
        now = self._now()
        known = sum(1 for report in self._reports.values() if now - report.at_s < STALE_S)
        return {
            "cpu_ratio": 0.0 if own is None else round(own.load.cpu, 3),
            "memory_ratio": 0.0 if own is None else round(own.load.memory, 3),
            "lag_s": round(self._lag_s, 4),
            "process_mb": 0.0 if own is None else round(own.process_mb, 1),
            "hosts_known": known,
            **{f"{name}_total": count for name, count in self._counts.items()},
        }
