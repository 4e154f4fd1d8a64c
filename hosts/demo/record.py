"""What was acknowledged, kept outside the hosts, and the verdict over what they hold afterwards.
Pure.

The law of this file: an acknowledged write must be in every copy, with its own value, once. A write
whose outcome is unknown may be there or not, but never twice. A write that was said to be
`not_applied` is tried again under the same key, so a false `not_applied` shows as a second version.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

EXAMPLES_MAX = 5
COUNTER_MARK = ".c"
"""A writer whose name ends so writes one key again and again."""


class Ranges:
    """A set of mostly consecutive numbers, kept as [first, last] pairs in the order they came."""

    def __init__(self) -> None:
        self.pairs: list[list[int]] = []

    def add(self, first: int, last: int) -> None:
        if self.pairs and self.pairs[-1][1] + 1 == first:
            self.pairs[-1][1] = last
        else:
            self.pairs.append([first, last])

    @property
    def last(self) -> int:
        """The greatest number; -1 when empty."""
        return max((pair[1] for pair in self.pairs), default=-1)

    def __iter__(self) -> Iterator[int]:
        for first, last in self.pairs:
            yield from range(first, last + 1)

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.pairs)


@dataclass
class Verdict:
    """What is wrong with one copy; `held` when nothing is."""

    host: str
    lost: int = 0
    duplicated: int = 0
    wrong: int = 0
    """Keys that hold another write's value."""
    checked: int = 0
    examples: list[str] = field(default_factory=list[str])

    @property
    def held(self) -> bool:
        return not (self.lost or self.duplicated or self.wrong)

    def note(self, text: str) -> None:
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(text)


@dataclass
class Copy:
    """What one host holds: writer -> n -> (version, id), and counter -> (version, attempt)."""

    writes: dict[str, dict[int, tuple[int, str]]] = field(
        default_factory=dict[str, dict[int, tuple[int, str]]]
    )
    counters: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])

    def add(self, writer: str, items: Iterable[Any]) -> None:
        held = self.writes.setdefault(writer, {})
        for n, version, id_ in items:
            held[int(n)] = (int(version), str(id_))


class Ledger:
    """The acknowledged and the unknown writes of all writers of a run."""

    def __init__(self) -> None:
        self.acked: dict[str, Ranges] = {}
        self.unknown: dict[str, set[int]] = {}
        self.acked_count = 0
        self.unknown_count = 0
        self.refused_count = 0

    def on_acks(self, event: dict[str, Any]) -> int:
        """Take an `acks` line; how many writes it acknowledged."""
        count = 0
        for writer, first, last in event.get("acked", ()):
            self.acked.setdefault(writer, Ranges()).add(first, last)
            count += last - first + 1
        for writer, n in event.get("unknown", ()):
            self.unknown.setdefault(writer, set()).add(n)
            self.unknown_count += 1
        self.acked_count += count
        self.refused_count += event.get("refused", 0)
        return count

    def verify(self, host: str, copy: Copy) -> Verdict:
        """Compare the copy of `host` with what was acknowledged."""
        verdict = Verdict(host)
        for writer, acked in self.acked.items():
            if writer.endswith(COUNTER_MARK):
                self._verify_counter(verdict, writer, acked, copy)
                continue
            held = copy.writes.get(writer, {})
            for n in acked:
                verdict.checked += 1
                found = held.get(n)
                if found is None:
                    verdict.lost += 1
                    verdict.note(f"{host}: acknowledged write {writer}:{n} is missing")
                elif found[1] != f"{writer}:{n}":
                    verdict.wrong += 1
                    verdict.note(f"{host}: {writer}:{n} holds {found[1]!r:.60}")
        for writer, held in copy.writes.items():
            for n, (version, _) in held.items():
                if version != 1:
                    verdict.duplicated += 1
                    verdict.note(f"{host}: {writer}:{n} was applied {version} times")
        return verdict

    def _verify_counter(self, verdict: Verdict, writer: str, acked: Ranges, copy: Copy) -> None:
        """One key written again and again, one write at a time, with the number of the attempt as
        its value: its version counts the applied ones, so it lies between acknowledged and
        attempted."""
        version, attempt = copy.counters.get(writer, (0, 0))
        verdict.checked += len(acked)
        if version < len(acked) or attempt < acked.last:
            verdict.lost += max(1, len(acked) - version)
            verdict.note(
                f"{verdict.host}: counter {writer}: applied {version} times, attempt {attempt}; "
                f"{len(acked)} acknowledged up to {acked.last}"
            )
        if version > attempt:
            verdict.duplicated += version - attempt
            verdict.note(f"{verdict.host}: counter {writer}: {attempt} sent, {version} applied")
