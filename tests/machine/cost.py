"""What one command costs in `apply`: `PYTHONPATH=. python -m tests.machine.cost`. No test.

The law of this file: CPU time only, a dictionary as the store, batches of 300 commands on one
session, values of 100 bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

from quorate.core.machine import agent_commands as a
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


LEASE = 5
STARTS = 100_000
NS = "s:quorate.agents"


class Log:
    """A machine that is fed batches of one session."""

    def __init__(self) -> None:
        self.machine = Machine(DictStore())
        self._index = self._sequence = 0
        self.run([c.open_session(0), c.lease_grant(600_000, LEASE)])

    def run(self, some: list[c.Command]) -> float:
        """Apply them as one entry; microseconds of each."""
        first = self._sequence + 1
        self._sequence += len(some)
        self._index += 1
        entry = [c.encode_batch(7, max(1, first - 1024), list(numbered(first, some)))]
        begin = process_time()
        self.machine.apply(self._index, 1, entry)
        return (process_time() - begin) / len(some) * 1e6


def numbered(first: int, some: list[c.Command]) -> list[c.Command]:
    return [(first + at, *command) for at, command in enumerate(some)]


def start(name: str, *owners: str) -> c.Command:
    return a.agent_start(
        name, "Cart", bytes(150), host="host-1", lease=LEASE, status="placed", owners=owners
    )


def measure_agents() -> None:
    """Commits beside put_stamped, starts of the first and the last of many, binds and stops."""
    log = Log()
    log.run([start("cart:user:7")])
    record = log.machine.agent("cart:user:7")
    assert record is not None
    epoch, value = record.epoch, bytes(100)

    def commit(at: int, *marks: list[object]) -> c.Command:
        return a.agent_commit("cart:user:7", epoch, [[NS, f"x/{at}", value, at]], marks)

    kinds: dict[str, Callable[[int], c.Command]] = {
        "put_stamped": lambda at: c.put_stamped(f"x/{at}", value, at, NS),
        "agent_commit of one key": commit,
        "agent_commit of one key and a reminder": lambda at: commit(
            at, ["remind", f"r{at}", at, 0, b""]
        ),
    }
    for what, make in kinds.items():
        spent = [log.run([make(at) for at in range(PUTS)]) for _ in range(ENTRIES // 3)]
        print(f"{what}: {sum(spent) / len(spent):.2f} us, at best {min(spent):.2f} us")
    names = [f"agent:{at}" for at in range(STARTS)]
    pages = [names[at : at + PUTS] for at in range(0, STARTS, PUTS)]
    spent = [log.run([start(name) for name in page]) for page in pages]
    first, last = sum(spent[:30]) / 30, sum(spent[-30:]) / 30
    print(f"agent_start: the first 9 000 {first:.2f} us, the last of {STARTS} {last:.2f} us")
    epochs = {name: log.machine.agent(name) for name in names[: 30 * PUTS]}
    binds = [a.agent_bind(n, r.epoch, "host-2", LEASE, "move") for n, r in epochs.items() if r]
    spent = [log.run(binds[at : at + PUTS]) for at in range(0, len(binds), PUTS)]
    print(f"agent_bind: {sum(spent) / len(spent):.2f} us")
    spent = [log.run([a.agent_stop(name) for name in page]) for page in pages[:30]]
    print(f"agent_stop: {sum(spent) / len(spent):.2f} us")
    for page in pages[-40:]:
        log.run([a.agent_own(name, "agent:cart:user:7") for name in page])
    owned = len(log.machine.owned_by("agent:cart:user:7", limit=1 << 20))
    spent_us = log.run([a.agent_stop("cart:user:7")])
    print(f"a death with {owned} owned agents: {spent_us / 1e3:.1f} ms")


if __name__ == "__main__":
    measure(new_keys=False)
    measure(new_keys=True)
    measure_agents()
