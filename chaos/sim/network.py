"""The simulated network: for every ordered pair of hosts one connection, with the product's own
queues, frames and decoder on it, and a socket of bounded size between them.

The law: bytes of one connection arrive in order or not at all; what is lost is lost with the
connection. A blocked link holds its bytes (the sender's kernel sends again) until it is unblocked
or somebody notices and closes the connection. What an old connection still held may arrive late,
beside the new one (HAZARDS S2).
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from quorate.chaos.sim.events import EventQueue, Life
from quorate.chaos.sim.transcript import Transcript
from quorate.core.wire.frames import FROM_DIALLER, Decoder, ProtocolError
from quorate.core.wire.lanes import Lanes
from quorate.core.wire.limits import Lane, WireLimits

SIM_LIMITS = WireLimits(
    chunk_bytes=4 * 1024,
    frame_bytes_max=8 * 1024,
    message_bytes_max=4 * 1024 * 1024,
    reassembly_bytes_max=8 * 1024 * 1024,
    urgent_queue_bytes_max=1024 * 1024,
    normal_queue_bytes_max=1024 * 1024,
    bulk_queue_bytes_max=1024 * 1024,
)
"""Small pieces and small queues, so that what is rare on a real link is common here."""

SOCKET_BYTES_MAX = 16 * 1024
"""What one simulated connection carries at once."""
REDIAL_S = (0.05, 0.4)
IDLE_BYTES_S_MAX = 0.25
"""A connection with room and a queue with bytes must not both wait for this long (S14)."""


class Host(Protocol):
    """What the network needs of a host."""

    id: str
    life: Life | None

    def receive(self, peer: str, payload: bytes) -> None: ...
    def on_link(self, peer: str, *, up: bool) -> None: ...


@dataclass(slots=True)
class Weather:
    """How the links behave unless a fault says otherwise. Seconds, bytes per second."""

    delay_min_s: float = 0.0003
    delay_max_s: float = 0.003
    spike_probability: float = 0.005
    spike_s: float = 0.08
    bytes_per_s: float = 20e6
    ghost_probability: float = 0.3
    """How often what an old connection held arrives after all."""
    ghost_delay_s: float = 2.0
    duplicate_probability: float = 0.0
    """How often a message comes a second time, up to `ghost_delay_s` later (S2)."""
    reset_notice_s: tuple[float, float] = (0.0005, 0.01)


class Connection:
    """One life of a link."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self.in_flight_bytes = 0
        self.last_arrival = 0.0
        self.closed = False
        self.lost = False
        self.held: list[bytes] = []


@dataclass(slots=True)
class Fault:
    """What is wrong with a link just now."""

    blocked: bool = False
    slow_s: float = 0.0


class Link:
    """The way from `source` to `target`."""

    def __init__(self, network: Network, source: str, target: str) -> None:
        self.source, self.target = source, target
        self._network = network
        self.fault = Fault()
        self.connection: Connection | None = None
        self.lanes = network.make_lanes()
        self.redialling = False
        self.idle_since: float | None = None
        self.messages = 0
        self.bytes = 0

    @property
    def up(self) -> bool:
        return self.connection is not None

    def send(self, payload: bytes, lane: Lane) -> bool:
        if self.connection is None or not self.lanes.put(payload, lane):
            return False
        self.messages += 1
        self.bytes += len(payload)
        self.pump()
        return True

    def pump(self) -> None:
        """Write what waits, as far as the socket takes it."""
        connection = self.connection
        if connection is None:
            return
        while self.lanes and connection.in_flight_bytes < SOCKET_BYTES_MAX:
            data = b"".join(self.lanes.take(SOCKET_BYTES_MAX - connection.in_flight_bytes))
            connection.in_flight_bytes += len(data)
            self._network.carry(self, connection, data)

    def on_room(self) -> None:
        """The socket has room again."""
        self.pump()


