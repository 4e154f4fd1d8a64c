"""Who may come in, and what those who came in bring.

The law of this file: nothing a stranger does reaches a hook; one connection per peer is the
peer's, and only from that one are messages delivered; each problem is told once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from quorate.core import codec
from quorate.core.errors import InvariantBroken
from quorate.core.wire import twins
from quorate.core.wire.accept import Inbound
from quorate.core.wire.frames import Kind, ProtocolError, number_frame
from quorate.core.wire.handshake import Code, Established, Refusal
from quorate.core.wire.link import Link
from quorate.core.wire.shared import Shared

log = logging.getLogger("quorate.wire")


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the mesh calls; see `Mesh`."""

    on_message: Callable[[str, dict[str, Any]], object]
    on_peer_up: Callable[[str], object]
    on_peer_down: Callable[[str], object]
    on_peer_problem: Callable[[str, str], object]
    on_fatal: Callable[[Exception], object] | None


class Peer:
    """What is known of one peer: our link to it, and its connection to us."""

    def __init__(self, address: str, link: Link) -> None:
        self.address = address
        self.link = link
        self.inbound: Inbound | None = None
        self.problem = ""
        self.split_ticks = 0
        self._bytes_before = self._reads_before = self._connections_before = 0

    def heard_at_s(self) -> float | None:
        """When the last byte of the peer came, in monotonic seconds."""
        return self.inbound.heard_at_s if self.inbound is not None else self.link.reach.heard_at_s

    def retire(self, inbound: Inbound) -> None:
        """This connection of the peer is over, or replaced."""
        self._bytes_before += inbound.bytes_in
        self._reads_before += inbound.reads_in
        self._connections_before += 1

    def heard(self) -> dict[str, int]:
        """What came from the peer over all its connections: bytes, reads, connections."""
        now = self.inbound
        return {
            "bytes": self._bytes_before + (now.bytes_in if now is not None else 0),
            "reads": self._reads_before + (now.reads_in if now is not None else 0),
            "connections": self._connections_before + (now is not None),
        }

    def on_tick(self, now_s: float) -> bool:
        """Every ping interval. True when both directions lead to different processes for long."""
        self.link.on_tick(now_s)
        inbound = self.inbound
        split = self.link.up and inbound is not None and inbound.boot != self.link.peer_boot
        self.split_ticks = self.split_ticks + 1 if split else 0
        return self.split_ticks == twins.SPLIT_TICKS


class Reception:
    """Answers for the peers' connections to us."""

    def __init__(self, shared: Shared, hooks: Hooks, peers: dict[str, Peer]) -> None:
        self._shared = shared
        self._hooks = hooks
        self._peers = peers
        self.closed = False
        self.strangers: dict[Inbound, None] = {}
        """Connections that have not proven an id, oldest first."""

    def make_inbound(self) -> Inbound:
        """For a connection just accepted."""
        shared = self._shared
        if len(self.strangers) >= shared.limits.unauthenticated_connections_max:
            # The oldest has had the most time; an honest handshake is over in milliseconds.
            shared.counters.evicted += 1
            next(iter(self.strangers)).close(Refusal(Code.CROWDED, "too many handshakes at once"))
        inbound = Inbound(self, shared)
        self.strangers[inbound] = None
        return inbound

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
            heard_s_ago=self._shared.clock.monotonic() - old.heard_at_s,
            twin_boot=old.twin_boot,
            newcomer=established,
            twin_silence_s=self._shared.limits.twin_silence_s,
        )
        if refusal is not None and refusal.code is Code.BUSY:
            old.contest(established.boot)
        return refusal

    def on_inbound(self, inbound: Inbound) -> None:
        """A peer proved itself on this connection: it replaces the one before."""
        self.strangers.pop(inbound, None)
        state = self._peers[inbound.peer]
        old, state.inbound = state.inbound, inbound
        if old is not None:
            state.retire(old)
            old.abort()
        log.info("%s connected to us", inbound.peer)
        state.link.kick()

    def on_inbound_over(self, inbound: Inbound) -> None:
        """A connection to us ended."""
        self.strangers.pop(inbound, None)
        state = self._peers.get(inbound.peer)
        if state is not None and state.inbound is inbound:
            state.link.reach.heard_at_s = inbound.heard_at_s
            state.retire(inbound)
            state.inbound = None

    def on_ping(self, peer: str, number: int) -> None:
        """Answer on our own link, so that a round trip proves both directions."""
        state = self._peers.get(peer)
        if state is not None:
            state.link.send_control(number_frame(Kind.PONG, number))

    def on_pong(self, peer: str, number: int) -> None:
        """A round trip is complete."""
        state = self._peers.get(peer)
        if state is not None:
            state.link.reach.on_pong(number, self._shared.clock.monotonic())

    def deliver(self, peer: str, payload: bytes | bytearray) -> None:
        """One message arrived. Raises ProtocolError when it is not one."""
        try:
            message: Any = codec.loads(payload)
        except codec.Malformed as error:
            raise ProtocolError(f"a message from {peer} is {error}") from error
        if type(message) is not dict:
            raise ProtocolError(f"a message from {peer} is not a map")
        self._shared.counters.messages_in += 1
        if self.closed:
            return
        try:
            self._hooks.on_message(peer, cast("dict[str, Any]", message))
        except ProtocolError:
            raise
        except Exception as error:
            self._fatal(peer, error)

    def _fatal(self, peer: str, error: Exception) -> None:
        log.critical("handling a message of %s failed", peer, exc_info=error)
        broken = error
        if not isinstance(error, InvariantBroken):
            broken = InvariantBroken(f"handling a message of {peer} raised {error!r}")
            broken.__cause__ = error
        if self._hooks.on_fatal is not None:
            self._hooks.on_fatal(broken)
        else:
            loop = asyncio.get_running_loop()
            loop.call_exception_handler({"message": str(broken), "exception": broken})

    def on_problem(self, peer: str, text: str) -> None:
        """Something an operator should see; each new text is told once."""
        state = self._peers.get(peer)
        if state is not None and state.problem != text and not self.closed:
            state.problem = text
            log.warning("peer %s: %s", peer, text)
            self._hooks.on_peer_problem(peer, text)

    def on_link_up(self, peer: str) -> None:
        """We can send to the peer: what was wrong with its link no longer is."""
        state = self._peers.get(peer)
        if state is not None and not self.closed:
            state.problem = ""
            self._hooks.on_peer_up(peer)

    def on_link_down(self, peer: str) -> None:
        """We can no longer send to the peer."""
        if not self.closed:
            self._hooks.on_peer_down(peer)
