"""Where the time of a host goes under a load on its stores:
`python -m quorate.bench.store_profile put eventual 1024`.

The law of this file: as in `profile`: py-spy samples one of three hosts that carry the same load,
from outside. The operations are all that the host itself was asked; the work it has with those of
the other two is in the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from quorate.bench.plan import FULL
from quorate.bench.profile import of_role, record
from quorate.bench.questions.levels import KEYS, VALUE_BYTES
from quorate.bench.runner import data_home
from quorate.bench.systems.store_group import StoreGroup
from quorate.bench.usage import cpu_s


async def profile(op: str, level: str, in_flight: int, seconds: float) -> str:
    """Run the load with py-spy on host a; returns Markdown."""
    spy = shutil.which("py-spy") or str(Path(sys.executable).parent / "py-spy")
    folder = Path(tempfile.mkdtemp(prefix="quorate-profile-", dir=data_home()))
    group = StoreGroup()
    try:
        await group.start(folder)
        await group.open(KEYS, VALUE_BYTES)
        work = {"op": op, "level": level, "in_flight": in_flight}
        work |= {"warmup_s": FULL.warmup_s, "seconds": seconds + 1}
        load = asyncio.create_task(group.load_levels(work, group.hosts))
        await asyncio.sleep(FULL.warmup_s)
        pid = group.pids()["a"]
        before = cpu_s(pid)
        await record(spy, pid, seconds, folder / "a.samples")
        used_s = cpu_s(pid) - before
        done = await load
        behind_s = 0.0 if op == "get" else await group.even()
        ops = done.ops_per_s * seconds / len(group.hosts)
        head = (
            f"## {op} {level}, {in_flight} in flight: {done.ops_per_s:,.0f}/s over three hosts, "
            f"p50 {done.latency.percentile(50) / 1e6:.2f} ms, behind {behind_s:.2f} s"
        )
        return "\n".join([head, "", *of_role("a", (folder / "a.samples").read_text(), used_s, ops)])
    finally:
        await group.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser("python -m quorate.bench.store_profile")
    parser.add_argument("op", choices=["put", "get"])
    parser.add_argument(
        "level", choices=["default", "local", "session", "eventual", "contended", "crdt", "strong"]
    )
    parser.add_argument("in_flight", type=int, help="0: reads in bursts")
    parser.add_argument("--seconds", type=float, default=8.0)
    options: Any = parser.parse_args()
    print(asyncio.run(profile(options.op, options.level, options.in_flight, options.seconds)))


if __name__ == "__main__":
    main()
