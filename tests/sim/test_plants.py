"""Mutation control: each hazard, brought back into our engine, is found by the simulator.

`KNOWN` is the seed at which it was found when the plant was written. The engine's messages change
with its code, so a plant has until `SEEDS_MAX` seeds after the known one.
"""

from __future__ import annotations

import pytest

from quorate.chaos.sim.plants import PLANTS, planted
from quorate.chaos.sim.world import run_seed

KNOWN = {
    "S1": (2, "term"),
    "S2": (0, "lost it"),
    "S3": (49, "counts entry"),
    "S4": (11, "term"),
    "S5": (0, "stopped itself"),
    "S6": (0, "lost it in a restart"),
    "S7": (0, "beyond its log"),
    "S8": (0, "cannot start"),
    "S9": (0, ""),
    "S10": (9, ""),
    "S11": (1, ""),
    "S12": (0, ""),
    "S13": (0, "cannot read"),
    "S14": (0, "forgot to flush"),
    "S15": (0, "differ"),
    "S16": (3, "flood"),
    "S17": (0, "no progress"),
}
SEEDS_MAX = {"S3": 150, "S10": 60}


def test_there_is_a_plant_for_every_hazard() -> None:
    assert set(PLANTS) == {f"S{number}" for number in range(1, 18)} == set(KNOWN)


@pytest.mark.parametrize("name", sorted(PLANTS, key=lambda name: int(name[1:])))
def test_the_plant_is_found(name: str) -> None:
    seed, text = KNOWN[name]
    findings: list[str] = []
    for later in range(SEEDS_MAX.get(name, 40)):
        report = run_seed(seed + later, 30.0, planted(name, seed + later))
        if report.verdict == "broken":
            findings = report.findings
            break
    assert any(text in finding for finding in findings), findings


def test_a_lost_request_that_is_never_sent_again_is_found() -> None:
    reports = [run_seed(seed, 15.0, planted("S9", seed)) for seed in (1, 3, 5)]
    assert any("after its deadline" in text for report in reports for text in report.findings)
