"""Three workers under load, a record of what they were promised, and the verdict afterwards.

The law of this file: the record lives in this process, not in the hosts. Used by the demonstration
and by the live tests; it shows nothing and prints nothing.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quorate.core.errors import InvariantBroken, Timeout
from quorate.core.wire.ports import free_addresses
from quorate.hosts.demo.record import Copy, Ledger, Verdict
from quorate.hosts.demo.workers import WorkerProcess, start_worker

POLL_S = 0.02
BEHIND_S = 0.2
"""A host has caught up when it has applied what the leader had committed this long ago."""
RATE_WINDOW_S = 1.0


@dataclass
class View:
    """What is known of one host from its own words."""

    host_id: str
    run: int = 0
    state: str = "starting"
    """starting, up, killed, stopped"""
    status: dict[str, Any] = field(default_factory=dict[str, Any])
    status_at: float = 0.0
    admin: str | None = None
    acked: int = 0
    recent: deque[tuple[float, int]] = field(default_factory=deque[tuple[float, int]])
    """(time, acknowledged) of the last lines, for the rate."""
    error: str | None = None
    idle_at: float | None = None
    """When it said that no write is on its way; None while it may write."""

    def rate(self, now: float) -> float:
        """Acknowledged writes per second over the last second."""
        while self.recent and self.recent[0][0] < now - RATE_WINDOW_S:
            self.recent.popleft()
        return sum(count for _, count in self.recent) / RATE_WINDOW_S


class Arena:
    """A cluster of worker processes in `folder`. Use it as `async with Arena(...) as arena`."""

    def __init__(
        self,
        folder: Path,
        *,
        host_ids: tuple[str, ...] = ("a", "b", "c"),
        writers: int = 64,
        rate: float = 0.0,
        value_bytes: int = 100,
        admin: bool = False,
    ) -> None:
        self.folder = folder
        self.ledger = Ledger()
        self.views = {host_id: View(host_id) for host_id in host_ids}
        self.first_ack_at: dict[int, float] = {}
        """term -> when its first write was acknowledged on a host that is not the killed one."""
        self._addresses = dict(zip(host_ids, free_addresses(len(host_ids)), strict=True))
        self._admin = dict(
            zip(host_ids, free_addresses(len(host_ids)) if admin else host_ids, strict=True)
        )
        self._with_admin = admin
        self._secret = secrets.token_hex(16)
        self._load = {"writers": writers, "rate": rate, "value_bytes": value_bytes}
        self._processes: dict[str, WorkerProcess] = {}
        self._loaded = False
        self._dumps: dict[str, tuple[Copy, asyncio.Future[Copy]]] = {}
        self._commits: deque[tuple[float, int]] = deque(maxlen=2000)

    async def __aenter__(self) -> Arena:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    async def __aexit__(self, *error: object) -> None:
        await asyncio.gather(
            *(process.stop() for process in self._processes.values()), return_exceptions=True
        )

    # --- processes -------------------------------------------------------------------------------

    async def start(self, host_id: str) -> None:
        """Start (or start again) the worker of `host_id`; it is `up` when it says so."""
        view = self.views[host_id]
        view.run, view.state, view.status = view.run + 1, "starting", {}
        host: dict[str, Any] = {
            "host_id": host_id,
            "data": str(self.folder / host_id),
            "listen": self._addresses[host_id],
            "peers": self._addresses,
            "secret": self._secret,
        }
        if self._with_admin:
            host["admin"] = self._admin[host_id]
        settings = {"host": host, "run": view.run, **self._load}
        log = self.folder / f"{host_id}.log"
        self._processes[host_id] = await start_worker(settings, self._on_event, log=log)

    async def start_all(self, timeout_s: float = 20.0) -> None:
        """Start everybody and wait for a leader that all of them know."""
        for host_id in self.views:
            await self.start(host_id)
        await self.wait_for(
            lambda: self.leader is not None and self.up, timeout_s, "all hosts with one leader"
        )

    async def kill(self, host_id: str) -> float:
        """kill -9; the moment it was sent, on the monotonic clock."""
        at = time.monotonic()
        await self._processes[host_id].kill()
        self.views[host_id].state = "killed"
        return at

    def load(self, on: bool = True) -> None:
        """Let all workers write, or hold them."""
        self._loaded = on
        for host_id, process in self._processes.items():
            self.views[host_id].idle_at = None
            process.order("load" if on else "pause")

    # --- what is known ---------------------------------------------------------------------------

    @property
    def leader(self) -> str | None:
        """The host that says it leads, in the highest term."""
        leading = [
            view
            for view in self.views.values()
            if view.state == "up" and view.status.get("leader") == view.host_id
        ]
        return max(leading, key=lambda v: v.status["term"]).host_id if leading else None

    @property
    def up(self) -> bool:
        """Whether everybody is."""
        return all(view.state == "up" for view in self.views.values())

    @property
    def committed(self) -> int:
        return max(
            (view.status.get("commit_index") or 0 for view in self.views.values()), default=0
        )

    def committed_before(self, moment: float) -> int:
        """The highest commit index that any host had told of before `moment`."""
        return max((index for at, index in self._commits if at <= moment), default=0)

    def caught_up(self, host_id: str) -> bool:
        """Whether the host has applied what was committed a moment ago."""
        view = self.views[host_id]
        applied = view.status.get("applied_index") or 0
        return view.state == "up" and applied >= max(
            1, self.committed_before(view.status_at - BEHIND_S)
        )

    def even(self) -> bool:
        """Whether all hosts have applied everything that was acknowledged before all of them went
        idle."""
        views = self.views.values()
        idle_at = max((view.idle_at or 0.0 for view in views), default=0.0)
        if any(view.state != "up" or view.status_at <= idle_at for view in views):
            return False
        return all((view.status.get("applied_index") or 0) >= self.committed for view in views)

    async def wait_for(self, condition: Callable[[], bool], timeout_s: float, what: str) -> float:
        """Wait until `condition`; the moment it was seen. Raises `Timeout` with what the hosts said
        last."""
        end = time.monotonic() + timeout_s
        while not condition():
            for view in self.views.values():
                if view.error is not None:
                    raise InvariantBroken(f"host {view.host_id} stopped itself: {view.error}")
            if time.monotonic() > end:
                raise Timeout(f"waited {timeout_s:g} s for {what}; {self._describe()}")
            await asyncio.sleep(POLL_S)
        return time.monotonic()

    def _describe(self) -> str:
        return "; ".join(f"{v.host_id} {v.state} {v.status}" for v in self.views.values())

    # --- the verdict -----------------------------------------------------------------------------

    async def verify(self, timeout_s: float = 60.0) -> list[Verdict]:
        """Hold the load, wait until all copies are even, and compare every copy with the record."""
        self.load(False)
        views = self.views.values()
        await self.wait_for(
            lambda: all(view.idle_at is not None for view in views), timeout_s, "the load to end"
        )
        await self.wait_for(self.even, timeout_s, "all copies to be even")
        verdicts: list[Verdict] = []
        for host_id in self.views:
            async with asyncio.timeout(timeout_s):
                copy = await self._dump(host_id)
            verdicts.append(self.ledger.verify(host_id, copy))
        return verdicts

    async def _dump(self, host_id: str) -> Copy:
        done: asyncio.Future[Copy] = asyncio.get_running_loop().create_future()
        self._dumps[host_id] = (Copy(), done)
        writers = sorted(set(self.ledger.acked) | set(self.ledger.unknown))
        self._processes[host_id].order("dump", writers=writers)
        return await done

    # --- what the workers say --------------------------------------------------------------------

    def _on_event(self, host_id: str, event: dict[str, Any]) -> None:
        view, kind = self.views[host_id], event["k"]
        if kind == "acks":
            count = self.ledger.on_acks(event)
            view.acked += count
            view.recent.append((event["t"], count))
        elif kind == "status":
            view.status, view.status_at = event, event["t"]
            self._commits.append((event["t"], event.get("commit_index") or 0))
        elif kind == "idle":
            view.idle_at = event["t"]
        elif kind == "term":
            self.first_ack_at.setdefault(event["term"], event["t"])
        elif kind == "ready":
            view.state, view.admin = "up", event.get("admin")
            view.idle_at = None
            self._processes[host_id].order("load" if self._loaded else "pause")
        elif kind == "dump":
            self._dumps[host_id][0].add(event["writer"], event["items"])
        elif kind == "dumped":
            copy, done = self._dumps[host_id]
            copy.counters = {w: (version, attempt) for w, version, attempt in event["counters"]}
            if not done.done():
                done.set_result(copy)
        elif kind == "error":
            view.error = event["text"]
