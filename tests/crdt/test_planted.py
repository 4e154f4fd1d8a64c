"""A law suite is worth what it catches: each planted mistake must be found."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from quorate.consistency.crdt.base import Crdt
from quorate.core.errors import QuorateError
from tests.crdt import planted
from tests.crdt.machine import machine_of
from tests.crdt.story import LawBroken

PLANTED = [
    found
    for _, found in inspect.getmembers(planted, inspect.isclass)
    if issubclass(found, Crdt) and found.__module__ == planted.__name__
]


@pytest.mark.parametrize("wrong", PLANTED, ids=lambda wrong: wrong.__name__)
def test_the_suite_catches(wrong: type[Crdt]) -> None:
    """The same machine, the same number of examples for all, no shrinking."""
    with pytest.raises((LawBroken, QuorateError)) as caught:
        run_state_machine_as_test(
            machine_of(wrong),
            settings=settings(
                max_examples=150,
                stateful_step_count=30,
                deadline=None,
                derandomize=True,
                database=None,
                report_multiple_bugs=False,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
    assert wrong.__doc__ and str(caught.value)


def test_every_kind_has_a_planted_mistake() -> None:
    assert {wrong.kind for wrong in PLANTED} == {
        *("g_counter", "pn_counter", "g_set", "two_phase_set", "or_set", "lww_register"),
        *("mv_register", "ew_flag", "or_map", "sequence"),
    }
