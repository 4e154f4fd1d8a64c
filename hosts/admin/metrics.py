"""A host's status and statistics as Prometheus metrics. The only importer of prometheus_client.

The law of this file: one registry per host, never the global one, and nothing is counted here: a
scrape reads `status()` and `statistics()` and forgets. A nested dictionary becomes one name joined
by underscores; a dictionary by host, link or table becomes a label; `*_total` is a counter, every
other number a gauge; text is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from quorate.hosts.admin.port import AdminPort

CONTENT_TYPE = CONTENT_TYPE_LATEST
REGISTRY: web.AppKey[CollectorRegistry] = web.AppKey("metrics")

LABELS = {
    "peers": "peer",
    "links": "peer",
    "followers": "peer",
    "absent_s": "peer",
    "tables": "table",
    "caches": "cache",
}
"""Dictionaries whose keys are things, not fields: the key becomes a label of that name."""
LEFT_OUT = frozenset(("applied", "acked", "actor"))
"""Vectors and names of actors: as many as there ever were data folders, and no measure."""

Sample = tuple[str, tuple[tuple[str, str], ...], float]
"""(name, labels, value)"""


def registry(port: AdminPort) -> CollectorRegistry:
    """A fresh registry that reads `port` at every scrape."""
    made = CollectorRegistry(auto_describe=False)
    made.register(_HostCollector(port))
    return made


def exposition(of: CollectorRegistry) -> bytes:
    return generate_latest(of)


class _HostCollector(Collector):
    def __init__(self, port: AdminPort) -> None:
        self._port = port

    def collect(self) -> Iterable[Metric]:
        status = self._port.status()
        samples = list(_status_samples(status))
        samples += flatten("quorate", self._port.statistics())
        return families(samples, host=str(status["host"]))


def _status_samples(status: Mapping[str, Any]) -> Iterator[Sample]:
    yield "quorate_is_leader", (), float(status.get("leader") == status["host"])
    yield "quorate_has_leader", (), float(status.get("leader") is not None)
    for name in ("term", "commit_index", "applied_index", "last_index", "revision"):
        if isinstance(status.get(name), int):
            yield f"quorate_{name}", (), float(status[name])
    for member in status.get("members", ()):
        if isinstance(member.get("lag"), int):
            yield "quorate_member_lag_entries", (("member", member["id"]),), float(member["lag"])


def flatten(
    prefix: str, values: Mapping[str, Any], labels: tuple[tuple[str, str], ...] = ()
) -> Iterator[Sample]:
    """Every number in a nested dictionary as a sample."""
    for key, value in values.items():
        if key in LEFT_OUT:
            continue
        name = f"{prefix}_{_word(str(key))}"
        if isinstance(value, bool | int | float):
            yield name, labels, float(value)
        elif isinstance(value, Mapping):
            inner = cast("Mapping[str, Any]", value)
            if key not in LABELS:
                yield from flatten(name, inner, labels)
                continue
            for thing, about in inner.items():
                labelled = (*labels, (LABELS[key], str(thing)))
                if isinstance(about, Mapping):
                    yield from flatten(name, cast("Mapping[str, Any]", about), labelled)
                elif isinstance(about, bool | int | float):
                    yield name, labelled, float(about)


def _word(text: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", text)


def families(samples: Iterable[Sample], *, host: str) -> list[Metric]:
    """Samples gathered by name and label names, each with the label `host`; a repeated one keeps
    the first value."""
    gathered: dict[str, Metric] = {}
    seen: set[tuple[str, tuple[tuple[str, str], ...]]] = set()
    for name, labels, value in samples:
        if (name, labels) in seen:
            continue
        seen.add((name, labels))
        names = ["host", *(label for label, _ in labels)]
        family = gathered.get(name)
        if family is None:
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            family = gathered[name] = kind(name, name.replace("_", " "), labels=names)
        cast("GaugeMetricFamily", family).add_metric([host, *(text for _, text in labels)], value)
    return list(gathered.values())
