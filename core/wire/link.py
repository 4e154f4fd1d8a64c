"""One outgoing connection to one peer: dialled, proven, kept, and dialled again.

The law of this file: IO only. Everything this host has for the peer leaves here, nothing but
handshake answers, acks and notices is read here. What is decided is decided in handshake.py,
lanes.py and reach.py. When the link goes down, what waited on it is dropped and counted: those who
sent it send again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

from quorate.core.wire import dial
from quorate.core.wire.frames import FROM_ACCEPTOR, Decoder, Kind, ProtocolError, frame, number_of
from quorate.core.wire.handshake import (
    Code,
    Dialler,
    Established,
    Refusal,
    Send,
    decode_reason,
    encode_reason,
)
from quorate.core.wire.lanes import Lanes
from quorate.core.wire.limits import Lane
from quorate.core.wire.reach import Reach
from quorate.core.wire.tls import certified_ids

if TYPE_CHECKING:
    from quorate.core.wire.shared import Shared

log = logging.getLogger("quorate.wire")

STEADY_S: Final = 1.0
"""A link that was up this long starts its back-off anew when it fails."""
TURN_BYTES_MAX: Final = 1024 * 1024
"""What one turn of the loop writes at most, so that reading goes on while bulk leaves."""


def _nothing(*_: object) -> None:
    return None


class Link:
    """The way from this host to `peer`. `send` never waits and never raises for the network."""

    def __init__(
        self,
        peer: str,
        shared: Shared,
        *,
        address: Callable[[], str],
        on_up: Callable[[str], object],
        on_down: Callable[[str], object],
        on_problem: Callable[[str, str], object],
    ) -> None:
        self.peer = peer
        self.reach = Reach()
        self.problem = ""
        self.peer_boot = b""
        self.up = False
        self.up_since_s = 0.0
        self.connects = 0
        self._shared = shared
        self._address = address
        self._on_up = on_up
        self._on_down = on_down
        self._on_problem = on_problem
        self._lanes = Lanes(shared.limits)
        self._connection: _Dialled | None = None
        self._attempt = 0
        self._flush_planned = False
        self._paused = False
        self._wake = asyncio.Event()
        self._writable: list[tuple[Lane, asyncio.Future[bool]]] = []
        self._task: asyncio.Task[None] | None = None
        self._resolver = dial.Resolver(shared.loop)

    # --- sending ------------------------------------------------------------------------------

    def send(self, payload: bytes, lane: Lane) -> bool:
        """Queue one encoded message. False when the link is down or the lane is full."""
        if not self.up or not self._lanes.put(payload, lane):
            return False
        if not self._flush_planned and not self._paused:
            self._flush_planned = True
            self._shared.plan_flush(self._flush)
        return True

    def send_control(self, whole_frame: bytes) -> None:
        """Queue a ping or pong ahead of everything."""
        if self.up:
            self._lanes.put_control(whole_frame)
            if not self._flush_planned and not self._paused:
                self._flush_planned = True
                self._shared.plan_flush(self._flush)

    async def wait_writable(self, lane: Lane) -> bool:
        """Wait until `lane` is at most half full. False when the link is, or goes, down."""
        if not self.up:
            return False
        if self._lanes.room(lane):
            return True
        future: asyncio.Future[bool] = self._shared.loop.create_future()
        self._writable.append((lane, future))
        try:
            return await future
        finally:
            with suppress(ValueError):
                self._writable.remove((lane, future))

    def _flush(self) -> None:
        """Write what waits, best first, until the transport asks for a pause."""
        self._flush_planned = False
        connection = self._connection
        if connection is None or not self.up:
            return
        half = self._shared.limits.transport_buffer_bytes_max // 2 - self._shared.limits.chunk_bytes
        written = 0
        lanes = self._lanes
        while not self._paused and lanes:
            frames = lanes.take(half)
            data = frames[0] if len(frames) == 1 else b"".join(frames)
            self._shared.counters.bytes_out += len(data)
            self._shared.counters.frames_out += len(frames)
            connection.write(data)
            written += len(data)
            if written >= TURN_BYTES_MAX and lanes and not self._paused:
                self._flush_planned = True
                self._shared.loop.call_soon(self._flush)
                break
        if self._writable:
            self._release()

    def _release(self) -> None:
        for lane, future in self._writable:
            if not future.done() and (not self.up or self._lanes.room(lane)):
                future.set_result(self.up)

    def on_pause(self) -> None:
        """The transport holds enough."""
        self._paused = True

    def on_resume(self) -> None:
        """The transport has room again."""
        self._paused = False
        if not self._flush_planned:
            self._flush()

    # --- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to dial, and never stop until `close`."""
        self._task = self._shared.loop.create_task(self._run(), name=f"link to {self.peer}")

    async def close(self) -> None:
        """Give the connection up; nothing is called back any more."""
        self._on_down = self._on_up = self._on_problem = _nothing
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if self._connection is not None:
            self._connection.close(Refusal(Code.CLOSING, "the host is closing"))

    def redial(self, why: str) -> None:
        """Give the present connection up, if any, and dial at once."""
        self._attempt = 0
        if self._connection is not None:
            self._connection.fail(why)
        self._wake.set()

    def kick(self) -> None:
        """The peer was just heard: do not wait out the back-off."""
        if not self.up:
            self._wake.set()

    def on_tick(self, now_s: float) -> None:
        """Every ping interval: ping, and give up a link on which nothing is acknowledged."""
        if not self.up:
            return
        silence = self.reach.silent_s(self.up_since_s, now_s)
        if silence > self._shared.limits.link_silence_max_s:
            self.redial(f"nothing was acknowledged for {silence:.1f} s")
        else:
            self._ping(now_s)

    def _ping(self, now_s: float) -> None:
        number = self.reach.ping(now_s)
        self.send_control(frame(Kind.PING, number.to_bytes(8, "big")))

    async def _run(self) -> None:
        limits = self._shared.limits
        while True:
            self._wake.clear()
            try:
                await self._once()
            except (OSError, ProtocolError, TimeoutError, ValueError) as error:
                self._set_problem(str(error) or type(error).__name__)
            if self.up_since_s and self._shared.clock.monotonic() - self.up_since_s > STEADY_S:
                self._attempt = 0
            self.up_since_s = 0.0
            delay = min(limits.backoff_max_s, limits.backoff_min_s * 2 ** min(self._attempt, 20))
            self._attempt += 1
            with suppress(TimeoutError):
                async with asyncio.timeout(delay * self._shared.rng.uniform(0.5, 1.0)):
                    await self._wake.wait()

    async def _once(self) -> None:
        """One connection, from dialling to its end. Raises what went wrong."""
        shared, address = self._shared, self._address()
        self._shared.sequence += 1
        me = Dialler(
            shared.me, to=self.peer, sequence=shared.sequence, nonce=shared.fresh_bytes(32)
        )
        connection = _Dialled(self, me, shared)
        try:
            async with asyncio.timeout(shared.limits.dial_deadline_s):
                await dial.connect(address, self._resolver, connection, shared)
        except TimeoutError:
            connection.fail("")
            text = f"no connection to {address} within {shared.limits.dial_deadline_s} s"
            raise TimeoutError(text) from None
        except OSError as error:
            raise OSError(f"cannot connect to {address}: {error}") from error
        self._connection = connection
        self.connects += 1
        timer = shared.loop.call_later(shared.limits.handshake_deadline_s, connection.on_deadline)
        try:
            await asyncio.shield(connection.closed)
        finally:
            timer.cancel()
            if not connection.closed.done():
                connection.close(Refusal(Code.CLOSING, "the host is closing"))
            self._go_down()

    def on_established(self, established: Established) -> None:
        """Both sides are proven: messages may leave from now on."""
        now_s = self._shared.clock.monotonic()
        self.up, self.up_since_s, self.problem = True, now_s, ""
        self._paused = False
        self.peer_boot = established.boot
        log.info("link to %s is up (%s)", self.peer, self._address())
        self._ping(now_s)
        self._on_up(self.peer)

    def _go_down(self) -> None:
        self._connection = None
        was_up, self.up, self._paused = self.up, False, False
        self._lanes.clear()
        self.reach.on_link_down()
        self._release()
        if was_up:
            log.info("link to %s is down", self.peer)
            self._on_down(self.peer)

    def on_lost(self) -> None:
        """The connection is gone; say so at once, not when the task gets its turn."""
        self._go_down()

    def on_notice(self, code: str, text: str) -> None:
        """The peer reports a problem while the link goes on."""
        self._set_problem(f"{self.peer} says: {text} ({code})")

    def _set_problem(self, text: str) -> None:
        if text != self.problem:
            self.problem = text
            log.warning("link to %s: %s", self.peer, text)
            self._on_problem(self.peer, text)

    def statistics(self) -> dict[str, object]:
        """Queued bytes and dropped or refused messages per lane, connects, write buffer."""
        lanes, connection = self._lanes, self._connection
        return {
            "up": self.up,
            "connects": self.connects,
            "queued_bytes": list(lanes.queued_bytes),
            "dropped_messages": list(lanes.dropped_messages),
            "refused_messages": list(lanes.refused_messages),
            "transport_bytes": connection.buffered() if connection is not None else 0,
        }