@dataclass(slots=True)
class Network:
    """All links. `on_malformed(source, target, text)` is told when a stream cannot be read."""

    queue: EventQueue
    rng: random.Random
    transcript: Transcript
    weather: Weather = field(default_factory=Weather)
    make_lanes: Callable[[], Lanes] = lambda: Lanes(SIM_LIMITS)
    link_class: type[Link] = Link
    on_malformed: Callable[[str, str, str], object] = lambda source, target, text: None
    hosts: dict[str, Host] = field(default_factory=dict[str, Host])
    links: dict[tuple[str, str], Link] = field(default_factory=dict[tuple[str, str], Link])

    # --- hosts come and go ----------------------------------------------------------------------

    def add(self, host: Host) -> None:
        for other in self.hosts:
            for pair in ((host.id, other), (other, host.id)):
                self.links[pair] = self.link_class(self, *pair)
        self.hosts[host.id] = host

    def of(self, host_id: str) -> list[Link]:
        """Every link from or to a host, in a fixed order."""
        return [link for pair, link in self.links.items() if host_id in pair]

    def on_started(self, host_id: str) -> None:
        for link in self.of(host_id):
            self._plan_redial(link, hurry=True)

    def on_killed(self, host_id: str) -> None:
        for link in self.of(host_id):
            self.cut(link, notice_s=self.rng.uniform(*self.weather.reset_notice_s))

    # --- sending --------------------------------------------------------------------------------

    def send(self, source: str, target: str, payload: bytes, *, bulk: bool = False) -> bool:
        """Queue `payload`; False when there is no link or no room."""
        link = self.links.get((source, target))
        if link is None:
            return False
        return link.send(payload, Lane.BULK if bulk else Lane.URGENT)

    def carry(self, link: Link, connection: Connection, data: bytes) -> None:
        """Bytes leave the source's kernel."""
        weather, rng = self.weather, self.rng
        delay = rng.uniform(weather.delay_min_s, weather.delay_max_s)
        delay += len(data) / weather.bytes_per_s + link.fault.slow_s
        if rng.random() < weather.spike_probability:
            delay += rng.random() * weather.spike_s
        at = connection.last_arrival = max(connection.last_arrival, self.queue.now + delay)
        self.queue.after(at - self.queue.now, lambda: self._arrive(link, connection, data))

    def _arrive(self, link: Link, connection: Connection, data: bytes) -> None:
        if connection.lost:
            return
        if not connection.closed and (link.fault.blocked or connection.held):
            connection.held.append(data)
            return
        target = self.hosts[link.target]
        if target.life is None:
            return
        target.life.run(lambda: self._read(link, connection, data, target))

    def _read(self, link: Link, connection: Connection, data: bytes, target: Host) -> None:
        """The target's process reads `data` from its socket."""
        connection.in_flight_bytes -= len(data)
        source = link.source
        try:
            events = connection.decoder.feed(data)
            for _, payload in events:
                crc = zlib.crc32(payload)
                self.transcript.trace(f"{source}>{target.id}", len(payload), f"{crc:08x}")
                target.receive(source, bytes(payload))
                if self.weather.duplicate_probability:
                    self._maybe_again(source, bytes(payload), target)
        except ProtocolError as error:
            self.reset_unreadable(link, str(error))
        if link.connection is connection:
            link.on_room()

    def _maybe_again(self, source: str, payload: bytes, target: Host) -> None:
        """A copy that an old connection still held comes late, if the process still lives."""
        life = target.life
        if life is not None and self.rng.random() < self.weather.duplicate_probability:
            delay = self.rng.random() * self.weather.ghost_delay_s
            self.queue.after(delay, lambda: life.run(lambda: target.receive(source, payload)))

    def reset_unreadable(self, link: Link, text: str) -> None:
        """The target cannot make sense of the stream: it closes the connection."""
        self.on_malformed(link.source, link.target, text)
        self.cut(link, notice_s=0.001)

    # --- connections come and go ----------------------------------------------------------------

    def cut(self, link: Link, *, notice_s: float) -> None:
        """The connection dies. The source learns of it after `notice_s`."""
        connection, link.connection = link.connection, None
        link.lanes.clear()
        link.idle_since = None
        if connection is not None:
            self._bury(link, connection)
            source = self.hosts[link.source]
            life = source.life
            if life is not None:
                self.queue.after(
                    notice_s, lambda: life.run(lambda: source.on_link(link.target, up=False))
                )
        self._plan_redial(link, after_s=notice_s)

    def _bury(self, link: Link, connection: Connection) -> None:
        connection.closed = True
        alive = self.hosts[link.target].life is not None
        if not alive or self.rng.random() >= self.weather.ghost_probability:
            connection.lost = True
            return
        held, connection.held = connection.held, []
        self.transcript.note("ghost", f"{link.source}>{link.target}", len(held), "pieces held")
        delay = self.rng.random() * self.weather.ghost_delay_s
        connection.last_arrival = max(connection.last_arrival, self.queue.now + delay)
        for data in held:
            at = connection.last_arrival - self.queue.now
            self.queue.after(at, lambda data=data: self._arrive(link, connection, data))

    def _plan_redial(self, link: Link, *, hurry: bool = False, after_s: float = 0.0) -> None:
        if link.redialling:
            return
        link.redialling = True
        delay = after_s + self.rng.uniform(*REDIAL_S) * (0.2 if hurry else 1.0)
        self.queue.after(delay, lambda: self._dial(link))

    def _dial(self, link: Link) -> None:
        link.redialling = False
        source, target = self.hosts[link.source], self.hosts[link.target]
        if link.connection is not None or source.life is None or target.life is None:
            return
        if link.fault.blocked or source.life.paused:
            self._plan_redial(link)
            return
        decoder = Decoder(SIM_LIMITS)
        decoder.restrict(FROM_DIALLER, SIM_LIMITS.frame_bytes_max)
        link.connection = Connection(decoder)
        link.connection.last_arrival = self.queue.now
        life = source.life
        life.run(lambda: source.on_link(link.target, up=True))

    # --- faults ---------------------------------------------------------------------------------

    def block(self, link: Link, notice_s: float) -> None:
        """Nothing passes any more. The source notices after `notice_s`, and closes."""
        if link.fault.blocked:
            return
        link.fault.blocked = True
        connection = link.connection

        def notice() -> None:
            if connection is not None and link.connection is connection and link.fault.blocked:
                self.cut(link, notice_s=0.0)

        self.queue.after(notice_s, notice)

    def unblock(self, link: Link) -> None:
        link.fault.blocked = False
        connection = link.connection
        if connection is not None:
            held, connection.held = connection.held, []
            for data in held:
                self.carry_again(link, connection, data)

    def carry_again(self, link: Link, connection: Connection, data: bytes) -> None:
        at = connection.last_arrival = max(connection.last_arrival, self.queue.now + 0.01)
        self.queue.after(at - self.queue.now, lambda: self._arrive(link, connection, data))

    def heal(self) -> None:
        """Every link works again."""
        for link in self.links.values():
            link.fault.slow_s = 0.0
            self.unblock(link)

    def idle_too_long(self) -> Link | None:
        """A link that has bytes to send and room for them, and does not (S14)."""
        now = self.queue.now
        for link in self.links.values():
            connection = link.connection
            if connection is None or not link.lanes or connection.in_flight_bytes:
                link.idle_since = None
            elif link.idle_since is None:
                link.idle_since = now
            elif now - link.idle_since > IDLE_BYTES_S_MAX:
                return link
        return None
