"""The mesh: this host's links to all its peers, and theirs to it.

The law of this file: it joins the parts and owns the list of peers; it decides only who may come
in. A message is a dict; what it means is not known here.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, cast

from quorate.core import codec
from quorate.core.clock import Clock, SystemClock, fresh_random
from quorate.core.errors import ConfigError, InvariantBroken, UsageError
from quorate.core.wire import address as addresses
from quorate.core.wire import twins
from quorate.core.wire.accept import Inbound, Listener
from quorate.core.wire.auth import Auth, MutualTls, NoAuth
from quorate.core.wire.frames import Kind, ProtocolError, number_frame
from quorate.core.wire.handshake import (
    BOOT_BYTES,
    ID_CHARS_MAX,
    Code,
    Established,
    Me,
    Refusal,
)
from quorate.core.wire.limits import Lane, WireLimits
from quorate.core.wire.link import Link
from quorate.core.wire.shared import Shared
from quorate.core.wire.tls import client_context, server_context

log = logging.getLogger("quorate.wire")

BACKLOG: Final = 128


def _nothing(*_: object) -> None:
    return None


class _Peer:
    """What is known of one peer."""

    def __init__(self, address: str, link: Link) -> None:
        self.address = address
        self.link = link
        self.inbound: Inbound | None = None
        self.problem = ""
        self.split_ticks = 0


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
        self._listen_address = addresses.parse(listen) if listen is not None else None
        self._wanted = {peer: _checked_address(peer, at) for peer, at in peers.items()}
        self._wanted.pop(host_id, None)
        self._overrides = {
            peer: _checked_address(peer, at) for peer, at in (dial_overrides or {}).items()
        }
        self._on_message = on_message
        self._on_peer_up = on_peer_up
        self._on_peer_down = on_peer_down
        self._on_peer_problem = on_peer_problem
        self._on_fatal = on_fatal
        self._clock = clock or SystemClock()
        self._rng = rng or fresh_random()
        self._auth = auth or NoAuth()
        self._limits = limits or WireLimits()
        self._fresh_bytes = fresh_bytes
        self._peers: dict[str, _Peer] = {}
        self._links: dict[str, Link] = {}
        self._strangers: dict[Inbound, None] = {}
        """Connections that have not proven an id, oldest first."""
        self._listener: Listener | None = None
        self._address: str | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._shared: Shared | None = None
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
        sock = await self._bind(loop, tls is not None) if self._listen_address else None
        self._shared = shared
        if sock is not None:
            name = sock.getsockname()
            self._address = addresses.join(name[0], name[1])
            self._listener = Listener(sock, shared, self._make_inbound)
        wanted, self._wanted = self._wanted, {}
        for peer, at in wanted.items():
            self.add_peer(peer, at)
        self._ticker = loop.call_later(self._limits.ping_interval_s, self._on_tick)

    async def _bind(self, loop: asyncio.AbstractEventLoop, tls: bool) -> socket.socket:
        assert self._listen_address is not None
        host, port = self._listen_address
        try:
            found = await loop.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
        except (OSError, UnicodeError) as error:
            raise ConfigError(f"listen={self._listen!r} does not resolve: {error}") from error
        family, _type, _proto, _name, target = found[0]
        if not tls and not addresses.is_loopback(str(target[0])):
            raise ConfigError(
                f"listen={self._listen!r} is reachable from other machines: give auth=MutualTls(…) "
                "or listen on 127.0.0.1 (a shared secret protects loopback only)"
            )
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(target)
            sock.listen(BACKLOG)
        except OSError as error:
            sock.close()
            raise ConfigError(f"cannot listen on {self._listen!r}: {error}") from error
        return sock

    async def close(self) -> None:
        """Close everything; no hook is called from here on. Safe to call twice."""
        self._closed = True
        if self._ticker is not None:
            self._ticker.cancel()
        if self._listener is not None:
            await self._listener.close()
        closing = Refusal(Code.CLOSING, "the host is closing")
        for stranger in list(self._strangers):
            stranger.abort()
        peers, self._peers, self._links = list(self._peers.values()), {}, {}
        for peer in peers:
            if peer.inbound is not None:
                peer.inbound.close(closing)
        await asyncio.gather(*(peer.link.close() for peer in peers))
        await asyncio.gather(*self._closing, return_exceptions=True)

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
        _checked_id(peer, "peer")
        _checked_address(peer, address)
        if peer == self.host_id or self._closed:
            return
        if self._shared is None:
            self._wanted[peer] = address
            return
        state = self._peers.get(peer)
        if state is not None:
            if state.address != address:
                state.address = address
                if peer not in self._overrides:
                    state.link.redial("the peer has a new address")
            return
        link = Link(
            peer,
            self._shared,
            address=lambda: self._dial_address(peer),
            on_up=self._link_up,
            on_down=self._link_down,
            on_problem=self.problem,
        )
        self._peers[peer] = _Peer(address, link)
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
            self._on_peer_down(peer)

    def set_override(self, peer: str, address: str | None) -> None:
        """Dial `peer` at another address than its own (a proxy, NAT); None takes it back. The
        link is dialled anew at once."""
        if address is None:
            self._overrides.pop(peer, None)
        else:
            self._overrides[peer] = _checked_address(peer, address)
        link = self._links.get(peer)
        if link is not None:
            link.redial("the peer is dialled at another address")

    def _dial_address(self, peer: str) -> str:
        return self._overrides.get(peer) or self._peers[peer].address

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
        """As `send`, for a message encoded once (`codec.dumps` of a dict) for several peers."""
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
        now_s = self._clock.monotonic()

        def age(at_s: float | None) -> float | None:
            return None if at_s is None else round(now_s - at_s, 3)

        result: dict[str, dict[str, object]] = {}
        for peer, state in self._peers.items():
            reach = state.link.reach
            result[peer] = {
                "connected": state.link.up,
                "inbound": state.inbound is not None,
                "rtt_ms": None if reach.rtt_s is None else round(reach.rtt_s * 1000, 3),
                "rtt_age_s": age(reach.rtt_at_s),
                "acknowledged_s": age(reach.acknowledged_at_s),
                "last_heard_s": age(self._heard_at_s(state)),
                "address": self._dial_address(peer),
                "problem": state.link.problem or state.problem,
            }
        return result

    @staticmethod
    def _heard_at_s(state: _Peer) -> float | None:
        return (
            state.inbound.heard_at_s if state.inbound is not None else state.link.reach.heard_at_s
        )

    def statistics(self) -> dict[str, object]:
        """Counters since the start, strangers at the door, and each link's queues."""
        if self._shared is None:
            return {}
        counters = self._shared.counters
        return {
            "bytes_in": counters.bytes_in,
            "bytes_out": counters.bytes_out,
            "frames_in": counters.frames_in,
            "frames_out": counters.frames_out,
            "messages_in": counters.messages_in,
            "unsent_messages": counters.unsent_messages,
            "malformed": counters.malformed,
            "accept_errors": counters.accept_errors,
            "evicted": counters.evicted,
            "refused": dict(counters.refused),
            "strangers": len(self._strangers),
            "links": {peer: state.link.statistics() for peer, state in self._peers.items()},
            "inbound": {
                peer: state.inbound.statistics()
                for peer, state in self._peers.items()
                if state.inbound is not None
            },
        }

    # --- called by links and connections --------------------------------------------------------

    def deliver(self, peer: str, payload: bytes | bytearray) -> None:
        """One message arrived. Raises ProtocolError when it is not one."""
        try:
            message: Any = codec.loads(payload)
        except codec.Malformed as error:
            raise ProtocolError(f"a message from {peer} is {error}") from error
        if not isinstance(message, dict):
            raise ProtocolError(f"a message from {peer} is not a map")
        assert self._shared is not None
        self._shared.counters.messages_in += 1
        if self._closed:
            return
        try:
            self._on_message(peer, cast("dict[str, Any]", message))
        except ProtocolError:
            raise
        except Exception as error:
            self._fatal(peer, error)

    def _fatal(self, peer: str, error: Exception) -> None:
        broken = (
            error
            if isinstance(error, InvariantBroken)
            else InvariantBroken(f"handling a message of {peer} raised {error!r}")
        )
        if broken is not error:
            broken.__cause__ = error
        log.critical("handling a message of %s failed", peer, exc_info=error)
        if self._on_fatal is not None:
            self._on_fatal(broken)
        else:
            loop = asyncio.get_running_loop()
            loop.call_exception_handler({"message": str(broken), "exception": broken})

    def knows(self, peer: str) -> bool:
        """Whether `peer` may connect."""
        return peer in self._peers

    def admit(self, established: Established) -> Refusal | None:
        """The last question of a handshake: is there another connection of this peer?"""
        state = self._peers.get(established.host_id)
        if state is None:
            return Refusal(Code.UNKNOWN, f"host {established.host_id!r} is not a known peer here")
        old = state.inbound
        if old is None:
            return None
        refusal = twins.decide(
            boot=old.boot,
            sequence=old.sequence,
            heard_s_ago=self._clock.monotonic() - old.heard_at_s,
            twin_boot=old.twin_boot,
            newcomer=established,
            twin_silence_s=self._limits.twin_silence_s,
        )
        if refusal is not None and refusal.code is Code.BUSY:
            old.contest(established.boot)
        return refusal

    def on_inbound(self, inbound: Inbound) -> None:
        """A peer proved itself on this connection: it replaces the one before."""
        self._strangers.pop(inbound, None)
        state = self._peers[inbound.peer]
        old, state.inbound = state.inbound, inbound
        if old is not None:
            old.abort()
        log.info("%s connected to us", inbound.peer)
        state.link.kick()

    def on_inbound_over(self, inbound: Inbound) -> None:
        """A connection to us ended."""
        self._strangers.pop(inbound, None)
        state = self._peers.get(inbound.peer)
        if state is not None and state.inbound is inbound:
            state.link.reach.heard_at_s = inbound.heard_at_s
            state.inbound = None

    def on_ping(self, peer: str, number: int) -> None:
        """Answer on our own link, so that a round trip proves both directions."""
        link = self._links.get(peer)
        if link is not None:
            link.send_control(number_frame(Kind.PONG, number))

    def on_pong(self, peer: str, number: int) -> None:
        """A round trip is complete."""
        link = self._links.get(peer)
        if link is not None:
            link.reach.on_pong(number, self._clock.monotonic())

    def problem(self, peer: str, text: str) -> None:
        """Something an operator should see; each new text is told once."""
        state = self._peers.get(peer)
        if state is not None and state.problem != text and not self._closed:
            state.problem = text
            log.warning("peer %s: %s", peer, text)
            self._on_peer_problem(peer, text)

    def _make_inbound(self) -> Inbound:
        assert self._shared is not None
        if len(self._strangers) >= self._limits.unauthenticated_connections_max:
            # The oldest has had the most time; an honest handshake is over in milliseconds.
            self._shared.counters.evicted += 1
            next(iter(self._strangers)).close(Refusal(Code.CROWDED, "too many handshakes at once"))
        inbound = Inbound(self, self._shared)
        self._strangers[inbound] = None
        return inbound

    def _link_up(self, peer: str) -> None:
        state = self._peers.get(peer)
        if state is not None and not self._closed:
            state.problem = ""
            self._on_peer_up(peer)

    def _link_down(self, peer: str) -> None:
        if not self._closed:
            self._on_peer_down(peer)

    def _on_tick(self) -> None:
        assert self._shared is not None
        now_s = self._clock.monotonic()
        for peer, state in list(self._peers.items()):
            with suppress(Exception):
                state.link.on_tick(now_s)
            inbound = state.inbound
            split = state.link.up and inbound is not None and inbound.boot != state.link.peer_boot
            state.split_ticks = state.split_ticks + 1 if split else 0
            if state.split_ticks == twins.SPLIT_TICKS:
                self.problem(peer, f"the host we dial as {peer!r} is not the one that dials us")
        self._ticker = self._shared.loop.call_later(self._limits.ping_interval_s, self._on_tick)


def _checked_id(value: str, name: str) -> str:
    if not 0 < len(value) <= ID_CHARS_MAX or not value.isprintable():
        raise ConfigError(f"{name}={value!r:.60} must be 1 to {ID_CHARS_MAX} printable characters")
    return value


def _checked_address(peer: str, address: str) -> str:
    try:
        _host, port = addresses.parse(address)
    except ConfigError as error:
        raise ConfigError(f"the address of peer {peer!r}: {error}") from error
    if port == 0:
        raise ConfigError(f"the address of peer {peer!r} has port 0: nobody can be dialled there")
    return address
