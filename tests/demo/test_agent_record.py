"""The verdict over agents finds every way in which a promise can be broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from quorate.hosts.demo.agent_record import (
    AgentLedger,
    AgentVerdict,
    Effect,
    Heard,
    judge_effects,
    judge_heard,
    judge_lines,
    percentile,
)

Event = dict[str, list[Any]]
SHOP = "shop:1"


def sale(total: int, epoch: int, began: float, took_s: float = 0.5) -> Event:
    return {"tries": [SHOP], "acks": [[SHOP, total, epoch, began, began + took_s]]}


def failed(began: float, outcome: str) -> Event:
    return {"tries": [SHOP], "failed": [[SHOP, "Error", outcome, "", began, began + 1]]}


class Run:
    """What a good run leaves: two epochs, one sale of unknown outcome that did not happen."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Event]] = [
            ("a", sale(1, 5, 1.0)),
            ("b", sale(2, 5, 2.0)),
            ("a", failed(3.0, "unknown")),
            ("b", failed(4.0, "not_applied")),
            ("a", sale(3, 9, 5.0)),
            ("b", sale(4, 9, 5.1)),
        ]
        self.final: dict[str, int | None] = {SHOP: 4}
        self.acts = [
            ("a", 5, 1, "begin"),
            ("a", 5, 1, "end"),
            ("a", 5, 2, "begin"),
            ("b", 9, 1, "begin"),  # elsewhere by now: the open act is cut off
            ("a", 5, 2, "end"),  # and refused
            ("b", 9, 1, "end"),
        ]

    def verdict(self) -> AgentVerdict:
        ledger = AgentLedger()
        for host, event in self.calls:
            ledger.on_calls(host, event)
        for host, token, number, what in self.acts:
            ledger.on_effect(host, {"name": SHOP, "token": token, "n": number, "what": what})
        return ledger.verify(self.final)


def test_a_good_run_is_held() -> None:
    verdict = Run().verdict()
    assert verdict.held, verdict
    assert verdict.checked == 4 + 5


def test_an_unknown_sale_may_have_happened() -> None:
    run = Run()
    run.final[SHOP] = 5
    assert run.verdict().held


def a_value_told_twice(run: Run) -> None:
    run.calls[1] = ("b", sale(1, 5, 2.0))


def a_sale_is_lost(run: Run) -> None:
    run.final[SHOP] = 3


def a_sale_is_lost_below_a_later_one(run: Run) -> None:
    """Three were told, and the greatest total is two: two of them are one."""
    run.calls[4:] = [("a", sale(2, 9, 5.0))]
    run.final[SHOP] = 2


def the_shop_is_gone(run: Run) -> None:
    run.final[SHOP] = None


def nobody_knows_the_shop(run: Run) -> None:
    run.final.clear()


def a_refused_sale_happened(run: Run) -> None:
    run.final[SHOP] = 6


def a_total_goes_back_in_time(run: Run) -> None:
    run.calls[4:] = [("a", sale(4, 9, 5.0)), ("b", sale(3, 9, 7.0))]


def an_old_epoch_counts_on(run: Run) -> None:
    run.calls[5] = ("b", sale(4, 5, 5.1))


def two_acts_overlap(run: Run) -> None:
    run.acts[1:1] = [("a", 5, 7, "begin")]


def two_hosts_have_one_token(run: Run) -> None:
    run.acts[2:3] = [("b", 5, 2, "begin"), ("b", 5, 2, "end")]


FAULTS: list[tuple[Callable[[Run], None], str]] = [
    (a_value_told_twice, "doubled"),
    (a_sale_is_lost, "lost"),
    (a_sale_is_lost_below_a_later_one, "lost"),
    (the_shop_is_gone, "lost"),
    (nobody_knows_the_shop, "lost"),
    (a_refused_sale_happened, "doubled"),
    (a_total_goes_back_in_time, "disordered"),
    (an_old_epoch_counts_on, "disordered"),
    (two_acts_overlap, "overlapping"),
    (two_hosts_have_one_token, "overlapping"),
]


