"""Microseconds and bytes of every kind: `python -m tests.crdt.measure`.

Three actors with 53-bit names take turns, seqs are some millions and three apart. "delta" is the
wire form of one operation, "state" that of the whole after 1 000 of them. Values are short texts.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable
from time import process_time
from typing import Any

from quorate.consistency.crdt import decode, new
from quorate.consistency.crdt.base import Crdt
from quorate.core.codec import dumps, loads

ACTORS = [(1 << 52) + 12345, (1 << 51) + 777, (1 << 50) + 99]
OPS: dict[str, Callable[[int], tuple[str, list[Any]]]] = {
    "g_counter": lambda at: ("increment", [2]),
    "pn_counter": lambda at: ("increment", [2]),
    "g_set": lambda at: ("add", [f"item {at:04}"]),
    "two_phase_set": lambda at: ("add", [f"item {at:04}"]),
    "or_set": lambda at: ("add", [f"item {at:04}"]),
    "lww_register": lambda at: ("set", [f"item {at:04}"]),
    "mv_register": lambda at: ("set", [f"item {at:04}"]),
    "ew_flag": lambda at: ("enable", []),
    "or_map": lambda at: ("update", [f"key {at % 100:02}", "pn_counter", "increment", [2]]),
    "sequence": lambda at: ("append", ["x"]),
}
COUNT = 1000
STAMP = 1_700_000_000_000 << 16


def history(kind: str) -> tuple[Crdt, list[Crdt]]:
    crdt, deltas = new(kind), list[Crdt]()
    for at in range(COUNT):
        deltas.append(crdt.operate(*OPS[kind](at), ACTORS[at // 10 % 3], 5_000_000 + 3 * at, STAMP))
    return crdt, deltas


def best_us(action: Callable[[], object], times: int = 5) -> float:
    return min(timeit.repeat(action, timer=process_time, number=1, repeat=times)) / COUNT * 1e6


def main() -> None:
    print("kind            op+wire   merge  decode us;   delta   state bytes")
    for kind in OPS:
        crdt, deltas = history(kind)
        wires = [dumps(delta.wire()) for delta in deltas]
        plain = [loads(wire) for wire in wires]
        write = best_us(lambda kind=kind: [delta.wire() for delta in history(kind)[1]])
        read = best_us(lambda plain=plain: [decode(wire) for wire in plain])
        others = [new(kind) for _ in range(5)]

        def merge(others: list[Crdt] = others, deltas: list[Crdt] = deltas) -> None:
            other = others.pop()
            for delta in deltas:
                other.merge(delta)

        join = best_us(merge)
        size = f"{len(wires[-1]):>6} {len(dumps(crdt.wire())):>7}"
        print(f"{kind:14} {write:>8.1f} {join:>7.1f} {read:>7.1f}       {size}")


if __name__ == "__main__":
    main()
