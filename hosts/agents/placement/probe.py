"""What the operating system says of this process and its machine.

The law of this file: the only place that asks psutil; one look costs well under a millisecond and
never waits. Figures are since the look before; the first look says nothing of the CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import psutil

MEGABYTE: Final = 1024 * 1024
_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")
_USED: Final = Path("/sys/fs/cgroup/memory.current")


class Reading(NamedTuple):
    """One look at the machine."""

    cpu_machine: float
    """0 to 1, of all cores."""
    cpu_process: float
    """0 to 1, of one core: a host has one thread that does everything."""
    memory: float
    """0 to 1: of the machine, or of what its control group allows, whichever is fuller."""
    memory_mb: float
    """How much there is."""
    process_mb: float
    """How much of it this process has."""
    cores: int


Probe = Callable[[], Reading]


class SystemProbe:
    """Looks at this machine."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._cores = psutil.cpu_count() or 1
        self._process.cpu_percent()
        self._times = _times()

    def __call__(self) -> Reading:
        memory = psutil.virtual_memory()
        total_mb = memory.total / MEGABYTE
        used = memory.percent / 100
        allowed_mb, group_mb = _control_group()
        if allowed_mb is not None and allowed_mb < total_mb:
            total_mb = allowed_mb
            used = max(used, group_mb / allowed_mb)
        return Reading(
            cpu_machine=self._cpu_machine(),
            cpu_process=_part(self._process.cpu_percent() / 100),
            memory=_part(used),
            memory_mb=total_mb,
            process_mb=self._process.memory_info().rss / MEGABYTE,
            cores=self._cores,
        )

    def _cpu_machine(self) -> float:
        """By own differences: what psutil remembers is one for the process, and it may run several
        hosts."""
        then, self._times = self._times, _times()
        busy_s, all_s = self._times[0] - then[0], self._times[1] - then[1]
        return _part(busy_s / all_s) if all_s > 0 else 0.0


def _times() -> tuple[float, float]:
    """(busy, busy and idle) seconds of all cores since the machine started."""
    times = psutil.cpu_times()
    idle_s = times.idle + getattr(times, "iowait", 0.0)
    busy_s = times.user + times.system + getattr(times, "nice", 0.0) + getattr(times, "steal", 0.0)
    return busy_s, busy_s + idle_s


def _part(value: float) -> float:
    return min(1.0, max(0.0, value))


def _control_group() -> tuple[float | None, float]:
    """(allowed, used) megabytes of the control group that this process is in; None: no bound."""
    with suppress(OSError, ValueError):
        allowed = int(_LIMIT.read_text())
        if allowed > 0:
            return allowed / MEGABYTE, int(_USED.read_text()) / MEGABYTE
    return None, 0.0
