"""The group beneath simulated agents: leases end late, never early, whatever happens to hosts,
links, leaders and clocks; and after calm everybody holds one again.
"""

from __future__ import annotations

from typing import Any

import pytest

from quorate.core.group import lease_keeper
from quorate.core.machine import commands, lease_clock
from quorate.core.machine.lease_clock import LeaseClock
from quorate.hosts.agents import tenancy as tenancies
from quorate.hosts.agents.tenancy import Tenancy
from tests.agents_sim.holders import Holder, run

SEEDS = 60
PLANT_SEEDS = 40
DRIFTING = {"clock_drift": 0.024, "lease_s": 0.8, "faults": ("pause", "isolate", "kill_leader")}


def test_nobody_believes_in_a_lease_that_ended() -> None:
    told = [run(seed) for seed in range(SEEDS)]
    assert [one.findings for one in told if one.findings] == []
    assert sum(one.ended for one in told) > 2 * SEEDS
    assert len({name for one in told for name in one.faults}) >= 14


def test_after_calm_everybody_holds_a_lease() -> None:
    for seed in range(SEEDS, SEEDS + 20):
        told = run(seed, hosts=("a", "b", "c", "d"), voters=("a", "b", "c"))
        assert told.held == ["a", "b", "c", "d"], seed


def test_a_run_replays() -> None:
    assert run(3).hash == run(3).hash != run(4).hash


# --- it can fail ----------------------------------------------------------------------------------


class CountsFromTheAnswer(Tenancy):
    """The holder counts from when the answer came, and not from when it had asked."""

    def _confirm(self, sent_at: float) -> None:
        super()._confirm(self._clock())


class LateHolder(Holder):
    tenancy_class = CountsFromTheAnswer


class EagerClock(LeaseClock):
    """A new leader goes on with what little is left of every lease."""

    def _start(self, lease: int, ttl_ms: int, generation: int, now: float) -> Any:
        return super()._start(lease, ttl_ms // 2, generation, now)


def found(plant_seeds: int, **more: Any) -> bool:
    return any(
        "believes in lease" in text
        for seed in range(plant_seeds)
        for text in run(seed, **{**DRIFTING, **more}).findings
    )


def test_a_holder_without_a_margin_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenancies, "margin_s", lambda ttl_s: 0.0)
    assert found(PLANT_SEEDS)


def test_a_holder_that_counts_from_the_answer_is_found() -> None:
    assert found(PLANT_SEEDS, engine=LateHolder, faults=("slow", "pause"))


def test_a_leader_that_does_not_start_leases_anew_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_keeper, "LeaseClock", EagerClock)
    assert found(PLANT_SEEDS, faults=("kill_leader", "isolate", "halves"), faults_per_s=2.0)


def test_an_expiry_of_an_old_term_that_counts_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next leader has extended the lease; the former one's expiry comes late (T42)."""

    def without_term(lease: int, generation: int, term: int) -> Any:
        return commands.lease_expire(lease, generation, 0)

    monkeypatch.setattr(lease_clock, "lease_expire", without_term)
    assert found(200, faults=("depose", "isolate", "pause", "kill_leader"), faults_per_s=3.0)
