"""The connection under a link: it speaks the handshake, then writes, and reads only acks. IO only.

The law of this file: the end of a connection is told once, with what went wrong; nothing that the
acceptor sends can reach a message handler.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from quorate.core.wire.frames import FROM_ACCEPTOR, Decoder, Kind, ProtocolError, frame, number_of
from quorate.core.wire.handshake import (
    PASSING,
    Code,
    Dialler,
    Established,
    Refusal,
    Send,
    decode_reason,
    encode_reason,
)
from quorate.core.wire.tls import certified_ids

if TYPE_CHECKING:
    from quorate.core.wire.shared import Shared


NOTICES_MAX: Final = 16


class Owner(Protocol):
    """What a connection tells its link."""

    @property
    def peer(self) -> str: ...
    def on_established(self, established: Established) -> None: ...
    def on_ack(self, number: int) -> None: ...
    def on_pause(self) -> None: ...
    def on_resume(self) -> None: ...
    def on_lost(self) -> None: ...
    def on_trouble(self, text: str) -> None: ...


class Dialled(asyncio.Protocol):
    """One connection that we opened."""

    def __init__(self, link: Owner, handshake: Dialler, shared: Shared) -> None:
        self._link = link
        self._handshake = handshake
        self._shared = shared
        self._decoder = Decoder(shared.limits)
        self._decoder.restrict(FROM_ACCEPTOR, shared.limits.handshake_frame_bytes_max)
        self._transport: asyncio.Transport | None = None
        self._established = False
        self._over = False
        self._tell = False
        self._notices = 0
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
                if kind == Kind.HANDSHAKE:
                    self._on_handshake(payload)
                elif kind != Kind.CLOSE:
                    self._after_welcome(kind, payload)
                else:
                    code, text = decode_reason(payload)
                    self._tell = code not in PASSING
                    self.fail(f"{self._link.peer} refused the connection: {text} ({code})")
                if self._over:
                    return
        except ProtocolError as error:
            self._shared.counters.malformed += 1
            self.close(Refusal(Code.MALFORMED, str(error)))

    def _after_welcome(self, kind: int, payload: bytes | bytearray) -> None:
        if not self._established:
            raise ProtocolError("an acceptor speaks before it has proven itself")
        if kind == Kind.ACK:
            self._link.on_ack(number_of(payload))
            return
        self._notices += 1
        if self._notices > NOTICES_MAX:
            raise ProtocolError(f"more than {NOTICES_MAX} notices on one connection")
        code, text = decode_reason(payload)
        self._link.on_trouble(f"{self._link.peer} says: {text} ({code})")

    def _on_handshake(self, payload: bytes | bytearray) -> None:
        for effect in self._handshake.on_payload(payload):
            if isinstance(effect, Send):
                self.write(frame(Kind.HANDSHAKE, effect.payload))
            elif isinstance(effect, Refusal):
                self._tell = True
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
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.write(data)

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
        if self._tell:
            self._link.on_trouble(str(error))
        if not self.closed.done():
            self.closed.set_exception(error)
            self.closed.exception()  # seen: nobody may be waiting any more
