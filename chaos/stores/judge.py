"""The verdict of a run, by the judges of `consistency/check`, each over its part of the calls.

The law: nothing is judged here that a judge of the product can judge; what is added is what only a
simulator can see (which host held what, which of all writes has the highest stamp).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from quorate.chaos.stores.calls import Call, Made
from quorate.chaos.stores.record import Record, at_rest, operation_of, update_of
from quorate.consistency.check import convergence, linear, session, staleness
from quorate.consistency.check.history import History, Operation
from quorate.consistency.check.register import Register
from quorate.consistency.check.verdict import Verdict
from quorate.consistency.replica.states import RegisterEntry, RegisterState
from quorate.consistency.store.merging import Merger
from quorate.consistency.store.views import view_of
from quorate.consistency.strong import ABSENT
from quorate.core import codec

if TYPE_CHECKING:
    from quorate.chaos.stores.host import StoreHost
    from quorate.chaos.stores.stage import Stage

TEXTS_MAX = 4


def told(what: str, verdict: Verdict) -> list[str]:
    """A judge's anomalies as findings. Nothing to judge is no finding here: seeds are many."""
    return [f"{what}: {one.kind}: {one.text}" for one in verdict.anomalies[:TEXTS_MAX]]


# --- while it ran ---------------------------------------------------------------------------------


def judge(stage: Stage) -> list[str]:
    """Everything that is wrong with the calls of a run."""
    record = Record(stage.calls, stage.oracle.writes)
    return [*_sessions(record), *_bounded(record), *_strong(record)]


def _sessions(record: Record) -> list[str]:
    """Read your writes, monotonic reads, monotonic writes, writes follow reads."""

    def wanted(call: Call) -> Operation | None:
        if call.kind == "get":
            return record.read(call) if call.level == "session" else None
        if call.level not in ("session", "strong") or not call.writes:
            return None
        if call.outcome == "ok" and not call.dot and not call.strong_version:
            return None  # a promotion that had nothing to write
        return operation_of(call, "write", call.value)

    return told("sessions", session.check(record.history(wanted)))


def _bounded(record: Record) -> list[str]:
    """No bounded read is older than its bound."""

    def wanted(call: Call) -> Operation | None:
        if call.level == "bounded":
            operation = record.read(call)
            operation.value = {"ms": call.bound_ms}
            return operation
        return operation_of(call, "write", call.value) if call.writes else None

    history = record.history(wanted)
    return told("bounded", staleness.check(history, bound_ms=float("inf")))


def _strong(record: Record) -> list[str]:
    """Strong calls on one key are linearizable among themselves, whatever else is done to it."""
    promoted = record.promoted()

    def wanted(call: Call) -> Operation | None:
        if call.kind == "strong_get":
            return operation_of(call, "read", None, result=call.seen and call.seen.value)
        if call.kind == "strong_put":
            return operation_of(call, "write", call.value)
        if call.kind == "promote" and call.id in promoted:
            return operation_of(call, "write", promoted[call.id])
        return None

    return told("strong", linear.check(Register(), record.history(wanted)))


# --- when it came to rest -------------------------------------------------------------------------


def survived(stage: Stage) -> bool:
    """Judge what every owner holds now that all are equal; False when something was found."""
    record = Record(stage.calls, stage.oracle.writes)
    names = sorted({(made.store, made.key) for made in stage.calls.made.values()})
    found: list[str] = []
    for store, key in names:
        shape = SHAPES.get(store) or SHAPES.get(f"{store}/{key.rstrip('0123456789')}")
        if shape is not None:
            found += _one_key(stage, record, store, key, shape)
        if store == "last":
            found += _winner(stage, record, key)
    for text in found:
        stage.watch.find(text)
    return not found


def _owners(stage: Stage, store: str, key: str) -> list[StoreHost]:
    first = stage.hosts[stage.rings.ring.hosts[0]]
    return [stage.hosts[host_id] for host_id in first.replica.owners(store, key)]


Shape = Callable[["Stage", "StoreHost", list[Made]], tuple[list[tuple[str, Any]], Any]]
"""From a host and the updates of a key to (word, value) of each update, and what the host shows."""


