"""The promises hold for the machine, over many seeds."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from quorate.core.machine.machine import Machine
from tests.machine.properties import PROPERTIES

SEEDS = 500 if os.environ.get("QUORATE_SOAK") else 30


@pytest.mark.parametrize("holds", PROPERTIES, ids=lambda promise: promise.__name__)
def test_the_machine_keeps_its_promise(holds: Callable[[type[Machine], int], None]) -> None:
    for seed in range(SEEDS):
        holds(Machine, seed)
