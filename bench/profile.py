"""Where the time of a host goes under one load: `python -m quorate.bench.profile put 1024 leader`.

The law of this file: py-spy samples the leader and one follower from outside while the load runs;
shares are of the samples in which a thread ran, and microseconds per operation are that share of
the processor time the process used. Needs `py-spy` on PATH (or beside this Python).
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quorate.bench.plan import FULL
from quorate.bench.runner import data_home
from quorate.bench.systems import RaftGroup
from quorate.bench.systems.base import Work
from quorate.bench.usage import cpu_s

RATE_PER_S = 250
ROWS = 40
WAY_FRAMES = 4
FRAME = re.compile(r"^(?P<name>.+) \((?P<file>[^:]+?)(?::\d+)?\)$")


@dataclass(slots=True)
class Shares:
    """Samples per function, out of py-spy's raw format: `a;b;c count`."""

    own: Counter[str] = field(default_factory=Counter[str])
    """Where the thread was; the last three calls are the name, the innermost first."""
    whole: Counter[str] = field(default_factory=Counter[str])
    """Where it was, or in something called from there."""
    total: int = 0


def shares(raw: str) -> Shares:
    """Count the samples of a recording."""
    found = Shares()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        if not stack or not count.isdigit():
            continue
        frames = [_function(frame) for frame in stack.split(";")]
        found.own[" < ".join([frames[-1], *map(_bare, frames[-2:-WAY_FRAMES:-1])])] += int(count)
        for frame in set(frames):
            found.whole[frame] += int(count)
        found.total += int(count)
    return found


def _bare(frame: str) -> str:
    return frame.partition(" (")[0]


def _function(frame: str) -> str:
    found = FRAME.match(frame)
    if found is None:
        return frame
    path = found["file"].split("site-packages/")[-1]
    return f"{found['name']} ({re.sub(r'^.*/(?=quorate/|lib/python)', '', path)})"


def table(counts: Counter[str], total: int, us_per_op: float) -> list[str]:
    """Markdown rows: share, microseconds per operation, function."""
    rows = ["| % | us/op | function |", "|---:|---:|---|"]
    for name, count in counts.most_common(ROWS):
        share = count / total
        rows.append(f"| {100 * share:.1f} | {share * us_per_op:.2f} | `{name}` |")
    return rows


async def record(spy: str, pid: int, seconds: float, out: Path) -> None:
    """Have py-spy write the samples of a process to `out`."""
    process = await asyncio.create_subprocess_exec(
        spy,
        "record",
        *("--pid", str(pid), "--format", "raw", "--rate", str(RATE_PER_S)),
        *("--duration", str(int(seconds)), "--output", str(out), "--nonblocking"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await asyncio.wait_for(process.wait(), seconds + 30)
    finally:
        if process.returncode is None:
            process.kill()


async def profile(work: Work) -> str:
    """Run the load with py-spy on the leader and a follower; returns Markdown."""
    spy = shutil.which("py-spy") or str(Path(sys.executable).parent / "py-spy")
    folder = Path(tempfile.mkdtemp(prefix="quorate-profile-", dir=data_home()))
    group = RaftGroup()
    try:
        await group.start(folder)
        if work.op == "get":
            await group.load(Work("put", 256, "leader", 2.0, 0.0))
        leader = await group.leader()
        follower = next(host for host in group.hosts if host != leader)
        pids = {"leader": group.pids()[leader], "follower": group.pids()[follower]}
        load = asyncio.create_task(group.load(work))
        await asyncio.sleep(work.warmup_s)
        before = {role: cpu_s(pid) for role, pid in pids.items()}
        await asyncio.gather(
            *(record(spy, pid, work.seconds - 1, folder / role) for role, pid in pids.items())
        )
        used = {role: cpu_s(pid) - before[role] for role, pid in pids.items()}
        done = await load
        text = [
            f"## {work.name}: {done.ops_per_s:,.0f}/s, "
            f"p50 {done.latency.percentile(50) / 1e6:.2f} ms",
            "",
        ]
        for role in pids:
            ops = done.ops_per_s * (work.seconds - 1)
            text += of_role(role, (folder / role).read_text(), used[role], ops)
        return "\n".join(text)
    finally:
        await group.stop()
        shutil.rmtree(folder, ignore_errors=True)


def of_role(role: str, raw: str, used_s: float, ops: float) -> list[str]:
    """Two tables: `used_s` of processor time for `ops` operations, by function."""
    found = shares(raw)
    us_per_op = used_s * 1e6 / max(1.0, ops)
    return [
        f"### {role}: {us_per_op:.1f} us of processor time per operation ({found.total} samples)",
        "",
        "Own time:",
        "",
        *table(found.own, found.total, us_per_op),
        "",
        "With callees:",
        "",
        *table(found.whole, found.total, us_per_op),
        "",
    ]


def main() -> None:
    parser = argparse.ArgumentParser("python -m quorate.bench.profile")
    parser.add_argument("op", choices=["put", "get"])
    parser.add_argument("in_flight", type=int)
    parser.add_argument("where", choices=["leader", "elsewhere", "spread"])
    parser.add_argument("--seconds", type=float, default=12.0)
    options: Any = parser.parse_args()
    work = Work(options.op, options.in_flight, options.where, options.seconds + 1, FULL.warmup_s)
    print(asyncio.run(profile(work)))


if __name__ == "__main__":
    main()
