"""`quorate chaos`: parse, hand to the command, turn what it raises into a sentence and a code.

The law of this file: 0 held (or done), 1 broken (or refused), 2 wrong usage, 3 unknown, 4 invalid,
130 interrupted. No traceback for anything but our own bug.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from quorate.chaos.cli import by_hand, words
from quorate.chaos.running.apart import run_apart
from quorate.chaos.running.ending import body_of
from quorate.chaos.running.options import RunOptions, RunResult
from quorate.chaos.running.progress import Say
from quorate.chaos.running.runner import Run
from quorate.chaos.running.suite import MIXES, Suite, cells
from quorate.chaos.workloads.catalogue import WORKLOADS, workload_of
from quorate.core.errors import QuorateError, UsageError
from quorate.hosts.cli.loop import run as run_loop

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run `quorate chaos` with `argv` and return its exit code."""
    args = words.build().parse_args(argv)
    try:
        return run_loop(_command(args, list(sys.argv[1:] if argv is None else argv)))
    except QuorateError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except OSError as error:
        print(f"{error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED


def say(text: str) -> None:
    """A line to the person who waits; results go to standard output."""
    with suppress(BrokenPipeError):
        print(text, file=sys.stderr, flush=True)


async def _command(args: argparse.Namespace, argv: list[str]) -> int:
    me = asyncio.current_task()
    assert me is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, me.cancel)
    if args.command == "run":
        options = words.options_of(args)
        result = await run_one(options, say)
        print(json.dumps(body_of(options, result, {})) if args.json else result.text())
        return result.exit_code
    if args.command == "suite":
        return await _suite(args, argv)
    if args.command == "list":
        return _list()
    if args.command == "up":
        return await by_hand.up(args.hosts, args.folder, say)
    if args.command == "partition":
        return await by_hand.partition(args.folder, words.across(words.groups_of(args.groups)), say)
    if args.command == "heal":
        return await by_hand.heal(args.folder, say)
    if args.command == "serve":
        from quorate.chaos.report.serve import serve

        await serve(Path(args.folder), args.port, on_ready=say)
        return 0
    if args.command == "png":
        from quorate.chaos.report.png import write_png

        print(write_png((Path(args.folder) / args.run).resolve()))
        return 0
    from quorate.chaos.toxiproxy.find import find_server
    from quorate.chaos.toxiproxy.install import install_server

    found = find_server()
    print(await install_server(say=say) if found is None else found)
    return 0


async def run_one(options: RunOptions, say: Say) -> RunResult:
    """One run; Ctrl-C and SIGTERM end it early, with everything written."""
    return await Run(options, say).go()


async def _suite(args: argparse.Namespace, argv: list[str]) -> int:
    from quorate.chaos.faults.catalogue import FAULTS

    workloads = args.workloads.split(",") if args.workloads else list(WORKLOADS)
    named = args.nemeses
    nemeses = named.split(None if " " in named else ",") if named else [*FAULTS, *MIXES]
    wanted = cells(words.options_of(args), workloads, nemeses)
    command = shlex.join(["quorate", "chaos", *argv])
    suite = Suite(
        wanted,
        run_apart,
        page=Path(args.page),
        command=command,
        jobs=args.jobs,
        resume=args.resume,
        say=say,
    )
    done = await suite.go()
    print(f"{sum(cell.outcome.verdict == 'held' for cell in done)} of {len(wanted)} held")
    print(args.page)
    return max((cell.outcome.exit_code for cell in done), default=0)


def _list() -> int:
    from quorate.chaos.faults.catalogue import FAULTS

    print("workloads:")
    for name in WORKLOADS:
        print(f"  {name:<14} {workload_of(name).promise}")
    print("faults:")
    for name, factory in FAULTS.items():
        fault = factory()
        print(f"  {name:<18} {fault.does}\n  {'':<18} cannot: {fault.cannot}")
    return 0
