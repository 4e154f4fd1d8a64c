"""Leases, locks and elections as stories."""

from __future__ import annotations

import pytest

from quorate.core.errors import LeaseExpired, LockLost
from quorate.core.machine import attachments, queues
from quorate.core.machine import commands as c
from quorate.core.machine.results import (
    LEASE_EXISTS,
    LEASE_EXPIRED,
    LEASE_FULL,
    NOT_HOLDER,
    QUEUE_FULL,
    STALE_GENERATION,
    raise_for,
)
from tests.machine.harness import World

ANN, BOB, CID = 101, 102, 103


def world_with_leases() -> World:
    world = World()
    world.run(*(c.lease_grant(1000, lease) for lease in (ANN, BOB, CID)))
    return world


def test_first_come_first_served_with_growing_tokens() -> None:
    world = world_with_leases()
    assert world.run(*(c.lock_acquire("L", lease) for lease in (ANN, BOB, CID))) == [
        [4, 4, 0],
        [5, 0, 1],
        [6, 0, 2],
    ]
    assert world.do(c.lock_acquire("L", ANN)) == [6, 4, 0]
    assert world.do(c.lock_acquire("L", CID)) == [6, 0, 2]
    assert world.do(c.lock_release("L", ANN)) == [7, 1]
    lock = world.machine.lock("L")
    assert lock is not None and (lock.lease, lock.token) == (BOB, 7)
    assert world.do(c.lock_release("L", CID)) == [8, 0]
    assert world.do(c.lock_release("L", BOB)) == [9, 1]
    assert world.machine.lock("L") is None
    assert world.do(c.lock_acquire("L", ANN)) == [10, 10, 0]
    assert [row.name for row in world.machine.locks("L")] == ["L"]
    assert world.machine.locks(after="L") == []


def test_trying_does_not_wait() -> None:
    world = world_with_leases()
    assert world.do(c.lock_acquire("L", ANN, wait=False)) == [4, 4, 0]
    assert world.do(c.lock_acquire("L", BOB, wait=False)) == [4, 0, -1]
    lock = world.machine.lock("L")
    assert lock is not None and lock.waiters == ()


def test_a_lease_that_ends_while_waiting_leaves_the_line() -> None:
    """T42: it is never granted to the dead."""
    world = world_with_leases()
    world.run(*(c.lock_acquire("L", lease) for lease in (ANN, BOB, CID)))
    world.do(c.lease_expire(BOB, 2))
    world.do(c.lock_release("L", ANN))
    lock = world.machine.lock("L")
    assert lock is not None and lock.lease == CID


def test_a_holder_and_waiter_on_one_lease_go_together() -> None:
    world = world_with_leases()
    world.run(c.lock_acquire("L", ANN, b"x"), c.lock_acquire("L", ANN, b"y"))
    world.run(c.lock_acquire("L", BOB), c.lock_acquire("L", ANN, b"z"))
    assert world.machine.lease_attached(ANN) == [("lock", "L")]
    world.do(c.lock_release("L", ANN, b"x"))
    assert world.machine.lease_attached(ANN) == [("lock", "L")]
    assert world.do(c.lease_revoke(ANN)) == [9, 1]
    lock = world.machine.lock("L")
    assert lock is not None and (lock.lease, lock.token, lock.waiters) == (BOB, 9, ())


def test_a_resource_that_checks_tokens_refuses_the_paused_holder() -> None:
    """T43: the holder was paused beyond its lease; its token is lower than the next holder's."""
    world = world_with_leases()
    _, paused, _ = world.do(c.lock_acquire("L", ANN))
    world.do(c.lock_acquire("L", BOB))
    world.do(c.lease_expire(ANN, 1))
    lock = world.machine.lock("L")
    assert lock is not None and lock.token > paused
    assert world.do(c.lock_release("L", ANN, token=paused)) == NOT_HOLDER
    with pytest.raises(LockLost):
        raise_for(NOT_HOLDER)


def test_a_late_release_does_not_end_the_next_grant() -> None:
    world = world_with_leases()
    _, token, _ = world.do(c.lock_acquire("L", ANN))
    world.run(c.lock_release("L", ANN), c.lock_acquire("L", ANN))
    assert world.do(c.lock_release("L", ANN, token=token)) == NOT_HOLDER
    assert world.machine.lock("L") is not None


