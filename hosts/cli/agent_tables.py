"""Answers about agents and their hosts as text for a person. Pure: values in, lines out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from quorate.hosts.cli.tables import table

VALUE_CHARS_MAX = 100


def value(shown: object) -> str:
    """A value on one line."""
    return json.dumps(shown, ensure_ascii=False)


def _short(shown: object) -> str:
    text = shown if isinstance(shown, str) else value(shown)
    return text if len(text) <= VALUE_CHARS_MAX else text[: VALUE_CHARS_MAX - 1] + "…"


def agents(body: Mapping[str, Any]) -> str:
    """The list of agents."""
    if not body["agents"]:
        return "no agents"
    rows = [
        (one["name"], one["kind"], one["host"] or "-", one["status"], one["epoch"])
        for one in body["agents"]
    ]
    more = ["(there are more: go on with --after)"] if body["more"] else []
    return "\n".join([table(("NAME", "KIND", "HOST", "STATUS", "EPOCH"), rows), *more])


def pairs(body: Mapping[str, Any]) -> str:
    """Names and values, one a line."""
    width = max(map(len, body), default=0)
    return "\n".join(f"{name:{width}}  {_short(shown)}" for name, shown in body.items())


def rows(found: Sequence[Mapping[str, Any]], nothing: str) -> str:
    """Things of one shape as a table."""
    if not found:
        return nothing
    names = list(found[0])
    heads = tuple(name.upper() for name in names)
    return table(heads, [tuple(_short(one.get(name)) for name in names) for one in found])


def classes(body: Mapping[str, Mapping[str, int]]) -> str:
    """Which host can run what."""
    if not body:
        return "no host runs agents"
    found = [
        (kind, ", ".join(f"{host} (version {number})" for host, number in at.items()))
        for kind, at in body.items()
    ]
    return table(("CLASS", "HOSTS"), found)


def hosts(found: Sequence[Mapping[str, Any]]) -> str:
    """The hosts that run agents."""
    return rows(found, "no host runs agents")
