"""Machines with a planted fault: the promises that hold for the real one must each catch it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from quorate.core.machine import attachments, effects
from quorate.core.machine.events import EventLog
from quorate.core.machine.machine import Applied, Machine
from quorate.core.machine.queues import Queues
from tests.machine import properties
from tests.machine.test_model import check_model

SEEDS = 40


class ForgetsResults(Machine):
    """No de-duplication: every copy has its effect."""

    def apply(self, index: int, term: int, batches: list[bytes]) -> Applied:
        applied = super().apply(index, term, batches)
        for session in self._sessions._all.values():  # pyright: ignore[reportPrivateUsage]
            session.results.clear()
        return applied


class ForgetsSessionsAtRestart(Machine):
    """Sessions are not saved: copies from before a restart have their effect again."""

    def before_flush(self) -> None:
        super().before_flush()
        for key, _ in self._store.scan("sessions"):
            header = self._store.get("sessions", key)
            assert header is not None
            self._store.put("sessions", key, header[:24] + b"\x82\xa0\xa0")


class DiesInAnyOrder(Machine):
    """What hangs on a dying lease is visited in an order that differs between two machines in one
    process.
    """

    def _build(self, meta: dict[str, Any]) -> None:
        super()._build(meta)
        take_all = self._attachments.take_all
        rng = Random(id(self))

        def shuffled(lease: int) -> list[tuple[int, bytes]]:
            things = take_all(lease)
            rng.shuffle(things)
            return things

        self._leases._attachments = _With(self._attachments, take_all=shuffled)  # type: ignore[assignment]


class _With:
    """An object with some attributes replaced."""

    def __init__(self, inner: Any, **replaced: Any) -> None:
        self._inner = inner
        self.__dict__.update(replaced)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class CountsTokens(Machine):
    """Tokens count the grants since the lock was made, so they begin again when it was free."""

    def _build(self, meta: dict[str, Any]) -> None:
        super()._build(meta)
        self._locks = _Counting(self._locks)
        self._handlers = self._handler_table()


class _Counting(Queues):
    def __init__(self, real: Queues) -> None:
        for name in Queues.__slots__:
            setattr(self, name, getattr(real, name))

    def _grant(self, name: str, claimant: Any, waiters: Any) -> None:
        queue = self.get(name)
        fx = self._fx
        revision, fx.revision = fx.revision, 1 + (queue.token if queue else 0)
        try:
            super()._grant(name, claimant, waiters)
        finally:
            fx.revision = revision


class KeepsDeadWaiters(Machine):
    """A waiter whose lease ended stays in line (T42)."""

    def _build(self, meta: dict[str, Any]) -> None:
        super()._build(meta)
        locks = self._locks

        def only_the_holder(lease: int, key: bytes) -> None:
            queue = locks.get(key.decode())
            if queue is not None and queue.holder.lease == lease:
                locks._pass_on(key.decode(), queue)  # pyright: ignore[reportPrivateUsage]

        self._leases._on_gone[attachments.LOCK] = only_the_holder  # pyright: ignore[reportPrivateUsage]


class LosesAnEvent(Machine):
    """The event of a deleted key is left out now and then."""

    def _close_entry(self, index: int, term: int, applied: Applied) -> None:
        flat = self._fx.events
        for at in range(0, len(flat), effects.EVENT_FIELDS):
            if flat[at + 1] == "kv.delete":
                del flat[at : at + effects.EVENT_FIELDS]
                break
        super()._close_entry(index, term, applied)


class ForgetsHistorySilently(Machine):
    """Old events go, and nobody is told."""

    def _build(self, meta: dict[str, Any]) -> None:
        super()._build(meta)
        self._events.__class__ = _Silent


class _Silent(EventLog):
    __slots__ = ()

    def read(self, from_revision: int, limit: int) -> Any:
        return super().read(max(from_revision, self.oldest_revision), limit)


class MiscountsKeys(Machine):
    """A key that dies with its lease is still counted."""

    def _build(self, meta: dict[str, Any]) -> None:
        super()._build(meta)
        kv, gone = self._kv, self._kv.on_lease_gone

        def miscount(lease: int, key: bytes) -> None:
            before = kv.count
            gone(lease, key)
            kv.count = before

        self._leases._on_gone[attachments.KEY] = miscount  # pyright: ignore[reportPrivateUsage]


class ReadsAClock(Machine):
    """Something that differs between hosts goes into the state: here the machine's address in
    memory.
    """

    def _close_entry(self, index: int, term: int, applied: Applied) -> None:
        self._fx.put("meta", b"stray", str(id(self)).encode())
        super()._close_entry(index, term, applied)


class DigestsNothing(Machine):
    """A digest that does not depend on what was written."""

    def _close_entry(self, index: int, term: int, applied: Applied) -> None:
        self._fx.parts.clear()
        events, self._fx.events = self._fx.events, []
        super()._close_entry(index, term, [])
        if events:
            self._events.append(events, self._fx.revision)


def model_holds(machine_class: type[Machine], seed: int) -> None:
    check_model(machine_class, Random(seed), entries=30)


PLANTED: tuple[tuple[type[Machine], Callable[[type[Machine], int], None]], ...] = (
    (ForgetsResults, properties.once),
    (ForgetsSessionsAtRestart, properties.once),
    (ForgetsSessionsAtRestart, properties.same_everywhere),
    (DiesInAnyOrder, properties.same_everywhere),
    (ReadsAClock, properties.same_everywhere),
    (DigestsNothing, properties.differs_when_the_log_differs),
    (CountsTokens, properties.tokens_grow),
    (KeepsDeadWaiters, properties.tokens_grow),
    (LosesAnEvent, properties.history_is_complete),
    (ForgetsHistorySilently, properties.never_a_gap_without_compacted),
    (MiscountsKeys, model_holds),
    (KeepsDeadWaiters, model_holds),
    (CountsTokens, model_holds),
)


@pytest.mark.parametrize(
    ("faulty", "holds"), PLANTED, ids=lambda planted: getattr(planted, "__name__", "")
)
def test_a_planted_fault_is_caught(
    faulty: type[Machine], holds: Callable[[type[Machine], int], None]
) -> None:
    for seed in range(SEEDS):
        try:
            holds(faulty, seed)
        except AssertionError:
            return
    pytest.fail(f"{faulty.__name__} was not caught by {holds.__name__} in {SEEDS} seeds")
