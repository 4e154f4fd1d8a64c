"""The figures of the group, of stores and of agents as the front page shows them:
`python -m quorate.bench.front_page bench/results/full.json [--write README.md]`.

The law of this file: what the front page says is made from a result file and from nothing else; a
test compares the two. Pure but for reading and writing the files.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from quorate.bench import results_file
from quorate.bench.agent_front_page import agent_figures
from quorate.bench.group_front_page import group_figures
from quorate.bench.report import LOAD_QUIET_RATIO
from quorate.bench.tables import number, small
from quorate.bench.targets import verdicts

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


def figures_of_group(result: dict[str, Any], path: str) -> str:
    """The part GROUP of the front page, in Markdown; it ends with what was missed of everything."""
    found = result["results"]
    lines = [
        *_head("The group", result, path),
        *group_figures(found, result["systems"]),
        "",
        _missed(found),
    ]
    return "\n".join(lines).rstrip()


def figures(result: dict[str, Any], path: str) -> str:
    """The part STORES of the front page, in Markdown."""
    found = result["results"]
    rows = {row["case"]: row for row in found["levels"]["rows"]}
    beside = {row["beside"]: row for row in found["levels"]["rows"] if "beside" in row}
    lines = [
        *_head("Stores", result, path),
        "| all hosts together, 1 024 in flight (reads: bursts) | per s | p50 | p99 | py-lmdb |",
        "|---|---|---|---|---|",
        *(_row(rows[case], beside.get(case)) for case in SHOWN),
        "",
        _clients(rows),
        _singles(found),
    ]
    return "\n".join(lines).rstrip()


def figures_of_agents(result: dict[str, Any], path: str) -> str:
    """The part AGENTS of the front page, in Markdown."""
    found = result["results"]
    lines = [
        *_head("Agents", result, path),
        *agent_figures(found, result["systems"]),
    ]
    return "\n".join(lines).rstrip()


PARTS: dict[str, tuple[str, Callable[[dict[str, Any], str], str]]] = {
    "GROUP": ("writes", figures_of_group),
    "STORES": ("levels", figures),
    "AGENTS": ("agents_calls", figures_of_agents),
}
"""Name of the part -> the question that a result must have for it, and what writes it."""


def _head(what: str, result: dict[str, Any], path: str) -> list[str]:
    machine = result["machine"]
    quiet = machine["load_average"] <= LOAD_QUIET_RATIO * (machine["cores"] or 1)
    busy = "" if quiet else f"; the machine was busy with other work, load {_load(result)}"
    return [
        f"{what}, three processes on {machine['cores']} cores (`{path}`, made by",
        f"`{result['command']}`{busy}):",
        "",
    ]


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


def placed(page: str, part: str, name: str = "STORES") -> str:
    """The page with the part of this name replaced. Raises `ValueError` if it has none."""
    begin, end = rf"(<!-- {name}: begin[^>]*-->\n)", rf"(\n<!-- {name}: end -->)"
    mark = re.compile(f"{begin}.*?{end}", re.DOTALL)
    if mark.search(page) is None:
        raise ValueError(f"the page has no part {name}")
    return mark.sub(lambda found: found.group(1) + part.rstrip() + found.group(2), page)


def parts(result: dict[str, Any], path: str) -> dict[str, str]:
    """The parts that a result has the figures for."""
    return {
        name: write(result, path)
        for name, (question, write) in PARTS.items()
        if question in result["results"]
    }


def main() -> None:
    parser = argparse.ArgumentParser("python -m quorate.bench.front_page")
    parser.add_argument("result", type=Path)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put it in there")
    options = parser.parse_args()
    made = parts(results_file.read(options.result), options.result.as_posix())
    for name, part in made.items():
        if options.write is None:
            print(part)
        else:
            page = options.write.read_text(encoding="utf-8")
            options.write.write_text(placed(page, part, name), encoding="utf-8")


if __name__ == "__main__":
    main()