def _one_key(stage: Stage, record: Record, store: str, key: str, shape: Shape) -> list[str]:
    made = record.made(f"{store}/{key}")
    operations: list[Operation] = []
    reads: list[Operation] = []
    for host in _owners(stage, store, key):
        words, shown = shape(stage, host, made)
        if not operations:
            operations = [
                update_of(one, word, value, place)
                for place, (one, (word, value)) in enumerate(zip(made, words, strict=True))
            ]
        reads.append(_read(stage, host, store, key, "final", shown))
    if store == "last":
        for host in stage.hosts.values():  # whoever met it tells, also one that kept it for others
            if not host.running:
                continue
            feed = _feed(host, store, key) + _lost_feed(stage, store, key)
            feed += [_written(one) for one in made if _collected(stage, one)]
            reads.append(_read(stage, host, store, key, "conflicts", feed))
    history = History([*operations, *at_rest(reads, len(operations))], "s")
    return told("at rest", convergence.check(history))


def _read(stage: Stage, host: StoreHost, store: str, key: str, f: str, shown: Any) -> Operation:
    now = stage.queue.now
    process, name = f"{f} {host.id}", f"{store}/{key}"
    return Operation(0, process, f, name, None, 0, now, "ok", shown, end=now, host=host.id)


def _value(stage: Stage, host: StoreHost, store: str, key: str) -> Any:
    """What the host shows of the local plane alone."""
    merge = stage.parts.merge_of(host.id) if store == "merged" else None
    state = host.replica.read(store, key)
    view = view_of(state, ABSENT, None if merge is None else Merger(merge))
    return None if view.value is None else codec.decode_value(view.value)


def _entries(host: StoreHost, store: str, key: str) -> list[RegisterEntry]:
    state = host.replica.read(store, key)
    return state.entries if isinstance(state, RegisterState) else []


def _feed(host: StoreHost, store: str, key: str) -> list[Any]:
    """What the host's feed says was lost of a key."""
    lost: list[Any] = []
    for _, conflict in host.replica.conflicts(store, limit=10_000):
        if conflict.key == key:
            lost += map(_plain, conflict.losers)
    return lost


def _lost_feed(stage: Stage, store: str, key: str) -> list[Any]:
    """What of a key was told by feeds that were lost with their disks: a feed is its host's own."""
    lost: list[Any] = []
    for conflict in stage.watch.lost_conflicts:
        if (conflict.store, conflict.key) == (store, key):
            lost += map(_plain, conflict.losers)
    return lost


def _replaced(one: Made, by: Made) -> bool:
    """Whether an update was made by who had seen the other."""
    actor, seq = one.dot
    return by is not one and by.overwrote.get(actor, 0) >= seq


def _collected(stage: Stage, made: Made) -> bool:
    """A tombstone that every owner had and that is forgotten meets nobody any more."""
    actor, seq = made.dot
    return made.is_delete and stage.watch.collected().get(actor, 0) >= seq


def _plain(entry: RegisterEntry) -> Any:
    """A value; a tombstone is named by its dot, because there may be many."""
    if entry.value is None:
        return ["deleted", entry.actor, entry.seq]
    return codec.decode_value(entry.value)


def _written(made: Made) -> Any:
    return ["deleted", *made.dot] if made.is_delete else made.value


# --- the shapes of keys ---------------------------------------------------------------------------


def _last(stage: Stage, host: StoreHost, made: list[Made]) -> tuple[list[tuple[str, Any]], Any]:
    """One value; where there is none any more, the tombstone that was collected: the newest update
    but for those that a later one had seen, or that were lost with every disk that held them."""
    entries = _entries(host, made[0].store, made[0].key)
    words = [("write", _written(one)) for one in made]
    if entries:
        return words, _plain(max(entries, key=lambda e: (e.stamp, e.actor, e.seq)))
    left = [one for one in made if one.is_delete or not one.excused]
    left = [one for one in left if not any(_replaced(one, by) for by in left)]
    top = max(left, key=lambda one: (one.stamp, *one.dot), default=made[0])
    return words, _written(top) if top.is_delete else None


