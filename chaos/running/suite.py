"""The matrix: every workload under every fault, and the table of what came of it.

The law of this file: each cell is a run of its own with a seed of its own, in a process of its own;
`jobs` of them go on at once. The table is written anew after each, so that an interrupted suite
leaves what it has. A cell is run again only when it is asked for (`resume`: those that have not
held yet), and the page says how often that was, and what came of it before.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from quorate.chaos.nemesis.schedule import plan_of
from quorate.chaos.running.ending import versions
from quorate.chaos.running.options import EXIT_CODES, RunOptions, Word
from quorate.chaos.running.progress import Say, quiet
from quorate.chaos.workloads.catalogue import workload_of
from quorate.core.errors import UsageError

MARKS: dict[Word, str] = {
    "held": "held",
    "broken": "**BROKEN**",
    "unknown": "**unknown**",
    "invalid": "**invalid**",
}
MIXES = ("halves+kill", "one-way,pause", "isolate-leader+clock-jump")
"""What the whole matrix has besides single faults: random pairs, and one after the other."""
REASONS_MAX = 3
REASON_LENGTH = 300
JOBS_MAX = 64


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What one run came to."""

    verdict: Word
    operations: int = 0
    """Acknowledged."""
    reasons: tuple[str, ...] = ()
    """Why it did not hold."""
    interrupted: bool = False

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Outcome:
        """As `run.json` tells it."""
        verdicts = body["verdicts"]
        told = [f"{one['kind']}: {one['text']}" for v in verdicts for one in v["anomalies"]]
        told += body["notes"]
        told += [note for v in verdicts if v["verdict"] == "unknown" for note in v["notes"]]
        reasons = tuple(" ".join(text.split())[:REASON_LENGTH] for text in told)
        return cls(body["verdict"], body["operations"], reasons, body["interrupted"])

    @property
    def exit_code(self) -> int:
        return 130 if self.interrupted else EXIT_CODES[self.verdict]

    @property
    def text(self) -> str:
        return f"{MARKS[self.verdict]} {self.operations}"

    @property
    def why(self) -> str:
        return "; ".join(self.reasons[:REASONS_MAX]) or self.verdict


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the table: the last run of these options, and those before it."""

    options: RunOptions
    outcome: Outcome
    earlier: tuple[Outcome, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.options.workload} x {self.options.nemesis}"


RunOne = Callable[[RunOptions, Say], Awaitable[Outcome]]
Place = tuple[str, str]
"""Fault and workload: a cell's place in the table."""


def place_of(options: RunOptions) -> Place:
    return options.nemesis, options.workload


def seed_of(seed: int, workload: str, nemesis: str) -> int:
    """A seed for a cell that does not depend on which others run."""
    return zlib.crc32(f"{seed}:{workload}:{nemesis}".encode()) % 1_000_000


def cells(base: RunOptions, workloads: Iterable[str], nemeses: Iterable[str]) -> list[RunOptions]:
    """The options of every cell that can be, row by row: some faults need a workload that has
    something to be hurt."""
    columns = list(workloads)
    return [
        dataclasses.replace(
            base, workload=workload, nemesis=nemesis, seed=seed_of(base.seed, workload, nemesis)
        )
        for nemesis in nemeses
        for workload in columns
        if plan_of(nemesis).needs <= workload_of(workload).has
    ]


def earlier_runs(root: Path, wanted: Iterable[RunOptions]) -> dict[Place, list[Outcome]]:
    """What runs of the same options, that were not cut short, came to under `root`; by time."""
    asked = {_key(options.as_dict()): place_of(options) for options in wanted}
    found: dict[Place, list[Outcome]] = {}
    for path in sorted(root.glob("*/run.json")):
        if path.parent.is_symlink():  # `latest`
            continue
        try:
            body = json.loads(path.read_text(encoding="utf-8"))
            place, outcome = asked.get(_key(body["options"])), Outcome.of(body)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a run that was killed while it wrote
        if place is not None and not outcome.interrupted:
            found.setdefault(place, []).append(outcome)
    return found


def _key(options: Mapping[str, Any]) -> str:
    same = {name: value for name, value in options.items() if name not in ("folder", "report")}
    return json.dumps(same, sort_keys=True)


