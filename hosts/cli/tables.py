"""Answers as text for a person. Pure: values in, lines out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns padded to their widest cell; an empty table is its header."""
    cells = [list(header), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in cells]
    return "\n".join(line.rstrip() for line in lines)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def status(body: Mapping[str, Any]) -> str:
    """The cluster as one host sees it."""
    first = (
        f"host {body['host']}  role {body.get('role', '-')}  leader {body.get('leader') or '-'}  "
        f"term {body.get('term', '-')}  commit {body.get('commit_index', '-')}  "
        f"applied {body.get('applied_index', '-')}  last {body.get('last_index', '-')}"
    )
    return f"{first}\n{members(body.get('members', ()), body.get('leader'))}"


def members(rows: Iterable[Mapping[str, Any]], leader: str | None = None) -> str:
    """One line per member; the leader is marked."""
    header = ("MEMBER", "ROLE", "ADDRESS", "MATCH", "LAG", "ADMIN")
    return table(
        header,
        (
            (
                f"{row['id']} *" if row["id"] == leader else row["id"],
                row.get("role"),
                row.get("address"),
                row.get("match_index"),
                row.get("lag"),
                row.get("admin"),
            )
            for row in rows
        ),
    )


def records(rows: Iterable[Mapping[str, Any]]) -> str:
    header = ("KEY", "VERSION", "REVISION", "VALUE")
    return table(
        header,
        ((row["key"], row["version"], row["revision"], json.dumps(row["value"])) for row in rows),
    )


def things(rows: Sequence[Mapping[str, Any]], empty: str) -> str:
    """Any list of flat objects: the fields of the first row are the columns."""
    if not rows:
        return empty
    header = list(rows[0])
    return table([name.upper() for name in header], ([r.get(n) for n in header] for r in rows))


def reachability(body: Mapping[str, Any]) -> str:
    """Who reaches whom: a row per ordered pair. A host that did not answer has one row that says
    so."""
    rows: list[tuple[object, ...]] = []
    for source, links in body.items():
        if not isinstance(links, Mapping):
            rows.append((source, None, None, None, None, links))
            continue
        for target, about in cast("Mapping[str, Mapping[str, Any]]", links).items():
            reaches = "yes" if about.get("connected") else "no"
            heard = "yes" if about.get("inbound") else "no"
            rtt_ms, problem = about.get("rtt_ms"), about.get("problem") or ""
            rows.append((source, target, reaches, heard, rtt_ms, problem))
    return table(("FROM", "TO", "REACHES", "IS REACHED", "RTT_MS", "PROBLEM"), rows)


def event(kind: str, data: Mapping[str, Any]) -> str:
    """One change of a watch."""
    value = json.dumps(data.get("value"), ensure_ascii=False) if kind != "delete" else ""
    return f"{data['revision']}  {kind:6}  {data['key']}  {value}".rstrip()


def problem(body: Mapping[str, Any]) -> str:
    """What went wrong, whether it happened, and where to try next."""
    text = f"quorate: {body.get('detail') or body.get('title')}"
    if body.get("outcome") == "unknown":
        text += "\n  the outcome is unknown: it may have been applied; read before trying again"
    elif body.get("outcome") == "applied":
        text += "\n  it was applied, and its effect is not visible here yet"
    hint = body.get("leader")
    if isinstance(hint, Mapping):
        known = cast("Mapping[str, Any]", hint)
        at = f" at {known['admin']}" if known.get("admin") else ""
        text += f"\n  the leader is {known.get('host')}{at}"
    return text
