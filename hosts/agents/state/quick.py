"""The short way of a turn that only writes on this host: what most turns are.

The law of this file: it does what `commit.py` does for such a turn, in one pass over its writes,
and nothing at all where anything is unusual: then it says so, and the long way is gone. Pure.
"""

from __future__ import annotations

from quorate.consistency.replica.states import RegisterState
from quorate.consistency.replica.writing import Update
from quorate.hosts.agents.state.buffer import TurnBuffer
from quorate.hosts.agents.state.drafts import BY_STATE
from quorate.hosts.agents.state.ledger import Ledger


def apply_quickly(ledger: Ledger, buffer: TurnBuffer) -> Update | None:
    """The turn's local updates are in the replica; None: nothing was done. Raises what refuses the
    turn because of this host (`StorageFull`, `Overloaded`, `Stopped`)."""
    usage = ledger.usage
    if (
        not buffer.durable
        or buffer.wait_for != 1
        or buffer.sessions
        or buffer.receipt.asked == "session"
        or not usage.known
        or not ledger.holder.holds
    ):
        return None
    core, replica = ledger.core, ledger.plane.replica
    name, read, prefix_bytes = core.name, replica.read, len(ledger.keys.prefix)
    used, updates = usage.local + buffer.op_bytes, 1 + len(buffer.puts)
    for key, value in buffer.puts.items():
        if value is not None:
            used += len(key) - prefix_bytes + len(value)
        state = read(name, key)
        if state is not None:
            if type(state) is not RegisterState or len(state.entries) != 1:
                return None
            before = state.entries[0].value
            if before is not None:
                used -= len(key) - prefix_bytes + len(before)
    for key, draft in buffer.drafts.items():
        state = read(name, key)
        if draft.kind in BY_STATE or (state is not None and state.kind != draft.kind):
            return None
        updates += len(draft.ops)
    if used + usage.strong > usage.bytes_max and used > usage.local:
        return None
    replica.admit(updates, buffer.local_bytes + 128)
    mark = ledger.next_mark(used if used > 0 else 0)
    ledger.is_writing = True
    try:
        for key, value in buffer.puts.items():
            replica.put(name, key, value, floor=core.floor(key))
        for key, draft in buffer.drafts.items():
            least = core.floor(key)
            for op, args in draft.ops:
                replica.operate(name, key, draft.kind, op, args, floor=least)
        update = replica.put(name, ledger.turn_key(), mark.encode())
        ledger.applied(mark, update)
    finally:
        ledger.is_writing = False
    return update