def test_only_the_present_term_may_proclaim() -> None:
    world = world_with_leases()
    _, term, _ = world.do(c.election_campaign("cron", ANN, b"a:1", b"me"))
    world.do(c.election_campaign("cron", BOB, b"b:1"))
    assert world.do(c.election_proclaim("cron", term, b"a:2")) == [6, term]
    world.do(c.election_resign("cron", ANN, b"me", term=term))
    election = world.machine.election("cron")
    assert election is not None
    assert (election.term, election.value, election.lease) == (7, b"b:1", BOB)
    assert world.do(c.election_proclaim("cron", term, b"a:3")) == NOT_HOLDER
    kinds = [event.kind for event in world.machine.read_events(4)[0]]
    assert kinds == [f"election.{what}" for what in (
        "granted", "queued", "proclaimed", "released", "granted")]  # fmt: skip
    assert [row.name for row in world.machine.elections("c")] == ["cron"]


def test_everything_on_a_lease_dies_in_one_revision_in_order() -> None:
    world = world_with_leases()
    world.run(
        c.name_register("n", b"here", b"m", ANN),
        c.lock_acquire("L", ANN),
        c.put("b", b"v", ANN),
        c.put("a", b"v", ANN, "ns"),
        c.put("c", b"v", ANN),
        c.put("c", b"kept"),
    )
    assert world.do(c.lease_expire(ANN, 1)) == [10, 4]
    events = world.machine.read_events(10)[0]
    assert [(event.kind, event.key) for event in events] == [
        ("lease.expired", "101"),
        ("kv.delete", "b"),
        ("kv.delete", "a"),
        ("lock.released", "L"),
        ("name.removed", "n"),
    ]
    assert world.machine.kv_get("c") is not None
    assert world.machine.lease_changes == [(ANN, 0, 1)]


def test_an_expiry_hits_only_the_grant_it_was_decided_for() -> None:
    world = world_with_leases()
    assert world.do(c.lease_grant(5, ANN)) == LEASE_EXISTS
    world.run(c.lease_revoke(ANN), c.lease_grant(1000, ANN))
    assert world.do(c.lease_expire(ANN, 1)) == STALE_GENERATION
    lease = world.machine.lease(ANN)
    assert lease is not None and lease.generation == 5
    assert world.do(c.lease_expire(ANN, 5)) == [6, 0]
    assert world.do(c.lease_expire(ANN, 5)) == LEASE_EXPIRED


def test_nothing_can_be_hung_on_a_lease_that_is_gone() -> None:
    world = World()
    refused = world.run(
        c.put("k", b"v", 9),
        c.compare_and_set("k", b"v", lease=9),
        c.txn([], [c.put("fine", b"v"), c.put("k", b"v", 9)]),
        c.lock_acquire("L", 9),
        c.election_campaign("E", 9),
        c.name_register("n", b"v", lease=9),
        c.lease_revoke(9),
    )
    assert refused == [LEASE_EXPIRED] * 7
    assert world.machine.revision == 0
    with pytest.raises(LeaseExpired):
        raise_for(LEASE_EXPIRED)


def test_a_lease_given_by_the_machine_does_not_meet_a_chosen_one() -> None:
    world = World()
    world.run(c.lease_grant(1000, 2), c.lease_grant(1000), c.lease_grant(1000))
    assert [lease.id for lease in world.machine.leases()] == [2, 3, 4]


def test_how_much_hangs_on_a_lease_and_how_many_wait_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attachments, "LEASE_ATTACHMENTS_MAX", 2)
    monkeypatch.setattr(queues, "QUEUE_WAITERS_MAX", 1)
    world = world_with_leases()
    world.run(c.put("a", b"v", ANN), c.put("b", b"v", ANN), c.put("a", b"w", BOB))
    assert world.do(c.txn([], [c.put("c", b"v", ANN), c.put("d", b"v", ANN)])) == LEASE_FULL
    assert world.do(c.lock_acquire("L", ANN))[1] > 0
    assert world.do(c.name_register("n", b"v", b"", ANN)) == LEASE_FULL
    world.do(c.lock_acquire("L", BOB))
    assert world.do(c.lock_acquire("L", CID)) == QUEUE_FULL
