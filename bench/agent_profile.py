"""Where the time of a host goes under a load on its agents:
`python -m quorate.bench.agent_profile "remote ask, 200 callers on all hosts"`.

The law of this file: as in `profile`: py-spy samples one of three hosts from outside, the one that
is named (a caller by default). The operations are those of the load while it sampled; the
work that the other hosts have with them is not in the figures.
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
from quorate.bench.questions import agents_calls, agents_state
from quorate.bench.runner import data_home
from quorate.bench.systems import AgentGroup
from quorate.bench.usage import cpu_s

CASES: dict[str, Any] = {
    case.name: case for case in (*agents_calls.CASES, *agents_state.CASES) if case[1] != "stored"
}


async def profile(name: str, host: str, seconds: float, keep: Path | None) -> str:
    """Run the load of a case with py-spy on `host`; returns Markdown."""
    case = CASES[name]
    spy = shutil.which("py-spy") or str(Path(sys.executable).parent / "py-spy")
    folder = Path(tempfile.mkdtemp(prefix="quorate-profile-", dir=data_home()))
    group = AgentGroup()
    try:
        await group.start(folder)
        made = await group.make("echo")
        if isinstance(case, agents_calls.Case):
            op, names = "ask", agents_calls.names_of(case, made)
        else:
            op, names = case.op, {each: made[each] for each in list(made)[: case.callers]}
        window = {"warmup_s": FULL.warmup_s, "seconds": seconds + 1}
        load = asyncio.create_task(group.load_agents(op, names, case.callers, window))
        await asyncio.sleep(FULL.warmup_s)
        pid = group.pids()[host]
        before = cpu_s(pid)
        await record(spy, pid, seconds, folder / "samples")
        used_s = cpu_s(pid) - before
        done = await load
        head = (
            f"## {name}, host {host}: {done.ops_per_s:,.0f}/s, "
            f"p50 {done.latency.percentile(50) / 1e3:.0f} us, {done.errors} errors {done.error}"
        )
        if keep is not None:
            shutil.copy(folder / "samples", keep)
        samples = (folder / "samples").read_text()
        ops = done.ops_per_s * seconds
        return "\n".join([head, "", *of_role(host, samples, used_s, ops)])
    finally:
        await group.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser("python -m quorate.bench.agent_profile")
    parser.add_argument("case", choices=list(CASES))
    parser.add_argument("--host", default="a", choices=["a", "b", "c"])
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--keep", type=Path, metavar="FILE", help="the folded stacks as well")
    options: Any = parser.parse_args()
    print(asyncio.run(profile(options.case, options.host, options.seconds, options.keep)))


if __name__ == "__main__":
    main()
