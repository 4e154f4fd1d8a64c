"""`python -m quorate.bench [run|compare]`: the command line of the measurements.

The law of this file: arguments in, text out, exit code 0 if everything that was asked was
measured, 1 if a question failed, 2 for a wrong argument, 130 if interrupted. A missed target is not
a failure.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

from quorate.bench import results_file
from quorate.bench.compare import compare
from quorate.bench.plan import FULL, QUICK
from quorate.bench.questions import QUESTIONS
from quorate.bench.report import report
from quorate.bench.runner import run
from quorate.bench.systems import SYSTEMS

INTERRUPTED = 130


def parser() -> argparse.ArgumentParser:
    """All arguments."""
    top = argparse.ArgumentParser("python -m quorate.bench", description="Measure quorate.")
    commands = top.add_subparsers(dest="do")
    one = commands.add_parser("run", help="measure, print a report")
    one.add_argument("--json", type=Path, metavar="FILE", help="write the result there as well")
    one.add_argument(
        "--only", action="append", choices=list(QUESTIONS), help="one question; repeat"
    )
    one.add_argument("--systems", action="append", choices=list(SYSTEMS), help="one system; repeat")
    one.add_argument("--quick", action="store_true", help="short: shows that everything runs")
    one.add_argument("--seconds", type=float, metavar="S", help="the length of one measurement")
    one.add_argument("--repetitions", type=int, metavar="N")
    one.add_argument("--data", type=Path, metavar="FOLDER", help="the disk to measure on")
    two = commands.add_parser("compare", help="two result files as ratios")
    two.add_argument("before", type=Path)
    two.add_argument("after", type=Path)
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given or given[0] not in ("run", "compare", "-h", "--help"):
        given = ["run", *given]
    options = parser().parse_args(given)
    try:
        if options.do == "compare":
            print(compare(results_file.read(options.before), results_file.read(options.after)))
            return 0
        return _run(options, "python -m quorate.bench " + shlex.join(given))
    except results_file.WrongResult as error:
        print(error, file=sys.stderr)
        return 2


def _run(options: argparse.Namespace, command: str) -> int:
    if options.seconds is not None and not 0 < options.seconds <= 3600:
        print("--seconds must be above 0 and at most 3600", file=sys.stderr)
        return 2
    if options.repetitions is not None and options.repetitions < 1:
        print("--repetitions must be at least 1", file=sys.stderr)
        return 2
    if options.data is not None and not options.data.is_dir():
        print(f"--data {options.data} is not a folder", file=sys.stderr)
        return 2
    plan = (QUICK if options.quick else FULL).changed(
        seconds=options.seconds, repetitions=options.repetitions
    )
    result = asyncio.run(
        _until_interrupted(
            plan=plan,
            questions=options.only or list(QUESTIONS),
            systems=options.systems or list(SYSTEMS),
            data=options.data,
            command=command,
            say=_say,
        )
    )
    if options.json is not None:
        results_file.write(options.json, result)
    print(report(result))
    return INTERRUPTED if result["interrupted"] else 1 if result["failed"] else 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


async def _until_interrupted(**wanted: Any) -> dict[str, Any]:
    """The run as a task that Ctrl-C and SIGTERM cancel, so that it can end what it started."""
    task = asyncio.create_task(run(**wanted))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError, RuntimeError):
            loop.add_signal_handler(number, task.cancel)
    return await task


if __name__ == "__main__":
    sys.exit(main())
