"""`quorate`: parse, hand to the command, turn what it raises into a sentence and an exit code.

The law of this file: 0 done, 1 refused or unavailable, 2 wrong usage. No traceback for anything but
our own bug.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from quorate.core.errors import QuorateError, UsageError
from quorate.hosts.admin.problems import problem as problem_of
from quorate.hosts.cli import loop, tables
from quorate.hosts.cli.client import Problem
from quorate.hosts.cli.parser import build

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run `quorate` with `argv` (the process's own by default) and return its exit code."""
    parser = build()
    args = parser.parse_args(argv)
    if args.version:
        from quorate.hosts.admin.server import version

        print(f"quorate {version()}")
        return 0
    if args.command is None:
        parser.print_help()
        return 2
    try:
        return loop.run(_command(args))
    except Problem as problem:
        return _complain(args, problem.body, problem.exit_code)
    except QuorateError as error:
        return _complain(args, problem_of(error), 2 if isinstance(error, UsageError) else 1)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 1


async def _command(args: argparse.Namespace) -> int:
    if args.command == "host" and args.words:
        _as_order_about_a_host(args)
    elif args.command == "host":
        from quorate.hosts.cli import host

        return await host.run(args)
    if args.command == "check":
        from quorate.hosts.cli import check

        return check.run(args)
    if args.command == "demo":
        from quorate.hosts.demo import show

        return await show.run(args)
    from quorate.hosts.cli import ask

    return await ask.run(args)


def _as_order_about_a_host(args: argparse.Namespace) -> None:
    """`quorate host drain ID` is `quorate hosts drain ID`."""
    verb, *ids = args.words
    if verb not in ("drain", "undrain") or len(ids) != 1:
        raise UsageError(
            f"quorate host {' '.join(args.words)}: want `quorate host drain ID`, `quorate hosts "
            "...`, or options alone to run a host"
        )
    args.command, args.verb, args.id = "hosts", verb, ids[0]


def _complain(args: argparse.Namespace, body: dict[str, Any], code: int) -> int:
    text = json.dumps(body, ensure_ascii=False) if args.json else tables.problem(body)
    print(text, file=sys.stderr)
    return code
