"""The figures of agents as the front page shows them: made from a result file, as `front_page`.

The law of this file: nothing is said that the result does not say; a peer that was not measured
leaves its column with a dash. Pure.
"""

from __future__ import annotations

from typing import Any

from quorate.bench.tables import number, small

OURS, PEERS = "quorate", ("casty", "ray")
NAMES = {"casty": "casty", "ray": "Ray"}
SHOWN = (
    ("agents_calls", "local ask, one caller", "p50_us"),
    ("agents_calls", "local ask, 200 callers, many agents", "ops_per_s"),
    ("agents_calls", "local ask, 200 callers, one agent", "ops_per_s"),
    ("agents_calls", "remote ask, one caller", "p50_us"),
    ("agents_calls", "remote ask, 200 callers on all hosts", "ops_per_s"),
    ("agents_state", "strong turns, one caller", "p50_us"),
    ("agents_state", "strong turns, 1 024 callers", "ops_per_s"),
)
"""(question, case, the figure that is shown of it)."""


def agent_figures(found: dict[str, Any], systems: dict[str, Any]) -> list[str]:
    """The table and the sentences below it, in Markdown."""
    shown = [OURS, *(name for name in PEERS if _version(systems, name))]
    titles = [NAMES[name] + " " + _version(systems, name) for name in shown[1:]]
    lines = [
        f"| {' | '.join(['agents, three processes', OURS, *titles])} |",
        f"|{'---|' * (len(shown) + 1)}",
    ]
    for question, case, figure in SHOWN:
        if question in found:
            cells = [_cell(found[question], name, case, figure) for name in shown]
            lines.append(f"| {' | '.join([case, *cells])} |")
    for title, cell in (
        ("named agents started, per s", _started),
        ("memory of a passive one: the fullest host, all hosts", _memory),
        ("look-ups of a name, per s", _look_ups),
    ):
        if "agents_names" in found:
            rows = {row["system"]: row for row in found["agents_names"]}
            cells = [cell(rows[name]) if name in rows else "-" for name in shown]
            lines.append(f"| {' | '.join([title, *cells])} |")
    failover = found.get("agents_failover")
    if failover:
        kills = {row["system"]: row for row in failover["kills"]}
        cells = [_back(kills[name]) if name in kills else "-" for name in shown]
        lines.append(f"| {' | '.join(['answers after kill -9 of its host, p99', *cells])} |")
    return [*lines, "", *_notes(found)]


def _version(systems: dict[str, Any], name: str) -> str:
    """The version that was measured; "" if it was not."""
    text = str(systems.get(name, {}).get("configuration", {}).get("version", ""))
    return text.split(",")[0].split(" ")[0]


def _cell(rows: list[dict[str, Any]], system: str, case: str, figure: str) -> str:
    for row in rows:
        if (row["system"], row["case"]) == (system, case):
            return time_of(row[figure]) if figure.endswith("_us") else f"{number(row[figure])}/s"
    return "-"


def time_of(us: float) -> str:
    return f"{small(us)} us" if us < 1000 else f"{small(us / 1000)} ms"


def _started(row: dict[str, Any]) -> str:
    return f"{number(row['agents'] / row['started_s'])} ({number(row['agents'])} in all)"


def _memory(row: dict[str, Any]) -> str:
    return ", ".join(_size(row[f"passive_bytes_{which}"]) for which in ("host_max", "all"))


def _size(count: float) -> str:
    return f"{count / 1e6:.0f} MB" if count >= 1e6 else f"{count / 1024:.1f} KB"


def _look_ups(row: dict[str, Any]) -> str:
    return number(row["look_up"]["per_s"])


def _back(row: dict[str, Any]) -> str:
    each = row["agents"] // row["kills"]
    return f"{row['back_ms']['p99'] / 1000:.2f} s ({number(each)} agents, {row['lost']} lost)"


def _notes(found: dict[str, Any]) -> list[str]:
    told: list[str] = []
    for row in found.get("agents_moves", ()):
        pause = row["pause_ms"]
        told.append(
            f"A caller waits p50 {pause['median']:.1f} ms, p99 {pause['p99']:.1f} ms while its "
            f"agent moves with {row['state_bytes'] / 1e6:g} MB in "
            f"{'`self.state`' if row['where'] == 'store' else 'its memory'}."
        )
    for row in found.get("agents_failover", {}).get("drains", ()):
        if row["system"] == OURS:
            each = row["agents"] // row["drains"]
            told.append(
                f"Draining a host with {number(each)} agents under load takes "
                f"{row['seconds']['median']:.2f} s and failed {row['failures']} calls."
            )
    told.append(
        "Strong state is synced to the disks of a majority here, in memory of a majority in casty, "
        "and nowhere in Ray, whose actors are processes."
    )
    return [" ".join(told)]
