"""Histories whose verdicts are known: each is judged as it must be, for the reason it must be."""

from __future__ import annotations

import pytest

from quorate.consistency.check.models import JUDGES, Options, check
from quorate.consistency.check.names import MODELS
from tests.check import known_graph, known_linear, known_weak
from tests.check.tell import Case, history

CASES: list[Case] = [*known_linear.CASES, *known_graph.CASES, *known_weak.CASES]


def _name(case: Case) -> str:
    return f"{case.model}: {case.name}"


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_the_verdict_is_known(case: Case) -> None:
    verdict = case.judge()
    assert verdict.verdict == case.verdict, verdict.text()
    assert case.kinds <= verdict.kinds, verdict.text()


@pytest.mark.parametrize("case", [case for case in CASES if case.verdict == "broken"], ids=_name)
def test_the_counterexample_is_refuted_too(case: Case) -> None:
    """A counterexample is a history that can be judged by itself, and it is no longer than the
    whole."""
    verdict = case.judge()
    example = verdict.counterexample
    assert example is not None
    assert 0 < len(example.operations) <= len(history(*case.told).operations)
    again = check(case.model, example, Options(**case.options))
    assert again.verdict == "broken", verdict.text()


def test_every_name_has_a_judge() -> None:
    assert list(MODELS) == list(JUDGES)


def test_there_are_enough_and_of_every_model() -> None:
    assert len(CASES) >= 50
    assert len({_name(case) for case in CASES}) == len(CASES)
    for verdict in ("held", "broken"):
        models = {case.model for case in CASES if case.verdict == verdict}
        assert len(models) == 9, (verdict, models)
