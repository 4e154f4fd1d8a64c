"""Every kind keeps every law, whatever is lost, doubled, reordered, wiped or collected."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from quorate.consistency.crdt import KINDS
from tests.crdt.machine import machine_of
from tests.crdt.story import real

SOAK = bool(os.environ.get("QUORATE_SOAK"))
EXAMPLES = 500 if SOAK else 25
STEPS = 80 if SOAK else 30


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_keeps_every_law(kind: str) -> None:
    run_state_machine_as_test(
        machine_of(real(kind)),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=not SOAK,
            database=None,
            phases=[Phase.generate, Phase.shrink] if SOAK else [Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
