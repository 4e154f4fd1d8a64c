"""The links between the hosts: one real proxy per ordered pair, and what is wrong with each now.

The law of this file: all toxics go through here. A host has one connection to each other one and
sends on it everything it has for it, so one proxy per ordered pair cuts exactly one direction. What
a link should be is remembered before the proxy is told; a server that hangs is replaced and made
so. A condition that loses bytes is taken off with the link cut in between, because changing toxics
under a reader that stands still is what hangs the server, and because a stream with a hole in it
must not go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal

from quorate.chaos.toxiproxy.api import Proxy, Toxic, ToxiproxyError, ToxiproxyHung
from quorate.chaos.toxiproxy.server import ToxiproxyServer
from quorate.core.errors import UsageError
from quorate.core.wire.ports import free_ports

Pair = tuple[str, str]
"""(who dials, who listens): the messages of the first to the second."""
Kind = Literal[
    "open",
    "black_hole",
    "refused",
    "reset",
    "slow",
    "stalled",
    "narrow",
    "sliced",
    "limited",
]
KINDS: Final[tuple[Kind, ...]] = (
    *("open", "black_hole", "refused", "reset"),
    *("slow", "stalled", "narrow", "sliced", "limited"),
)
BREAKING: Final = frozenset({"black_hole", "refused", "reset", "limited"})
"""Conditions under which bytes are lost: when they go, the connections go with them."""
CUTTING: Final = frozenset({"refused", "reset"})
"""Conditions that begin with the end of every connection. A black hole does not: both sides of a
connection that is up find out by themselves that nothing comes any more."""
CHANGES_AT_ONCE: Final = 8
TRIES_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class Condition:
    """What is wrong with a link; `Condition()` is a link as new. Only the numbers of its kind
    count."""

    kind: Kind = "open"
    latency_ms: int = 100
    """slow: every chunk this much later, more or less by `jitter_ms`."""
    jitter_ms: int = 0
    rate_kb_s: int = 8
    """narrow: kilobytes a second."""
    size_bytes: int = 64
    """sliced: the average size of what arrives at once."""
    delay_us: int = 0
    """sliced: the pause between two slices."""
    limit_bytes: int = 16_384
    """limited: each connection ends after so many."""
    after_ms: int = 0
    """reset: each connection is reset so long after its first byte."""

    def toxics(self) -> tuple[Toxic, ...]:
        """What the proxy is given: on the way of the messages, and for a black hole on the way of
        the acknowledgements too."""
        match self.kind:
            case "open" | "refused":
                return ()
            case "black_hole":
                hole = Toxic("timeout", {"timeout": 0})
                return (hole, replace(hole, stream="downstream"))
            case "reset":
                return (Toxic("reset_peer", {"timeout": self.after_ms}),)
            case "slow":
                numbers = {"latency": self.latency_ms, "jitter": self.jitter_ms}
                return (Toxic("latency", numbers),)
            case "stalled":
                return (Toxic("bandwidth", {"rate": 0}),)
            case "narrow":
                return (Toxic("bandwidth", {"rate": self.rate_kb_s}),)
            case "sliced":
                numbers = {
                    "average_size": self.size_bytes,
                    "size_variation": self.size_bytes // 2,
                    "delay": self.delay_us,
                }
                return (Toxic("slicer", numbers),)
            case "limited":
                return (Toxic("limit_data", {"bytes": self.limit_bytes}),)

    @property
    def cuts(self) -> bool:
        """Whether no message arrives while it lasts."""
        return self.kind in ("black_hole", "refused", "reset", "stalled")


OPEN: Final = Condition()


def proxy_name(pair: Pair) -> str:
    """`a~b`: no id of a host contains a tilde."""
    return f"{pair[0]}~{pair[1]}"


class Links:
    """All links of a cluster. `dialled[pair]` is where the first of a pair dials the second."""

    def __init__(
        self,
        server: ToxiproxyServer,
        addresses: Mapping[str, str],
        ports: Iterable[int],
        carried: Callable[[], Awaitable[Mapping[Pair, int]]] | None = None,
    ) -> None:
        self._server = server
        self._carried = carried
        self.pairs: tuple[Pair, ...] = tuple((a, b) for a in addresses for b in addresses if a != b)
        taken = iter(ports)
        self._proxies = {
            pair: Proxy(proxy_name(pair), f"127.0.0.1:{next(taken)}", addresses[pair[1]])
            for pair in self.pairs
        }
        self._state: dict[Pair, Condition] = dict.fromkeys(self.pairs, OPEN)
        self._changing = asyncio.Lock()
        self._changes: set[asyncio.Future[None]] = set()

    @property
    def dialled(self) -> Mapping[Pair, str]:
        return {pair: proxy.listen for pair, proxy in self._proxies.items()}

    @property
    def state(self) -> Mapping[Pair, Condition]:
        """What each link is now, as far as it was told."""
        return MappingProxyType(self._state)

    @property
    def hurt(self) -> dict[Pair, Condition]:
        """The links that are not as new."""
        return {pair: one for pair, one in self._state.items() if one != OPEN}

    async def open(self) -> None:
        """Make the proxies. Raises `ToxiproxyError`, also when a port is taken."""
        for proxy in self._proxies.values():
            self._server.remember(proxy)
        await self._server.api.populate(list(self._proxies.values()))

    async def add(self, pair: Pair, address: str) -> str:
        """One more link: of a client (the first of the pair, by any name) to `address` of a host.
        Where the client is to dial; the pair may be hurt and is healed like every other one."""
        if pair in self._state:
            raise UsageError(f"there is a link {pair!r} already")
        [port] = free_ports(1)
        proxy = Proxy(proxy_name(pair), f"127.0.0.1:{port}", address)
        self._server.remember(proxy)
        await self._server.api.create_proxy(proxy)
        self._proxies[pair], self._state[pair] = proxy, OPEN
        return proxy.listen

    async def close(self) -> None:
        """Take the proxies away, as far as the server still answers."""
        for proxy in self._proxies.values():
            self._server.forget(proxy.name)
            try:
                await self._server.api.update_proxy(proxy.name, enabled=False)
                await self._server.api.delete_proxy(proxy.name)
            except ToxiproxyHung:
                await self._server.revive()
            except ToxiproxyError:
                continue

    # --- changes ----------------------------------------------------------------------------------

    async def apply(self, changes: Mapping[Pair, Condition]) -> None:
        """Make the links so; the others stay as they are. Returns when every proxy is. Raises
        `UsageError` for a pair there is not, `ToxiproxyError`. Who is cancelled meanwhile leaves
        no link half way: the change goes on, and the next one waits for it."""
        unknown = [pair for pair in changes if pair not in self._state]
        if unknown:
            raise UsageError(f"there is no link {unknown[0]!r}")
        change = asyncio.ensure_future(self._apply(changes))
        self._changes.add(change)
        change.add_done_callback(self._changes.discard)
        await asyncio.shield(change)

    async def _apply(self, changes: Mapping[Pair, Condition]) -> None:
        async with self._changing:
            limit = asyncio.Semaphore(CHANGES_AT_ONCE)

            async def one(pair: Pair, wanted: Condition) -> None:
                async with limit:
                    await self._become(pair, wanted)

            wanted = {pair: new for pair, new in changes.items() if self._state[pair] != new}
            await asyncio.gather(*(one(pair, new) for pair, new in wanted.items()))

    async def heal(self, pairs: Iterable[Pair] | None = None) -> None:
        """All links, or these, as new."""
        await self.apply(dict.fromkeys(self._state if pairs is None else pairs, OPEN))

    async def carried(self) -> Mapping[Pair, int]:
        """Bytes that arrived per link since the listening host started, as it counts them."""
        return {} if self._carried is None else await self._carried()

    async def _become(self, pair: Pair, wanted: Condition) -> None:
        before, proxy = self._state[pair], self._proxies[pair]
        self._state[pair] = wanted
        toxics = wanted.toxics()
        self._server.remember(replace(proxy, enabled=wanted.kind != "refused", toxics=toxics))
        for attempt in range(TRIES_MAX):
            revivals = self._server.revivals
            try:
                await self._change(proxy.name, before, wanted)
                return
            except ToxiproxyHung:
                if attempt == TRIES_MAX - 1:
                    raise
                if self._server.revivals == revivals:
                    await self._server.revive()  # which makes this link as it was remembered
                return
            except ToxiproxyError as error:
                # somebody else may have revived the server in the middle of this change
                if error.status not in (404, 409) or self._server.revivals == revivals:
                    raise

    async def _change(self, name: str, before: Condition, wanted: Condition) -> None:
        """Toxics off, toxics on; with the link cut meanwhile where bytes are lost anyway."""
        api = self._server.api
        cut = before.kind in BREAKING or wanted.kind in CUTTING
        if cut:
            await api.update_proxy(name, enabled=False)
        for toxic in (await api.proxy(name)).toxics:
            await api.remove_toxic(name, toxic.name)
        for toxic in wanted.toxics():
            await api.add_toxic(name, toxic)
        if cut and wanted.kind != "refused":
            await api.update_proxy(name, enabled=True)
