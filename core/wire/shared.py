"""What every connection of one mesh has in common: its loop, its limits, its name, its counters."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields

from quorate.core.clock import Clock
from quorate.core.wire.handshake import Me
from quorate.core.wire.limits import WireLimits


@dataclass(slots=True)
class Counters:
    """Counts since the start; read by `Mesh.statistics`."""

    bytes_in: int = 0
    bytes_out: int = 0
    frames_in: int = 0
    frames_out: int = 0
    messages_in: int = 0
    unsent_messages: int = 0
    """Sends refused because the peer is unknown, its link down or its lane full."""
    malformed: int = 0
    accept_errors: int = 0
    evicted: int = 0
    refused: Counter[str] = field(default_factory=lambda: Counter[str]())

    def statistics(self) -> dict[str, object]:
        """All counts by name."""
        counts: dict[str, object] = {name.name: getattr(self, name.name) for name in fields(self)}
        return {**counts, "refused": dict(self.refused)}

    def refuse(self, code: str) -> None:
        """One more connection refused for this reason."""
        self.refused[str(code)] += 1


class Shared:
    """Handed to every link and connection of a mesh."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        limits: WireLimits,
        clock: Clock,
        rng: random.Random,
        me: Me,
        fresh_bytes: Callable[[int], bytes],
        client_tls: ssl.SSLContext | None,
        server_tls: ssl.SSLContext | None,
    ) -> None:
        self.loop = loop
        self.limits = limits
        self.clock = clock
        self.rng = rng
        self.me = me
        self.fresh_bytes = fresh_bytes
        self.client_tls = client_tls
        self.server_tls = server_tls
        self.counters = Counters()
        self.sequence = 0
        """Grows with every connection this process dials, so that a late one is told by age."""
        self.reading = False
        self._flushes: list[Callable[[], None]] = []

    def plan_flush(self, flush: Callable[[], None]) -> None:
        """Run `flush` when the bytes being read are used up, or in the next turn of the loop: one
        write for everything that was sent until then."""
        if self.reading:
            self._flushes.append(flush)
        else:
            self.loop.call_soon(flush)

    def end_reading(self) -> None:
        """The bytes at hand are used up: write what they gave rise to."""
        self.reading = False
        if self._flushes:
            flushes, self._flushes = self._flushes, []
            for flush in flushes:
                flush()