@pytest.mark.parametrize(("plant", "kind"), FAULTS, ids=lambda it: getattr(it, "__name__", ""))
def test_a_planted_fault_is_found(plant: Callable[[Run], None], kind: str) -> None:
    run = Run()
    plant(run)
    verdict = run.verdict()
    assert not verdict.held
    assert verdict.counts()[kind] > 0, verdict
    assert verdict.examples


# --- the resource outside -------------------------------------------------------------------------


def test_the_resource_refuses_an_old_token() -> None:
    ledger = AgentLedger()

    def show(token: int, what: str = "begin") -> bool:
        return ledger.on_effect("a", {"name": SHOP, "token": token, "n": 1, "what": what})

    assert [show(5), show(9), show(5, "end"), show(9, "end")] == [True, True, False, True]
    assert ledger.turned_away == 1


def act(token: int, number: int, what: str, *, accepted: bool = True) -> Effect:
    return Effect(SHOP, token, f"host-{token}", number, what, accepted)


def found(*effects: Effect) -> AgentVerdict:
    verdict = AgentVerdict()
    judge_effects(effects, verdict)
    return verdict


def test_an_old_token_that_was_accepted_is_found() -> None:
    new = act(9, 1, "begin"), act(9, 1, "end")
    assert found(*new, act(5, 2, "begin", accepted=False)).held
    assert found(*new, act(5, 2, "begin")).outdated == 1


def test_an_act_that_goes_on_beside_a_newer_one_is_found() -> None:
    began = act(5, 1, "begin"), act(9, 1, "begin")
    assert found(*began, act(5, 1, "end", accepted=False), act(9, 1, "end")).held
    wrong = found(*began, act(5, 1, "end"), act(9, 1, "end"))
    assert (wrong.outdated, wrong.overlapping) == (1, 1)


# --- messages and memory --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heard", "kind"),
    [
        ([(5, 1), (5, 2), (9, 0), (9, 1)], ""),
        ([(5, 1), (9, 0), (5, 2)], "outdated"),
        ([(5, 1), (5, 1)], "doubled"),
        ([(5, 2), (5, 1)], "disordered"),
    ],
)
def test_what_was_heard(heard: list[tuple[int, int]], kind: str) -> None:
    verdict = AgentVerdict()
    judge_heard([Heard("herald", epoch, number) for epoch, number in heard], verdict)
    assert verdict.held == (not kind)
    assert not kind or verdict.counts()[kind] == 1


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ([["a", 1], ["b", 1], ["a", 2], ["b", 3]], ""),
        ([["a", 1], ["a", 2], ["a", 2], ["b", 3]], "doubled"),
        ([["a", 2], ["a", 1], ["b", 3]], "disordered"),
        ([["a", 1], ["b", 3]], "lost"),
        ([["a", 1], ["a", 2]], "lost"),
    ],
)
def test_what_was_written_down(lines: list[list[Any]], kind: str) -> None:
    verdict = AgentVerdict()
    judge_lines(lines, {"a": [1, 2], "b": [3]}, verdict)
    assert verdict.held == (not kind)
    assert not kind or verdict.counts()[kind] == 1


# --- times ----------------------------------------------------------------------------------------


def test_a_name_has_answered_again_when_a_newer_epoch_did() -> None:
    ledger = AgentLedger()
    for event in (sale(1, 5, 1.0), sale(2, 5, 2.0), sale(3, 9, 4.0)):
        ledger.on_calls("a", event)
    assert ledger.epochs([SHOP]) == {SHOP: 9}
    again = ledger.answered_again({SHOP: 5, "shop:2": 5}, 2.25)
    assert again == {SHOP: 2.25, "shop:2": None}
    assert ledger.answered_again({SHOP: 9}, 2.25) == {SHOP: None}


def test_percentiles() -> None:
    assert percentile([], 50) == 0.0
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile([float(n) for n in range(1, 101)], 99) == 100.0
