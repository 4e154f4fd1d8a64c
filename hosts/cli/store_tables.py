"""Answers about stores, cuts and heals as text for a person. Pure: values in, lines out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from quorate.hosts.cli.tables import table

VALUE_CHARS_MAX = 60


def short(value: object) -> str:
    """A value on one line, cut when it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= VALUE_CHARS_MAX else text[: VALUE_CHARS_MAX - 1] + "…"


def when(seconds: float) -> str:
    """Seconds since 1970 as a date and time."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def stores(body: Mapping[str, Any]) -> str:
    """The stores, and how replication goes."""
    if not body.get("open"):
        return "no stores"
    rows = [
        (
            row["name"],
            row["resolver"],
            row["replicas"],
            f"{row['keys']}{'+' if row['keys_more'] else ''}",
            f"{row['conflicts']}{'+' if row['conflicts_more'] else ''}",
        )
        for row in body["stores"]
    ]
    ring, log = body["ring"], body["log"]
    moving = f", moving from {', '.join(ring['moving_from'])}" if ring["moving_from"] else ""
    lines = [
        table(("STORE", "RESOLVER", "REPLICAS", "KEYS", "CONFLICTS"), rows),
        "",
        f"ring epoch {ring['epoch']}: {', '.join(ring['hosts'])}{moving}",
        f"kept for others: {log['retained_records']} records, {log['retained_bytes']} bytes",
    ]
    peers = [
        (
            peer,
            "yes" if lag["connected"] else "no",
            lag["hints_bytes"],
            lag["behind_updates"],
            lag["fresh_age_s"],
        )
        for peer, lag in body["peers"].items()
    ]
    if peers:
        lines += ["", table(("PEER", "REACHED", "HINTS_BYTES", "BEHIND", "FRESH_AGE_S"), peers)]
    return "\n".join([*lines, *(f"problem: {text}" for text in body["problems"])])


def entry(body: Mapping[str, Any]) -> str:
    """A key as it was read: the value, and where it is from."""
    value = json.dumps(body["value"], ensure_ascii=False, indent=2)
    version = body.get("version")
    about = f"{body['type']}  level {body['level']}  from {body['host']}"
    if version is not None:
        about += f"  version {version['actor']}:{version['seq']}"
    if body.get("degraded"):
        about += "  degraded: this host is cut off"
    lines = [value, about]
    lines += [f"sibling: {short(one)}" for one in body.get("siblings", ())]
    return "\n".join(lines)


def receipt(body: Mapping[str, Any]) -> str:
    """What an update achieved."""
    level = body["achieved"]
    if body["asked"] != level:
        level += f" (asked {body['asked']})"
    version = body["version"]
    place = "" if body["index"] is None else f"  term {body['term']}  index {body['index']}"
    held = "on disk" if body["durable"] else "in memory"
    return (
        f"{level}  version {version['actor']}:{version['seq']}{place}  "
        f"{held} at {', '.join(body['replicas'])}  ring epoch {body['epoch']}"
    )


def session(token: str | None) -> str:
    """The token to go on with."""
    return "" if token is None else f"\nsession {token}"


def conflicts(body: Mapping[str, Any]) -> str:
    """Concurrent updates that met."""
    rows = [
        (
            when(row["at_ms"] / 1000),
            row["key"],
            row["resolver"],
            row["reason"],
            short(row["winner"]),
            "  ".join(short(loser) for loser in row["losers"]),
        )
        for row in body["conflicts"]
    ]
    if not rows:
        return "no conflicts"
    header = ("AT", "KEY", "RESOLVER", "REASON", "WINNER", "LOSERS")
    return f"{table(header, rows)}\n(go on with --after {body['next']})"


def partition(body: Mapping[str, Any]) -> str:
    """Whom a host reaches, and what changed."""
    quorum = "reaches a majority" if body["reaches_quorum"] else "reaches no majority"
    lines = [
        f"host {body['host']}: {body['state']}, {quorum}, since {when(body['since'])}",
        f"reached: {', '.join(body['reachable']) or 'nobody'}",
    ]
    if body["unreachable"]:
        words = {"to": "hears us, is not heard", "from": "is heard, does not hear us"}
        named = [
            f"{peer} ({words[body['one_way'][peer]]})" if peer in body["one_way"] else peer
            for peer in body["unreachable"]
        ]
        lines.append(f"not reached: {', '.join(named)}")
    rows = [
        (when(event["at"]), event["kind"], ", ".join(event["peers"]), event["lasted_s"] or None)
        for event in body["events"]
    ]
    if rows:
        lines += ["", table(("AT", "EVENT", "PEERS", "LASTED_S"), rows)]
    return "\n".join(lines)


def reports(rows: Sequence[Mapping[str, Any]]) -> str:
    """What heals had to reconcile."""
    return "\n\n".join(report(row) for row in rows) or "no heal yet"


def report(body: Mapping[str, Any]) -> str:
    """One reconciliation report."""
    peers = ", ".join(body["peers"])
    lines = [
        f"report {body['number']} of {body['host']}: {peers} back at {when(body['healed_at'])} "
        f"after {body['apart_s']:.1f} s; {body['outcome']} in {body['took_s']:.2f} s"
    ]
    if body["why"]:
        lines.append(body["why"])
    if body["pending"]:
        lines.append(f"still reconciling with {', '.join(body['pending'])}")
    traffic = [
        (peer, t["keys_sent"], t["keys_received"], t["bytes_sent"], t["bytes_received"])
        for peer, t in body["traffic"].items()
    ]
    header = ("PEER", "KEYS SENT", "KEYS RECEIVED", "BYTES SENT", "BYTES RECEIVED")
    lines.append(table(header, traffic))
    if body["diverged"]:
        lines.append(
            table(
                ("STORE", "KEY", "RESOLVED BY", "WINNER", "LOSERS"),
                [_diverged(row) for row in body["diverged"]],
            )
        )
    left = body["diverged_keys"] - body["shown_keys"]
    lines.append(f"{body['diverged_keys']} keys diverged" + (f", {left} not shown" if left else ""))
    if body["keys_not_looked_at"]:
        lines.append(f"{body['keys_not_looked_at']} changed keys were not looked at: too many")
    return "\n".join(lines)


def _diverged(row: Mapping[str, Any]) -> tuple[object, ...]:
    winner = "merged" if row["winner"] is None else _version(row["winner"])
    if row["reason"] == "siblings" and row["winner"] is None:
        winner = "all kept"
    return (
        row["store"],
        row["key"],
        row["resolver"],
        winner,
        "  ".join(_version(loser) for loser in row["losers"]) or "-",
    )


def _version(version: Mapping[str, Any]) -> str:
    return f"{version['host']}: {short(version['value'])}"
