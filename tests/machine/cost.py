"""What one put costs in `apply`: `PYTHONPATH=. python -m tests.machine.cost`. A measurement, not a
test.

The law of this file: CPU time only, a dictionary as the store, batches of 300 puts of 100 bytes on
one session.
"""

from __future__ import annotations

from time import process_time

from quorate.core.machine import commands as c
from quorate.core.machine.dict_store import DictStore
from quorate.core.machine.machine import Machine

PUTS = 300
ENTRIES = 300
READS = 100_000


def measure(*, new_keys: bool) -> None:
    machine = Machine(DictStore())
    machine.apply(1, 1, [c.encode_batch(7, 1, [(1, *c.open_session(0))])])
    value = bytes(100)
    spent: list[float] = []
    sequence = 1
    for index in range(2, ENTRIES + 2):
        puts: list[c.Command] = []
        for at in range(PUTS):
            sequence += 1
            puts.append((sequence, *c.put(f"users/{sequence if new_keys else at:08d}", value)))
        entry = [c.encode_batch(7, max(1, sequence - PUTS - 1024), puts)]
        start = process_time()
        machine.apply(index, 1, entry)
        spent.append((process_time() - start) / PUTS * 1e6)
    mean, best = sum(spent) / len(spent), min(spent)
    start = process_time()
    machine.before_flush()
    flush_ms = (process_time() - start) * 1e3
    start = process_time()
    for _ in range(READS):
        machine.kv_get("users/00000007")
    get_us = (process_time() - start) / READS * 1e6
    print(
        f"{'new keys' if new_keys else 'same keys'}: put {mean:.2f} us, at best {best:.2f} us; "
        f"get {get_us:.2f} us; before_flush {flush_ms:.2f} ms"
    )


if __name__ == "__main__":
    measure(new_keys=False)
    measure(new_keys=True)
