"""The figures of the stores as the front page shows them:
`python -m quorate.bench.front_page bench/results/consistency.json [--write README.md]`.

The law of this file: what the front page says is made from a result file and from nothing else; a
test compares the two. Pure but for reading and writing the files.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from quorate.bench import results_file
from quorate.bench.report import LOAD_QUIET_RATIO
from quorate.bench.tables import number, small
from quorate.bench.targets import verdicts

MARK = re.compile(r"(<!-- STORES: begin[^>]*-->\n).*?(\n<!-- STORES: end -->)", re.DOTALL)
SHOWN = (
    "local reads",
    "session reads",
    "linearizable reads",
    "eventual writes",
    "session writes",
    "CRDT increments",
    "strong writes",
)
CLIENTS = ("eventual write", "session write", "CRDT increment", "strong write", "session read")


def figures(result: dict[str, Any], path: str) -> str:
    """The part of the front page, in Markdown."""
    found, machine = result["results"], result["machine"]
    rows = {row["case"]: row for row in found["levels"]["rows"]}
    beside = {row["beside"]: row for row in found["levels"]["rows"] if "beside" in row}
    quiet = machine["load_average"] <= LOAD_QUIET_RATIO * (machine["cores"] or 1)
    busy = "" if quiet else f"; the machine was busy with other work, load {_load(result)}"
    lines = [
        f"Stores, three processes on {machine['cores']} cores (`{path}`, made by",
        f"`{result['command']}`{busy}):",
        "",
        "| all hosts together, 1 024 in flight (reads: bursts) | per s | p50 | p99 | py-lmdb |",
        "|---|---|---|---|---|",
        *(_row(rows[case], beside.get(case)) for case in SHOWN),
        "",
        _clients(rows),
        _singles(found),
        _missed(found),
    ]
    return "\n".join(lines).rstrip()


def _load(result: dict[str, Any]) -> str:
    before, after = result["machine"]["load_average"], result["load_average_after"]
    return f"{before:.1f} to {after:.1f}"


def _row(row: dict[str, Any], alone: dict[str, Any] | None) -> str:
    peer = "" if alone is None else f"{number(alone['ops_per_s'])}/s ({alone['case']})"
    times = f"{_time(row['p50_us'])} | {_time(row['p99_us'])}"
    return f"| {row['case']} | {number(row['ops_per_s'])} | {times} | {peer} |".replace("  ", " ")


def _time(us: float) -> str:
    return f"{small(us)} us" if us < 1000 else f"{small(us / 1000)} ms"


def _clients(rows: dict[str, dict[str, Any]]) -> str:
    told = ", ".join(f"{name} {_time(rows[f'one client, {name}']['p50_us'])}" for name in CLIENTS)
    return f"One client, p50: {told}."


def _singles(found: dict[str, Any]) -> str:
    lag, repair, heal = found["lag"], found["repair"], found["heal"]
    rate, sent = number(lag["acknowledged_per_s"]), number(repair["bytes_sent"] / 1000)
    seen = f"p50 {lag['lag_p50_ms']:.0f} ms, p99 {lag['lag_p99_ms']:.0f} ms"
    return (
        f"Another host sees an update {seen} after the call at {rate} eventual writes/s. "
        f"{number(repair['differing'])} of {number(repair['keys'])} keys are repaired in "
        f"{repair['took_s']:.2f} s with {sent} kB on the wire. "
        f"After a silent cut of {heal['cut_s']:g} s all hosts hold the same within "
        f"{heal['s']['max']:.2f} s (worst of {heal['heals']})."
    )


def _missed(found: dict[str, Any]) -> str:
    missed = [verdict.name for verdict in verdicts(found) if verdict.verdict == "missed"]
    return f"What is not where we want it: {'; '.join(missed)}." if missed else ""


def placed(page: str, part: str) -> str:
    """The page with its part replaced. Raises `ValueError` if it has none."""
    if MARK.search(page) is None:
        raise ValueError("the page has no part STORES")
    return MARK.sub(lambda found: found.group(1) + part.rstrip() + found.group(2), page)


def main() -> None:
    parser = argparse.ArgumentParser("python -m quorate.bench.front_page")
    parser.add_argument("result", type=Path)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put it in there")
    options = parser.parse_args()
    part = figures(results_file.read(options.result), options.result.as_posix())
    if options.write is None:
        print(part)
    else:
        page = options.write.read_text(encoding="utf-8")
        options.write.write_text(placed(page, part), encoding="utf-8")


if __name__ == "__main__":
    main()
