"""The mesh: this host's links to all its peers, and theirs to it.

The law of this file: it joins the parts and owns the list of peers; it decides only who may come
in. A message is a dict; what it means is not known here.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Mapping
from typing import Any

from quorate.core import codec
from quorate.core.clock import Clock, SystemClock, fresh_random
from quorate.core.errors import ConfigError, UsageError
from quorate.core.wire import address as addresses
from quorate.core.wire import report
from quorate.core.wire.accept import Listener, bind
from quorate.core.wire.auth import Auth, MutualTls, NoAuth
from quorate.core.wire.handshake import BOOT_BYTES, ID_CHARS_MAX, Code, Me, Refusal
from quorate.core.wire.limits import Lane, WireLimits
from quorate.core.wire.link import Link
from quorate.core.wire.reception import Hooks, Peer, Reception
from quorate.core.wire.shared import Shared
from quorate.core.wire.tls import client_context, server_context


def _nothing(*_: object) -> None:
    return None


class Mesh:
    """Connections to and from all peers of one host.

    Hooks run on the loop's thread, none after `close` begins: `on_message(peer, message)`;
    `on_peer_up(peer)` when this host can send to the peer and `on_peer_down(peer)` when it no
    longer can; `on_peer_problem(peer, text)` for what an operator should see; `on_fatal(error)`
    for an exception out of `on_message`, which is a bug (except ProtocolError, by which the
    handler says that the peer's message is malformed: its connection is closed).
    """

    def __init__(
        self,
        *,
        host_id: str,
        cluster_id: str,
        listen: str | None,
        peers: Mapping[str, str],
        on_message: Callable[[str, dict[str, Any]], object],
        on_peer_up: Callable[[str], object] = _nothing,
        on_peer_down: Callable[[str], object] = _nothing,
        on_peer_problem: Callable[[str, str], object] = _nothing,
        on_fatal: Callable[[Exception], object] | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        auth: Auth | None = None,
        dial_overrides: Mapping[str, str] | None = None,
        limits: WireLimits | None = None,
        fresh_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.host_id = _checked_id(host_id, "host_id")
        self.cluster_id = _checked_id(cluster_id, "cluster_id")
        self._listen = listen
        if listen is not None:
            addresses.parse(listen)
        self._wanted = {peer: _checked_address(peer, at) for peer, at in peers.items()}
        self._wanted.pop(host_id, None)
        self._overrides = {
            peer: _checked_address(peer, at) for peer, at in (dial_overrides or {}).items()
        }
        self._hooks = Hooks(on_message, on_peer_up, on_peer_down, on_peer_problem, on_fatal)
        self._clock = clock or SystemClock()
        self._rng = rng or fresh_random()
        self._auth = auth or NoAuth()
        self._limits = limits or WireLimits()
        self._fresh_bytes = fresh_bytes
        self._peers: dict[str, Peer] = {}
        self._links: dict[str, Link] = {}
        self._listener: Listener | None = None
        self._address: str | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._shared: Shared | None = None
        self._reception: Reception | None = None
        self._closed = False

    # --- life ---------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen, and begin to dial every peer. Returns when listening, not when connected.

        Raises ConfigError (listening beyond loopback without TLS, unusable TLS files, an address
        that cannot be bound).
        """
        if self._shared is not None or self._closed:
            raise UsageError("a mesh starts once")
        tls = self._auth if isinstance(self._auth, MutualTls) else None
        loop = asyncio.get_running_loop()
        boot = self._fresh_bytes(BOOT_BYTES)
        shared = Shared(
            loop=loop,
            limits=self._limits,
            clock=self._clock,
            rng=self._rng,
            me=Me(self.host_id, self.cluster_id, boot, self._auth),
            fresh_bytes=self._fresh_bytes,
            client_tls=client_context(tls) if tls else None,
            server_tls=server_context(tls) if tls else None,
        )
        reception = Reception(shared, self._hooks, self._peers)
        if self._listen is not None:
            sock = await bind(loop, self._listen, tls=tls is not None)
            name = sock.getsockname()
            self._address = addresses.join(name[0], name[1])
            self._listener = Listener(sock, shared, reception.make_inbound)
        self._shared, self._reception = shared, reception
        wanted, self._wanted = self._wanted, {}
        for peer, at in wanted.items():
            self.add_peer(peer, at)
        self._ticker = loop.call_later(self._limits.ping_interval_s, self._on_tick)

    async def close(self) -> None:
        """Close everything; no hook is called from here on. Safe to call twice."""
        self._closed = True
        if self._ticker is not None:
            self._ticker.cancel()
        listener, self._listener = self._listener, None
        if listener is not None:
            await listener.close()
        peers = list(self._peers.values())
        if self._reception is not None:
            self._reception.closed = True
            for stranger in list(self._reception.strangers):
                stranger.abort()
        self._peers.clear()
        self._links.clear()
        for peer in peers:
            if peer.inbound is not None:
                peer.inbound.close(Refusal(Code.CLOSING, "the host is closing"))
        await asyncio.gather(*(peer.link.close() for peer in peers))
        await asyncio.gather(*self._closing, return_exceptions=True)
        await asyncio.sleep(0)  # let the transports tell that they are closed

    @property
    def address(self) -> str | None:
        """Where this host listens, "host:port" with the real port; None when it does not."""
        return self._address

    # --- peers --------------------------------------------------------------------------------

    @property
    def peers(self) -> dict[str, str]:
        """Known peers and their addresses, without overrides."""
        known = {peer: state.address for peer, state in self._peers.items()}
        return {**self._wanted, **known}

    def add_peer(self, peer: str, address: str) -> None:
        """Know a peer, dial it, let it come in; a known peer gets a new address."""
        _checked_address(peer, address)
        if peer == self.host_id or self._closed:
            return
        if self._shared is None or self._reception is None:
            self._wanted[peer] = address
            return
        state = self._peers.get(peer)
        if state is not None:
            if state.address != address:
                state.address = address
                self._point(peer, state, "the peer has a new address")
            return
        link = Link(
            peer,
            self._shared,
            address=self._overrides.get(peer, address),
            on_up=self._reception.on_link_up,
            on_down=self._reception.on_link_down,
            on_problem=self._reception.on_problem,
        )
        self._peers[peer] = Peer(address, link)
        self._links[peer] = link
        link.start()

    def drop_peer(self, peer: str) -> None:
        """Forget a peer: close both directions and let it in no more. Unknown ones are ignored."""
        self._wanted.pop(peer, None)
        state = self._peers.pop(peer, None)
        link = self._links.pop(peer, None)
        if state is None or link is None or self._shared is None:
            return
        if state.inbound is not None:
            state.inbound.close(Refusal(Code.REMOVED, "this host is no longer a peer here"))
        was_up = link.up
        task = self._shared.loop.create_task(link.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        if was_up:
            self._hooks.on_peer_down(peer)

    def set_override(self, peer: str, address: str | None) -> None:
        """Dial `peer` at another address than its own (a proxy, NAT); None takes it back. The
        link is dialled anew at once."""
        if address is None:
            self._overrides.pop(peer, None)
        else:
            self._overrides[peer] = _checked_address(peer, address)
        state = self._peers.get(peer)
        if state is not None:
            self._point(peer, state, "the peer is dialled at another address")

    def _point(self, peer: str, state: Peer, why: str) -> None:
        address = self._overrides.get(peer, state.address)
        if address != state.link.address:
            state.link.address = address
            state.link.redial(why)

    # --- sending ------------------------------------------------------------------------------

    def send(self, peer: str, message: dict[str, Any], lane: Lane = Lane.NORMAL) -> bool:
        """Queue a message. False: the peer is unknown, its link is down, or the lane is full; the
        message is then certainly not sent. True promises nothing: it may be lost with the link.

        Raises LimitExceeded above `message_bytes_max`, UsageError for what CBOR cannot hold.
        """
        link = self._links.get(peer)
        if link is not None and link.up and link.send(codec.dumps(message), lane):
            return True
        self._count_unsent()
        return False

    def send_encoded(self, peer: str, message: bytes, lane: Lane = Lane.NORMAL) -> bool:
        """As `send`, for a message encoded once (`codec.dumps` of a dict) for several peers. A peer
        that is sent anything but an encoded dict closes the link."""
        link = self._links.get(peer)
        if link is not None and link.send(message, lane):
            return True
        self._count_unsent()
        return False

    def _count_unsent(self) -> None:
        if self._shared is not None:
            self._shared.counters.unsent_messages += 1

    async def wait_writable(self, peer: str, lane: Lane = Lane.BULK) -> bool:
        """Wait until the lane is at most half full. False at once when the peer is unknown or its
        link is down, and as soon as it goes down. May be cancelled."""
        link = self._links.get(peer)
        return link is not None and await link.wait_writable(lane)

    # --- what is known of the peers -------------------------------------------------------------

    def is_up(self, peer: str) -> bool:
        """Whether this host can send to `peer`."""
        link = self._links.get(peer)
        return link is not None and link.up

    def rtt(self, peer: str) -> float | None:
        """The smoothed round-trip time in seconds; None when unknown."""
        link = self._links.get(peer)
        return link.reach.rtt_s if link is not None else None

    def reachability(self) -> dict[str, dict[str, object]]:
        """Per peer: `connected` (we can send), `inbound` (it can send to us), `rtt_ms`,
        `rtt_age_s` (since the last full round trip: both directions carried), `acknowledged_s`
        (since our link last carried), `last_heard_s` (since the peer's link last carried),
        `address` dialled, `problem` ("" when none). Ages are None when it never happened."""
        return report.reachability(self._peers, self._clock.monotonic())

    def statistics(self) -> dict[str, object]:
        """Counters since the start, strangers at the door, each link's queues, what was heard of
        each peer, and what each connection to us holds back."""
        if self._reception is None or self._shared is None:
            return {}
        return report.statistics(self._peers, self._shared.counters, self._reception.strangers)

    def _on_tick(self) -> None:
        if self._shared is None or self._reception is None or self._closed:
            return
        now_s = self._clock.monotonic()
        for peer, state in list(self._peers.items()):
            if state.on_tick(now_s):
                text = f"the host we dial as {peer!r} is not the one that dials us as {peer!r}"
                self._reception.on_problem(peer, text)
        self._ticker = self._shared.loop.call_later(self._limits.ping_interval_s, self._on_tick)


def _checked_id(value: str, name: str) -> str:
    if not 0 < len(value) <= ID_CHARS_MAX or not value.isprintable():
        raise ConfigError(f"{name}={value!r:.60} must be 1 to {ID_CHARS_MAX} printable characters")
    return value


def _checked_address(peer: str, address: str) -> str:
    _checked_id(peer, "peer")
    try:
        _host, port = addresses.parse(address)
    except ConfigError as error:
        raise ConfigError(f"the address of peer {peer!r}: {error}") from error
    if port == 0:
        raise ConfigError(f"the address of peer {peer!r} has port 0: nobody can be dialled there")
    return address
