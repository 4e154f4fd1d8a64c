"""What the two sides of an exchange say, and the doubts with which it is read.

The law of this file: plain values in, checked values out, `Malformed` for anything else. A request
is {'type': 'st', 'k': 'ae', 's': session, 'n': number, 'o': what, ...}; its answer carries the same
's' and 'n' and 'o': 'answer'. Digests travel packed, 8 bytes each; nodes and buckets 2 bytes each.

    roots  parts (bitmap), roots {store: digest}
        -> actors, applied {actor: seq}, nodes {store: digests of the partitions asked},
           others {store: replicas}
    nodes  store, at [partition], own (16 digests each)
        -> at [level-3 node that differs], own (its 16 buckets' digests each)
    list   store, at [bucket], counts, own (digests of the keys), after (key | None)
        -> states [[key, bytes]], upto (buckets finished), after, want (digests not had),
           left (how many are too long)
    pull   store, parts (bitmap), first (bucket), after (key | None)
        -> states, next (bucket, 65536: all done), after, left
    push   store, states [[key, bytes]], gone [key], cut {actor: seq}
        -> gone [key], cut {actor: seq}, or failed (text)
    sync -> nothing more, when all that was in memory is on the disk
    any of them -> busy (true): ask again later
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable
from typing import Any, cast

from quorate.consistency.merkle.ports import Message
from quorate.consistency.merkle.tree import PAGES, unpack
from quorate.core import codec
from quorate.core.codec import Malformed

STORES_MAX_STORES = 64
"""In one `roots` request: its answer holds 2 KiB for each."""
OTHERS_MAX_STORES = 10_000
PARTITIONS_PER_STEP = 64
PARTITIONS_PER_PULL = 32
STATE_DEPTH = 40
STATE_BYTES_MAX = 15 << 20
"""One state; a longer one does not fit a message of the wire and is left out (and told)."""
BITMAP_BYTES = PAGES // 8
ANSWER = "answer"


def message(session: int, number: int, what: str, body: dict[str, Any]) -> Message:
    """A request or an answer, ready to be sent."""
    return {"type": "st", "k": "ae", "s": session, "n": number, "o": what, **body}


def size_of(parts: dict[str, Any]) -> int:
    """About how many bytes a message takes: exact for its packed parts and states."""
    try:
        return _size_of(parts)
    except (TypeError, LookupError) as error:
        raise Malformed(f"an exchange message holds what none does: {error}") from error


def _size_of(parts: dict[str, Any]) -> int:
    size = 64
    for value in parts.values():
        if isinstance(value, bytes | str):
            size += len(value)
        elif isinstance(value, list):
            size += sum(map(_size_of_row, cast("list[Any]", value)))
        elif isinstance(value, dict):
            for name, inner in cast("dict[Any, Any]", value).items():
                size += len(name) if isinstance(name, str) else 9
                size += len(inner) if isinstance(inner, bytes) else 9
    return size


def _size_of_row(row: Any) -> int:
    """Of an actor, a key, or a key and its state."""
    if isinstance(row, int):
        return 9
    return len(row) + 3 if isinstance(row, str) else len(row[0]) + len(row[1]) + 8


# --- fields ---------------------------------------------------------------------------------------


def number_of(source: Message, name: str, top: int = 1 << 53) -> int:
    value = source.get(name)
    if type(value) is not int or not 0 <= value <= top:
        raise Malformed(f"an exchange message's {name!r} is not a number up to {top}")
    return value


def text_of(source: Message, name: str) -> str:
    value = source.get(name)
    if not isinstance(value, str):
        raise Malformed(f"an exchange message's {name!r} is not a text")
    return value


def key_of(source: Message, name: str) -> str | None:
    return None if source.get(name) is None else text_of(source, name)


def bytes_of(source: Message, name: str) -> bytes:
    value = source.get(name)
    if not isinstance(value, bytes):
        raise Malformed(f"an exchange message's {name!r} is not bytes")
    return value


def digests_of(source: Message, name: str, count: int | None = None) -> array[int]:
    """Packed digests, exactly `count` of them if given."""
    data = bytes_of(source, name)
    if len(data) % 8 or (count is not None and len(data) != 8 * count):
        raise Malformed(f"an exchange message's {name!r} has {len(data)} bytes of digests")
    return unpack(data)


def vector_of(source: Message, name: str) -> dict[int, int]:
    value = source.get(name)
    if not isinstance(value, dict):
        raise Malformed(f"an exchange message's {name!r} is not a vector")
    vector = cast("dict[Any, Any]", value)
    if not all(type(a) is int and type(s) is int and a >= 0 <= s for a, s in vector.items()):
        raise Malformed(f"an exchange message's {name!r} is not a vector of positions")
    return cast("dict[int, int]", vector)


def actors_of(source: Message, name: str) -> tuple[int, ...]:
    value = source.get(name)
    rows = cast("list[Any]", value) if isinstance(value, list) else []
    if not rows or not all(type(row) is int and row > 0 for row in rows):
        raise Malformed(f"an exchange message's {name!r} is not a list of actors")
    return tuple(rows)


def texts_of(source: Message, name: str) -> list[str]:
    value = source.get(name)
    if not isinstance(value, list):
        raise Malformed(f"an exchange message's {name!r} is not a list")
    rows = cast("list[Any]", value)
    if not all(isinstance(row, str) for row in rows):
        raise Malformed(f"an exchange message's {name!r} is not a list of texts")
    return cast("list[str]", rows)


def map_of(source: Message, name: str, kind: type, most: int = STORES_MAX_STORES) -> dict[str, Any]:
    """A map from store names to `kind`."""
    value = source.get(name)
    if not isinstance(value, dict) or len(cast("dict[Any, Any]", value)) > most:
        raise Malformed(f"an exchange message's {name!r} is not a map of up to {most} stores")
    rows = cast("dict[Any, Any]", value)
    if not all(isinstance(store, str) and type(row) is kind for store, row in rows.items()):
        raise Malformed(f"an exchange message's {name!r} does not have one value for each store")
    return cast("dict[str, Any]", rows)


# --- small numbers, packed ------------------------------------------------------------------------


def pack_shorts(numbers: Iterable[int]) -> bytes:
    return _packed(array("H", numbers))


def pack_counts(numbers: Iterable[int]) -> bytes:
    return _packed(array("I", numbers))


def shorts_of(source: Message, name: str, below: int) -> array[int]:
    """Packed 16-bit numbers, all under `below` and none twice."""
    numbers = _unpacked(bytes_of(source, name), "H")
    if numbers and (max(numbers) >= below or len(set(numbers)) != len(numbers)):
        raise Malformed(f"an exchange message's {name!r} names what does not exist, or one twice")
    return numbers


def counts_of(source: Message, name: str, count: int) -> array[int]:
    numbers = _unpacked(bytes_of(source, name), "I")
    if len(numbers) != count:
        raise Malformed(f"an exchange message's {name!r} has {len(numbers)} counts, not {count}")
    return numbers


def _packed(numbers: array[int]) -> bytes:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _unpacked(data: bytes, kind: str) -> array[int]:
    numbers: array[int] = array(kind)
    if len(data) % numbers.itemsize:
        raise Malformed("a row of packed numbers in an exchange message is cut off")
    numbers.frombytes(data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def bitmap(partitions: Iterable[int]) -> bytes:
    """A set of partitions as 32 bytes."""
    bits = 0
    for partition in partitions:
        bits |= 1 << partition
    return bits.to_bytes(BITMAP_BYTES, "little")


def partitions_of(source: Message, name: str) -> list[int]:
    data = bytes_of(source, name)
    if len(data) != BITMAP_BYTES:
        raise Malformed(f"an exchange message's {name!r} is not a set of partitions")
    bits = int.from_bytes(data, "little")
    return [partition for partition in range(PAGES) if bits >> partition & 1]


# --- states ---------------------------------------------------------------------------------------


def entries_of(source: Message, store: str) -> list[list[Any]]:
    """The states of a message as [store, key, state], for `absorb`."""
    value = source.get("states")
    if not isinstance(value, list):
        raise Malformed("an exchange message's states are not a list")
    entries: list[list[Any]] = []
    for row in cast("list[Any]", value):
        if not isinstance(row, list) or len(cast("list[Any]", row)) != 2:
            raise Malformed("a state in an exchange message is not a key and bytes")
        key, data = cast("list[Any]", row)
        if not isinstance(key, str) or not isinstance(data, bytes):
            raise Malformed("a state in an exchange message is not a key and bytes")
        entries.append([store, key, codec.loads(data, depth_max=STATE_DEPTH)])
    return entries
