"""`host.agents`: all agents of the cluster, as a program on this host sees them.

The law of this file: the face only. What is asked is checked here, once; look-ups are answered from
this host's memory; everything that changes something is decided by the group. Every call ends by
its `timeout` (seconds).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, overload

from quorate.core.errors import (
    ClusterAtCapacity,
    LeaseExpired,
    NotCommitted,
    StartFailed,
    Timeout,
    UsageError,
)
from quorate.core.machine import patterns
from quorate.core.machine.commands import Policy
from quorate.hosts.agents.agent import Agent
from quorate.hosts.agents.asking import Asking
from quorate.hosts.agents.dead_letters import DeadLetter
from quorate.hosts.agents.directory import Location
from quorate.hosts.agents.lookups import Lookups
from quorate.hosts.agents.names import check_name
from quorate.hosts.agents.spec import Spec, encode_meta

if TYPE_CHECKING:
    from quorate.core.machine.records import AgentRecord
    from quorate.hosts.agents.classes import AgentClass
    from quorate.hosts.agents.engine import AgentEngine

A = TypeVar("A", bound=Agent)
C = TypeVar("C", bound=type[Agent])

POLICIES: Final = ("fail", "use_existing", "replace")
ORPHANS: Final = ("stop", "continue", "adopt")
PARTITIONS: Final = ("pause_minority", "degraded", "split_brain")
LIST_AGENTS_MAX: Final = 10_000
AGAIN_S: Final = 0.25
STOP_PAGE_AGENTS: Final = 500
REASON_CHARS_MAX: Final = 300


class Agents(Lookups):
    """See the law above."""

    def __init__(self, engine: AgentEngine) -> None:
        super().__init__(engine, Asking(engine))

    # --- classes ----------------------------------------------------------------------------------

    @overload
    def register(self, cls: C) -> C: ...
    @overload
    def register(self, cls: str) -> str: ...
    def register(self, cls: Any) -> Any:
        """Have this host run agents of a class, or of the one that "module:Class" names; also as a
        decorator. The other hosts learn of it. Raises `UsageError`, `UnknownClass`."""
        self._engine.classes.register(cls)
        return cls

    def kinds(self) -> list[str]:
        """The kinds of agents that this host can run."""
        return sorted(self._engine.classes.versions())

    def classes(self) -> dict[str, dict[str, int]]:
        """What can run where: kind -> {host: version}, of all hosts."""
        found: dict[str, dict[str, int]] = {}
        for row in self._engine.roster.rows.values():
            for kind, version in sorted(row.classes.items()):
                found.setdefault(kind, {})[row.id] = version
        return dict(sorted(found.items()))

    # --- starting ---------------------------------------------------------------------------------

    async def start(
        self,
        cls: type[A] | str,
        name: str,
        *,
        owner: Any = None,
        on_conflict: Policy = "fail",
        on_orphan: str = "stop",
        resources: Mapping[str, float] | None = None,
        hints: Mapping[str, Any] | None = None,
        needs: Mapping[str, str] | None = None,
        partition: str | None = None,
        meta: Any = None,
        args: Mapping[str, Any] | None = None,
        place_within: float | None = None,
        timeout: float | None = None,
    ) -> A:
        """Start an agent under a name, where there is room for it; returns a proxy once its
        `on_start` has ended.

        `cls`: the class, its kind, or "module:Class". `owner`: what it dies with: an agent (proxy
        or name), a lease (or its id), a session, an asyncio task, or several of them; it dies when
        the last one has gone, unless `on_orphan` is "continue" or "adopt". `on_conflict`: "fail"
        (`NameTaken`), "use_existing" (and the owners become its owners too), "replace".
        `resources`: what it needs of its host, `hints`: near, host, avoid, spread; `needs`: labels
        of the host. `partition`: in place of the class's policy. `meta`: shown by `list` and
        `find`. `args`: `self.args`.
        `place_within`: wait so many seconds for room, in place of `ClusterAtCapacity`.

        Raises `NameTaken`, `OwnerDead`, `ClusterAtCapacity`, `UnknownClass`, `StartFailed`,
        `UsageError`, `Unavailable`."""
        engine = self._engine
        check_name(name)
        _one_of("on_conflict", on_conflict, POLICIES)
        _one_of("on_orphan", on_orphan, ORPHANS)
        if partition is not None:
            _one_of("partition", partition, PARTITIONS)
        until = engine.now() + engine.group.seconds(timeout)
        kind, version, starting = self._class(cls)
        demand = engine.parts.placing.demand(kind, version, resources, hints, needs)
        place_until = 0.0
        if place_within is not None:
            place_until = engine.group.clock.wall() + place_within
        spec = Spec(version, dict(args or {}), demand, partition or "", place_until)
        data, meta_data = spec.encoded(), encode_meta(meta)
        owners = await engine.parts.kin.owners_of(owner, until)
        while True:
            left_s = until - engine.now()
            if left_s <= 0:
                raise Timeout(f"agent {name!r} was not started in time; nothing was changed")
            host, lease = await self._place(name, spec, on_conflict, until)
            status = "unplaced" if not host else "starting" if starting else "placed"
            try:
                record, outcome = await engine.bindings.start(
                    name,
                    kind,
                    data,
                    meta_data,
                    host=host,
                    lease=lease,
                    status=status,
                    owners=owners,
                    orphan=on_orphan,
                    policy=on_conflict,
                    timeout=left_s,
                )
                break
            except LeaseExpired:  # that host has just gone
                engine.roster.look()
                await self._directory.wait(name, min(until, engine.now() + 0.05))
        if outcome != "existing":
            engine.parts.placing.placed(host, spec.demand)
        engine.parts.kin.on_started(record, owner)
        if record.status != "placed":
            await self._started(record, until)
        return cast(A, self.get(name))

    def _class(self, cls: type[Agent] | str) -> tuple[str, int, bool]:
        """(kind, version, whether a start has something to do); a kind that this host cannot run
        may be another's."""
        engine = self._engine
        if isinstance(cls, str) and engine.classes.get(cls) is None:
            for row in engine.roster.rows.values():
                if cls in row.classes:
                    return cls, 1, True
        found: AgentClass = engine.classes.of(cls)
        return found.kind, found.cls.version, "on_start" in found.overrides

    async def _place(
        self, name: str, spec: Spec, on_conflict: str, until: float
    ) -> tuple[str, int]:
        """(host, lease), or ("", 0) to wait for room in the group."""
        engine = self._engine
        present = self._directory.look(name)
        if present is not None and on_conflict != "replace" and present.host:
            return present.host, present.lease  # the group will say that it is taken
        while not engine.roster.rows:  # this cluster has just started
            if not await self._directory.wait(name, min(until, engine.now() + AGAIN_S)):
                engine.roster.look()
            if engine.now() >= until:
                raise NotCommitted("no host of the cluster runs agents yet; nothing was changed")
        try:
            row = engine.parts.placing.choose(name, spec)
        except ClusterAtCapacity:
            if not spec.place_until:
                raise
            return "", 0
        return row.id, row.lease

    async def _started(self, record: AgentRecord, until: float) -> None:
        """Until it is known how the start ended."""
        engine, name = self._engine, record.name
        while True:
            now = self._directory.look(name)
            if now is None or now.life != record.life:
                why = engine.parts.why_ended(name, record.life) or "it was stopped meanwhile"
                if why.startswith("no capacity"):
                    raise ClusterAtCapacity(f"agent {name!r}: {why}")
                raise StartFailed(f"agent {name!r} did not start: {why}")
            if now.status == "placed":
                return
            if now.status == "failed":
                raise StartFailed(f"agent {name!r} did not start: it was given up")
            if not await self._directory.wait(name, until) and engine.now() >= until:
                raise Timeout(f"agent {name!r} is still {now.status} at the deadline")

    async def spawn(self, cls: type[A], *, args: Mapping[str, Any] | None = None) -> A:
        """An agent without a name, here and at once, for a quick request: it is not in the
        directory, has no state but its memory, and ends with the turn or task that made it."""
        return cast(A, await self._engine.parts.anonymous.spawn(cls, dict(args or {})))

    # --- ending -----------------------------------------------------------------------------------

    async def stop(
        self, name: str, reason: str = "stopped", *, timeout: float | None = None
    ) -> bool:
        """End an agent's life, with everything that it owns and is linked to; whether it lived. The
        name is free at once, and the host that ran it takes nothing for it any more."""
        engine = self._engine
        until = engine.now() + engine.group.seconds(timeout)
        record = self._directory.look(check_name(name))
        if record is None:  # it may have been started elsewhere a moment ago
            await engine.group.read_point("linearizable", timeout)
            record = self._directory.look(name)
        left_s = max(0.0, until - engine.now())
        died = await engine.bindings.stop(name, reason=reason[:REASON_CHARS_MAX], timeout=left_s)
        ended = self._directory.ended(name)
        if ended is not None and record is not None and ended.life == record.life:
            record = ended  # it may have moved since
        if record is not None:
            await self._asking.wait_gone(record, until)
        return died > 0

    async def stop_matching(
        self, text: str, reason: str = "stopped", *, timeout: float | None = None
    ) -> int:
        """End all agents whose name contains `text` (or matches it, if it has stars); how many."""
        engine = self._engine
        until = engine.now() + engine.group.seconds(timeout)
        pattern = text if "*" in text else patterns.containing(text)
        if not text:
            raise UsageError("the text is empty: use '*' to stop all agents")
        after, stopped = "", 0
        while page := self.list(pattern, limit=STOP_PAGE_AGENTS, after=after):
            left_s = max(0.0, until - engine.now())
            work = [self.stop(one.name, reason, timeout=left_s) for one in page]
            stopped += sum(await engine.parts.gather(work))
            after = page[-1].name
        return stopped

    # --- moving -----------------------------------------------------------------------------------

    async def move(
        self, name: str, to: str, strategy: str | None = None, *, timeout: float | None = None
    ) -> Location:
        """Move an agent to another host while others call it; see `moving.mover.Mover.move`."""
        check_name(name)
        return await self._engine.parts.mover.move(name, to, strategy, timeout)

    async def drain(self, host: str | None = None, *, timeout: float | None = None) -> int:
        """Move everything off a host (this one by default) and place nothing there; how many agents
        moved. Raises `Timeout` when some could not be moved in time."""
        return await self._asking.drain(host or self._engine.host_id, timeout)

    async def undrain(self, host: str | None = None, *, timeout: float | None = None) -> None:
        """Let agents be placed on the host again."""
        await self._asking.settings(host or self._engine.host_id, {"draining": False}, timeout)

    async def set_labels(
        self, labels: Mapping[str, str], host: str | None = None, *, timeout: float | None = None
    ) -> None:
        """What `needs=` of an agent can ask for."""
        where = host or self._engine.host_id
        await self._asking.settings(where, {"labels": dict(labels)}, timeout)

    async def set_capacity(
        self,
        capacity: Mapping[str, float],
        host: str | None = None,
        *,
        timeout: float | None = None,
    ) -> None:
        """What the host has to give out: memory_mb, cpu, slots, or any name that `resources=` of
        agents use."""
        where = host or self._engine.host_id
        await self._asking.settings(where, {"capacity": dict(capacity)}, timeout)

    # --- looking into it --------------------------------------------------------------------------

    async def describe(self, name: str, *, timeout: float | None = None) -> dict[str, Any]:
        """How an agent is: status, mailbox, turns, what runs; asked from its host."""
        until = self._engine.now() + self._engine.group.seconds(timeout)
        record = await self._record(name, until)
        return await self._asking.describe(name, record, until)

    def hosts(self) -> list[dict[str, Any]]:
        """The hosts that run agents: labels, capacity, load, how many agents."""
        return self._engine.parts.placing.hosts()

    def dead_letters(self, name: str | None = None) -> list[DeadLetter]:
        """Messages that found nobody, as this host saw them: the last ones, the oldest first."""
        letters = self._engine.dead_letters
        return letters.all() if name is None else letters.about(name)

    def reports(self) -> list[Any]:
        """What failovers and heals had to lose or to reconcile, as this host saw it."""
        return self._engine.parts.reports()

    def monitor(self, name: str) -> Any:
        """`await host.agents.monitor(name)` ends with the reason when the agent dies."""
        return self._engine.parts.kin.watch_exit(name)

    async def ready(self, timeout: float | None = None) -> None:
        """Return once this host may run agents. Raises `Timeout`."""
        until = self._engine.now() + self._engine.group.seconds(timeout)
        if not await self._engine.wait_valid(until):
            raise Timeout(f"host {self._engine.host_id!r} may not run agents yet")

    def statistics(self) -> dict[str, Any]:
        return self._engine.statistics()


def _one_of(what: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"{what}={value!r}: use one of {', '.join(choices)}")
