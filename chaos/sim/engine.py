"""`python -m quorate.chaos.sim.engine`: run seeds of the simulator, print a verdict, tell the story
of a failure and how to replay it.

    --seeds 300               300 seeds; exit 0 only if every verdict is held
    --seed 7 --transcript     one seed, every line; two runs print the same hash
    --unpatched --seeds 100   plain PySyncObj in the same world; exit 0 only if it lost something
    --plant S2 --seeds 1000   our engine with one hazard brought back; exit 0 only if it is found

Seeds of `seeds.txt` (each failed once) always run first.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from quorate.chaos.sim.heap import collected_once
from quorate.chaos.sim.plants import PLANTS, planted
from quorate.chaos.sim.unpatched_world import run_unpatched
from quorate.chaos.sim.world import Report, run_seed

SEEDS_FILE = Path(__file__).with_name("seeds.txt")
FINDINGS_TOLD_MAX = 6
MODULE = "quorate.chaos.sim.engine"


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    options = _parser().parse_args(arguments)
    if options.seed is not None:
        return _one(options)
    return _many(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {MODULE}", description="Run seeds of the simulator."
    )
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--seed", type=int, help="one seed only")
    parser.add_argument("--seconds", type=float, default=30.0, help="virtual seconds of trouble")
    parser.add_argument("--transcript", action="store_true", help="print every line of --seed")
    parser.add_argument("--unpatched", action="store_true", help="plain PySyncObj 0.3.17 instead")
    parser.add_argument("--plant", choices=list(PLANTS))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--all", action="store_true", help="do not stop at the first finding")
    parser.add_argument("--json", action="store_true")
    return parser


class Run:
    """One seed, as something another process can be handed."""

    def __init__(
        self, seconds: float = 30.0, *, unpatched: bool = False, plant: str | None = None
    ) -> None:
        self._seconds, self._unpatched, self._plant = seconds, unpatched, plant

    def __call__(self, seed: int, echo: Callable[[str], object] | None = None) -> Report:
        with collected_once():
            if self._unpatched:
                return run_unpatched(seed, self._seconds, echo)
            parts = None if self._plant is None else planted(self._plant, seed)
            return run_seed(seed, self._seconds, parts, echo)


def _run_of(options: argparse.Namespace) -> Run:
    return Run(options.seconds, unpatched=options.unpatched, plant=options.plant)


# --- one ------------------------------------------------------------------------------------------


def _one(options: argparse.Namespace) -> int:
    run = _run_of(options)
    report = run(options.seed, print if options.transcript else None)
    if options.json:
        print(json.dumps(asdict(report)))
    else:
        _tell(report, options, story=not options.transcript)
    return _exit_code(options, [report])


# --- many -----------------------------------------------------------------------------------------


def _many(options: argparse.Namespace) -> int:
    began = time.monotonic()
    seeds = _known_seeds(options) + list(
        range(options.first_seed, options.first_seed + options.seeds)
    )
    seeds = list(dict.fromkeys(seeds))
    looking_for_one = (options.unpatched or options.plant is not None) and not options.all
    reports: list[Report] = []
    for report in run_all(_run_of(options), seeds, options.jobs):
        reports.append(report)
        if report.verdict == "broken" and looking_for_one:
            break
    _summarise(options, reports, time.monotonic() - began)
    return _exit_code(options, reports)


def _known_seeds(options: argparse.Namespace) -> list[int]:
    """Seeds that failed once, for the hardened engine as it is."""
    if (
        options.unpatched
        or options.plant is not None
        or options.first_seed
        or not SEEDS_FILE.exists()
    ):
        return []
    lines = SEEDS_FILE.read_text().splitlines()
    return [int(line.split("#")[0]) for line in lines if line.split("#")[0].strip()]


def run_all(run: Callable[[int], Report], seeds: list[int], jobs: int) -> Iterator[Report]:
    """Reports in the order of the seeds, a bounded number of runs ahead."""
    if jobs <= 1:
        yield from map(run, seeds)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("fork")) as pool:
        waiting = iter(seeds)
        ahead = [pool.submit(run, seed) for seed in islice(waiting, 4 * jobs)]
        try:
            while ahead:
                yield ahead.pop(0).result()
                ahead.extend(pool.submit(run, seed) for seed in islice(waiting, 1))
        finally:
            for future in ahead:
                future.cancel()


def _exit_code(options: argparse.Namespace, reports: list[Report]) -> int:
    if options.unpatched or options.plant is not None:
        return 0 if any(report.verdict == "broken" for report in reports) else 1
    return 0 if all(report.verdict == "held" for report in reports) else 1


# --- telling --------------------------------------------------------------------------------------


def replay_command(report: Report, options: argparse.Namespace) -> str:
    parts = [f"PYTHONHASHSEED=0 python -m {MODULE} --seed {report.seed} --transcript"]
    if options.seconds != 30.0:
        parts.append(f"--seconds {options.seconds:g}")
    if options.unpatched:
        parts.append("--unpatched")
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
        f"{report.acked} writes and {report.reads} reads of {report.calls} calls, "
        f"{report.leader_changes} leaders, transcript {report.hash}"
    )
    for finding in report.findings[:FINDINGS_TOLD_MAX]:
        print("   ", finding)
    if report.verdict != "held":
        print("replay:", replay_command(report, options))


def _summarise(options: argparse.Namespace, reports: list[Report], real_s: float) -> None:
    virtual_s = sum(report.virtual_s for report in reports)
    faults: dict[str, int] = {}
    for report in reports:
        for name, number in report.faults.items():
            faults[name] = faults.get(name, 0) + number
    verdicts = {
        verdict: sum(report.verdict == verdict for report in reports)
        for verdict in ("held", "broken", "unknown")
    }
    summary = {
        "seeds": len(reports),
        **verdicts,
        "calls": sum(report.calls for report in reports),
        "acked_writes": sum(report.acked for report in reports),
        "reads": sum(report.reads for report in reports),
        "leader_changes": sum(report.leader_changes for report in reports),
        "heal_s_max": round(max((report.heal_s for report in reports), default=0.0), 1),
        "virtual_s": round(virtual_s),
        "real_s": round(real_s, 1),
        "speed_up": round(virtual_s / max(real_s, 0.001)),
        "faults": faults,
        "failed_seeds": [report.seed for report in reports if report.verdict != "held"],
    }
    if options.json:
        print(json.dumps(summary))
        return
    failures = [report for report in reports if report.verdict != "held"]
    for number, report in enumerate(failures):
        _tell(report, options, story=number == 0)
    for name, value in summary.items():
        print(f"{name:15} {value}")


def _fixed_hashes() -> None:
    """The base engine iterates sets of nodes: start again with fixed string hashes."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", MODULE, *sys.argv[1:]])


if __name__ == "__main__":
    _fixed_hashes()
    sys.exit(main())
