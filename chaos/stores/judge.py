"""The verdict of a run, by the judges of `consistency/check`, each over its part of the calls.

The law: nothing is judged here that a judge of the product can judge; what is added is what only a
simulator can see (which host held what, what the hosts' feeds say).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from quorate.chaos.stores.calls import Call
from quorate.chaos.stores.record import (
    finals,
    history_of,
    operation_of,
    read_of,
    seen_after,
)
from quorate.chaos.stores.views import shown
from quorate.consistency.check import convergence, linear, session, staleness
from quorate.consistency.check.history import NEVER, History, Operation
from quorate.consistency.check.register import Register
from quorate.consistency.check.verdict import Verdict
from quorate.consistency.replica.states import RegisterState
from quorate.core import codec

if TYPE_CHECKING:
    from quorate.chaos.stores.host import StoreHost
    from quorate.chaos.stores.world import World

TEXTS_MAX = 4
Final = dict[tuple[str, str], list[Operation]]


def told(what: str, verdict: Verdict) -> list[str]:
    """A judge's anomalies as findings. Nothing to judge is no finding here: seeds are many."""
    return [f"{what}: {one.kind}: {one.text}" for one in verdict.anomalies[:TEXTS_MAX]]


def judge(world: World) -> list[str]:
    """Everything that is wrong with the calls of a run."""
    return [*_sessions(world), *_bounded(world), *_strong(world)]


# --- while it ran ---------------------------------------------------------------------------------


def _sessions(world: World) -> list[str]:
    """Read your writes, monotonic reads, monotonic writes, writes follow reads."""

    def wanted(call: Call) -> Operation | None:
        if call.kind == "get":
            return read_of(call) if call.level == "session" else None
        if call.level in ("session", "strong") and call.writes:
            return operation_of(call, "write", call.value)
        return None

    return told("sessions", session.check(history_of(world.calls, wanted)))


def _bounded(world: World) -> list[str]:
    """No bounded read is older than its bound."""

    def wanted(call: Call) -> Operation | None:
        if call.level == "bounded":
            operation = read_of(call)
            operation.value = {"ms": call.bound_ms}
            return operation
        if call.dot is not None:
            return operation_of(call, "write", call.value)
        return None

    verdict = staleness.check(history_of(world.calls, wanted), bound_ms=float("inf"))
    return told("bounded", verdict)


def _strong(world: World) -> list[str]:
    """Strong calls on one key are linearizable among themselves, whatever else is done to it."""

    def wanted(call: Call) -> Operation | None:
        if call.kind == "strong_get":
            return operation_of(call, "read", None, result=call.seen.value if call.seen else None)
        if call.kind in ("strong_put", "promote"):
            return operation_of(call, "write", call.value)
        return None

    return told("strong", linear.check(Register(), history_of(world.calls, wanted)))


# --- when it came to rest -------------------------------------------------------------------------


def survived(world: World) -> bool:
    """Judge what every owner holds now that all are equal; False when something was found."""
    found = [*_registers(world), *_kinds(world)]
    for text in found:
        world.watch.find(text)
    return not found


def _owners(world: World, store: str, key: str) -> list[StoreHost]:
    ring = world.rings.ring
    any_host = world.hosts[ring.hosts[0]]
    return [world.hosts[host_id] for host_id in any_host.replica.owners(store, key)]


def _keys(world: World) -> Iterator[tuple[str, str]]:
    """Everything that was ever written, in a fixed order."""
    yield from sorted({(call.store, call.key) for call in world.calls.all if call.dot is not None})


def _final(world: World, store: str, key: str, host: StoreHost) -> Operation:
    """What one owner shows in the end, of the local plane alone."""
    merge = host.replica.shelf.store(store).definition.merge
    seen = shown(host.replica.read(store, key), None, merge, host.replica.joiner.collected)
    now = world.queue.now
    return Operation(
        id=0,
        process=f"final {host.id}",
        f="final",
        key=f"{store}/{key}",
        value=None,
        invoked=0,
        start=now,
        end=now,
        outcome="ok",
        result=seen.value,
        versions=dict(seen.context),
        host=host.id,
    )


def _with_finals(world: World, history: History, more: list[Operation]) -> History:
    last = [op.ended for op in history.operations if op.ended != NEVER]
    place = max(last, default=0) + len(world.calls.events) + 1
    return History([*history.operations, *finals(more, place)], "s")