class _Dialled(asyncio.Protocol):
    """The connection of a link: speaks the handshake, then only writes and reads acks."""

    def __init__(self, link: Link, handshake: Dialler, shared: Shared) -> None:
        self._link = link
        self._handshake = handshake
        self._shared = shared
        self._decoder = Decoder(shared.limits)
        self._decoder.restrict(FROM_ACCEPTOR, shared.limits.handshake_frame_bytes_max)
        self._transport: asyncio.Transport | None = None
        self._established = False
        self._over = False
        self.closed: asyncio.Future[None] = shared.loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._over:
            self._transport.abort()
            return
        limits = self._shared.limits
        high = limits.transport_buffer_bytes_max // 2
        self._transport.set_write_buffer_limits(high=high, low=high // 4)
        ssl_object: Any = self._transport.get_extra_info("ssl_object")
        if ssl_object is not None:
            self._handshake.certified = certified_ids(ssl_object)
        self.write(frame(Kind.HANDSHAKE, self._handshake.start().payload))

    def data_received(self, data: bytes) -> None:
        if self._over:
            return
        try:
            for kind, payload in self._decoder.feed(data):
                if kind == Kind.ACK:
                    self._link.reach.on_ack(number_of(payload), self._shared.clock.monotonic())
                elif kind == Kind.HANDSHAKE:
                    self._on_handshake(payload)
                elif kind == Kind.NOTICE:
                    self._link.on_notice(*decode_reason(payload))
                else:
                    code, text = decode_reason(payload)
                    self.fail(f"{self._link.peer} refused the connection: {text} ({code})")
                if self._over:
                    return
        except ProtocolError as error:
            self._shared.counters.malformed += 1
            self.close(Refusal(Code.MALFORMED, str(error)))

    def _on_handshake(self, payload: bytes | bytearray) -> None:
        for effect in self._handshake.on_payload(payload):
            if isinstance(effect, Send):
                self.write(frame(Kind.HANDSHAKE, effect.payload))
            elif isinstance(effect, Refusal):
                self.close(effect)
            else:
                self._established = True
                self._link.on_established(effect)

    def on_deadline(self) -> None:
        """The handshake took too long."""
        if not self._established:
            seconds = self._shared.limits.handshake_deadline_s
            self.fail(f"the handshake was not done within {seconds} s")

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def buffered(self) -> int:
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def close(self, refusal: Refusal) -> None:
        """Say why, then end."""
        if not self._over:
            self.write(frame(Kind.CLOSE, encode_reason(refusal)))
            self.fail(refusal.text, say_goodbye=True)

    def fail(self, text: str, *, say_goodbye: bool = False) -> None:
        """End now; `text` becomes the problem of the link."""
        if self._over:
            return
        self._over = True
        if self._transport is not None:
            if say_goodbye:
                self._transport.close()
                self._shared.loop.call_later(1.0, self._transport.abort)
            else:
                self._transport.abort()
        self._finish(ProtocolError(text))

    def pause_writing(self) -> None:
        self._link.on_pause()

    def resume_writing(self) -> None:
        if not self._over:
            self._link.on_resume()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._over:
            self._over = True
            when = "" if self._established else " during the handshake"
            why = f": {exc}" if exc is not None else ""
            self._finish(ProtocolError(f"the connection was lost{when}{why}"))

    def _finish(self, error: ProtocolError) -> None:
        if self._established:
            self._link.on_lost()
        if not self.closed.done():
            self.closed.set_exception(error)
            self.closed.exception()  # seen: nobody may be waiting any more
