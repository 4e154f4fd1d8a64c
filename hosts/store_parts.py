"""The parts of a host's stores, built together and fed with what the host hears.

The law of this file: it builds, joins and closes; what a part does is written in the part.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Protocol, cast

from quorate.consistency.merkle.exchange import Exchange
from quorate.consistency.replica.definitions import ReplicaConfig
from quorate.consistency.replica.replica import StoreReplica
from quorate.consistency.ring.mover import Mover, MoverConfig, MoverHooks
from quorate.consistency.ring.placement import Ring
from quorate.consistency.ring.ports import HostReport
from quorate.consistency.ring.steward import RingSteward, StewardConfig
from quorate.consistency.store.desk import Desk
from quorate.consistency.store.plane import Plane, Surroundings
from quorate.core.clock import Clock, Scheduler
from quorate.core.errors import QuorateError, StorageFailed, StorageFull
from quorate.core.group.group import Group
from quorate.hosts.config import Settings
from quorate.hosts.folder import DataFolder, StoreFolder

STORE = "st"
"""The type of every message between stores."""
REPORT = "report"


class StoreHost(Protocol):
    """What is needed of the host."""

    @property
    def host_id(self) -> str: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def folder(self) -> DataFolder: ...
    @property
    def loop(self) -> Any: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def group(self) -> Group: ...


class StoreNews(MoverHooks):
    """What the parts tell, and by what they speak to other hosts."""

    def send(self, peer: str, message: dict[str, Any], bulk: bool) -> bool:
        raise NotImplementedError

    def world(self) -> Surroundings:
        raise NotImplementedError


class StoreParts:
    """The parts, once they are there."""

    def __init__(self, stores: StoreNews, runtime: StoreHost) -> None:
        loop, settings = runtime.loop, runtime.settings
        folder = runtime.folder
        self.folder = StoreFolder(folder.path, runtime.host_id, settings, loop, folder.faults)
        common: dict[str, Any] = {
            "send": stores.send,
            "clock": runtime.clock,
            "scheduler": cast(Scheduler, loop),
            "rng": runtime.group.rng,
        }
        self.plane = Plane(runtime.group, stores.world())
        try:
            self.replica = StoreReplica(
                host_id=runtime.host_id,
                log=self.folder.log,
                state=self.folder.state,
                hooks=self.plane,
                config=ReplicaConfig(drift_max_ms=settings.clock_drift_max_ms),
                **common,
            )
        except BaseException:
            self.folder.close()
            raise
        self.plane.attach(self.replica)
        self.exchange = Exchange(self.replica, **common)
        gone_s = settings.store_dead_after_s
        self.mover = Mover(
            host_id=runtime.host_id,
            data=self.replica,
            exchange=self.exchange,
            hooks=stores,
            config=MoverConfig(dead_after_s=gone_s),
            **common,
        )
        self.replica.whole = self.mover.ready
        self.plane.sync_needed = self.mover.sync_needed
        self.plane.ready = self.mover.ready
        self.plane.unheard = self.mover.unheard
        self.replica.misses(self.mover.unheard)
        config = StewardConfig(dead_after_s=gone_s)
        self.steward = RingSteward(runtime.host_id, runtime.clock, config)
        self.steward.on_leader(runtime.group.leads)
        self.desk = Desk(self.plane)

    def on_message(self, peer: str, message: dict[str, Any]) -> None:
        kind = message.get("k")
        self.steward.on_heard(peer)
        if kind == "ae":
            self.exchange.on_message(peer, message)
        elif kind == "rescanned":
            self.mover.on_message(peer, message)
        elif kind == REPORT:
            self.steward.on_report(peer, HostReport.from_plain(message.get("r")))
        else:
            self.replica.on_message(peer, message)

    def on_peer(self, peer: str, *, up: bool) -> None:
        self.replica.on_peer(peer, up=up)
        self.exchange.on_peer(peer, up)
        self.mover.on_peer(peer, up)

    def on_ring(self, ring: Ring) -> None:
        self.steward.on_ring(ring)
        self.mover.on_ring(ring)
        self.plane.on_ring(ring)

    def be_quiet(self, failure: QuorateError | None) -> None:
        if failure is not None:
            self.plane.end(failure)
        self.mover.stop()
        self.exchange.stop()
        self.replica.stop()

    async def close(self, *, flush: bool) -> None:
        self.plane.close_door()
        if flush:
            with suppress(StorageFull, StorageFailed):  # the log has what was acknowledged
                self.replica.close_cleanly()
        self.be_quiet(None)
        await self.plane.stop()
        self.folder.close()

    def statistics(self) -> dict[str, Any]:
        return {
            **self.desk.statistics(),
            "replica": self.replica.statistics(),
            "mover": self.mover.statistics(),
            "steward": self.steward.statistics(),
            "exchange": self.exchange.statistics(),
        }
