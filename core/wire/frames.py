"""Frames: where one message ends and the next begins in a stream of bytes.

The law of this file: pure; bytes go in, frames come out, in any cut of the stream the same ones. A
length is compared with its limit before anything is kept for it. What is kept is bounded in bytes
and in number. After a ProtocolError a decoder is spent: the connection it served must be closed.

    frame    length u32 (of what follows) | kind u8 | payload
    CHUNK    payload = message id u32 | last u8 (0 or 1) | piece
    PING, PONG, ACK   payload = number u64
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final

from quorate.core.errors import Unavailable
from quorate.core.wire.limits import WireLimits


class ProtocolError(Unavailable):
    """The other side does not keep to the protocol; the text says what and where. Close on it."""


class Kind(IntEnum):
    """What a frame carries."""

    MESSAGE = 1
    CHUNK = 2
    PING = 3
    """From the host that dialled: answered by ACK on the same connection and PONG on the other."""
    PONG = 4
    ACK = 5
    HANDSHAKE = 6
    CLOSE = 7
    """The last frame: a reason, in CBOR."""
    NOTICE = 8
    """A problem worth showing to an operator, in CBOR; the connection goes on."""


HEADER: Final = struct.Struct(">IB")
HEADER_BYTES: Final = HEADER.size
_CHUNK: Final = struct.Struct(">IB")
_NUMBER: Final = struct.Struct(">Q")
_LENGTH: Final = struct.Struct(">I")

BEFORE_AUTHENTICATION: Final = frozenset({Kind.HANDSHAKE, Kind.CLOSE})
"""What an acceptor reads before it knows who speaks."""
FROM_ACCEPTOR: Final = frozenset({Kind.HANDSHAKE, Kind.CLOSE, Kind.NOTICE, Kind.ACK})
"""What a dialler reads: messages never travel this way."""
FROM_DIALLER: Final = frozenset({Kind.MESSAGE, Kind.CHUNK, Kind.PING, Kind.PONG, Kind.CLOSE})

_MESSAGE: Final = int(Kind.MESSAGE)
_CHUNK_KIND: Final = int(Kind.CHUNK)
_KINDS: Final = frozenset(int(kind) for kind in Kind)

Event = tuple[int, bytes | bytearray]
"""(kind, payload); a message that came in pieces shows as one MESSAGE."""


def frame(kind: Kind, payload: bytes) -> bytes:
    """One frame."""
    return HEADER.pack(len(payload) + 1, kind) + payload


def number_frame(kind: Kind, number: int) -> bytes:
    """A PING, PONG or ACK."""
    return HEADER.pack(9, kind) + _NUMBER.pack(number)


def number_of(payload: bytes | bytearray) -> int:
    """The number in a PING, PONG or ACK. Raises ProtocolError when it is not 8 bytes."""
    if len(payload) != 8:
        raise ProtocolError(f"a ping, pong or ack of {len(payload)} bytes instead of 8")
    return _NUMBER.unpack(payload)[0]


def chunk_frame(message_id: int, piece: bytes | memoryview, *, last: bool) -> bytes:
    """One piece of a message that is too long for one frame."""
    head = HEADER.pack(len(piece) + 6, _CHUNK_KIND) + _CHUNK.pack(message_id, last)
    return b"".join((head, piece))


class Decoder:
    """Cuts a stream into frames and puts messages that came in pieces together again.

    `restrict` says which kinds may come and how long they may be; everything else raises.
    """

    def __init__(self, limits: WireLimits) -> None:
        self._limits = limits
        self._rest = bytearray()
        self._parts: dict[int, bytearray] = {}
        self._parts_bytes = 0
        self._offset = 0
        self.restrict(BEFORE_AUTHENTICATION, limits.handshake_frame_bytes_max)

    def restrict(self, kinds: frozenset[Kind], frame_bytes_max: int) -> None:
        """From the next feed on accept only `kinds`, up to `frame_bytes_max` bytes each."""
        self._kinds = frozenset(int(kind) for kind in kinds)
        self._frame_bytes_max = frame_bytes_max

    def feed(self, data: bytes) -> list[Event]:
        """The frames that `data` completes, in order. Raises ProtocolError."""
        rest = self._rest
        if rest:
            rest += data
            if len(rest) < 4 or len(rest) < 4 + self._length(rest, 0):
                return []
            buffer: bytes | bytearray = bytes(rest)
            rest.clear()
        else:
            buffer = data
        events: list[Event] = []
        at = self._cut(buffer, events)
        if at < len(buffer):
            rest += memoryview(buffer)[at:]
        self._offset += at
        return events

    def statistics(self) -> dict[str, object]:
        """What is held back: `rest_bytes`, `reassembly_bytes`, `reassembly_messages`."""
        return {
            "rest_bytes": len(self._rest),
            "reassembly_bytes": self._parts_bytes,
            "reassembly_messages": len(self._parts),
        }

    def _length(self, buffer: bytes | bytearray, at: int) -> int:
        (length,) = _LENGTH.unpack_from(buffer, at)
        if not 0 < length <= self._frame_bytes_max:
            raise ProtocolError(self._bad_length(length, bytes(buffer[at : at + 5]), at))
        return length

    def _cut(self, buffer: bytes | bytearray, events: list[Event]) -> int:
        """Append the complete frames of `buffer` to `events`; gives the offset of what is left."""
        at, size = 0, len(buffer)
        frame_bytes_max, kinds, unpack = self._frame_bytes_max, self._kinds, _LENGTH.unpack_from
        while size - at >= 4:
            (length,) = unpack(buffer, at)
            if not 0 < length <= frame_bytes_max:
                raise ProtocolError(self._bad_length(length, bytes(buffer[at : at + 5]), at))
            end = at + 4 + length
            if size > at + 4 and buffer[at + 4] not in kinds:
                raise ProtocolError(self._bad_kind(buffer[at + 4], at))
            if end > size:
                break
            kind = buffer[at + 4]
            if kind == _CHUNK_KIND:
                whole = self._join(buffer, at + 5, end)
                if whole is not None:
                    events.append((_MESSAGE, whole))
            else:
                events.append((kind, buffer[at + 5 : end]))
            at = end
        return at

    def _join(self, buffer: bytes | bytearray, start: int, end: int) -> bytearray | None:
        where = self._offset + start
        if end - start <= 5:
            raise ProtocolError(f"an empty piece of a message at byte {where}")
        message_id, last = _CHUNK.unpack_from(buffer, start)
        if last > 1:
            raise ProtocolError(f"a piece with the flags {last:#x} at byte {where}")
        part = self._parts.get(message_id)
        if part is None:
            if len(self._parts) >= self._limits.reassembly_messages_max:
                raise ProtocolError(
                    f"more than {self._limits.reassembly_messages_max} messages in pieces at once "
                    f"(reassembly_messages_max) at byte {where}"
                )
            part = self._parts[message_id] = bytearray()
        size = end - start - 5
        self._parts_bytes += size
        if (
            len(part) + size > self._limits.message_bytes_max
            or self._parts_bytes > self._limits.reassembly_bytes_max
        ):
            raise ProtocolError(
                f"a message in pieces grows over message_bytes_max "
                f"({self._limits.message_bytes_max}) or reassembly_bytes_max at byte {where}"
            )
        part += memoryview(buffer)[start + 5 : end]
        if not last:
            return None
        del self._parts[message_id]
        self._parts_bytes -= len(part)
        return part

    def _bad_length(self, length: int, head: bytes, at: int) -> str:
        where = f"at byte {self._offset + at}"
        if head[:2] == b"\x16\x03":
            return f"this looks like TLS, but this port is plain, {where}"
        if head[:4].isalpha() or head[:3] == b"GET":
            return f"this looks like text (perhaps HTTP), not frames, {where}"
        if length == 0:
            return f"a frame of length 0 {where}"
        return f"a frame of {length} bytes is over the limit of {self._frame_bytes_max} {where}"

    def _bad_kind(self, kind: int, at: int) -> str:
        known = kind in _KINDS
        text = f"a {Kind(kind).name} frame, which may not come now," if known else f"kind {kind:#x}"
        return f"{text} at byte {self._offset + at}"
