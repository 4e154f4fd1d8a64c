"""Mutation control: each planted fault is found within few seeds, and for the right reason.

`KNOWN` is the seed at which it was found when the plant was written, and words of the finding. The
messages of a run change with the code, so a plant has until `SEEDS_MAX` seeds after the known one.
Moves have one more, in test_moves.py.
"""

from __future__ import annotations

import pytest

from quorate.chaos.agents.__main__ import Run
from quorate.chaos.agents.plants import PLANTS

KNOWN: dict[str, tuple[int, tuple[str, ...]]] = {
    "lease-ignored": (0, ("after it had acted under", "lease had ended")),
    "commit-unfenced": (13, ("its present one is",)),
    "timer-unfenced": (11, ("lease had ended", "the group had given it to")),
    "message-unfenced": (11, ("which was over",)),
    "old-cache-served": (0, ("its copy of the group has",)),
    "loser-erases-winner": (1, ("ended at",)),
    "reminder-not-settled": (0, ("is in strong lists",)),
    "order-not-kept-behind": (3, ("after message",)),
    "flush-left-out": (6, ("after message",)),
    "sent-again": (5, ("certainly did nothing", "was handled 2 times")),
    "mailbox-handed-on-twice": (0, ("has had later messages", "was handled 2 times")),
    "mailbox-dropped": (0, ("messages are not handled",)),
    "activated-before-the-bind": (0, ("acted under token", "the group gave that to")),
    "source-goes-on": (0, ("left this host while", "the group had given it to")),
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
