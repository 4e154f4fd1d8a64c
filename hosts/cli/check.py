"""`quorate check`: judge a recorded history. Asks no host.

The law of this file: 0 held, 1 broken, 2 wrong usage or malformed history, 3 unknown. Nothing but
the verdict goes to standard output.
"""

from __future__ import annotations

import argparse
import json
import sys

from quorate.consistency.check import models
from quorate.consistency.check.history import History
from quorate.consistency.check.lines import load
from quorate.consistency.check.wgl import STEPS_MAX
from quorate.core.errors import UsageError


def run(args: argparse.Namespace) -> int:
    """Print the verdict on the history of these options; the exit code of the process."""
    options = _options(args)
    verdict = models.check(args.model, _read(args.history), options)
    if args.json:
        print(json.dumps(verdict.as_dict(), ensure_ascii=False))
    else:
        print(verdict.text())
    return verdict.exit_code


def _options(args: argparse.Namespace) -> models.Options:
    for name in ("steps", "bound_ms", "bound_versions", "clock_error_ms"):
        value = getattr(args, name)
        if value is not None and not value >= (1 if name == "steps" else 0):
            raise UsageError(f"--{name.replace('_', '-')} is {value}: give a number that counts")
    return models.Options(
        args.steps or STEPS_MAX,
        args.bound_ms,
        args.bound_versions,
        args.clock_error_ms,
        args.remove_wins,
    )


def _read(path: str) -> History:
    if path == "-":
        return load(sys.stdin)
    try:
        with open(path, "rb") as file:
            return load(file)
    except OSError as error:
        raise UsageError(f"the history {path} cannot be read: {error.strerror}") from error
