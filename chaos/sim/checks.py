"""Judging a history. Pure: operations and effects in, findings out; each finding is one sentence.

The law: a check looks at one promise; it never trusts another check. The witness check orders
operations by the log index they were told (a system could lie about it); the black-box check looks
at values and times only.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence

from quorate.chaos.sim.history import Effect, History, Op

Contents = Mapping[str, tuple[str, int, int]]
"""A host's state at the end: key -> (value, version, revision)."""


def lost_writes(ops: Sequence[Op], states: Mapping[str, Contents]) -> list[str]:
    """An acknowledged `add` is on every host, with its value, at the revision it was told."""
    found: list[str] = []
    for host, contents in states.items():
        for op in ops:
            if op.kind != "add" or op.outcome != "ok":
                continue
            record = contents.get(op.key)
            if record is None:
                found.append(f"acknowledged write {op.key} is lost on {host}")
            elif record[0] != op.value or record[2] != op.revision:
                found.append(f"acknowledged write {op.key} differs on {host}: {record}")
    return found


def doubled_writes(states: Mapping[str, Contents]) -> list[str]:
    """A key of its own is written once."""
    return [
        f"{key} was applied {version} times on {host}"
        for host, contents in states.items()
        for key, (_, version, _) in contents.items()
        if key.startswith("w/") and version != 1
    ]


def refused_yet_applied(history: History) -> list[str]:
    """A definite no is definite."""
    return [
        f"{op.key} ({op.kind} {op.id}) was refused as certainly not applied, yet was applied at "
        f"entry {history.effects[op.id].index}"
        for op in history.ops
        if op.outcome == "no" and op.id in history.effects and history.effects[op.id].wrote
    ]


def late_calls(ops: Sequence[Op], grace_s: float) -> list[str]:
    """Every call ends by its deadline."""
    return [
        f"{op.kind} {op.id} of {op.client}, called at {op.called:.2f}, ended at {op.returned:.2f}, "
        f"{op.returned - op.deadline:.2f} s after its deadline"
        for op in ops
        if op.returned > op.deadline + grace_s
    ]


# --- linearizability by witness -------------------------------------------------------------------


def _place(op: Op, history: History) -> tuple[int, int]:
    """Where a finished operation stands in the log: reads after everything of their index. A write
    stands where it was applied; its answer may have come with a later copy."""
    if op.kind == "read":
        return (op.index, 1 << 60)
    effect = history.effects.get(op.id)
    return (op.index if effect is None else effect.index, op.revision)


def out_of_order(history: History) -> list[str]:
    """The order of the log respects real time: what began after another ended stands after it."""
    done = [op for op in history.ops if op.outcome == "ok" and op.swapped]
    by_end = sorted(done, key=lambda op: (op.returned, op.id))
    found: list[str] = []
    newest: Op | None = None
    ended = 0
    for op in sorted(done, key=lambda op: (op.called, op.id)):
        while ended < len(by_end) and by_end[ended].returned < op.called:
            candidate = by_end[ended]
            if newest is None or _solid(candidate, history) > _solid(newest, history):
                newest = candidate
            ended += 1
        if newest is not None and _place(op, history) < _solid(newest, history):
            found.append(
                f"{op.kind} {op.id} ({op.key}) called at {op.called:.4f} stands at {op.index}, "
                f"before {newest.kind} {newest.id} at {newest.index}, which ended at "
                f"{newest.returned:.4f}"
            )
    return found


def _solid(op: Op, history: History) -> tuple[int, int]:
    """What a finished operation forces on later ones: after a read, nothing joins what it saw."""
    return (op.index, 1 << 59) if op.kind == "read" else _place(op, history)


def wrong_answers(history: History) -> list[str]:
    """Replaying the log gives every read its value and every compare its answer."""
    writes: dict[str, list[Effect]] = defaultdict(list)
    for effect in history.effects.values():
        if effect.wrote and effect.op.kind != "add":
            writes[effect.op.key].append(effect)
    found: list[str] = []
    indices: dict[str, list[tuple[int, int]]] = {}
    for key, effects in writes.items():
        effects.sort(key=lambda effect: (effect.index, effect.revision))
        indices[key] = [(effect.index, effect.revision) for effect in effects]
        for before, effect in zip([None, *effects], effects, strict=False):
            present = None if before is None else before.op.value
            if effect.op.kind == "cas" and effect.op.expected != present:
                found.append(
                    f"cas {effect.op.id} expected {effect.op.expected} and found {present}"
                )
    for op in history.ops:
        if op.kind == "read" and op.outcome == "ok":
            at = bisect_right(indices.get(op.key, []), (op.index, 1 << 60))
            present = writes[op.key][at - 1].op.value if at else None
            if op.value != present:
                found.append(
                    f"read {op.id} of {op.key} at index {op.index} saw {op.value}, not {present}"
                )
    return found


# --- linearizability as a client sees it ----------------------------------------------------------


def stale_reads(ops: Sequence[Op]) -> list[str]:
    """Without any witness: a read never shows a value that a later write, finished before the read
    began, had replaced; nor one from the future, nor one that nobody wrote."""
    found: list[str] = []
    writers = {op.value: op for op in ops if op.kind in ("set", "cas") and op.value is not None}
    by_key: dict[str, list[Op]] = defaultdict(list)
    for op in ops:
        if op.kind in ("set", "cas") and op.outcome == "ok" and op.swapped:
            by_key[op.key].append(op)
    ends: dict[str, list[float]] = {}
    latest_call: dict[str, list[float]] = {}
    for key, done in by_key.items():
        done.sort(key=lambda op: (op.returned, op.id))
        ends[key] = [op.returned for op in done]
        newest = 0.0
        latest_call[key] = [newest := max(newest, op.called) for op in done]
    for op in ops:
        if op.kind != "read" or op.outcome != "ok":
            continue
        finished = bisect_left(ends.get(op.key, []), op.called)
        overwritten_by = latest_call[op.key][finished - 1] if finished else -1.0
        if op.value is None:
            if finished:
                found.append(f"read {op.id} saw nothing after {finished} finished writes")
            continue
        writer = writers.get(op.value)
        if writer is None or writer.key != op.key:
            found.append(f"read {op.id} saw {op.value}, which nobody wrote to {op.key}")
        elif writer.called > op.returned:
            found.append(f"read {op.id} saw {op.value} before it was written")
        elif writer.outcome == "ok" and writer.returned < overwritten_by:
            found.append(
                f"stale read {op.id} by {op.client} at {op.called:.4f}: saw {op.value}, which was "
                f"replaced by a write that began at {overwritten_by:.4f} and ended before the read"
            )
    return found


def judge(history: History, states: Mapping[str, Contents], *, grace_s: float = 0.5) -> list[str]:
    """Every check, in one list; empty when all promises held."""
    return [
        *lost_writes(history.ops, states),
        *doubled_writes(states),
        *refused_yet_applied(history),
        *late_calls(history.ops, grace_s),
        *out_of_order(history),
        *wrong_answers(history),
        *stale_reads(history.ops),
    ]