def _siblings(stage: Stage, host: StoreHost, made: list[Made]) -> tuple[list[tuple[str, Any]], Any]:
    """All values beside each other, and the tombstones that no update which is left has replaced:
    whether a host still has one, or has collected it, nobody can see."""
    words = [("assign", _written(one)) for one in made]
    entries = _entries(host, made[0].store, made[0].key)
    shown = [_plain(entry) for entry in entries if entry.value is not None]
    left = [one for one in made if not one.excused]
    shown += [
        _written(one)
        for one in made
        if one.is_delete and not any(_replaced(one, by) for by in left)
    ]
    return words, shown


def _merged(stage: Stage, host: StoreHost, made: list[Made]) -> tuple[list[tuple[str, Any]], Any]:
    """Every update adds its own number to those that it saw."""
    owns = {call.dot: call.own for call in stage.calls.all if call.dot is not None}
    words: list[tuple[str, Any]] = []
    for one in made:
        value: list[int] = one.value or []
        earlier = [cast(list[int], other.value or []) for other in made if _replaced(other, one)]
        new = set(value).difference(*earlier)
        words.append(("add", owns.get(one.dot, max(new, default=0))))
    return words, _value(stage, host, made[0].store, made[0].key) or []


def _counter(stage: Stage, host: StoreHost, made: list[Made]) -> tuple[list[tuple[str, Any]], Any]:
    words = [(op, arguments[0] if arguments else 1) for _, op, arguments in map(_operation, made)]
    return words, _value(stage, host, made[0].store, made[0].key) or 0


def _elements(stage: Stage, host: StoreHost, made: list[Made]) -> tuple[list[tuple[str, Any]], Any]:
    """Sets, and maps by their fields."""
    words: list[tuple[str, Any]] = []
    for _, op, arguments in map(_operation, made):
        words.append(("remove" if op == "remove" else "add", arguments[0]))
    shown: Any = _value(stage, host, made[0].store, made[0].key) or []
    return words, sorted(shown)


def _sequence(stage: Stage, host: StoreHost, made: list[Made]) -> tuple[list[tuple[str, Any]], Any]:
    """Items, each inserted once, and deleted by who saw it."""
    words: list[tuple[str, Any]] = []
    for _, op, arguments in map(_operation, made):
        word = {"delete": "remove", "insert": "insert"}.get(op, "append")
        words.append((word, arguments[1][0] if op == "insert" else arguments[0]))
    return words, _value(stage, host, made[0].store, made[0].key) or []


def _operation(made: Made) -> tuple[str, str, list[Any]]:
    kind, op, arguments = made.value
    return kind, op, arguments


SHAPES: dict[str, Shape] = {
    "last": _last,
    "sib": _siblings,
    "merged": _merged,
    "kinds/g_counter": _counter,
    "kinds/pn_counter": _counter,
    "kinds/or_set": _elements,
    "kinds/or_map": _elements,
    "kinds/sequence": _sequence,
}
"""By store, or store and the key without its number."""


def _winner(stage: Stage, record: Record, key: str) -> list[str]:
    """Of all acknowledged writes that no later one had seen, none is above the one that is shown. A
    tombstone that was collected meets nobody any more: a host whose clock was set back may write
    below it."""
    made = record.made(f"last/{key}")
    last = [one for one in made if not one.excused]
    sure = [one for one in last if one.sure and not any(_replaced(one, by) for by in last)]
    sure = [one for one in sure if not _collected(stage, one)]
    if not sure:
        return []
    best = max(sure, key=lambda one: (one.stamp, *one.dot))
    entries = _entries(_owners(stage, "last", key)[0], "last", key)
    if not entries:
        gone = any(o.is_delete and o.stamp >= best.stamp for o in made)
        return [] if gone else [f"{best.name}: {best.dot} had the highest stamp; it is gone"]
    top = max(entries, key=lambda e: (e.stamp, e.actor, e.seq))
    if (top.stamp, top.actor, top.seq) >= (best.stamp, *best.dot):
        return []
    return [f"{best.name}: {best.dot} has stamp {best.stamp}, shown is {top.stamp}"]
