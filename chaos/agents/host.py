"""A simulated host that runs agents: the product's group, lease keeper, stores and agents on a
simulated disk and links.

The law: what outlives `kill` is the disk, the hardware's clock and what the oracle keeps. Messages
go through the product's codec, frames and lanes, and are handed out as `hosts/runtime.py` does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from quorate.chaos.agents.door import TIMEOUT_S, AgentDoor
from quorate.chaos.agents.log import GroupLog
from quorate.chaos.agents.network import AgentNetwork
from quorate.chaos.agents.options import AgentOptions
from quorate.chaos.agents.parts import AgentParts
from quorate.chaos.stores.host import StoreHost
from quorate.chaos.stores.lives import StoreLife
from quorate.chaos.stores.watch import Watch
from quorate.core import codec
from quorate.core.wire.frames import ProtocolError
from quorate.core.wire.limits import Lane
from quorate.hosts.agents.world import AgentSettings, AgentWorld


class HostNews(Protocol):
    """Who is told of lives."""

    def on_host_started(self, host: AgentHost) -> None: ...
    def on_host_killed(self, host: AgentHost) -> None: ...


class AgentWitness(Watch):
    """Who looks on (see watch.py)."""

    def arrivals(self, host: AgentHost, message: dict[str, Any]) -> None:
        raise NotImplementedError


class AgentHost(StoreHost):
    """One host."""

    options: AgentOptions
    parts: AgentParts
    door: AgentDoor
    _oracle: GroupLog
    _watch: AgentWitness
    _network: AgentNetwork
    news: HostNews
    over_on_arrival: dict[tuple[int, int], bool]
    """By message and epoch of its sender: whether that was over, as far as was known here."""

    def _build(self, life: StoreLife) -> None:
        self.engine: Any = Silence()
        self.over_on_arrival = {}
        super()._build(life)
        self.door.loop.run(self._build_engine)

    def _build_engine(self) -> None:
        door, options = self.door, self.options
        world = AgentWorld(
            host_id=self.id,
            cluster="simulated",
            group=door.real,
            loop=door.loop,
            send=self.send_in,
            is_up=self.is_up,
            rtt_s=lambda peer: None,
            members=lambda: options.hosts,
            desk=lambda: door.desk,
            cut_off=door.cut_off,
            on_problem=self.on_problem,
            settings=AgentSettings(lease_s=options.lease_s, timeout_s=TIMEOUT_S),
        )
        self.engine = self.parts.make_engine(world)

    def _go(self) -> None:
        super()._go()
        self.door.on_links()
        self.engine.start()
        self.news.on_host_started(self)

    def pause(self) -> None:
        super().pause()
        if self.life is not None:
            self._network.on_paused(self.id)

    def kill(self) -> None:
        life = self.life
        super().kill()
        if life is not None:
            self.news.on_host_killed(self)

    def stop_gracefully(self, done: Callable[[], object]) -> None:
        """SIGTERM: the agents are stopped in good order, then the process ends."""
        life = self.life

        async def stop() -> None:
            await self.engine.stop(graceful=True)
            if self.life is life:
                self._queue.after(0.0, self.kill)
                self._queue.after(0.0, done)

        if life is not None:
            life.run(lambda: self.door.loop.create_task(stop()))

    # --- the network's side -----------------------------------------------------------------------

    def hand(self, peer: str, message: dict[str, Any]) -> None:
        if self.failed is not None:
            return
        if self.door.real.requests.on_message(peer, message):
            return
        if message.get("type") == "st":
            self.ring.on_message(peer, message)
            return
        self._watch.arrivals(self, message)
        try:
            self.engine.on_message(peer, message)
        except ProtocolError as error:
            self._watch.find(f"{self.id} cannot read what {peer} sent: {error}")

    def on_link(self, peer: str, *, up: bool) -> None:
        super().on_link(peer, up=up)
        if self.failed is None:
            self.door.on_links()
            self.engine.on_peer(peer, up=up)

    def send_in(self, peer: str, message: dict[str, Any], lane: Lane) -> bool:
        """False when it certainly did not leave."""
        life = self.life
        link = self._network.links.get((self.id, peer))
        if life is None or life.over or link is None:
            return False
        return link.send(codec.dumps(message), lane)

    def send_normal(self, peer: str, message: dict[str, Any]) -> bool:
        return self.send_in(peer, message, Lane.NORMAL)


class Silence:
    """In place of the agents while a process is being built."""

    def __getattr__(self, name: str) -> Any:
        return _nothing


def _nothing(*_: object, **__: object) -> None:
    return None