def _registers(world: World) -> list[str]:
    found: list[str] = []
    finals_: list[Operation] = []
    for store, key in _keys(world):
        if store in ("last", "sib"):
            for host in _owners(world, store, key):
                final = _final(world, store, key, host)
                if store == "sib":
                    final.result = [*_siblings(host, key), *_deletes(world, final)]
                finals_.append(final)
        if store == "last":
            found += _winner(world, key)
            finals_ += _feeds(world, store, key)

    def wanted(call: Call) -> Operation | None:
        if call.dot is None or call.store not in ("last", "sib"):
            return None
        if call.store == "last":
            return operation_of(call, "write", call.value, versions=seen_after(call))
        value = ["deleted", call.id] if call.kind == "delete" else call.value
        return operation_of(call, "assign", value, versions=seen_after(call))

    history = _with_finals(world, history_of(world.calls, wanted), finals_)
    return found + told("registers", convergence.check(history))


def _siblings(host: StoreHost, key: str) -> list[Any]:
    """All values that stand beside each other."""
    state = host.replica.read("sib", key)
    entries = state.entries if isinstance(state, RegisterState) else []
    return [codec.decode_value(e.value) for e in entries if e.value is not None]


def _deletes(world: World, final: Operation) -> list[Any]:
    """A tombstone may have been collected: deletes that the state has seen and that no write
    replaced count as shown."""
    seen = final.versions or {}
    calls = [c for c in world.calls.all if f"{c.store}/{c.key}" == final.key and c.dot]
    found: list[Any] = []
    for call in calls:
        if call.kind != "delete" or call.dot is None or seen.get(call.dot[0], 0) < call.dot[1]:
            continue
        actor, seq = call.dot
        if not any(c.overwrote.get(actor, 0) >= seq for c in calls if c is not call):
            found.append(["deleted", call.id])
    return found


def _feeds(world: World, store: str, key: str) -> list[Operation]:
    """What the hosts' feeds say was lost of a key."""
    found: list[Operation] = []
    for host in _owners(world, store, key):
        lost: list[Any] = []
        for _, conflict in host.replica.conflicts(store, limit=10_000):
            if conflict.key == key:
                lost += [
                    None if e.value is None else codec.decode_value(e.value)
                    for e in conflict.losers
                ]
        final = _final(world, store, key, host)
        final.f, final.result, final.process = "conflicts", lost, f"feed {host.id}"
        found.append(final)
    return found


def _winner(world: World, key: str) -> list[str]:
    """Of all acknowledged writes none is above the one that is shown."""
    host = _owners(world, "last", key)[0]
    state = host.replica.read("last", key)
    acked = [
        call
        for call in world.calls.acknowledged()
        if (call.store, call.key) == ("last", key) and not call.excused
    ]
    if not acked:
        return []
    best = max(acked, key=lambda call: (call.stamp, *(call.dot or (0, 0))))
    shown_ = state.winner if isinstance(state, RegisterState) else None
    if shown_ is None:
        if best.kind == "delete":
            return []
        return [f"last/{key}: call {best.id} was acknowledged with the highest stamp; it is gone"]
    if (shown_.stamp, shown_.actor, shown_.seq) >= (best.stamp, *(best.dot or (0, 0))):
        return []
    return [
        f"last/{key}: call {best.id} has stamp {best.stamp}, shown is {shown_.stamp} of "
        f"{shown_.actor}:{shown_.seq}"
    ]


def _kinds(world: World) -> list[str]:
    """CRDTs and merged values: what was acknowledged is there, once; what was removed is not."""
    finals_: list[Operation] = []
    for store, key in _keys(world):
        if store in ("kinds", "merged"):
            for host in _owners(world, store, key):
                final = _final(world, store, key, host)
                final.result = plain(key, final.result)
                finals_.append(final)

    def wanted(call: Call) -> Operation | None:
        if call.dot is None or call.store not in ("kinds", "merged"):
            return None
        if call.store == "merged":
            return operation_of(call, "add", call.own)
        return as_update(call)

    history = _with_finals(world, history_of(world.calls, wanted), finals_)
    return told("kinds", convergence.check(history))


def plain(key: str, value: Any) -> Any:
    """What a final read answers, as the judge of its kind wants it."""
    if key.startswith(("pn_counter", "g_counter")):
        return value or 0
    if isinstance(value, dict):
        return sorted(value)
    return value or []


def as_update(call: Call) -> Operation:
    """An operation of a CRDT as the judge knows it. A remove knows what its state had seen."""
    assert call.operation is not None
    _, op, arguments = call.operation
    if op in ("increment", "decrement"):
        return operation_of(call, op, arguments[0] if arguments else 1)
    f = "remove" if op in ("remove", "delete") else "insert" if op == "insert" else "add"
    return operation_of(call, f, call.own, versions=dict(call.overwrote))
