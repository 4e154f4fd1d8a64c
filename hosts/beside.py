"""What a host has beside its group and its stores: the caches, and the eye on its links.

The law of this file: it joins and translates. What a cache or a report means is written there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from quorate.consistency.layers.caches import Caches
from quorate.consistency.replica.definitions import Conflict
from quorate.consistency.replica.states import RegisterEntry, RegisterState
from quorate.core import codec
from quorate.core.clock import Scheduler
from quorate.core.errors import UsageError
from quorate.hosts.partition import Partition
from quorate.hosts.partition_view import Links, links_of
from quorate.hosts.reconciliation import Diverged, ExchangeLike, Version

if TYPE_CHECKING:
    from quorate.hosts.runtime import Runtime

PROBE_S = 0.5


class Beside:
    """Built with the runtime, started when it listens."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.caches = Caches(runtime.group, runtime.leases)
        self.partition = Partition(
            runtime.host_id,
            look=self._look,
            clock=runtime.clock,
            scheduler=cast(Scheduler, runtime.loop),
            make_future=runtime.loop.create_future,
        )
        self._stores = self.partition.stores = StoresOfHost(runtime)

    def start(self) -> None:
        self.partition.start()

    def _look(self) -> Links:
        runtime = self._runtime
        members = [m.id for m in runtime.configuration.members if m.id != runtime.host_id]
        return links_of(runtime.mesh.reachability(), members, runtime.configuration.voters)

    # --- news of the stores (Plane.watcher) -------------------------------------------------------

    def on_changed(self, store: str, key: str) -> None:
        self.partition.on_changed(store, key)

    def on_conflict(self, conflict: Conflict) -> None:
        winner = conflict.winner
        self.partition.on_diverged(
            Diverged(
                conflict.store,
                conflict.key,
                conflict.resolver,
                conflict.reason,
                None if winner is None else self._version(winner),
                tuple(self._version(loser) for loser in conflict.losers),
            )
        )

    def on_exchange(self, report: ExchangeLike) -> None:
        self.partition.on_exchange(report)

    def _version(self, entry: RegisterEntry) -> Version:
        hosts = self._runtime.stores.replica.actors
        host = hosts.get(entry.actor, f"actor {entry.actor}")
        return Version(host, entry.actor, entry.seq, entry.stamp >> 16, shown(entry.value))

    # --- going down -------------------------------------------------------------------------------

    def be_quiet(self) -> None:
        """Look no more. Safe to call twice."""
        self.partition.stop()

    async def close(self, *, graceful: bool) -> None:
        """Close the caches; not gracefully: as a crash would, nothing is given up."""
        await self.caches.stop(give_up=graceful)

    def statistics(self) -> dict[str, Any]:
        return {
            "caches": self.caches.statistics(),
            "partition": self.partition.statistics(),
            "replication": {"peers": self._stores.lag()},
        }

    def replication_lag(self) -> dict[str, dict[str, Any]]:
        """Per peer how far replication is behind, both ways; as of the last answer of the peer,
        which is asked again by asking here."""
        return self._stores.lag()


def shown(value: bytes | None) -> Any:
    """A value as a report shows it; None is a deletion."""
    if value is None:
        return None
    try:
        return codec.decode_value(value)
    except UsageError:
        return value


class StoresOfHost:
    """The stores, as a partition's reports ask of them. Without open stores there is nothing."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._probed_at = float("-inf")
        self._heads: dict[tuple[str, float], int] = {}

    def _probe(self) -> None:
        """Ask every member how far it is, now and then."""
        now = self._runtime.clock.monotonic()
        if now - self._probed_at >= PROBE_S:
            self._probed_at = now
            self._runtime.stores.replica.probe()

    def lag(self) -> dict[str, dict[str, Any]]:
        """{peer: {connected, hints_bytes, behind_updates, fresh_age_s}}: what is kept for it here,
        how many of its updates are not here, and since when everything of it is; unknown ones are
        None."""
        runtime = self._runtime
        if not runtime.stores.is_open:
            return {}
        self._probe()
        replica, now = runtime.stores.replica, runtime.clock.monotonic()
        found: dict[str, dict[str, Any]] = {}
        for peer in replica.others():
            age_s = now - replica.freshness.fresh_at((peer,))
            found[peer] = {
                "connected": runtime.mesh.is_up(peer),
                "hints_bytes": replica.outgoing.lacking(peer),
                "behind_updates": replica.freshness.lag((peer,), float("-inf")),
                "fresh_age_s": None if age_s == float("inf") else round(age_s, 3),
            }
        return found

    def caught_up(self, peer: str, since: float) -> bool:
        stores = self._runtime.stores
        if not stores.is_open:
            return True
        replica = stores.replica
        fresh = replica.freshness.fresh_at((peer,)) >= since
        if not fresh:
            self._probe()
        head = self._heads.setdefault((peer, since), replica.head)
        known = replica.outgoing.peers.get(peer)
        acked = 0 if known is None else known.acked.get(replica.actor, 0)
        done = fresh and (acked >= head or replica.outgoing.lacking(peer) == 0)
        if done:
            self._heads.clear()
        return done

    def positions(self) -> Mapping[int, int]:
        stores = self._runtime.stores
        return dict(stores.replica.applied) if stores.is_open else {}

    def held_by(self, peer: str) -> Mapping[int, int]:
        stores = self._runtime.stores
        if not stores.is_open:
            return {}
        report = stores.replica.knowledge.reports.get(peer)
        told = {} if report is None else dict(report.vector)
        known = stores.replica.outgoing.peers.get(peer)
        if known is not None:
            for actor, seq in known.acked.items():
                told[actor] = max(seq, told.get(actor, 0))
        return told

    def actors_of(self, hosts: frozenset[str]) -> frozenset[int]:
        stores = self._runtime.stores
        if not stores.is_open:
            return frozenset()
        return frozenset(actor for actor, host in stores.replica.actors.items() if host in hosts)

    def highs(self, store: str, key: str) -> tuple[str, Mapping[int, int]] | None:
        stores = self._runtime.stores
        state = stores.replica.read(store, key) if stores.is_open else None
        if state is None:
            return None
        if isinstance(state, RegisterState):
            return "register", state.context
        context = state.crdt.context
        return state.kind, {actor: context.high(actor) for actor in context.actors()}
