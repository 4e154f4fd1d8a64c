"""The table is exhaustive: a new engine outcome without a row fails here."""

from __future__ import annotations

from typing import get_args

import pytest
from pysyncobj.config import FAIL_REASON  # tidy-ok: only its names, to see that each has a row

from quorate.core.errors import (
    NotCommitted,
    Outcome,
    OutcomeUnknown,
    QuorateError,
    Refused,
    Unavailable,
    UsageError,
)
from quorate.core.group import outcomes
from quorate.core.group.outcomes import ENDINGS, ENGINE_OUTCOMES, REFUSALS, Ending
from quorate.core.machine import results
from quorate.core.raft.refusals import FROM_FAIL_REASON, Refusal

CERTAIN = {"QUEUE_FULL", "MISSING_LEADER", "REQUEST_DENIED", "NOT_LEADER", "DISCARDED"}
"""The engine's outcomes that certainly mean "not applied" (S9)."""


def engine_names() -> set[str]:
    return {name for name in vars(FAIL_REASON) if name.isupper()}


def test_every_refusal_of_the_driver_has_a_row() -> None:
    assert set(REFUSALS) == {refusal.name for refusal in Refusal}
    for refusal in Refusal:
        row = outcomes.row_of(refusal)
        assert row.certain, "a refusal of the driver is certain, or it is none"
        error = outcomes.refusal_error(refusal, leader="b")
        assert isinstance(error, row.error) and error.outcome == "not_applied"


def test_every_outcome_of_the_base_engine_has_a_row() -> None:
    assert set(ENGINE_OUTCOMES) == engine_names()
    for name, row in ENGINE_OUTCOMES.items():
        if row is not None:
            assert row.certain == (name in CERTAIN), name
            assert row.certain == (not issubclass(row.error, OutcomeUnknown)), name


def test_what_the_driver_takes_from_the_engine_means_the_same() -> None:
    names = {value: name for name, value in vars(FAIL_REASON).items() if name.isupper()}
    for reason, refusal in FROM_FAIL_REASON.items():
        assert ENGINE_OUTCOMES[names[reason]] == outcomes.row_of(refusal)


def test_every_ending_on_this_host_has_an_error_that_says_whether_it_happened() -> None:
    assert set(ENDINGS) == set(Ending)
    for ending in Ending:
        error = outcomes.ending_error(ending, leader="b", what="put 'k'", detail="why")
        assert isinstance(error, QuorateError) and "put 'k'" in str(error)
        sent = ending.name.endswith("_SENT")
        assert error.outcome == ("unknown" if sent else "not_applied"), ending
        if not sent:
            assert isinstance(error, NotCommitted), ending


def test_every_failure_of_the_machine_has_an_error() -> None:
    answers = [v for v in vars(results).values() if results.is_failed(v)]
    codes = {results.failure_code(answer) for answer in answers} | set(results.FAILURES)
    assert codes == set(results.FAILURES)
    for code, (kind, text) in results.FAILURES.items():
        assert issubclass(kind, Refused | UsageError | Unavailable) and text
        with pytest.raises(kind) as caught:
            results.raise_for(results.failed(code), "put")
        assert caught.value.outcome in get_args(Outcome)


def test_a_refusal_without_a_row_is_our_bug() -> None:
    with pytest.raises(QuorateError, match="no row"):
        outcomes.row_of("BRAND_NEW")
