"""The leader's clock: late is allowed, early never; nothing is kept alive whose end was
proposed.
"""

from __future__ import annotations

from random import Random

from quorate.core.machine import commands as c
from quorate.core.machine import results
from quorate.core.machine.lease_clock import LeaseClock
from quorate.core.machine.records import LeaseRecord
from tests.machine.harness import World


def test_a_lease_runs_out_after_its_time_and_keepalives_start_it_anew() -> None:
    clock = LeaseClock(drift_ratio=0.01)
    clock.on_changes(10.0, [(1, 1000, 7)])
    assert clock.due(11.0) == []
    assert clock.keepalive(1, 11.0)
    assert clock.next_due() is not None
    assert clock.due(12.0) == []
    assert clock.remaining_s(1, 12.0) is not None
    assert clock.due(12.02) == [c.lease_expire(1, 7)]


def test_no_keepalive_once_the_end_was_proposed() -> None:
    clock = LeaseClock()
    clock.on_granted(1, 1000, 7, 0.0)
    assert clock.due(2.0)
    assert not clock.keepalive(1, 2.0)
    assert not clock.keepalive(2, 2.0)


def test_an_end_that_was_lost_is_proposed_again_until_it_happened() -> None:
    clock = LeaseClock(propose_again_s=1.0)
    clock.on_granted(1, 1000, 7, 0.0)
    assert len(clock.due(2.0)) == 1
    assert clock.due(2.5) == []
    assert len(clock.due(3.0)) == 1
    clock.on_changes(3.1, [(1, 0, 7)])
    assert clock.due(9.0) == []
    assert clock.next_due() is None


def test_a_new_leader_gives_every_lease_its_full_time() -> None:
    clock = LeaseClock(drift_ratio=0.0)
    clock.on_granted(1, 1000, 7, 0.0)
    clock.due(2.0)
    leases = [LeaseRecord(1, 1000, 7, 0), LeaseRecord(2, 500, 8, 0)]
    clock.on_become_leader(5.0, leases)
    assert clock.keepalive(1, 5.0)
    assert clock.due(5.4) == []
    assert clock.due(5.5) == [c.lease_expire(2, 8)]
    clock.on_lose_leadership()
    assert clock.due(99.0) == []
    assert not clock.keepalive(1, 99.0)


def test_an_expiry_decided_by_an_earlier_leader_is_void() -> None:
    """It is sent again to the next leader, which has answered a keepalive meanwhile."""
    old, new, world = LeaseClock(), LeaseClock(), World()
    world.do(c.lease_grant(1000, 1))
    old.on_become_leader(0.0, world.machine.leases(), term=1)
    new.on_become_leader(1.5, world.machine.leases(), term=2)
    (expiry,) = old.due(2.0)
    assert new.keepalive(1, 2.1)
    late = world.batch(expiry)
    world.log.append([late])
    assert world.machine.apply(2, 2, [late]) == [(1, 3, results.STALE_TERM)]
    assert world.machine.lease(1) is not None
    world.log.append([world.batch(*new.due(4.0))])
    assert world.machine.apply(3, 2, world.log[-1]) == [(1, 4, [2, 0])]


def test_a_lease_granted_anew_has_its_own_time() -> None:
    clock = LeaseClock(drift_ratio=0.0)
    clock.on_changes(0.0, [(1, 1000, 1), (1, 0, 1), (1, 5000, 2)])
    assert clock.due(4.9) == []
    assert clock.due(5.0) == [c.lease_expire(1, 2)]


def test_never_early_and_not_much_later_whatever_happens() -> None:
    """Random grants, keepalives and ends: an expiry comes at or after the last confirmed TTL,
    within a step of it.
    """
    for seed in range(40):
        rng = Random(seed)
        clock, world = LeaseClock(drift_ratio=0.0), World()
        alive: dict[int, float] = {}
        now = 0.0
        for _ in range(120):
            now += 0.1
            lease = rng.randrange(1, 6)
            world.do(
                rng.choice(
                    (c.lease_grant(1000, lease), c.lease_grant(1000, lease), c.lease_revoke(lease))
                )
                if rng.random() < 0.2
                else c.put("k", b"")
            )
            clock.on_changes(now, world.machine.lease_changes)
            for changed, ttl_ms, _ in world.machine.lease_changes:
                alive.pop(changed, None)
                if ttl_ms:
                    alive[changed] = now + 1.0
            if clock.keepalive(lease, now):
                alive[lease] = now + 1.0
            for command in clock.due(now):
                deadline = alive.pop(command[1])
                assert deadline <= now < deadline + 0.11
                world.do(command)
                clock.on_changes(now, world.machine.lease_changes)
            due = clock.next_due()
            assert due is None or all(due <= deadline for deadline in alive.values())
