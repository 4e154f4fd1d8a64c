"""Plain PySyncObj put through the register workload: `python -m quorate.chaos.control.run`.

The law of this file: the laboratory's own runner, with another worker in the hosts' processes.

    python -m quorate.chaos.control.run --nemesis isolate-leader --seconds 12 --seeds 5
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

from quorate.chaos.lab.cluster import LabCluster
from quorate.chaos.plants.plant import Change, Plant
from quorate.chaos.running import runner
from quorate.chaos.running.options import RunOptions, RunResult
from quorate.chaos.running.progress import Say, quiet

WORKLOAD = "quorate.chaos.control.register:ControlRegister"
WORKER = "quorate.chaos.control.worker"


class ControlCluster(LabCluster):
    """A cluster of plain PySyncObj, told what only that knows."""

    def __init__(self, *arguments: Any, control: Mapping[str, Any], **options: Any) -> None:
        super().__init__(*arguments, module=WORKER, **options)
        self._settings.update(control)


async def run(options: RunOptions, control: Mapping[str, Any], say: Say = quiet) -> RunResult:
    """One run whose hosts are plain PySyncObj. `control`: keywords of a `ControlHost`."""
    made: Any = partial(ControlCluster, control=control)
    change = Change(runner, "LabCluster", made)
    take_out = Plant("control", "", "", "", (), (change,)).put_in()
    try:
        return await runner.run(options, say)
    finally:
        take_out()


def main(arguments: list[str] | None = None) -> int:
    """Run some seeds; 0 when something was found, as a control should."""
    parser = argparse.ArgumentParser(prog="quorate.chaos.control.run", description=__doc__)
    parser.add_argument("--nemesis", default="isolate-leader")
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=None)
    parser.add_argument("--folder", default="runs")
    parser.add_argument("--reads-here", action="store_true", help="read what a host has applied")
    parser.add_argument("--compact-entries", type=int, default=None)
    told = parser.parse_args(arguments)
    control = {"reads_here": told.reads_here, "compact_entries": told.compact_entries}
    found = 0
    for seed in range(told.first_seed, told.first_seed + told.seeds):
        options = RunOptions(
            workload=WORKLOAD,
            nemesis=told.nemesis,
            seconds=told.seconds,
            seed=seed,
            rate=told.rate,
            folder=told.folder,
        )
        result = asyncio.run(run(options, control))
        found += result.verdict == "broken"
        kinds = sorted({kind for verdict in result.verdicts for kind in verdict.kinds})
        print(
            f"seed {seed}: {result.verdict}, {result.operations} operations, "
            f"{result.per_s:.0f}/s before the faults, {result.faults} faults, {', '.join(kinds)} "
            f"{'; '.join(result.notes)[:200]} ({result.folder})"
        )
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
