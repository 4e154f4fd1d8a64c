"""`python -m quorate.chaos.agents`: run seeds of the agents' simulator, print a verdict, tell the
story of a failure and how to replay it.

    --seeds 300               seeds.txt, then 300 seeds; exit 0 only if every verdict is held
    --seed 7 --transcript     one seed, every line; two runs print the same hash
    --plant NAME --seeds 40   one known fault planted; exit 0 only if it is found
    --soak 600                as many seeds as go into so many seconds
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import chain, count, islice
from pathlib import Path

from quorate.chaos.agents.options import draw
from quorate.chaos.agents.plants import FOCUS, PLANTS
from quorate.chaos.agents.world import SECONDS, Report, World
from quorate.chaos.sim.heap import collected_once
from quorate.chaos.stores.__main__ import run_all

SEEDS_FILE = Path(__file__).with_name("seeds.txt")
FINDINGS_TOLD_MAX = 6
MODULE = "quorate.chaos.agents"


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    options = _parser().parse_args(arguments)
    return _one(options) if options.seed is not None else _many(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {MODULE}", description="Run seeds of the agents' simulator."
    )
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--soak", type=float, help="seconds, instead of a number of seeds")
    parser.add_argument("--seed", type=int, help="one seed only")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="virtual time of trouble")
    parser.add_argument("--transcript", action="store_true", help="print every line of --seed")
    parser.add_argument("--plant", choices=sorted(PLANTS))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--all", action="store_true", help="do not stop at a plant's finding")
    parser.add_argument("--json", action="store_true")
    return parser


class Run:
    """One seed, as something another process can be handed."""

    def __init__(self, seconds: float = SECONDS, plant: str | None = None) -> None:
        self._seconds, self._plant = seconds, plant

    def __call__(self, seed: int, echo: Callable[[str], object] | None = None) -> Report:
        options = draw(seed, self._seconds)
        parts = None
        if self._plant is not None:
            options = replace(options, **FOCUS.get(self._plant, {}))
            parts = PLANTS[self._plant]
        with warnings.catch_warnings(), collected_once():
            warnings.simplefilter("ignore", RuntimeWarning)  # coroutines of killed processes
            return World(options, parts, echo).run()


# --- one ------------------------------------------------------------------------------------------


def _one(options: argparse.Namespace) -> int:
    report = Run(options.seconds, options.plant)(
        options.seed, print if options.transcript else None
    )
    if options.json:
        print(json.dumps(asdict(report)))
    else:
        _tell(report, options, story=not options.transcript)
    return _exit_code(options, [report])


# --- many -----------------------------------------------------------------------------------------


def known_seeds() -> list[int]:
    """Seeds that failed once, in the order in which they did."""
    lines = [line.split("#")[0].strip() for line in SEEDS_FILE.read_text().splitlines()]
    return [int(line) for line in lines if line]


def _many(options: argparse.Namespace) -> int:
    began = time.monotonic()
    first = [] if options.plant is not None or options.first_seed else known_seeds()
    numbers = count(options.first_seed)
    rest = numbers if options.soak is not None else islice(numbers, options.seeds)
    seeds = chain(first, (seed for seed in rest if seed not in first))
    reports: list[Report] = []
    for report in run_all(Run(options.seconds, options.plant), seeds, options.jobs):
        reports.append(report)
        found = report.verdict == "broken" and options.plant is not None and not options.all
        if found or (options.soak is not None and time.monotonic() - began > options.soak):
            break
    _summarise(options, reports, time.monotonic() - began)
    return _exit_code(options, reports)


def _exit_code(options: argparse.Namespace, reports: list[Report]) -> int:
    if options.plant is not None:
        return 0 if any(report.verdict == "broken" for report in reports) else 1
    return 0 if all(report.verdict == "held" for report in reports) else 1


# --- telling --------------------------------------------------------------------------------------


def replay_command(report: Report, options: argparse.Namespace) -> str:
    parts = [f"python -m {MODULE} --seed {report.seed} --transcript"]
    if options.seconds != SECONDS:
        parts.append(f"--seconds {options.seconds:g}")
    if options.plant is not None:
        parts.append(f"--plant {options.plant}")
    return " ".join(parts)


def _tell(report: Report, options: argparse.Namespace, *, story: bool = True) -> None:
    if story and report.story:
        print("the last events:")
        for line in report.story:
            print("   ", line)
    print(
        f"seed {report.seed}: {report.verdict}; {report.virtual_s:.1f} virtual s, "
        f"{report.answered} asks answered of {report.calls} calls, {report.turns} turns, "
        f"{report.moves} moves, {report.lives} lives, healed in {report.heal_s:.1f} s, "
        f"transcript {report.hash}"
    )
    for finding in report.findings[:FINDINGS_TOLD_MAX]:
        print("   ", finding)
    if report.verdict != "held":
        print("replay:", replay_command(report, options))


def _summarise(options: argparse.Namespace, reports: list[Report], real_s: float) -> None:
    virtual_s = sum(report.virtual_s for report in reports)
    faults: Counter[str] = Counter()
    for report in reports:
        faults.update(report.faults)
    verdicts = Counter(report.verdict for report in reports)
    summary = {
        "seeds": len(reports),
        **{verdict: verdicts[verdict] for verdict in ("held", "broken", "unknown")},
        **{
            name: sum(getattr(report, name) for report in reports)
            for name in ("calls", "answered", "turns", "commits", "moves", "lives")
        },
        "heal_s_max": round(max((report.heal_s for report in reports), default=0.0), 1),
        "virtual_h": round(virtual_s / 3600, 2),
        "real_s": round(real_s, 1),
        "speed_up": round(virtual_s / max(real_s, 0.001)),
        "faults": dict(sorted(faults.items())),
        "failed_seeds": [report.seed for report in reports if report.verdict != "held"],
    }
    if options.json:
        print(json.dumps(summary))
        return
    failures = [report for report in reports if report.verdict != "held"]
    for number, report in enumerate(failures):
        _tell(report, options, story=number == 0)
    for name, value in summary.items():
        print(f"{name:14} {value}")


if __name__ == "__main__":
    sys.exit(main())
