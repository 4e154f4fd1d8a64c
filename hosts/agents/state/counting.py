"""How much an agent keeps, and whether a turn makes it too much.

The law of this file: a turn that makes the agent larger than it may be is refused, before anything
of it is done; one that makes it smaller never is. Counting exactly costs a look at every key, so it
is done when the cheap count says too much, and not again until the agent has grown some more.
"""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from quorate.consistency.replica.states import KeyState, RegisterState
from quorate.core.errors import LimitExceeded
from quorate.core.machine.stamped import read_stamped
from quorate.hosts.agents.state.buffer import TurnBuffer
from quorate.hosts.agents.state.ledger import Ledger
from quorate.hosts.agents.state.scope import NAMESPACE, TURN

PAGE_KEYS: Final = 256


class Used(NamedTuple):
    """Bytes of keys and values, after a turn."""

    local: int
    strong: int
    sizes: dict[str, int]
    """Of the keys that it writes strongly."""


async def look(ledger: Ledger, buffer: TurnBuffer) -> Used:
    """What is used after the turn. Raises `LimitExceeded`."""
    usage = ledger.usage
    if not usage.known:
        usage.strong = await _count_strong(ledger)
        usage.known = True
    after = _after(ledger, buffer)
    total = after.local + after.strong
    if total > usage.bytes_max and total > usage.total:
        now = ledger.plane.clock.monotonic()
        if ledger.is_home and usage.worth_counting(now):
            usage.local = await _count_local(ledger)
            usage.strong = await _count_strong(ledger)
            usage.counted_bytes, usage.counted_s = usage.total, now
            after = _after(ledger, buffer)
            total = after.local + after.strong
        if total > usage.bytes_max and total > usage.total:
            raise LimitExceeded(
                f"agent {ledger.keys.agent!r} would keep {total} bytes, state_bytes_max is "
                f"{usage.bytes_max}; nothing of the turn was kept"
            )
    return after


def _after(ledger: Ledger, buffer: TurnBuffer) -> Used:
    usage, core, prefix = ledger.usage, ledger.core, len(ledger.keys.prefix)
    local, strong = usage.local, usage.strong
    read, name = ledger.plane.replica.read, core.name
    for key, value in buffer.puts.items():
        if value is not None:
            local += len(key) - prefix + len(value)
        state = read(name, key)
        if type(state) is RegisterState:
            local -= _plain_bytes(state, len(key) - prefix)
    local += buffer.op_bytes
    sizes: dict[str, int] = {}
    for key, value in buffer.strong.items():
        before = usage.sizes.get(key)
        if before is None:
            present = core.record(key).value
            before = 0 if present is None else len(key) - prefix + len(present)
        sizes[key] = size = 0 if value is None else len(key) - prefix + len(value)
        strong += size - before
    return Used(max(0, local), max(0, strong), sizes)


def _plain_bytes(state: RegisterState, key_bytes: int) -> int:
    entries = state.entries
    if len(entries) != 1:
        return sum(key_bytes + len(e.value) for e in entries if e.value is not None)
    value = entries[0].value
    return 0 if value is None else key_bytes + len(value)


def _state_bytes(state: KeyState | None, key_bytes: int) -> int:
    if state is None or state.is_dead:
        return 0
    if isinstance(state, RegisterState):
        return _plain_bytes(state, key_bytes)
    return key_bytes + len(state.encode()[1])


async def _count_local(ledger: Ledger) -> int:
    """Of every key in this host's replica."""
    replica, name, prefix = ledger.plane.replica, ledger.core.name, ledger.keys.prefix
    total, after = 0, ""
    while True:
        page = replica.keys_under(name, prefix, after, PAGE_KEYS)
        for key in page:
            if not key.startswith(TURN, len(prefix)):
                total += _state_bytes(replica.read(name, key), len(key) - len(prefix))
        if len(page) < PAGE_KEYS:
            return total
        after = page[-1]
        await asyncio.sleep(0)


async def _count_strong(ledger: Ledger) -> int:
    """Of every strong record, as this host has them."""
    machine, prefix = ledger.plane.group.machine, ledger.keys.prefix
    if not ledger.plane.strong.has_any(ledger.core.name):
        return 0
    total, start = 0, prefix
    while True:
        page = machine.kv_range(prefix=prefix, start=start, ns=NAMESPACE, limit=PAGE_KEYS)
        for row in page:
            value = read_stamped(row.value)[1]
            if value is not None and row.key != ledger.keys.redo:
                total += len(row.key) - len(prefix) + len(value)
        if len(page) < PAGE_KEYS:
            return total
        start = page[-1].key + "\0"
        await asyncio.sleep(0)
