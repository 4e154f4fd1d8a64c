"""The bindings of agents as awaitable calls: who lives, where, whose, and the fenced commit.

The law of this file: one call is one command of the group (and sweeps, where a death had more to
end than one command may); nothing is kept here. A commit that is refused because the activation is
not the present one is `Fenced`; every other no is a `Refused`, and a name that does not live is
`AgentNotFound`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from quorate.core.errors import AgentNotFound, Fenced, Unavailable
from quorate.core.group.group import Group
from quorate.core.machine import agent_commands as commands
from quorate.core.machine import results
from quorate.core.machine.agent_commands import Mark, Mode, Write
from quorate.core.machine.commands import Policy
from quorate.core.machine.records import AgentRecord

_WHY_FENCED: Final = {
    "stale_epoch": "it has another epoch now",
    "lease_expired": "the lease of its host is over, or it has no place",
    "not_found": "it does not live any more",
}
WRITE_OVERHEAD_BYTES: Final = 24


class Committed(NamedTuple):
    """Where a commit was applied, and what became of each of its writes."""

    term: int
    index: int  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleMethodOverride]
    revision: int
    written: list[tuple[int, int]]
    """(version, stamp) of each write."""


class Bindings:
    """Every method takes `timeout` in seconds (None: the host's default) and ends by it.

    All raise `UsageError` and `LimitExceeded` for what can never work, `Unavailable` with its
    `outcome` when the world is in the way."""

    def __init__(self, group: Group) -> None:
        self._group = group

    # --- lives and places ------------------------------------------------------------------------

    async def start(
        self,
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
        timeout: float | None = None,
    ) -> tuple[AgentRecord, str]:
        """Start a life; (record, "started" | "existing" | "replaced").

        Raises `NameTaken` (with the record as `holder`), `LeaseExpired` (the host's lease),
        `OwnerDead`."""
        command = commands.agent_start(
            name,
            kind,
            spec,
            meta,
            host=host,
            lease=lease,
            status=status,
            owners=owners,
            orphan=orphan,
            policy=policy,
        )
        size_bytes = len(name) + len(kind) + len(spec) + len(meta) + sum(map(len, owners)) + 64
        answer = await self._propose(command, size_bytes, timeout, f"start agent {name!r}")
        if answer[1] == "replaced":
            await self._sweep(timeout)
        return results.agent_of(answer[2]), answer[1]

    async def bind(
        self,
        name: str,
        epoch: int,
        host: str,
        lease: int,
        mode: Mode,
        *,
        timeout: float | None = None,
    ) -> AgentRecord:
        """Place it elsewhere, or nowhere (host "", lease 0), under a new epoch. `move` is for its
        present host, `take` for anybody once that host's lease is over.

        Raises `AgentNotFound`, `NotFound` (the epoch is another one by now), `StillHeld`,
        `LeaseExpired` (the target's)."""
        command = commands.agent_bind(name, epoch, host, lease, mode)
        size_bytes = len(name) + len(host) + 32
        answer = await self._propose(command, size_bytes, timeout, f"bind agent {name!r}")
        return results.agent_of(answer[1])

    async def stop(
        self,
        name: str,
        *,
        epoch: int = 0,
        life: int = 0,
        reason: str = "",
        timeout: float | None = None,
    ) -> int:
        """End a life, and all that ends with it; how many agents died (0: it did not live). With an
        epoch or a life, only that one: raises `NotFound` if it is another one by now."""
        command = commands.agent_stop(name, epoch, life, reason)
        size_bytes = len(name) + len(reason) + 32
        answer = await self._propose(command, size_bytes, timeout, f"stop agent {name!r}")
        return answer[1] + await self._sweep(timeout) if answer[2] else answer[1]

    async def update(
        self,
        name: str,
        epoch: int = 0,
        *,
        meta: bytes | None = None,
        status: str | None = None,
        timeout: float | None = None,
    ) -> AgentRecord:
        """Change the metadata, or the status to placed or failed; None leaves it. Raises
        `AgentNotFound`, `NotFound` (the epoch is another one by now), `Refused` (to be placed it
        needs a place)."""
        command = commands.agent_update(name, epoch, meta, status)
        size_bytes = len(name) + len(meta or b"") + 32
        answer = await self._propose(command, size_bytes, timeout, f"change agent {name!r}")
        return results.agent_of(answer[1])

    # --- the fence -------------------------------------------------------------------------------

    async def commit(
        self,
        name: str,
        epoch: int,
        writes: Sequence[Write] = (),
        marks: Sequence[Mark] = (),
        *,
        timeout: float | None = None,
    ) -> Committed:
        """All of `writes` and `marks` at one revision, or nothing.

        Raises `Fenced` if this epoch is not the present one or its lease is over; `Refused` for a
        reminder that fired already; `LimitExceeded` for too many reminders."""
        size_bytes = len(name) + WRITE_OVERHEAD_BYTES * (len(writes) + len(marks))
        for ns, key, value, _ in writes:
            size_bytes += len(ns) + len(key) + (0 if value is None else len(value))
        for mark in marks:
            if len(mark) == 5:
                size_bytes += len(mark[1]) + len(mark[4])
        command = commands.agent_commit(name, epoch, writes, marks)
        index, term, answer = await self._group.propose(command, size_bytes, timeout)
        if answer[0] == results.FAILED:
            _raise_refusal(name, epoch, answer)
        written = list(zip(answer[1::2], answer[2::2], strict=True))
        return Committed(term, index, answer[0], written)

    # --- kin -------------------------------------------------------------------------------------

    async def own(
        self, name: str, owner: str, on: bool = True, *, timeout: float | None = None
    ) -> AgentRecord:
        """Add an owner (`agent:<name>`, `lease:<id>`), or take one away. Raises `AgentNotFound`,
        `OwnerDead`."""
        command = commands.agent_own(name, owner, on=on)
        size_bytes = len(name) + len(owner)
        answer = await self._propose(command, size_bytes, timeout, f"owners of agent {name!r}")
        return results.agent_of(answer[1])

    async def link(self, a: str, b: str, on: bool = True, *, timeout: float | None = None) -> bool:
        """Each of the two ends with the other; whether that is new (or, off, was so). Raises
        `AgentNotFound`."""
        command = commands.agent_link(a, b, on=on)
        what = f"link agents {a!r} and {b!r}"
        return (await self._propose(command, len(a) + len(b), timeout, what))[1]

    async def monitor(
        self, watcher: str, target: str, on: bool = True, *, timeout: float | None = None
    ) -> bool:
        """The watcher gets a down row when the target ends, at once if it does not live; whether
        that is new (or, off, was so). Raises `AgentNotFound` if the watcher does not live."""
        command = commands.agent_monitor(watcher, target, on=on)
        what = f"agent {watcher!r} monitors {target!r}"
        return (await self._propose(command, len(watcher) + len(target), timeout, what))[1]

    # --- shared ----------------------------------------------------------------------------------

    async def _propose(
        self, command: tuple[Any, ...], size_bytes: int, timeout: float | None, what: str
    ) -> list[Any]:
        _, _, answer = await self._group.propose(command, size_bytes, timeout)
        if results.failure_code(answer) == "not_found":
            raise AgentNotFound(f"{what}: no such agent lives")
        return results.raise_for(answer, what)

    async def _sweep(self, timeout: float | None) -> int:
        """End what an earlier command had no room for; how many died. What is left then, the leader
        goes on with (`lease_keeper.py`)."""
        group = self._group
        until = group.clock.monotonic() + group.seconds(timeout)
        died = 0
        with suppress(Unavailable):
            while group.machine.agents_dying and (left_s := until - group.clock.monotonic()) > 0:
                died += (await self._propose(commands.agent_sweep(), 16, left_s, "sweep"))[1]
        return died


def _raise_refusal(name: str, epoch: int, answer: list[Any]) -> None:
    """Why a commit was not done."""
    why = _WHY_FENCED.get(answer[1])
    if why is not None:
        raise Fenced(f"agent {name!r} under epoch {epoch}: {why}")
    results.raise_for(answer, f"commit of agent {name!r}")
