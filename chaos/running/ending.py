"""What is written at the end of a run.

The law of this file: it words what was decided elsewhere.
"""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from quorate.chaos.running.options import RunOptions, RunResult

PACKAGES = ("quorate", "pysyncobj", "lmdb", "cbor2", "uvloop")


def body_of(options: RunOptions, result: RunResult, more: dict[str, Any]) -> dict[str, Any]:
    """`run.json`."""
    return {
        "verdict": result.verdict,
        "workload": options.workload,
        "nemesis": options.nemesis,
        "seed": options.seed,
        "hosts": list(options.host_ids),
        "options": options.as_dict(),
        "command": options.command(),
        "versions": versions(),
        "operations": result.operations,
        "per_s": round(result.per_s, 1),
        "faults": result.faults,
        "interrupted": result.interrupted,
        "notes": result.notes,
        **more,
        "verdicts": [verdict.as_dict() for verdict in result.verdicts],
    }


def versions() -> dict[str, str]:
    """Of what a run was made with."""
    found = {"python": platform.python_version(), "system": platform.platform()}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def write_page(folder: Path) -> None:
    """The page of the run, where there is one to be made."""
    with suppress(ImportError):
        from quorate.chaos.report.page import write_report

        write_report(folder)
