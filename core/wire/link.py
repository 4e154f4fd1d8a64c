"""One outgoing connection to one peer: dialled, proven, kept, and dialled again.

The law of this file: IO only. Everything this host has for the peer leaves here, nothing but
handshake answers, acks and notices is read here. What is decided is decided in handshake.py,
lanes.py and reach.py. When the link goes down, what waited on it is dropped and counted: those who
sent it send again.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from quorate.core.wire import dial
from quorate.core.wire.dialled import Dialled
from quorate.core.wire.frames import Kind, ProtocolError, number_frame
from quorate.core.wire.handshake import NONCE_BYTES, Code, Dialler, Established, Refusal
from quorate.core.wire.lanes import Lanes
from quorate.core.wire.limits import Lane
from quorate.core.wire.reach import Reach

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
        address: str,
        on_up: Callable[[str], object],
        on_down: Callable[[str], object],
        on_problem: Callable[[str, str], object],
    ) -> None:
        self.peer = peer
        self.address = address
        """Where the next dial goes."""
        self.reach = Reach()
        self.problem = ""
        self.peer_boot = b""
        self.up = False
        self.up_since_s = 0.0
        self.connects = 0
        self._ticked_at_s = self._awake_since_s = shared.clock.monotonic()
        self._shared = shared
        self._on_up = on_up
        self._on_down = on_down
        self._on_problem = on_problem
        self._lanes = Lanes(shared.limits)
        self._connection: Dialled | None = None
        self._attempt = 0
        self._dialling: asyncio.Timeout | None = None
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
            await asyncio.gather(task, return_exceptions=True)
        await self._resolver.close()
        if self._connection is not None:
            self._connection.close(Refusal(Code.CLOSING, "the host is closing"))

    def redial(self, why: str) -> None:
        """Give the present connection up, if any, and dial at once."""
        self._attempt = 0
        if self._connection is not None:
            self._connection.fail(why)
        if self._dialling is not None and not self._dialling.expired():
            self._dialling.reschedule(self._shared.loop.time())
        self._wake.set()

    def kick(self) -> None:
        """The peer just connected to us: do not wait out the back-off; a round trip can be made."""
        if self.up:
            self._ping(self._shared.clock.monotonic())
        else:
            self._wake.set()

    def on_tick(self, now_s: float) -> None:
        """Every ping interval: ping, and give up a link on which nothing is acknowledged."""
        late = now_s - self._ticked_at_s > 2.5 * self._shared.limits.ping_interval_s
        self._ticked_at_s = now_s
        if late:  # it was this host that slept: what the peer said meanwhile is not read yet
            self._awake_since_s = now_s
            self.reach.forget_pings()
        if not self.up:
            return
        silence = self.reach.silent_s(max(self.up_since_s, self._awake_since_s), now_s)
        if silence > self._shared.limits.link_silence_max_s:
            self.redial(f"nothing was acknowledged for {silence:.1f} s")
        else:
            self._ping(now_s)

    def _ping(self, now_s: float) -> None:
        number = self.reach.ping(now_s)
        self.send_control(number_frame(Kind.PING, number))

    async def _run(self) -> None:
        limits = self._shared.limits
        while True:
            self._wake.clear()
            try:
                await self._once()
            except (OSError, ProtocolError, ValueError) as error:
                self._set_problem(str(error) or type(error).__name__)
                if isinstance(error.__cause__, ssl.SSLError):
                    self.on_trouble(str(error))
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
        shared, address = self._shared, self.address
        self._shared.sequence += 1
        me = Dialler(
            shared.me, to=self.peer, sequence=shared.sequence, nonce=shared.fresh_bytes(NONCE_BYTES)
        )
        self._connection = connection = Dialled(self, me, shared)
        timer: asyncio.TimerHandle | None = None
        try:
            await self._dial(address, connection)
            self.connects += 1
            seconds = shared.limits.handshake_deadline_s
            timer = shared.loop.call_later(seconds, connection.on_deadline)
            await asyncio.shield(connection.closed)
        finally:
            if timer is not None:
                timer.cancel()
            if not connection.closed.done():
                connection.close(Refusal(Code.CLOSING, "the host is closing"))
            self._go_down()

    async def _dial(self, address: str, connection: Dialled) -> None:
        seconds = self._shared.limits.dial_deadline_s
        try:
            async with asyncio.timeout(seconds) as self._dialling:
                await dial.connect(address, self._resolver, connection, self._shared)
        except TimeoutError:
            raise TimeoutError(f"no connection to {address} within {seconds} s") from None
        except OSError as error:
            raise OSError(f"cannot connect to {address}: {error}") from error
        finally:
            self._dialling = None

    def on_established(self, established: Established) -> None:
        """Both sides are proven: messages may leave from now on."""
        now_s = self._shared.clock.monotonic()
        self.up, self.up_since_s, self.problem = True, now_s, ""
        self._paused = False
        self.peer_boot = established.boot
        log.info("link to %s is up (%s)", self.peer, self.address)
        self._ping(now_s)
        self._on_up(self.peer)

    def _go_down(self) -> None:
        self._connection = None
        was_up, self.up, self._paused = self.up, False, False
        self._lanes.clear()
        self.reach.forget_pings()
        self._release()
        if was_up:
            log.info("link to %s is down", self.peer)
            self._on_down(self.peer)

    def on_ack(self, number: int) -> None:
        """The peer read this ping: the link carries."""
        self.reach.on_ack(number, self._shared.clock.monotonic())

    def on_lost(self) -> None:
        """The connection is gone; say so at once, not when the task gets its turn."""
        self._go_down()

    def on_trouble(self, text: str) -> None:
        """Something that will not pass by itself: for an operator."""
        self._on_problem(self.peer, text)

    def _set_problem(self, text: str) -> None:
        if text and text != self.problem:
            self.problem = text
            log.info("link to %s: %s", self.peer, text)

    def statistics(self) -> dict[str, object]:
        """Queued bytes and dropped or refused messages per lane, connects, write buffer, the last
        round trip."""
        lanes, connection, last_s = self._lanes, self._connection, self.reach.rtt_last_s
        return {
            "up": self.up,
            "connects": self.connects,
            "queued_bytes": list(lanes.queued_bytes),
            "dropped_messages": list(lanes.dropped_messages),
            "refused_messages": list(lanes.refused_messages),
            "transport_bytes": connection.buffered() if connection is not None else 0,
            "rtt_last_ms": None if last_s is None else round(last_s * 1000, 3),
        }
