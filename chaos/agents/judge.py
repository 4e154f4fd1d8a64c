"""The verdict over a run: what agents promise, looked for in everything that was called, handled,
done and decided.

The law: each function takes the record and the witness and gives one sentence per broken promise;
none changes anything.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from quorate.chaos.agents.programs import STOP_REASON
from quorate.chaos.agents.record import AgentCall, Record, TurnRow
from quorate.chaos.agents.witness import LifeRow, Witness


def judge(record: Record, witness: Witness) -> list[str]:
    """Everything that must not be."""
    found: list[str] = []
    for rule in (handled_once, in_order, nobody_is_over, one_place, effects_apart):
        found += rule(record)
    for look in (in_its_time, strong_once, where_it_is_bound, fresh_checkpoints, reminders_once):
        found += look(record, witness)
    found += ends_have_reasons(record, witness)
    return found


def handled_once(record: Record) -> Iterator[str]:
    """Every message at most once; an ask that was answered exactly once, to its end."""
    rows: dict[int, list[TurnRow]] = defaultdict(list)
    for row in record.turns:
        rows[row.message].append(row)
    for message, turns in rows.items():
        if len(turns) > 1:
            places = ", ".join(f"{t.host} epoch {t.epoch} at {t.began:.4f}" for t in turns)
            yield f"message {message} to {turns[0].name} was handled {len(turns)} times: {places}"
    for call in record.calls.values():
        if call.kind != "ask" or call.outcome != "ok":
            continue
        turns = rows.get(call.id, [])
        if not turns:
            yield f"call {call.id} to {call.name} was answered, and nobody handled it"
        elif turns[0].ended > call.returned:
            yield f"call {call.id} to {call.name} was answered before its turn had ended"


def in_order(record: Record) -> Iterator[str]:
    """Per sender and receiver, in the order in which they were sent."""
    last: dict[tuple[str, str], TurnRow] = {}
    for row in record.turns:
        key = (row.source, row.name)
        before = last.get(key)
        if before is not None and row.number < before.number:
            yield (
                f"{row.name} handled message {row.number} of {row.source} at {row.began:.4f} on "
                f"{row.host}, after message {before.number} at {before.began:.4f} on {before.host}"
            )
        else:
            last[key] = row


def nobody_is_over(record: Record) -> Iterator[str]:
    """No message is handled of an activation that was over where it arrived."""
    for row in record.turns:
        if row.caller_over:
            yield f"{row.name} handled message {row.message} of {row.source}, which was over"


def one_place(record: Record) -> Iterator[str]:
    """What an agent does on the strength of its lease never comes after what a later place of the
    same life did."""
    highest: dict[tuple[str, int], int] = {}
    where: dict[tuple[str, int], str] = {}
    for act in record.acts:
        key = (act.name, act.life)
        if act.token < highest.get(key, 0):
            yield (
                f"{act.name} acted on {act.host} under token {act.token} at {act.at:.4f}, after it "
                f"had acted under {highest[key]} on {where[key]}"
            )
        elif act.token == highest.get(key) and where[key] != act.host:
            yield f"{act.name} acted under token {act.token} on {act.host} and on {where[key]}"
        else:
            highest[key], where[key] = act.token, act.host


def in_its_time(record: Record, witness: Witness) -> Iterator[str]:
    """Nobody acts when the group has ended the lease, or has given the agent to another epoch."""
    for act in record.acts:
        lease = witness.leases.get((act.name, act.token), 0)
        ended = witness.ended_leases.get(lease)
        if ended is not None and ended < act.at:
            yield (
                f"{act.name} acted on {act.host} under token {act.token} at {act.at:.4f}; its "
                f"lease had ended at {ended:.4f}"
            )
        life = witness.lives.get((act.name, act.life))
        for at, host, epoch in [] if life is None else life.places:
            if epoch > act.token and at < act.at:
                yield (
                    f"{act.name} acted on {act.host} under token {act.token} at {act.at:.4f}; the "
                    f"group had given it to {host} under {epoch} at {at:.4f}"
                )
                break


def effects_apart(record: Record) -> Iterator[str]:
    """The accepted effects of one turn do not overlap those of another turn of the name."""
    spans: dict[str, dict[int, tuple[float, float, TurnRow]]] = defaultdict(dict)
    for effect in record.effects:
        known = spans[effect.name].get(id(effect.turn))
        began = effect.at if known is None else known[0]
        spans[effect.name][id(effect.turn)] = (began, effect.at, effect.turn)
    for name, rows in spans.items():
        latest: tuple[float, float, TurnRow] | None = None
        for row in sorted(rows.values(), key=lambda one: one[:2]):
            if latest is not None and row[0] < latest[1]:
                yield (
                    f"effects of {name} overlap: epoch {latest[2].epoch} on {latest[2].host} from "
                    f"{latest[0]:.4f} to {latest[1]:.4f}, epoch {row[2].epoch} on {row[2].host} "
                    f"from {row[0]:.4f}"
                )
            latest = row if latest is None or row[1] > latest[1] else latest


def strong_once(record: Record, witness: Witness) -> Iterator[str]:
    """A strong write that was acknowledged is in the agent's strong list exactly once, one that was
    refused is not, and no other is there twice."""
    counts = {life: Counter(map(int, log)) for life, log in witness.logs.items()}
    everywhere: Counter[int] = Counter()
    for one in counts.values():
        everywhere.update(one)
    for message, times in everywhere.items():
        if times > 1:
            yield f"message {message} is in strong lists {times} times"
    for call in record.calls.values():
        if call.kind != "ask" or not call.plan.get("strong"):
            continue
        if call.outcome == "ok":
            life = call.value[0]
            if counts.get(life, Counter())[call.id] != 1:
                yield (
                    f"call {call.id} to {call.name} was acknowledged by life {life}, and its "
                    "strong list does not have it"
                )
        elif call.outcome == "no" and everywhere[call.id]:
            yield (
                f"call {call.id} to {call.name} certainly did nothing ({call.reason}), and the "
                "strong list has it"
            )


def where_it_is_bound(record: Record, witness: Witness) -> Iterator[str]:
    """An activation comes up on the host that the group gave its epoch to."""
    for row in record.activated:
        life = witness.lives.get((row.name, row.life))
        places = {} if life is None else {epoch: (at, host) for at, host, epoch in life.places}
        at, host = places.get(row.epoch, (0.0, "nobody"))
        if host != row.host or at > row.at:
            yield (
                f"{row.name} came up on {row.host} under epoch {row.epoch} at {row.at:.4f}; the "
                f"group gave that to {host} at {at:.4f}"
            )


def fresh_checkpoints(record: Record, witness: Witness) -> Iterator[str]:
    """What is restored was kept at the place right before."""
    for name, life, kept, restored in record.restored:
        row = witness.lives.get((name, life))
        epochs = [] if row is None else [epoch for _, _, epoch in row.places]
        between = [epoch for epoch in epochs if kept < epoch < restored]
        if between:
            yield (
                f"{name} was restored under epoch {restored} from what it had been under {kept}; "
                f"it was elsewhere in between ({between})"
            )


def reminders_once(record: Record, witness: Witness) -> Iterator[str]:
    """A reminder that was set fires; that it does so once is said by `strong_once`."""
    for call in record.calls.values():
        if call.kind != "ask" or call.outcome != "ok" or "remind_s" not in call.plan:
            continue
        life = witness.lives[call.name, call.value[0]]
        if life.ended is None and -call.id not in witness.logs.get(life.life, []):
            yield f"the reminder that call {call.id} set in {call.name} did not fire"


def ends_have_reasons(record: Record, witness: Witness) -> Iterator[str]:
    """A life ends because somebody wanted it to."""
    for row in witness.lives.values():
        if row.ended is not None and not _reason(record, row):
            yield f"life {row.life} of {row.name} ended at {row.ended:.4f} for {row.reason!r}"


def _reason(record: Record, row: LifeRow) -> bool:
    assert row.ended is not None
    if row.reason.startswith(STOP_REASON):
        call = record.calls.get(int(row.reason.rpartition(" ")[2]))
        return call is not None and call.name == row.name and call.called <= row.ended
    starts = [c for c in record.calls.values() if c.kind == "start" and c.name == row.name]
    if row.reason == "replaced":
        return any(_in_time(call, row) and call.plan["policy"] == "replace" for call in starts)
    return row.reason.startswith("on_start failed") and not row.begun


def _in_time(call: AgentCall, row: LifeRow) -> bool:
    return row.ended is not None and call.called <= row.ended
