"""What hurts a host from inside: its disk, its clock, its group, its agents. Runs in the worker.

The law of this file: one order, one hurt, done through the host's own doors and the seams it has
for this (`quorate.hosts.seams`); nothing is decided here. What an order did is told as numbers, so
that a fault that did nothing is seen. `look` reads and changes nothing; `heal` takes back what
lasts.

    prepare(host)                                     before it starts: disk and clock to be hurt
    await hurt(host, {"which": "disk-full", ...})     see `HURTS`
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final, Literal, cast

from quorate.core.clock import SystemClock
from quorate.core.errors import QuorateError, UsageError
from quorate.core.storage.faults import SwitchedFaults
from quorate.hosts.host import Host
from quorate.hosts.seams import Seams

Order = Mapping[str, Any]
Answer = dict[str, Any]
GROUP_S: Final = 10.0
AGENTS_MOVED_MAX: Final = 8
KEEP_ENTRIES: Final = 16


class JumpingClock(SystemClock):
    """The machine's clock, whose wall reading can be moved. The monotonic one never jumps."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def wall(self) -> float:
        return super().wall() + self.ahead_s


class HurtDisk(SwitchedFaults):
    """A disk that counts whom it hurt."""

    def __init__(self) -> None:
        super().__init__()
        self.commits_hurt = 0
        self._counting = threading.Lock()

    def _count(self) -> None:
        with self._counting:
            self.commits_hurt += 1

    def before_commit(self) -> None:
        if self.full or self.delay_s > 0:
            self._count()
        super().before_commit()

    def after_commit(self) -> None:
        if self.fsync_fails:
            self._count()
            raise OSError(errno.EIO, "fsync failed (switched on by the laboratory)")


def prepare(host: Host) -> None:
    """Before `host.start`: give it a disk and a clock that can be hurt."""
    host.seams = Seams(clock=JumpingClock(), faults=HurtDisk())


def _disk(host: Host) -> HurtDisk:
    faults = host.seams.faults
    if not isinstance(faults, HurtDisk):
        raise UsageError("this host was not prepared: call hurts.prepare(host) before it starts")
    return faults


def _clock(host: Host) -> JumpingClock:
    clock = host.seams.clock
    if not isinstance(clock, JumpingClock):
        raise UsageError("this host was not prepared: call hurts.prepare(host) before it starts")
    return clock


# --- disk and clock -------------------------------------------------------------------------------


async def disk_full(host: Host, order: Order) -> Answer:
    """No commit finds room until `heal`."""
    _disk(host).full = True
    return {}


async def fsync_fails(host: Host, order: Order) -> Answer:
    """The next commit fails after its pages were written; the host must leave service."""
    _disk(host).fsync_fails = True
    return {}


async def fsync_slow(host: Host, order: Order) -> Answer:
    """Every commit takes `delay_ms` longer until `heal`."""
    _disk(host).delay_s = float(order["delay_ms"]) / 1000
    return {}


async def clock_jump(host: Host, order: Order) -> Answer:
    """The wall clock goes `by_s` forward, or back below 0, until `heal`."""
    clock = _clock(host)
    clock.ahead_s += float(order["by_s"])
    return {"ahead_s": clock.ahead_s}


async def heal(host: Host, order: Order) -> Answer:
    """Take back what lasts: disk and clock are as new, and agents may be placed here again."""
    disk, clock = _disk(host), _clock(host)
    disk.full = disk.fsync_fails = False
    disk.delay_s = 0.0
    disk.resume()
    clock.ahead_s = 0.0
    if host.state == "running" and order.get("undrain"):
        with suppress(QuorateError):
            await host.agents.undrain(timeout=GROUP_S)
    return {"commits_hurt": disk.commits_hurt}


# --- group ----------------------------------------------------------------------------------------


async def compaction(host: Host, order: Order) -> Answer:
    """Make a snapshot, and drop the log behind it but for a few entries: whoever lags needs the
    snapshot."""
    made = await host.snapshot(timeout=GROUP_S)
    host.driver.compact(int(order.get("keep_entries", KEEP_ENTRIES)))
    return {"done": 1, "index": made["index"], "base": host.driver.journal.base_index}


