"""Shows that the laboratory finds what was planted.

The law of this file: one run after the other, each of one plant under its workload and its nemesis;
found means that the run is broken and says one of the words that the plant is known by. What is
written into the table is what was seen, and nothing else.

    python -m quorate.chaos.plants.find                              # all of them, about 25 s each
    python -m quorate.chaos.plants.find commits-alone --seed 7
    python -m quorate.chaos.plants.find --table chaos/plants/README.md   # the table anew
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from quorate.chaos.plants.catalogue import PLANTS, plant_of
from quorate.chaos.plants.plant import Plant
from quorate.chaos.running import runner
from quorate.chaos.running.options import RunOptions, RunResult
from quorate.consistency.check.lines import load
from quorate.consistency.check.verdict import Anomaly

SECONDS_S = 12.0
CALM_S = 2.0
TABLE_BEGIN, TABLE_END = "<!-- found -->", "<!-- /found -->"


@dataclass(frozen=True, slots=True)
class Found:
    """What one run said of a plant."""

    plant: str
    workload: str
    nemesis: str
    seed: int
    verdict: str
    kinds: list[str]
    first_s: float | None
    """From the first operation to the answer that completes the first counterexample; None when
    only a host gave it away."""
    operations: int
    known: bool
    notes: list[str]
    folder: str

    @property
    def found(self) -> bool:
        return self.verdict == "broken" and self.known


async def look_for(plant: Plant, *, seed: int, seconds: float, folder: str) -> Found:
    """One run with the plant."""
    options = RunOptions(
        workload=plant.workload,
        nemesis=plant.nemesis,
        seconds=seconds,
        seed=seed,
        folder=folder,
        plant=plant.name,
        settings=plant.settings,
        calm_s=CALM_S,
        report=False,
    )
    return judged(plant, seed, await runner.run(options))


def judged(plant: Plant, seed: int, result: RunResult) -> Found:
    """What the result says of the plant."""
    anomalies = [anomaly for verdict in result.verdicts for anomaly in verdict.anomalies]
    known = [one for one in anomalies if is_known(plant, one)]
    return Found(
        plant.name,
        plant.workload,
        plant.nemesis,
        seed,
        result.verdict,
        sorted({anomaly.kind for anomaly in known or anomalies}),
        first_seen(known, result.folder / "history.jsonl"),
        result.operations,
        bool(known),
        list(result.notes),
        str(result.folder),
    )


def is_known(plant: Plant, anomaly: Anomaly) -> bool:
    """Whether this is what the plant should show as."""
    text = f"{anomaly.kind}: {anomaly.text}"
    return any(word in text for word in plant.finds)


def first_seen(anomalies: Iterable[Anomaly], history: Path) -> float | None:
    """Seconds from the first operation of the history until the first anomaly was complete."""
    ends: list[float] = []
    for anomaly in anomalies:
        moments = [op.start if op.end is None else op.end for op in anomaly.operations]
        if moments:
            ends.append(max(moments))
    if not ends:
        return None
    with history.open("rb") as lines:
        began = load(lines).operations[0].start
    return round((min(ends) - began) / 1e9, 1)


def row(found: Found) -> str:
    """A row of the table in README.md."""
    first = "a host stopped itself" if found.first_s is None else f"{found.first_s:.1f}"
    does = PLANTS[found.plant].does
    kinds = ", ".join(f"`{kind}`" for kind in found.kinds)
    where = found.workload.rpartition("plants.")[2], found.nemesis
    cells = (f"`{found.plant}`", does, *where, first, kinds, str(found.seed))
    return f"| {' | '.join(cells)} |"


HEAD = (
    "| plant | what it does | workload | nemesis | s to the first counterexample "
    "| found as | seed |",
    "|---|---|---|---|---|---|---|",
)


def write_table(page: Path, all_found: Iterable[Found]) -> None:
    """Put the rows of what was found between the marks of the page; rows of others stay."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(TABLE_BEGIN)
    old, _, after = rest.partition(TABLE_END)
    rows = {line.split("`")[1]: line for line in old.splitlines() if line.startswith("| `")}
    rows.update({one.plant: row(one) for one in all_found if one.found})
    ordered = [rows[name] for name in PLANTS if name in rows]
    table = "\n".join((*HEAD, *ordered))
    page.write_text(f"{before}{TABLE_BEGIN}\n{table}\n{TABLE_END}{after}", encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """0 when every plant that was asked for was found."""
    parser = argparse.ArgumentParser(prog="quorate.chaos.plants.find", description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tries", type=int, default=1, help="seeds to try until it is found")
    parser.add_argument("--seconds", type=float, default=SECONDS_S)
    parser.add_argument("--folder", default="runs")
    parser.add_argument(
        "--table", help="a page with the marks of the table, to be brought up to date"
    )
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args(arguments)
    seen: list[Found] = []
    for plant in [plant_of(name) for name in told.names] or list(PLANTS.values()):
        for seed in range(told.seed, told.seed + told.tries):
            work = look_for(plant, seed=seed, seconds=told.seconds, folder=told.folder)
            one = asyncio.run(work)
            print(json.dumps(asdict(one)) if told.json else line_of(one), flush=True)
            if one.found or seed == told.seed + told.tries - 1:
                seen.append(one)
                break
        if told.table:
            write_table(Path(told.table), seen)
    missed = [one.plant for one in seen if not one.found]
    print(f"{len(seen) - len(missed)} of {len(seen)} found" + _listed(missed))
    return 1 if missed else 0


def line_of(found: Found) -> str:
    """For a person who waits."""
    word = "found" if found.found else "NOT FOUND"
    first = "" if found.first_s is None else f" after {found.first_s:.1f} s"
    more: Any = "" if found.found else f" {'; '.join(found.notes)[:300]} ({found.folder})"
    return (
        f"{word}: {found.plant} under {found.workload} x {found.nemesis}{first}: {found.verdict}, "
        f"{', '.join(found.kinds)}, {found.operations} operations{more}"
    )


def _listed(names: list[str]) -> str:
    return "; not: " + ", ".join(names) if names else ""


if __name__ == "__main__":
    sys.exit(main())
