"""The agents' states of one host: opened for an activation, and what they share.

The law of this file: it builds the parts of a state and knows which are open here; what a commit, a
recovery or a cleaning means is written there. One store holds the states of all agents.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from quorate.consistency.layers.cached import Cache
from quorate.consistency.store.core import Core
from quorate.consistency.store.desk import Desk
from quorate.consistency.store.store import Parts
from quorate.consistency.store.tokens import Past
from quorate.core import codec
from quorate.core.errors import StaleReplica, UsageError
from quorate.core.group.bindings import Bindings
from quorate.hosts.agents.state.caching import AgentCache
from quorate.hosts.agents.state.cleanup import Cleanup
from quorate.hosts.agents.state.commit import Committer
from quorate.hosts.agents.state.ledger import Ledger
from quorate.hosts.agents.state.listing import StateListing
from quorate.hosts.agents.state.logs import AgentLogs
from quorate.hosts.agents.state.reading import StateReads
from quorate.hosts.agents.state.recovery import Recovery
from quorate.hosts.agents.state.reports import RecoveryReport
from quorate.hosts.agents.state.scope import STORE, Holder, Keys, scope_of
from quorate.hosts.agents.state.settling import Settling
from quorate.hosts.agents.state.sweeping import Sweeping

if TYPE_CHECKING:
    from quorate.hosts.agents.world import AgentWorld

REPLICAS_HOSTS: Final = 3
LEFT_AGENTS_MAX: Final = 100_000
OPEN_S: Final = 5.0


class Opened:
    """The parts of one open state."""

    __slots__ = (
        "_keeper",
        "committer",
        "consistency",
        "ledger",
        "listing",
        "logs",
        "reads",
        "settling",
    )

    def __init__(self, keeper: Keeper, ledger: Ledger, parts: Parts, consistency: str) -> None:
        self._keeper = keeper
        self.ledger = ledger
        self.consistency = consistency
        self.settling = Settling(ledger)
        self.committer = Committer(ledger, self.settling)
        self.reads = StateReads(ledger, self.settling, parts.reads)
        self.listing = StateListing(ledger, parts.listing)
        me: Any = self
        self.logs = AgentLogs(me)

    def cache(self, name: str, **options: Any) -> AgentCache:
        return AgentCache(self._keeper.cache(), self.ledger, name, options)

    async def token(self) -> bytes:
        """See `AgentState.token`."""
        ledger = self.ledger
        if ledger.in_doubt:
            await self.settling.settle(ledger.plane.until(OPEN_S))
        past = ledger.past
        flat = [number for pair in past.vector.items() for number in pair]
        return codec.dumps([flat, past.strong])

    async def cover(self, token: bytes, deadline: float) -> None:
        self.ledger.saw(past_of_token(token))
        await self._keeper.cover(token, deadline)

    def close(self) -> None:
        self._keeper.on_closed(self)

    def statistics(self) -> dict[str, object]:
        ledger = self.ledger
        return {
            "turns": ledger.mark.number,
            "local_bytes": ledger.usage.local,
            "strong_bytes": ledger.usage.strong,
            "in_doubt": ledger.in_doubt,
            "redone_total": self.settling.redone,
            "rebound_total": self.settling.rebound,
        }


class Keeper:
    """One per host."""

    def __init__(self, world: AgentWorld, bindings: Bindings) -> None:
        self._world = world
        self._bindings = bindings
        self._parts: Parts | None = None
        self._desk: Desk | None = None
        self.open_here: dict[str, Opened] = {}
        """By scope."""
        self._left: OrderedDict[str, int] = OrderedDict()
        """Scope -> epoch, of activations that were here last."""
        self._doubtful: OrderedDict[str, int] = OrderedDict()
        """Those that ended while the outcome of a commit was not known."""
        me: Any = self
        self.recovery = Recovery(me, world)
        self.cleanup = Cleanup(me, world)
        self.sweeping = Sweeping(me, world)
        self._cache: Cache | None = None

    # --- what all states share --------------------------------------------------------------------

    @property
    def desk(self) -> Desk:
        return self._opened()[0]

    @property
    def core(self) -> Core:
        return self._opened()[1].core

    def _opened(self) -> tuple[Desk, Parts]:
        if self._parts is None or self._desk is None:
            self._desk = self._world.desk()
            self._desk.store(STORE, replicas=REPLICAS_HOSTS, resolver="lww")
            self._parts = self._desk.parts(STORE)
            self.recovery.listen(self._desk.plane)
        return self._desk, self._parts

    async def ready(self, until: float) -> Parts:
        """The store, once the group knows it and who owns its keys."""
        parts = self._opened()[1]
        if not parts.agreed:
            await parts.ready(until)
        return parts

    def cache(self) -> Cache:
        """The cache of all agents. Raises `UsageError` where there is none."""
        if self._cache is None:
            if self._world.cache is None:
                raise UsageError("this host keeps no caches")
            self._cache = self._world.cache(STORE)
        return self._cache

    # --- opening and closing ----------------------------------------------------------------------

    async def open(
        self,
        holder: Holder,
        *,
        keep_state: bool,
        consistency: str,
        bytes_max: int,
        timeout_s: float = OPEN_S,
    ) -> Opened:
        """The state of an activation, with every update of it that any member has which can be
        reached; what an earlier turn left to be done is done.

        Raises `Fenced`, `NotCommitted` and their kinds."""
        plane = self.desk.plane
        until = plane.clock.monotonic() + timeout_s
        parts = await self.ready(until)
        keys = Keys(holder.name, scope_of(holder.name, holder.life, kept=keep_state))
        ledger = Ledger(
            holder, keys, parts.core, self._bindings, self.desk.forward.fetch, bytes_max=bytes_max
        )
        opened = Opened(self, ledger, parts, consistency)
        was_here = self._left.get(keys.scope) == holder.epoch
        first = holder.epoch == holder.life and not keep_state
        if holder.degraded or (ledger.is_home and (was_here or first)):
            self.recovery.find(ledger, first=first)
        else:
            await self.recovery.recover(ledger, until)
        if not holder.degraded:
            ledger.unknown = self._doubtful.pop(keys.scope, 0) == holder.epoch
            await opened.settling.settle(until)
        self.open_here[keys.scope] = opened
        return opened

    def on_closed(self, opened: Opened) -> None:
        ledger = opened.ledger
        scope = ledger.keys.scope
        if self.open_here.get(scope) is opened:
            del self.open_here[scope]
        if ledger.holder.degraded:
            return
        self._left[scope] = ledger.holder.epoch
        self._left.move_to_end(scope)
        if ledger.unknown or opened.committer.is_sending:
            self._doubtful[scope] = ledger.holder.epoch
        for kept in (self._left, self._doubtful):
            while len(kept) > LEFT_AGENTS_MAX:
                kept.popitem(last=False)

    async def cover(self, token: bytes, deadline: float) -> None:
        """Wait until this host has everything of a token that concerns it. Raises `UsageError`,
        `StaleReplica`, `NotCommitted`."""
        past = past_of_token(token)
        core = (await self.ready(deadline)).core
        plane = core.plane
        if not core.covers(past) and not await plane.news.until(
            lambda: core.covers(past), deadline
        ):
            plane.check()
            raise StaleReplica(
                f"host {plane.host_id!r} did not get in time what the agent wrote on its present "
                "host"
            )

    # --- the end of lives -------------------------------------------------------------------------

    def on_died(self, name: str, life: int, *, keep_state: bool) -> None:
        """The life is over: what it kept goes, in the background, unless it belongs to the name."""
        scope = scope_of(name, life, kept=keep_state)
        self._left.pop(scope, None)
        self._doubtful.pop(scope, None)
        if not keep_state:
            self.cleanup.add(scope)

    def on_beat(self, now: float) -> None:
        """Now and then; `now`: monotonic."""
        if self._parts is not None:
            self.sweeping.on_beat(now)

    def reports(self) -> list[RecoveryReport]:
        """What was lost or came late with agents that came here from hosts that died."""
        return self.recovery.reports()

    def stop(self) -> None:
        """Nothing goes on in the background any more. Safe to call twice."""
        self.cleanup.stop()
        self.sweeping.stop()
        self.recovery.stop()

    async def wait_stopped(self) -> None:
        await self.cleanup.wait_stopped()
        await self.sweeping.wait_stopped()
        await self.recovery.wait_stopped()

    def statistics(self) -> dict[str, object]:
        return {
            "open": len(self.open_here),
            "recovery": self.recovery.statistics(),
            "cleanup": {**self.cleanup.statistics(), **self.sweeping.statistics()},
        }


def past_of_token(token: bytes) -> Past:
    """Raises `UsageError` for bytes that are no token of `AgentState.token`."""
    try:
        flat, strong = codec.loads(token)
        vector = dict(zip(flat[::2], flat[1::2], strict=True))
    except (TypeError, ValueError) as error:
        raise UsageError("malformed token of an agent's state") from error
    return Past(vector, strong)