async def transfer(host: Host, order: Order) -> Answer:
    """Hand the leadership to `to`, or to whoever is furthest."""
    before = host.group.leader
    after = await host.transfer_leadership(order.get("to"), timeout=GROUP_S)
    return {"done": int(after != before), "from": before, "to": after}


async def add(host: Host, order: Order) -> Answer:
    """Add the host `member` at `address` as `role`."""
    role = cast("Literal['voter', 'learner']", order.get("role", "voter"))
    name, address = str(order["member"]), str(order["address"])
    member = await host.members.add(name, address, role=role, timeout=GROUP_S)
    return {"done": 1, "role": member.role}


async def leave(host: Host, _: Order) -> Answer:
    """Hand all keys over and leave the group: what only this host's disk has goes with the disk."""
    await host.leave(timeout=GROUP_S)
    return {"done": 1}


# --- agents ---------------------------------------------------------------------------------------


async def agent_moves(host: Host, order: Order) -> Answer:
    """Move some agents that live here to the hosts `to`, in turn."""
    targets = [str(one) for one in order["to"]]
    mine = [one.name for one in host.agents.list() if one.host == host.id]
    moved = 0
    for number, name in enumerate(mine[: int(order.get("agents_max", AGENTS_MOVED_MAX))]):
        with suppress(QuorateError):
            await host.agents.move(name, targets[number % len(targets)], timeout=GROUP_S)
            moved += 1
    return {"done": moved, "here": len(mine)}


async def drain(host: Host, order: Order) -> Answer:
    """Move everything off this host, and place nothing here."""
    here = sum(one.host == host.id for one in host.agents.list())
    return {"done": await host.agents.drain(timeout=GROUP_S), "here": here}


async def undrain(host: Host, order: Order) -> Answer:
    """Let agents be placed here again."""
    await host.agents.undrain(timeout=GROUP_S)
    return {"done": 1}


# --- looking --------------------------------------------------------------------------------------


async def look(host: Host, order: Order) -> Answer:
    """What this host counts: `heard` (bytes per peer), `reads`, `connections` (of the peer to us),
    `connects` (of ours to the peer), `rtt_ms`, `ahead_s`, `commits_hurt`, `base`, `role`, `term`,
    `members`."""
    wire = cast("dict[str, Any]", host.mesh.statistics())
    heard = cast("dict[str, dict[str, int]]", wire.get("heard", {}))
    links = cast("dict[str, dict[str, Any]]", wire.get("links", {}))
    status = host.status()
    return {
        "heard": {peer: one["bytes"] for peer, one in heard.items()},
        "reads": {peer: one["reads"] for peer, one in heard.items()},
        "connections": {peer: one["connections"] for peer, one in heard.items()},
        "connects": {peer: one["connects"] for peer, one in links.items()},
        "rtt_ms": {peer: one["rtt_last_ms"] or 0.0 for peer, one in links.items()},
        "ahead_s": _clock(host).ahead_s,
        "commits_hurt": _disk(host).commits_hurt,
        "base": host.driver.journal.base_index,
        "role": status.get("role"),
        "term": status.get("term"),
        "members": [[row["id"], row["role"]] for row in status["members"]],
    }


HURTS: Final[Mapping[str, Callable[[Host, Order], Awaitable[Answer]]]] = {
    "look": look,
    "heal": heal,
    "disk-full": disk_full,
    "fsync-fails": fsync_fails,
    "fsync-slow": fsync_slow,
    "clock-jump": clock_jump,
    "compaction": compaction,
    "transfer": transfer,
    "add": add,
    "leave": leave,
    "agent-moves": agent_moves,
    "drain": drain,
    "undrain": undrain,
}
"""By the order's `which`."""


async def hurt(host: Host, order: Order) -> Answer:
    """Do what the order says. Raises `UsageError` for an unknown one, and what the host raises."""
    which = str(order.get("which"))
    if which not in HURTS:
        raise UsageError(f"there is no hurt {which!r}; known are {', '.join(sorted(HURTS))}")
    return await HURTS[which](host, order)
