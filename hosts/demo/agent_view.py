"""What a person sees of the scene with agents: lines as it goes, one table and the promises at the
end.

The law of this file: it only shows; a table is drawn by rich on a terminal and as plain text
elsewhere.
"""

from __future__ import annotations

from typing import Any

from quorate.hosts.demo.level_view import LevelView, Row, plain_table

HEAD: Row = ("what happened", "how many", "measured")


def rows(record: dict[str, Any]) -> list[Row]:
    """The table."""
    call, owner, moves, kill = (record[key] for key in ("calls", "owner", "moves", "kill"))
    spread = ", ".join(f"{host} {count}" for host, count in record["spread"].items())
    return [
        ("agents started", f"{record['started']} on {spread}", f"{record['started_ms']} ms"),
        (
            "one agent called from every host",
            f"totals {', '.join(map(str, record['anywhere']['totals']))}",
            f"{record['anywhere']['slowest_ms']} ms at most",
        ),
        (
            "an owner ended, its agents with it",
            f"{owner['agents']} on {owner['hosts']} hosts",
            f"gone everywhere after {owner['gone_ms']} ms",
        ),
        (
            "moved to another host under load",
            f"{moves['moves']} times, {moves['lines']} calls meanwhile",
            f"a call waited {moves['pause_ms']} ms at most, half of them {moves['p50_ms']} ms",
        ),
        (
            f"kill -9 of host {kill['host']}",
            f"{kill['agents']} agents, now on {', '.join(kill['now'])}",
            f"answer again after {kill['p50_ms']} ms (p50), {kill['p99_ms']} ms (p99)",
        ),
        (
            "strong calls acknowledged",
            f"{call['acked']}, each writes on a majority's disks",
            f"p50 {call['p50_ms']} ms, p99 {call['p99_ms']} ms before the kill",
        ),
        (
            "acts outside of the cluster",
            f"{record['acts']['accepted']} accepted",
            f"{record['acts']['turned_away']} of past epochs turned away",
        ),
    ]


class AgentView(LevelView):
    """Shows the scene; `silent`: nothing."""

    def show_agents(self, record: dict[str, Any]) -> None:
        """The table and every promise."""
        if self._silent:
            return
        print()
        made = rows(record)
        if not self._drawn("", HEAD, made):
            print("\n".join(plain_table(HEAD, made)))
        print()
        for promise, held in record["promises"].items():
            print(f"{'kept' if held else 'BROKEN':>12}  {promise}")
        for example in record["examples"]:
            print(f"{'':>12}  {example}")
