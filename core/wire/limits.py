"""Every limit of the wire, in one place; the end of a name is its unit.

Only numbers live here. A limit that is reached refuses, drops and counts, or closes; nothing grows.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum

from quorate.core.errors import ConfigError

KIB = 1024
MIB = 1024 * 1024


class Lane(IntEnum):
    """What overtakes what on one link. Order is kept inside a lane, and only there."""

    URGENT = 0
    NORMAL = 1
    BULK = 2


@dataclass(frozen=True, slots=True)
class WireLimits:
    """The limits of one mesh. Raises ConfigError when they contradict each other."""

    chunk_bytes: int = 64 * KIB
    """A message longer than this travels in pieces of this size, in whatever lane."""
    frame_bytes_max: int = 128 * KIB
    handshake_frame_bytes_max: int = 4 * KIB
    message_bytes_max: int = 16 * MIB
    reassembly_bytes_max: int = 48 * MIB
    reassembly_messages_max: int = 4

    urgent_queue_bytes_max: int = 8 * MIB
    normal_queue_bytes_max: int = 32 * MIB
    bulk_queue_bytes_max: int = 32 * MIB
    transport_buffer_bytes_max: int = 256 * KIB
    """What may wait in the transport, where nothing can overtake it any more."""

    unauthenticated_connections_max: int = 64
    handshake_deadline_s: float = 5.0
    dial_deadline_s: float = 5.0
    ping_interval_s: float = 1.0
    link_silence_max_s: float = 5.0
    twin_silence_s: float = 2.5
    """A connection heard within this time is alive: a second process with its id is refused."""
    backoff_min_s: float = 0.05
    backoff_max_s: float = 1.0
    accept_retry_s: float = 0.2

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) <= 0:
                raise ConfigError(f"{field.name} must be above zero")
        if self.chunk_bytes + 64 > self.frame_bytes_max:
            raise ConfigError("frame_bytes_max must hold chunk_bytes and a header of 64 bytes")
        if self.message_bytes_max > self.reassembly_bytes_max:
            raise ConfigError("reassembly_bytes_max must hold a message of message_bytes_max")
        if self.transport_buffer_bytes_max < 2 * self.chunk_bytes:
            raise ConfigError("transport_buffer_bytes_max must hold two pieces of chunk_bytes")

    def queue_bytes_max(self, lane: Lane) -> int:
        """The limit of one lane of one link, in bytes."""
        return (
            self.urgent_queue_bytes_max,
            self.normal_queue_bytes_max,
            self.bulk_queue_bytes_max,
        )[lane]
