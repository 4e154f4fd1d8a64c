"""What a process uses, read from /proc: processor time, memory, disk.

The law of this file: reads only; a process that is gone raises `ProcessLookupError`.
"""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

MB = 1_000_000


def cpu_s(pid: int) -> float:
    """Seconds of processor time, user and system, of a process with all its threads."""
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> dict[str, float]:
    """`rss` (resident) and `anonymous` (its own, without mapped files), in MB of 10**6 bytes."""
    rows = dict(line.split(":", 1) for line in _read(pid, "status").splitlines() if ":" in line)

    def of(name: str) -> float:
        return int(rows[name].split()[0]) * 1024 / MB

    return {"rss": of("VmRSS"), "anonymous": of("RssAnon")}


def written_bytes(pid: int) -> float:
    """Bytes a process caused to be sent to the disk; nan where the system does not count them."""
    try:
        text = _read(pid, "io")
    except ProcessLookupError:
        if not Path(f"/proc/{pid}").exists():
            raise
        return math.nan
    rows = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return float(rows["write_bytes"])


def folder_bytes(folder: Path) -> int:
    """What the files below `folder` take on the disk; a file that goes meanwhile counts nothing."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.lstat().st_blocks * 512
    return total


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError as error:
        raise ProcessLookupError(f"process {pid} is gone") from error
