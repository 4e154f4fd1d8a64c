"""Commands about agents: how they are made. What they do is in `agents.py` and its neighbours.

The law of this file: like `commands.py`, tuples `(op, *arguments)` of plain values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from quorate.core.machine import ops
from quorate.core.machine.commands import Command, Policy

Mode = Literal["move", "take"]
Orphan = Literal["stop", "continue", "adopt"]
Write = Sequence[Any]
"""[namespace, key, value's bytes or None, stamp], written like `put_stamped`."""
Mark = Sequence[Any]
"""["remind", id, due_ms, period_ms, data] sets a reminder; ["forget", id] drops one;
["reminded", id, due_ms, next_due_ms] settles the one that fired at due_ms: a one-shot goes, another
is due again a whole number of periods later, not before next_due_ms (0: the next period);
["down", seq] acknowledges news of a death; ["started"] says that `on_start` is done."""


def agent_start(
    name: str,
    kind: str,
    spec: bytes = b"",
    meta: bytes = b"",
    *,
    host: str = "",
    lease: int = 0,
    status: str = "unplaced",
    owners: Sequence[str] = (),
    orphan: str = "stop",
    policy: Policy = "fail",
) -> Command:
    """Start a life under this name; without a host it waits for a place. If the name is alive:
    refuse, add the owners to it (`use_existing`), or end that life first (`replace`).
    """
    return (
        *(ops.AGENT_START, name, kind, spec, meta, host, lease),
        *(status, list(owners), orphan, policy),
    )


def agent_bind(name: str, epoch: int, host: str, lease: int, mode: Mode) -> Command:
    """Place the agent elsewhere, or nowhere (host "" and lease 0): `move` is for its present host,
    `take` for anybody once that host's lease is over.
    """
    return (ops.AGENT_BIND, name, epoch, host, lease, mode)


def agent_stop(name: str, epoch: int = 0, life: int = 0, reason: str = "") -> Command:
    """End a life and what follows from it; with an epoch or a life, only that one."""
    return (ops.AGENT_STOP, name, epoch, life, reason)


def agent_update(
    name: str, epoch: int = 0, meta: bytes | None = None, status: str | None = None
) -> Command:
    """Change the metadata, or the status to placed or failed; None leaves it."""
    return (ops.AGENT_UPDATE, name, epoch, meta, status)


def agent_commit(
    name: str, epoch: int, writes: Sequence[Write] = (), marks: Sequence[Mark] = ()
) -> Command:
    """All of these, if the epoch is the present one and its lease lives; otherwise nothing."""
    return (ops.AGENT_COMMIT, name, epoch, writes, marks)


def agent_own(name: str, owner: str, *, on: bool = True) -> Command:
    """Add an owner, or take one away: the last one taken away so leaves the agent on its own."""
    return (ops.AGENT_OWN, name, owner, on)


def agent_link(a: str, b: str, *, on: bool = True) -> Command:
    """Each ends when the other one does."""
    return (ops.AGENT_LINK, a, b, on)


def agent_monitor(watcher: str, target: str, *, on: bool = True) -> Command:
    """The watcher is told once when the target ends; at once if it does not live."""
    return (ops.AGENT_MONITOR, watcher, target, on)


def agent_sweep() -> Command:
    """Go on ending the lives that an earlier command decided to end and had no room for."""
    return (ops.AGENT_SWEEP,)
