"""`quorate bench [run|compare|report|peers]`, which is also `python -m quorate.bench`: the command
line of the measurements.

The law of this file: arguments in, text out, exit code 0 if everything that was asked was
measured, 1 if a question failed or a file could not be written, 2 for a wrong argument or file, 130
if interrupted. A missed target is not a failure. What was measured is printed even where it cannot
be kept.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

from quorate.bench import estimate, peer_list, results_file
from quorate.bench.compare import compare
from quorate.bench.plan import FULL, QUICK, Plan
from quorate.bench.questions import QUESTIONS, TOGETHER
from quorate.bench.report import report
from quorate.bench.runner import run
from quorate.bench.systems import AGENT_SYSTEMS, NAMES, SYSTEMS

INTERRUPTED = 130
COMMANDS = ("run", "compare", "report", "peers")


def parser() -> argparse.ArgumentParser:
    """All arguments."""
    top = argparse.ArgumentParser("quorate bench", description="Measure quorate beside its peers.")
    commands = top.add_subparsers(dest="do")
    one = commands.add_parser("run", help="measure, print a report")
    one.add_argument("--json", type=Path, metavar="FILE", help="write the result there as well")
    one.add_argument(
        "--only", action="append", choices=[*QUESTIONS, *TOGETHER], help="one question; repeat"
    )
    one.add_argument("--systems", action="append", choices=NAMES, help="one system; repeat")
    length = one.add_mutually_exclusive_group()
    length.add_argument("--quick", action="store_true", help="short: shows that everything runs")
    length.add_argument(
        "--full", action="store_true", help="what figures are published from (the default)"
    )
    one.add_argument("--seconds", type=float, metavar="S", help="the length of one measurement")
    one.add_argument("--repetitions", type=int, metavar="N")
    one.add_argument("--data", type=Path, metavar="FOLDER", help="the disk to measure on")
    two = commands.add_parser("compare", help="two result files as ratios")
    two.add_argument("before", type=Path)
    two.add_argument("after", type=Path)
    three = commands.add_parser("report", help="tables, plots and one page of result files")
    three.add_argument("results", type=Path, nargs="+", metavar="RESULT.json")
    three.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    four = commands.add_parser("peers", help="which peers are here, and how to get the others")
    four.add_argument("--json", action="store_true", dest="as_json")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given or given[0] not in (*COMMANDS, "-h", "--help"):
        given = ["run", *given]
    options = parser().parse_args(given)
    try:
        if options.do == "compare":
            print(compare(results_file.read(options.before), results_file.read(options.after)))
            return 0
        if options.do == "peers":
            return _peers(as_json=options.as_json)
        if options.do == "report":
            return _report(options.results, options.out)
        return _run(options, "python -m quorate.bench " + shlex.join(given))
    except results_file.WrongResult as error:
        print(error, file=sys.stderr)
        return 2
    except results_file.NotWritten as error:
        print(error, file=sys.stderr)
        return 1


def _peers(*, as_json: bool) -> int:
    found = peer_list.peers()
    if as_json:
        print(json.dumps(peer_list.as_json(found), indent=1))
    else:
        print("\n".join([peer_list.heading(), *peer_list.lines(found)]))
    return 0


def _report(paths: list[Path], folder: Path) -> int:
    from quorate.bench.plots.write import write  # only this command needs matplotlib

    results = {path.stem: results_file.read(path) for path in paths}
    if len(results) < len(paths):
        print("two results have the same name: give one another", file=sys.stderr)
        return 2
    try:
        made = write(results, folder)
    except ModuleNotFoundError as error:
        print(f'{error}: pip install "quorate[plots]"', file=sys.stderr)
        return 1
    print("\n".join(made))
    return 0


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
    questions, systems = _questions(options.only), options.systems or list(NAMES)
    _say(_estimated(plan, questions, systems))
    result = asyncio.run(
        _until_interrupted(
            plan=plan,
            questions=questions,
            systems=systems,
            data=options.data,
            command=command,
            say=_say,
        )
    )
    print(report(result))
    if options.json is not None:
        results_file.write(options.json, result)
    return INTERRUPTED if result["interrupted"] else 1 if result["failed"] else 0


def _estimated(plan: Plan, questions: list[str], systems: list[str]) -> str:
    """What the person who waits is told first."""
    many = estimate.minutes(
        plan,
        questions,
        [name for name in systems if name in SYSTEMS],
        [name for name in systems if name in AGENT_SYSTEMS],
    )
    return (
        f"{plan.mode}: {', '.join(questions)} of {', '.join(systems)}: about "
        f"{max(1, round(many))} minutes if all are here; Ctrl-C keeps what was measured"
    )


def _questions(only: list[str] | None) -> list[str]:
    """All, or those named, each once and in the order they are asked."""
    wanted = {each for name in only or QUESTIONS for each in TOGETHER.get(name, (name,))}
    return [name for name in QUESTIONS if name in wanted]


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
