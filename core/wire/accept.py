"""Listening, and the connections of peers to us. IO only.

The law of this file: who has not proven an id is given little memory, little time and no effect; a
replaced connection never delivers another byte; and no error of accept() ends listening for good.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from quorate.core.errors import ConfigError
from quorate.core.wire import address as addresses
from quorate.core.wire.dial import prepare
from quorate.core.wire.frames import (
    FROM_DIALLER,
    Decoder,
    Kind,
    ProtocolError,
    frame,
    number_frame,
    number_of,
)
from quorate.core.wire.handshake import (
    NONCE_BYTES,
    PASSING,
    Acceptor,
    Code,
    Established,
    Refusal,
    Send,
    decode_reason,
    encode_reason,
)
from quorate.core.wire.tls import certified_ids

if TYPE_CHECKING:
    from quorate.core.wire.shared import Shared

log = logging.getLogger("quorate.wire")

BACKLOG: Final = 128
ACCEPTS_PER_TURN_MAX: Final = 16
ANSWERS_BYTES_MAX: Final = 64 * 1024
"""Acks waiting for a peer that pings and never reads: more are not written."""
TWIN_PROOF_S: Final = 0.5
"""Bytes of a dead process may lie in the kernel; what comes later than this was sent alive."""

_MESSAGE: Final = int(Kind.MESSAGE)
_PING: Final = int(Kind.PING)
_PONG: Final = int(Kind.PONG)


class Door(Protocol):
    """What a connection asks of the mesh it belongs to."""

    def knows(self, peer: str) -> bool: ...
    def admit(self, established: Established) -> Refusal | None: ...
    def on_inbound(self, inbound: Inbound) -> None: ...
    def on_inbound_over(self, inbound: Inbound) -> None: ...
    def on_ping(self, peer: str, number: int) -> None: ...
    def on_pong(self, peer: str, number: int) -> None: ...
    def deliver(self, peer: str, payload: bytes | bytearray) -> None: ...
    def on_problem(self, peer: str, text: str) -> None: ...


class Inbound(asyncio.Protocol):
    """A connection somebody opened to us. It is nobody's until its handshake is done."""

    def __init__(self, door: Door, shared: Shared) -> None:
        self.peer = ""
        self.boot = b""
        self.sequence = 0
        self.heard_at_s = shared.clock.monotonic()
        self.bytes_in = self.reads_in = 0
        self.contested_at_s: float | None = None
        self.twin_boot = b""
        """The boot of a second process with this id, once this connection was heard after it."""
        self._contester = b""
        self._door = door
        self._shared = shared
        self._decoder = Decoder(shared.limits)
        self._acks: list[bytes] = []
        """Answers to the pings of the present read."""
        self._transport: asyncio.Transport | None = None
        self.opening: asyncio.Task[None] | None = None
        """The task that does the TLS handshake, until there is a transport."""
        self._from = "?"
        self._over = False
        self._handshake = Acceptor(
            shared.me, nonce=shared.fresh_bytes(NONCE_BYTES), knows=door.knows, admit=door.admit
        )
        self._timer = shared.loop.call_later(shared.limits.handshake_deadline_s, self._on_deadline)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._from = str(transport.get_extra_info("peername"))
        if self._over:
            self._transport.abort()
            return
        ssl_object: Any = transport.get_extra_info("ssl_object")
        if ssl_object is not None:
            self._handshake.certified = certified_ids(ssl_object)

    def data_received(self, data: bytes) -> None:
        if self._over:
            return
        shared = self._shared
        self.heard_at_s = shared.clock.monotonic()
        try:
            events = self._decoder.feed(data)
            shared.counters.bytes_in += len(data)
            self.bytes_in += len(data)
            self.reads_in += 1
            shared.counters.frames_in += len(events)
            if not self.peer:
                self._before_authentication(events)
                return
            if self.contested_at_s is not None:
                self._on_contested()
            shared.reading = True
            try:
                for kind, payload in events:
                    if kind == _MESSAGE:
                        self._door.deliver(self.peer, payload)
                    else:
                        self._on_control(kind, payload)
                    if self._over:
                        return
            finally:
                shared.end_reading()
                if self._acks:
                    self._send_acks()
        except ProtocolError as error:
            shared.counters.malformed += 1
            self.close(Refusal(Code.MALFORMED, str(error)))

    def _before_authentication(self, events: list[tuple[int, bytes | bytearray]]) -> None:
        for kind, payload in events:
            if self.peer:
                raise ProtocolError("a dialler speaks before it is welcome")
            if kind == Kind.CLOSE:
                code, text = decode_reason(payload)
                log.info("%s gave the handshake up: %s (%s)", self._from, text, code)
                self.abort()
                return
            for effect in self._handshake.on_payload(payload):
                if isinstance(effect, Send):
                    self._write(frame(Kind.HANDSHAKE, effect.payload))
                elif isinstance(effect, Refusal):
                    self.close(effect)
                    return
                else:
                    self._become_established(effect)

    def _become_established(self, established: Established) -> None:
        self._timer.cancel()
        self.peer, self.boot = established.host_id, established.boot
        self.sequence = established.sequence
        self._decoder.restrict(FROM_DIALLER, self._shared.limits.frame_bytes_max)
        self._door.on_inbound(self)

    def _on_control(self, kind: int, payload: bytes | bytearray) -> None:
        if kind == _PING:
            number = number_of(payload)
            self._acks.append(number_frame(Kind.ACK, number))
            self._door.on_ping(self.peer, number)
        elif kind == _PONG:
            self._door.on_pong(self.peer, number_of(payload))
        else:
            code, text = decode_reason(payload)
            log.info("%s closed its link to us: %s (%s)", self.peer, text, code)
            self.abort()

    def _send_acks(self) -> None:
        """All of one read at once: asyncio's transports add up what waits whenever one asks."""
        acks, self._acks = self._acks, []
        if self._transport is not None:
            room = ANSWERS_BYTES_MAX - self._transport.get_write_buffer_size()
            self._write(b"".join(acks[: max(0, room) // len(acks[0])]))

    def contest(self, boot: bytes) -> None:
        """Another process wants to be this peer; when we hear this one again, both are alive."""
        if self._contester != boot:
            self._contester, self.contested_at_s = boot, self._shared.clock.monotonic()

    def _on_contested(self) -> None:
        if self.contested_at_s is None or self.heard_at_s - self.contested_at_s < TWIN_PROOF_S:
            return
        self.contested_at_s = None
        self.twin_boot = self._contester
        text = f"two processes run with the host id {self.peer!r}: stop one of them"
        self._write(frame(Kind.NOTICE, encode_reason(Refusal(Code.DUPLICATE, text))))
        self._door.on_problem(self.peer, text)

    def _on_deadline(self) -> None:
        self.close(Refusal(Code.DEADLINE, "the handshake was not done in time"))

    def _write(self, data: bytes) -> None:
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.write(data)

    def close(self, refusal: Refusal) -> None:
        """Say why, then end. No byte of this connection is delivered from here on."""
        if self._over:
            return
        self._shared.counters.refuse(refusal.code)
        log.log(
            logging.INFO if refusal.code in PASSING else logging.WARNING,
            "connection of %s: %s (%s)",
            self.peer or self._from,
            refusal.text,
            refusal.code,
        )
        if self._transport is not None:
            self._write(frame(Kind.CLOSE, encode_reason(refusal)))
            self._transport.close()
            self._shared.loop.call_later(1.0, self._transport.abort)
        self._finish()

    def abort(self) -> None:
        """End at once. No byte of this connection is delivered from here on."""
        if self._transport is not None:
            self._transport.abort()
        self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish()

    def _finish(self) -> None:
        if not self._over:
            self._over = True
            self._timer.cancel()
            if self._transport is None and self.opening is not None:
                self.opening.cancel()
            self._door.on_inbound_over(self)

    def statistics(self) -> dict[str, object]:
        """What the decoder holds back, in bytes."""
        return self._decoder.statistics()


async def bind(loop: asyncio.AbstractEventLoop, listen: str, *, tls: bool) -> socket.socket:
    """A listening socket. Raises ConfigError when `listen` cannot be, or may not be, bound."""
    host, port = addresses.parse(listen)
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"listen={listen!r} does not resolve: {error}") from error
    family, _type, _proto, _name, target = found[0]
    if not tls and not addresses.is_loopback(str(target[0])):
        raise ConfigError(
            f"listen={listen!r} is reachable from other machines: give auth=MutualTls(…), "
            "or listen on 127.0.0.1 (without TLS a host stays on loopback)"
        )
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(target)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise ConfigError(f"cannot listen on {listen!r}: {error}") from error
    return sock


class Listener:
    """The listening socket. Accepting is ours and not the loop's, so that running out of file
    descriptors, or a connection that died in the queue, is a pause and never the end."""

    def __init__(self, sock: socket.socket, shared: Shared, make: Callable[[], Inbound]) -> None:
        self._sock = sock
        self._shared = shared
        self._make = make
        self._tasks: set[asyncio.Task[None]] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._closed = False
        self._listen()

    def _listen(self) -> None:
        if not self._closed:
            self._shared.loop.add_reader(self._sock.fileno(), self.on_acceptable)

    def on_acceptable(self) -> None:
        """Accept what waits, up to a number per turn."""
        for _ in range(ACCEPTS_PER_TURN_MAX):
            try:
                sock, _address = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue
            except OSError as error:  # EMFILE, ENFILE, ENOBUFS, ENOMEM: wait for better times
                self._pause(error)
                return
            sock.setblocking(False)
            with suppress(OSError):
                prepare(sock)
            inbound = self._make()
            task = self._shared.loop.create_task(self._serve(sock, inbound))
            inbound.opening = task
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _pause(self, error: OSError) -> None:
        self._shared.counters.accept_errors += 1
        log.error("cannot accept connections for a moment: %s", error)
        self._shared.loop.remove_reader(self._sock.fileno())
        self._retry = self._shared.loop.call_later(self._shared.limits.accept_retry_s, self._listen)

    async def _serve(self, sock: socket.socket, inbound: Inbound) -> None:
        # The transport owns the socket: closing it here as well could close another's descriptor.
        tls = self._shared.server_tls
        seconds = self._shared.limits.handshake_deadline_s if tls is not None else None
        try:
            await self._shared.loop.connect_accepted_socket(
                lambda: inbound, sock, ssl=tls, ssl_handshake_timeout=seconds
            )
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            self._shared.counters.refuse(Code.AUTHENTICATION)
            log.warning("TLS handshake refused: %s", error)
            inbound.abort()
        except BaseException:
            inbound.abort()
            raise

    async def close(self) -> None:
        """Stop listening."""
        self._closed = True
        if self._retry is not None:
            self._retry.cancel()
        self._shared.loop.remove_reader(self._sock.fileno())
        self._sock.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
