"""Sessions: one effect and one answer per (session, sequence), within bounds."""

from __future__ import annotations

import pytest

from quorate.core.errors import OutcomeUnknown, Overloaded, SessionExpired
from quorate.core.machine import commands as c
from quorate.core.machine import machine, sessions
from quorate.core.machine.machine import Machine
from quorate.core.machine.results import (
    ALREADY_ACKNOWLEDGED,
    SESSION_EXPIRED,
    SESSION_WINDOW_FULL,
    is_session_expired,
    raise_for,
)
from tests.machine import harness
from tests.machine.harness import World


def test_a_copy_gets_the_first_answer_and_has_no_effect_also_after_a_restart() -> None:
    world = World()
    batch = world.batch(c.put("k", b"v"), c.lock_acquire("L", 5), c.name_register("n", b"here"))
    first = world.entry(batch)
    world.do(c.put("k", b"w"))
    assert world.entry(batch) == first
    world.restart()
    assert world.entry(batch, batch) == first * 2
    row = world.machine.kv_get("k")
    assert row is not None and (row.value, row.version) == (b"w", 2)


def test_a_copy_may_overtake_and_batches_may_come_in_any_order() -> None:
    world = World()
    world.run(c.put("zero", b""))
    late, early = world.batch(c.put("k", b"1")), world.batch(c.put("k", b"2"))
    assert world.entry(early) == [[2, 1]]
    assert world.entry(late) == [[3, 2]]
    assert world.entry(early) == [[2, 1]]


def test_below_the_acknowledged_nothing_is_applied() -> None:
    world = World()
    world.run(c.put("k", b"v"))
    abandoned = world.batch(c.put("k", b"late"))
    world.entry(world.batch(c.put("other", b""), ack_low=4))
    assert world.entry(abandoned) == [ALREADY_ACKNOWLEDGED]
    row = world.machine.kv_get("k")
    assert row is not None and row.value == b"v"
    with pytest.raises(OutcomeUnknown):
        raise_for(ALREADY_ACKNOWLEDGED)


def test_acknowledging_forgets_results_also_in_huge_steps() -> None:
    world = World()
    for _ in range(5):
        world.run(*[c.put("k", b"v")] * 20)
    kept = world.machine.statistics()["results_kept"]
    assert kept == 101
    world.entry(world.batch(ack_low=52))
    assert world.machine.statistics()["results_kept"] == 50
    world.entry(world.batch(ack_low=(1 << 63) - 1))
    assert world.machine.statistics()["results_kept"] == 0


def test_an_unknown_session_has_no_effect() -> None:
    world = World()
    stranger = c.encode_batch(77, 0, [(1, *c.put("k", b"v")), (2, *c.lease_grant(1000))])
    assert world.entry(stranger) == [SESSION_EXPIRED] * 2
    assert world.machine.revision == 0
    assert is_session_expired(SESSION_EXPIRED)
    with pytest.raises(SessionExpired) as caught:
        raise_for(SESSION_EXPIRED)
    assert caught.value.outcome == "unknown"


def test_what_comes_before_the_opening_in_its_batch_is_refused() -> None:
    world = World()
    some = [(1, *c.put("k", b"v")), (2, *c.open_session(0)), (3, *c.put("k", b"w"))]
    batch = c.encode_batch(5, 0, some)
    assert world.entry(batch) == [SESSION_EXPIRED, [0, 5], [1, 1]]
    assert world.entry(batch)[1:] == [[0, 5], [1, 1]]


def test_opening_twice_is_the_same_session() -> None:
    world = World()
    world.run(c.put("k", b"v"))
    assert world.do(c.open_session(0)) == [1, 1]
    assert world.machine.statistics()["sessions"] == 1


def test_a_closed_session_cannot_be_opened_by_a_late_copy() -> None:
    world = World()
    world.entry()
    opening = world.batch(c.put("k", b"v"))
    world.entry(opening)
    closing = world.batch(c.put("k", b"w"), c.close_session(), c.put("k", b"never"))
    assert world.entry(closing) == [[2, 2], [2, 1], SESSION_EXPIRED]
    assert world.entry(opening) == [SESSION_EXPIRED] * 2
    world.restart()
    assert world.entry(opening, closing) == [SESSION_EXPIRED] * 5
    assert world.machine.revision == 2
    assert world.do(c.put("k", b"x"), session=2) == [3, 3]


def test_the_least_recently_used_session_goes_and_stays_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sessions, "SESSIONS_MAX", 3)
    world = World()
    first = world.batch(c.put("first", b"v"), session=1)
    world.entry(first)
    for session in (2, 3):
        world.do(c.put("k", b"v"), session=session)
    world.restart()
    world.do(c.put("k", b"v"), session=1)
    world.do(c.put("k", b"v"), session=4)
    assert world.do(c.put("k", b"late"), session=2) == SESSION_EXPIRED
    for session in (5, 6, 7):
        world.do(c.put("k", b"v"), session=session)
    assert world.entry(first) == [SESSION_EXPIRED] * 2
    assert world.machine.statistics()["sessions"] == 3
    assert len(world.image()["sessions"]) == 3
    row = world.machine.kv_get("first")
    assert row is not None and row.version == 1


def test_a_full_window_refuses_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """The excess is answered, the answer is kept, and no later copy of it is applied."""
    for module in (sessions, machine):
        monkeypatch.setattr(module, "SESSION_RESULTS_MAX", 10)
    world = World()
    fits = world.run(*[c.put("k", b"v")] * 9)
    assert fits[-1] == [9, 9]
    excess = world.batch(*[c.put("k", b"over")] * 3)
    assert world.entry(excess) == [SESSION_WINDOW_FULL] * 3
    world.entry(world.batch(ack_low=8))
    assert world.entry(excess) == [SESSION_WINDOW_FULL] * 3
    assert world.machine.revision == 9
    with pytest.raises(Overloaded):
        raise_for(SESSION_WINDOW_FULL)


def test_a_client_that_never_acknowledges_loses_its_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (sessions, machine):
        monkeypatch.setattr(module, "SESSION_RESULTS_MAX", 10)
    world = World()
    answers = world.run(*[c.put("k", b"v")] * 25)
    assert answers[9:19] == [SESSION_WINDOW_FULL] * 10
    assert answers[19:] == [SESSION_EXPIRED] * 6
    assert world.machine.statistics()["sessions"] == 0


def test_answers_that_carry_much_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "SESSION_CARRIED_BYTES_MAX", 2500)
    world = World()
    world.run(c.put("k", bytes(1000)))
    read = c.txn([], [c.get("k")])
    assert [len(answer) for answer in world.run(read, read, read)] == [3, 3, 3]
    assert world.run(read) == [SESSION_WINDOW_FULL]
    world.restart()
    assert world.run(read) == [SESSION_WINDOW_FULL]
    world.entry(world.batch(ack_low=7))
    assert world.do(read)[1] is True


def test_many_unacknowledged_commands_stay_cheap() -> None:
    """The work per command does not grow with the window: counted in calls of the store, not in
    time.
    """
    world = World()
    calls = 0
    get = world.store.get

    def counted(table: str, key: bytes) -> bytes | None:
        nonlocal calls
        calls += 1
        return get(table, key)

    world.store.get = counted  # type: ignore[method-assign]
    world.machine = Machine(world.store)
    world.run(*[c.put("k", b"v")] * 100)
    few, calls = calls, 0
    for _ in range(40):
        world.run(*[c.put("k", b"v")] * 100)
    assert calls <= 40 * few


def test_harness_sessions_open_by_themselves() -> None:
    assert harness.World().do(c.put("k", b"v")) == [1, 1]
