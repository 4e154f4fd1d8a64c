"""Mutation control: each planted fault is found within few seeds, and for the right reason.

`KNOWN` is the seed at which it was found when the plant was written, and words of the finding. The
stores' messages change with their code, so a plant has until `SEEDS_MAX` seeds after the known one.
"""

from __future__ import annotations

import pytest

from quorate.chaos.stores.__main__ import Run
from quorate.chaos.stores.plants import PLANTS

KNOWN: dict[str, tuple[int, tuple[str, ...]]] = {
    "no-read-your-writes": (36, ("sessions:",)),
    "token-ignored-on-forward": (1, ("sessions:",)),
    "fresh-by-heartbeat": (3, ("bounded: too-old",)),
    "hint-dropped": (0, ("go from its log",)),
    "ack-before-sync": (0, ("its disk ends at",)),
    "push-before-sync": (0, ("pushes",)),
    "applied-over-a-gap": (6, ("has not seen", "never had it", "lost-update")),
    "collected-early": (1, ("resurrected", "superseded", "differ", "lost-update")),
    "context-dropped": (0, ("differ", "superseded", "has not seen")),
    "range-skipped": (14, ("differ",)),
    "resolver-not-deterministic": (1, ("diverged", "phantom")),
    "dot-reused": (0, ("names two updates", "phantom", "differ")),
}
SEEDS_MAX = 40


def test_there_is_a_test_for_every_plant() -> None:
    assert set(PLANTS) == set(KNOWN)


@pytest.mark.parametrize("name", sorted(PLANTS))
def test_the_plant_is_found(name: str) -> None:
    first, words = KNOWN[name]
    findings: list[str] = []
    for seed in range(first, first + SEEDS_MAX):
        report = Run(plant=name)(seed)
        findings = report.findings if report.verdict == "broken" else []
        if any(word in finding for finding in findings for word in words):
            return
    pytest.fail(f"{name} was not found in {SEEDS_MAX} seeds; the last findings: {findings}")
