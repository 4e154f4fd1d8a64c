"""Links that take time: between every two hosts a real Toxiproxy, one proxy for each direction.

The law of this file: a host sends what it has for another on the connection that it dialled itself,
so a latency on the way from who dials to who listens is the delay of one direction; a round trip
takes two of them, and what the proxies cost themselves is seen at a delay of 0. The server is ours:
started here and ended here, never built in the middle of a measurement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from quorate.bench.systems.base import Missing
from quorate.chaos.toxiproxy.api import Proxy, Toxic
from quorate.chaos.toxiproxy.find import BINARY, ToxiproxyMissing, find_server
from quorate.chaos.toxiproxy.server import ToxiproxyServer

HOW_TO_GET_IT = f"no {BINARY} was found: `quorate chaos install-toxiproxy` builds it"
TOXIC = "delay"


@dataclass(slots=True)
class _Link:
    """One direction: `here` dials `there` at `listen`."""

    here: str
    there: str
    listen: str
    delayed: bool = False

    @property
    def name(self) -> str:
        return f"{self.here}~{self.there}"


class DelayedLinks:
    """A proxy for each ordered pair of hosts; `addresses`: host -> "address:port"."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self._addresses = dict(addresses)
        self._links: list[_Link] = []
        self._server: ToxiproxyServer | None = None

    @staticmethod
    def check() -> None:
        """Raise `Missing`, with the way to get it, if there is no Toxiproxy server here."""
        try:
            found = find_server()
        except ToxiproxyMissing as missing:
            raise Missing(f"{missing}; {HOW_TO_GET_IT}") from missing
        if found is None:
            raise Missing(HOW_TO_GET_IT)

    async def start(self) -> None:
        """Start the server and make the proxies, without delay. Raises `Missing`,
        `ToxiproxyError`."""
        self.check()
        self._server = server = ToxiproxyServer(find_server())
        await server.start()
        for here in self._addresses:
            for there, address in self._addresses.items():
                if here != there:
                    link = _Link(here, there, "")
                    made = await server.api.create_proxy(Proxy(link.name, "127.0.0.1:0", address))
                    link.listen = made.listen
                    self._links.append(link)

    def dial(self, host: str) -> dict[str, str]:
        """The setting `dial` of a host: where it dials each of the others."""
        return {link.there: link.listen for link in self._links if link.here == host}

    async def become(self, one_way_ms: int) -> None:
        """From now on every message takes so much longer. Raises `ToxiproxyError`."""
        assert self._server is not None
        api = self._server.api
        latency = {"latency": one_way_ms, "jitter": 0}
        for link in self._links:
            if link.delayed and one_way_ms:
                await api.update_toxic(link.name, TOXIC, attributes=latency)
            elif link.delayed:
                await api.remove_toxic(link.name, TOXIC)
            elif one_way_ms:
                await api.add_toxic(link.name, Toxic("latency", latency, name=TOXIC))
            link.delayed = one_way_ms > 0

    async def close(self) -> None:
        """End the server. Safe to call twice."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop()
