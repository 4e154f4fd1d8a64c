"""What one log record and one push say, as bytes and back.

The law of this file: a batch is encoded once, where it was made, and the same bytes lie in the logs
of all owners. Three kinds, told apart by the first number:

    [actor > 0, prev, upto, stamp_max, updates]   updates of one actor, in order, after `prev`
    [0, states]                                   states [store, key, wire] from an exchange
    [-1, vector]                                  "up to here everything is present"

An update is [store, key, kind, seq, stamp, first, second, deps, only], where `kind` is 0 for a
register (first: context, second: value or None) or a CRDT's kind (first: the delta; second: the
type's operation, unused). `only`: the number of owners it is pushed to, None: all.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from quorate.core import codec
from quorate.core.codec import Malformed

UPDATE_PARTS = 9
BATCH_UPDATES_MAX = 100_000
STORE, KEY, KIND, SEQ, STAMP, FIRST, SECOND, DEPS, ONLY = range(UPDATE_PARTS)
Update = list[Any]


class Batch(NamedTuple):
    """Updates of one actor: all it made in (prev, upto] that concern the receiver."""

    actor: int
    prev: int
    upto: int
    stamp_max: int
    updates: list[Update]


class States(NamedTuple):
    """States that an exchange brought."""

    entries: list[list[Any]]


class Advance(NamedTuple):
    """A vector that a complete exchange earned."""

    vector: dict[int, int]


def encode_batch(batch: Batch) -> bytes:
    return codec.dumps(list(batch))


def encode_states(entries: list[list[Any]]) -> bytes:
    return codec.dumps([0, entries])


def encode_advance(vector: dict[int, int]) -> bytes:
    return codec.dumps([-1, vector])


def decode_record(body: bytes) -> Batch | States | Advance:
    """What `body` says. Raises `Malformed`."""
    found = codec.loads(body, depth_max=40)
    parts = cast(list[Any], found) if isinstance(found, list) else []
    if not parts or type(parts[0]) is not int:
        raise Malformed("a record must be a list that begins with a number")
    if parts[0] > 0:
        return _batch_of(parts)
    if parts[0] == 0 and len(parts) == 2 and isinstance(parts[1], list):
        return States(cast(list[list[Any]], parts[1]))
    if parts[0] == -1 and len(parts) == 2 and isinstance(parts[1], dict):
        vector = cast(dict[Any, Any], parts[1])
        if all(type(a) is int and type(s) is int and s >= 0 for a, s in vector.items()):
            return Advance(cast(dict[int, int], vector))
    raise Malformed("a record is neither a batch, nor states, nor a vector")


def _batch_of(parts: list[Any]) -> Batch:
    if len(parts) != 5 or not isinstance(parts[4], list):
        raise Malformed("a batch must be [actor, prev, upto, stamp, updates]")
    actor, prev, upto, stamp_max, updates = parts
    if not (type(prev) is type(upto) is type(stamp_max) is int and 0 <= prev <= upto < 1 << 63):
        raise Malformed("a batch's positions must be growing numbers")
    rows = cast(list[Any], updates)
    if len(rows) > BATCH_UPDATES_MAX:
        raise Malformed(f"a batch of {len(rows)} updates; at most {BATCH_UPDATES_MAX} are allowed")
    last = prev
    for row in rows:
        if not isinstance(row, list) or len(cast(list[Any], row)) != UPDATE_PARTS:
            raise Malformed(f"an update must have {UPDATE_PARTS} parts")
        store, key, kind, seq, stamp, first, second, deps, _ = cast(list[Any], row)
        if not (
            type(seq) is int
            and last < seq <= upto
            and type(stamp) is int
            and 0 <= stamp <= stamp_max
            and isinstance(store, str)
            and isinstance(key, str)
            and key
            and (deps is None or isinstance(deps, dict))
        ):
            raise Malformed("an update's store, key, sequence or stamp is wrong")
        if kind == 0:
            if not isinstance(first, dict) or not (second is None or isinstance(second, bytes)):
                raise Malformed("a register's update must hold a context and a value")
            if cast(dict[int, int], first).get(actor, 0) < seq:
                raise Malformed("a register's context must cover its own update")
        elif not isinstance(kind, str):
            raise Malformed("an update's kind must be 0 or a CRDT's name")
        last = seq
    return Batch(actor, prev, upto, stamp_max, cast(list[Update], rows))


def restricted(batch: Batch, prev: int, updates: list[Update]) -> bytes:
    """The part of a batch that concerns one peer, which has everything up to `prev`."""
    return encode_batch(Batch(batch.actor, prev, batch.upto, batch.stamp_max, updates))
