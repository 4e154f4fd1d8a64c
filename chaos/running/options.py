"""What a run is told, and what it gives back.

The law of this file: values only. Everything that a run depends on is in `RunOptions`, so that the
command printed at its end makes the same run again (as far as real clocks and sockets allow).
"""

from __future__ import annotations

import dataclasses
import shlex
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from quorate.consistency.check.verdict import Verdict
from quorate.core.errors import UsageError

Word = Literal["held", "broken", "unknown", "invalid"]
EXIT_CODES: dict[Word, int] = {"held": 0, "broken": 1, "unknown": 3, "invalid": 4}
HOSTS_MAX = 9
SECONDS_MAX = 7 * 24 * 3600.0
OPERATIONS_PER_S_MIN = 100.0
"""Fewer acknowledged operations per second before the fault prove nothing."""
FAST = {"heartbeat_s": 0.1, "election_min_s": 0.4, "election_max_s": 0.8}


@dataclass(frozen=True, slots=True)
class RunOptions:
    """One run."""

    workload: str = "register"
    """A name of `quorate chaos list`, or "module:Class"."""
    nemesis: str = "none"
    """A fault, "a,b" for one after the other, "a+b" for random pairs."""
    hosts: int = 3
    seconds: float = 20.0
    """Of faults; before and after them is a calm."""
    seed: int = 1
    rate: float | None = None
    """Operations per second of one client; None: the workload's own."""
    clients: int | None = None
    """Per host; None: the workload's own."""
    folder: str | Path = "runs"
    plant: str | None = None
    """A known bug to be put into the hosts."""
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Keywords of every host."""
    calm_s: float = 3.0
    report: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.hosts <= HOSTS_MAX:
            raise UsageError(f"hosts must be 1 to {HOSTS_MAX}, not {self.hosts}")
        if not 0 < self.seconds <= SECONDS_MAX:
            raise UsageError(f"seconds must be above 0, not {self.seconds:g}")
        if self.rate is not None and self.rate <= 0:
            raise UsageError(f"rate must be above 0, not {self.rate:g}")
        if self.clients is not None and self.clients < 1:
            raise UsageError(f"clients must be above 0, not {self.clients}")

    @property
    def host_ids(self) -> tuple[str, ...]:
        """a, b, c, ..."""
        return tuple(string.ascii_lowercase[: self.hosts])

    def command(self) -> str:
        """The command that runs it again."""
        parts = ["quorate", "chaos", "run", "--workload", self.workload, "--nemesis", self.nemesis]
        parts += ["--hosts", str(self.hosts), "--seconds", f"{self.seconds:g}"]
        parts += ["--seed", str(self.seed)]
        for name in ("rate", "clients", "plant"):
            value = getattr(self, name)
            if value is not None:
                parts += [f"--{name}", str(value)]
        return shlex.join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for `run.json`."""
        body = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        return {**body, "folder": str(self.folder), "settings": dict(self.settings)}


@dataclass(frozen=True, slots=True)
class RunResult:
    """What came of a run."""

    verdict: Word
    verdicts: list[Verdict]
    operations: int
    """Acknowledged."""
    per_s: float
    """Acknowledged operations per second in the calm before the faults."""
    faults: int
    """How many began."""
    folder: Path
    notes: list[str] = field(default_factory=list[str])
    """Why it is not simply held, and what a reader has to know."""
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        return 130 if self.interrupted else EXIT_CODES[self.verdict]

    def text(self) -> str:
        """For a person."""
        lines = [
            f"{self.verdict}: {self.operations} operations, {self.per_s:.0f}/s before the "
            f"faults, {self.faults} faults"
        ]
        lines += [f"  {note}" for note in self.notes]
        for verdict in self.verdicts:
            lines += [f"  {line}" for line in verdict.text().splitlines()]
        return "\n".join([*lines, f"folder: {self.folder}"])
