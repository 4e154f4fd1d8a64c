"""What the hosts say of themselves while a run goes on, and what must hold of it.

The law of this file: pure. No two hosts lead in one term; within one life of a host its term and
its commit index never fall, and it has applied nothing beyond its commit index. What hosts find out
about each other (digests that differ) ends them, and is judged by their last words.
"""

from __future__ import annotations

from typing import Any

from quorate.consistency.check.verdict import Anomaly, Verdict

ANOMALIES_MAX = 20
NEVER_FALL = ("term", "commit_index")


class Internals:
    """Takes the `status` lines of all hosts."""

    def __init__(self) -> None:
        self._leaders: dict[int, str] = {}
        self._last: dict[str, dict[str, int]] = {}
        self._found: dict[str, Anomaly] = {}
        self.count = 0

    def on_start(self, host: str) -> None:
        """A new life: what is not on disk may be behind."""
        self._last.pop(host, None)

    def on_status(self, host: str, status: dict[str, Any]) -> None:
        self.count += 1
        numbers = {
            name: int(value)
            for name, value in status.items()
            if name.endswith(("term", "_index")) and isinstance(value, int)
        }
        before = self._last.setdefault(host, {})
        for name in NEVER_FALL:
            if numbers.get(name, 0) < before.get(name, 0):
                text = f"{name} of host {host} fell from {before[name]} to {numbers[name]}"
                self._add(f"{name}-fell", text)
        if numbers.get("applied_index", 0) > numbers.get("commit_index", 1 << 62):
            self._add("applied-uncommitted", f"host {host} applied {numbers['applied_index']}")
        self._last[host] = numbers
        if status.get("role") == "leader" and "term" in numbers:
            other = self._leaders.setdefault(numbers["term"], host)
            if other != host:
                self._add("two-leaders", f"{other} and {host} led in term {numbers['term']}")

    def _add(self, kind: str, text: str) -> None:
        if len(self._found) < ANOMALIES_MAX:
            self._found.setdefault(text, Anomaly(kind, text))

    def verdict(self) -> Verdict:
        """Unknown when no host said anything."""
        found = list(self._found.values())
        word = "broken" if found else "held" if self.count else "unknown"
        return Verdict(word, "internals", self.count, found)