def table(done: Iterable[Cell], wanted: Sequence[RunOptions], command: str) -> str:
    """The page: a row for each fault, a column for each workload, what did not hold, and what had
    not held before."""
    found = {place_of(cell.options): cell for cell in done}
    workloads = list(dict.fromkeys(options.workload for options in wanted))
    ran = [found[place] for one in wanted if (place := place_of(one)) in found]
    held = sum(cell.outcome.verdict == "held" for cell in ran)
    operations = sum(cell.outcome.operations for cell in ran)
    made = ", ".join(f"{name} {number}" for name, number in versions().items() if name != "system")
    lines = [
        "# What held",
        "",
        f"{held} of {len(ran)} runs held, {operations} acknowledged operations. A cell is the "
        "verdict and how many operations were acknowledged; an empty one cannot be, because the "
        "workload has nothing that the fault could hurt. Made by",
        "",
        f"    {command}",
        "",
        f"with {made}.",
        "",
        "| fault | " + " | ".join(workloads) + " |",
        "|---" * (len(workloads) + 1) + "|",
    ]
    for nemesis in dict.fromkeys(options.nemesis for options in wanted):
        row = [found.get((nemesis, workload)) for workload in workloads]
        texts = [cell.outcome.text if cell is not None else "" for cell in row]
        lines.append(f"| {nemesis} | " + " | ".join(texts) + " |")
    if failed := [cell for cell in ran if cell.outcome.verdict != "held"]:
        lines += ["", "## What did not hold", ""]
        for cell in failed:
            lines.append(f"* {cell.name}: {cell.outcome.why}")
            lines.append(f"  `{cell.options.command()}`")
    if again := [cell for cell in ran if cell.earlier]:
        lines += ["", "## What was run again, and what it had come to before", ""]
        for cell in again:
            lines += [f"* {cell.name}: {one.text}, {one.why}" for one in cell.earlier]
    return "\n".join(lines) + "\n"


class Suite:
    """The runs of a matrix. Raises `UsageError` for `jobs` that cannot be."""

    def __init__(
        self,
        wanted: Sequence[RunOptions],
        run_one: RunOne,
        *,
        page: Path,
        command: str,
        jobs: int = 1,
        resume: bool = False,
        say: Say = quiet,
    ) -> None:
        if not 1 <= jobs <= JOBS_MAX:
            raise UsageError(f"jobs must be 1 to {JOBS_MAX}, not {jobs}")
        self._wanted = wanted
        self._run_one = run_one
        self._page = page
        self._command = command
        self._jobs = jobs
        self._say = say
        self._begun = 0
        root = Path(wanted[0].folder) if wanted else Path()
        self._before = earlier_runs(root, wanted) if resume else {}
        self.done: dict[Place, Cell] = {}

    async def go(self) -> list[Cell]:
        """Run what is to be run, `jobs` at a time. Begins no more after an interrupted one; a
        cancellation waits for the runs that go on to end and to write what they have."""
        left: list[RunOptions] = []
        for options in self._wanted:
            before = self._before.get(place_of(options), [])
            if before and before[-1].verdict == "held":
                self.done[place_of(options)] = Cell(options, before[-1], tuple(before[:-1]))
            else:
                left.append(options)
        self._write()
        if len(left) < len(self._wanted):
            self._say(f"--- {len(self._wanted) - len(left)} cells have held, {len(left)} are left")
        queue = iter(left)
        async with asyncio.TaskGroup() as group:
            for _ in range(self._jobs):
                group.create_task(self._work(queue, len(left)))
        places = map(place_of, self._wanted)
        return [self.done[place] for place in places if place in self.done]

    async def _work(self, queue: Iterable[RunOptions], count: int) -> None:
        for options in queue:
            if any(cell.outcome.interrupted for cell in self.done.values()):
                return
            name = f"{options.workload} x {options.nemesis}"
            self._begun += 1
            self._say(f"--- {self._begun}/{count} {name}")

            def say(text: str, name: str = name) -> None:
                self._say(f"{name}: {text}")

            outcome = await self._run_one(options, say)
            earlier = tuple(self._before.get(place_of(options), ()))
            self.done[place_of(options)] = Cell(options, outcome, earlier)
            say(f"{outcome.verdict}, {outcome.operations} operations")
            self._write()

    def _write(self) -> None:
        self._page.parent.mkdir(parents=True, exist_ok=True)
        text = table(self.done.values(), self._wanted, self._command)
        self._page.write_text(text, encoding="utf-8")
