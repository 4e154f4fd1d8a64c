"""The half of `host.agents` that looks: proxies, places, lists, watches.

The law of this file: answered from this host's memory, but for `whereis`, which asks the agent's
host, and for names that are not known here, which are looked up behind a read point first.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from quorate.core.errors import AgentNotFound, QuorateError, UsageError
from quorate.core.group.watch import Watch
from quorate.core.machine import patterns
from quorate.hosts.agents.asking import Asking
from quorate.hosts.agents.directory import Location
from quorate.hosts.agents.names import check_name, home_of
from quorate.hosts.agents.proxy import AgentProxy
from quorate.hosts.agents.spec import encode_meta, meta_of

if TYPE_CHECKING:
    from quorate.core.machine.records import AgentRecord
    from quorate.hosts.agents.engine import AgentEngine

EVENTS_PAGE: Final = 1000
LIST_AGENTS_MAX: Final = 10_000
PROXIES_KEPT: Final = 10_000


class AgentInfo(NamedTuple):
    """A living agent."""

    name: str
    kind: str
    host: str
    """Empty while it waits for a place."""
    epoch: int
    life: int
    status: str
    """starting, placed, unplaced, failed; recovering: its host is gone and it gets another."""
    meta: Any
    owners: tuple[str, ...]


class Lookups:
    """See the law above."""

    def __init__(self, engine: AgentEngine, asking: Asking) -> None:
        self._engine = engine
        self._asking = asking
        self._directory = engine.directory
        self._proxies: dict[str, AgentProxy] = {}

    def get(self, name: str) -> Any:
        """A proxy of the agent of this name, whether it lives or not; costs no look-up."""
        found = self._proxies.get(name)
        if found is None:
            if home_of(name) is None:
                check_name(name)
            found = AgentProxy(self._engine.calls, name, None)
            if len(self._proxies) > PROXIES_KEPT:
                self._proxies.clear()
            self._proxies[name] = found
        return found

    def look(self, name: str) -> Location | None:
        """Where the agent is, from this host's memory; None if it does not live, as far as is
        known here."""
        record = self._directory.look(name)
        return None if record is None else self._location(record)

    def _location(self, record: AgentRecord) -> Location:
        status = record.status
        if record.lease and not self._directory.runs(record):
            status = "recovering"
        return Location(record.host, record.epoch, status)

    async def whereis(self, name: str, *, timeout: float | None = None) -> Location:
        """Where the agent is, and how: its host is asked (its memory alone: `look`). Raises
        `AgentNotFound`, `Unavailable`."""
        engine = self._engine
        until = engine.now() + engine.group.seconds(timeout)
        record = await self._record(name, until)
        place = self._location(record)
        if place.status in ("recovering", "unplaced", "failed"):
            return place
        try:
            shown = await self._asking.describe(name, record, until)
        except AgentNotFound:
            raise
        except QuorateError:
            return place
        return Location(str(shown["host"]), int(shown["epoch"]), str(shown["status"]))

    async def _record(self, name: str, until: float) -> AgentRecord:
        record = self._directory.look(name)
        if record is None:
            await self._engine.group.read_point(
                "linearizable", max(0.0, until - self._engine.now())
            )
            record = self._directory.look(name)
        if record is None:
            raise AgentNotFound(f"no agent {name!r} lives")
        return record

    def list(
        self, pattern: str | None = None, *, prefix: str = "", limit: int = 1000, after: str = ""
    ) -> list[AgentInfo]:
        """Living agents in the order of their names: those that match `pattern` (`*` is anything)
        and begin with `prefix`; go on `after`. From this host's memory."""
        if not 0 < limit <= LIST_AGENTS_MAX:
            raise UsageError(f"limit must be 1 to {LIST_AGENTS_MAX}, not {limit!r}")
        machine = self._engine.group.machine
        rows = machine.agents(prefix, pattern=pattern, limit=limit, after=after)
        return [self._info(row) for row in rows]

    def _info(self, record: AgentRecord) -> AgentInfo:
        place = self._location(record)
        return AgentInfo(
            record.name,
            record.kind,
            record.host,
            record.epoch,
            record.life,
            place.status,
            meta_of(record.meta),
            record.owners,
        )

    def find(self, text: str, *, limit: int = 1000) -> list[AgentInfo]:
        """Living agents whose name contains `text`."""
        if not text or "*" in text:
            raise UsageError(f"{text!r}: give a text without a star; list(pattern) takes patterns")
        return self.list(patterns.containing(text), limit=limit)

    def count(self, prefix: str = "") -> int:
        """How many agents live (whose name begins with `prefix`)."""
        return self._engine.group.machine.agents_count(prefix)

    def watch(self, prefix: str = "", *, from_revision: int | None = None) -> Watch:
        """Every start, move, change and end of agents whose name begins with `prefix`."""
        group = self._engine.group
        return Watch(group, prefix, space="agent", from_revision=from_revision)

    def history(self, name: str, *, limit: int = 1000) -> list[dict[str, Any]]:
        """What the group did to the agent of this name, as far back as this host's events go: the
        last `limit` changes, the oldest first."""
        machine = self._engine.group.machine
        revision = machine.events_oldest_revision
        found: deque[dict[str, Any]] = deque(maxlen=limit)
        while revision <= machine.revision:
            events, revision = machine.read_events(revision, EVENTS_PAGE)
            for event in events:
                if event.key == name and event.kind.startswith("agent."):
                    found.append(
                        {
                            "revision": event.revision,
                            "what": event.kind.removeprefix("agent."),
                            "epoch": event.version,
                            "host": (event.value or b"").decode(errors="replace"),
                            "why": event.info.decode(errors="replace"),
                        }
                    )
        return list(found)

    async def inspect(
        self, name: str, *, limit: int = 1000, timeout: float | None = None
    ) -> dict[str, Any]:
        """What an agent keeps: {keys, more, statistics}, read in a turn of its own on its host."""
        until = self._engine.now() + self._engine.group.seconds(timeout)
        record = await self._record(name, until)
        return await self._asking.state(name, record, limit, until)

    async def update_meta(self, name: str, meta: Any, *, timeout: float | None = None) -> None:
        """Change the metadata of a living agent. Raises `AgentNotFound`."""
        until = self._engine.now() + self._engine.group.seconds(timeout)
        record = await self._record(name, until)
        left_s = max(0.0, until - self._engine.now())
        data = encode_meta(meta)
        await self._engine.bindings.update(
            name, record.epoch, meta=data, status=None, timeout=left_s
        )
