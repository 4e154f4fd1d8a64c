"""What goes wrong with hosts and links, and when: faults drawn from the seed, each with its end.

The law: a fault is a method that breaks something now and plans its repair; faults overlap in any
way; `calm` repairs everything. No more hosts lose their disks at once than the promise allows
(options.LOST_HOSTS_MAX, kept by the world's `may_lose`). What is done to the ring is in rings.py.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from quorate.chaos.sim.events import EventQueue
from quorate.chaos.sim.network import Link, Network
from quorate.chaos.sim.transcript import Transcript
from quorate.chaos.stores.host import StoreHost
from quorate.chaos.stores.options import Options
from quorate.chaos.stores.rings import RingFaults

AWAY_S = (4.0, 7.0)
"""Longer than tombstones are kept for a host that is not there."""


class Nemesis:
    """Faults against `hosts`. `may_lose(host)`: whether this disk may be lost now."""

    def __init__(
        self,
        *,
        options: Options,
        queue: EventQueue,
        network: Network,
        hosts: Sequence[StoreHost],
        rings: RingFaults,
        may_lose: Callable[[StoreHost], bool],
        transcript: Transcript,
    ) -> None:
        self._rng = random.Random(f"nemesis {options.seed}")
        self._options, self._queue, self._network = options, queue, network
        self._hosts, self._rings, self._may_lose = list(hosts), rings, may_lose
        self._transcript = transcript
        self._over = False
        self.counts: dict[str, int] = {}
        self._faults: list[tuple[str, Callable[[], object]]] = [
            (name, getattr(rings, name, None) or getattr(self, name)) for name in options.faults
        ]

    def start(self) -> None:
        """Break things from now on."""
        self._next()

    def _next(self) -> None:
        self._queue.after(self._rng.expovariate(self._options.faults_per_s), self._strike)

    def _strike(self) -> None:
        if self._over:
            return
        name, fault = self._rng.choice(self._faults)
        self.counts[name] = self.counts.get(name, 0) + 1
        fault()
        self._next()

    def calm(self) -> None:
        """No more faults; everything that is broken is repaired."""
        self._over = True
        self._transcript.note("calm")
        self._network.heal()
        self._rings.calm()
        for host in self._hosts:
            host.disk.model.full = host.disk.model.failing = False
            host.disk.model.latency_max_s = min(host.disk.model.latency_max_s, 0.03)
            host.hardware.repair()
            host.resume()
            host.revive()
            if host.life is None and not host.out:
                host.start()

    # --- choosing -------------------------------------------------------------------------------

    def _later(self, low_s: float, high_s: float, act: Callable[[], object]) -> None:
        """Repair after a while, unless everything was repaired before."""
        self._queue.after(self._rng.uniform(low_s, high_s), lambda: None if self._over else act())

    def _alive(self) -> list[StoreHost]:
        return [host for host in self._hosts if host.running]

    def _victim(self) -> StoreHost | None:
        alive = self._alive()
        return self._rng.choice(alive) if alive else None

    def _note(self, *words: object) -> None:
        self._transcript.note("nemesis:", *words)

    # --- processes ------------------------------------------------------------------------------

    def kill(self) -> None:
        host = self._victim()
        if host is not None:
            self._note("kill", host.id)
            host.kill()
            self._later(0.02, 2.0, lambda: self._restart(host))

    def kill_some(self) -> None:
        """Some at once, for a short or a longer time."""
        alive = self._alive()
        chosen = self._rng.sample(alive, self._rng.randint(0, len(alive)))
        self._note("kill", "+".join(host.id for host in chosen))
        for host in chosen:
            host.kill()
            self._later(0.05, 2.5, lambda host=host: self._restart(host))

    def kill_all(self) -> None:
        """The power of the room fails."""
        self._note("kill all")
        for host in self._alive():
            host.kill()
            self._later(0.1, 1.0, lambda host=host: self._restart(host))

    def long_away(self) -> None:
        """A host is away for so long that others may forget on its behalf."""
        host = self._victim()
        if host is None:
            return
        self._note("long away", host.id)
        if self._rng.random() < 0.5:
            host.kill()
            self._later(*AWAY_S, lambda: self._restart(host))
        else:
            self._cut(self._network.of(host.id), f"isolate {host.id}", AWAY_S)

    def wipe(self) -> None:
        """A host loses its disk, and comes back empty under its old name."""
        host = self._rng.choice(self._hosts)
        if host.out or not self._may_lose(host):
            return
        self._note("wipe", host.id)
        host.kill()
        host.wipe()
        self._later(0.1, 1.5, lambda: self._restart(host))

    def _restart(self, host: StoreHost) -> None:
        if host.life is None and not host.out:
            host.start()

    def pause(self) -> None:
        host = self._victim()
        if host is None or host.life is None or host.life.paused:
            return
        self._note("pause", host.id)
        host.pause()
        self._later(0.1, 2.5, host.resume)

    # --- the network ----------------------------------------------------------------------------

    def _cut(self, links: list[Link], what: str, for_s: tuple[float, float] = (0.3, 4.0)) -> None:
        notice = self._rng.choice((0.0, 0.0, 0.3, 2.0))
        self._note(what, f"(noticed after {notice} s)")
        for link in links:
            self._network.block(link, notice * self._rng.random())

        def heal() -> None:
            self._note("heal", what)
            for link in links:
                self._network.unblock(link)

        self._later(*for_s, heal)

    def _between(self, left: Sequence[str], spared: Sequence[str] = ()) -> list[Link]:
        """Links between `left` and the rest; hosts of `spared` keep theirs."""
        return [
            link
            for link in self._network.links.values()
            if (link.source in left) != (link.target in left)
            and link.source not in spared
            and link.target not in spared
        ]

    def isolate(self) -> None:
        host = self._rng.choice(self._hosts)
        self._cut(self._network.of(host.id), f"isolate {host.id}")

    def halves(self) -> None:
        ids = [host.id for host in self._hosts]
        left = self._rng.sample(ids, self._rng.randint(1, len(ids) - 1))
        self._cut(self._between(left), f"halves {'+'.join(sorted(left))}")

    def bridge(self) -> None:
        """Two halves that see each other through one host only."""
        ids = [host.id for host in self._hosts]
        self._rng.shuffle(ids)
        middle = len(ids) // 2
        left, over = ids[:middle], ids[middle : middle + 1]
        self._cut(self._between(left, over), f"bridge {'+'.join(sorted(left))} over {over[0]}")

    def one_way(self) -> None:
        host = self._rng.choice(self._hosts)
        out = self._rng.random() < 0.5
        links = [
            link
            for link in self._network.of(host.id)
            if (link.source if out else link.target) == host.id
        ]
        if self._rng.random() < 0.4:
            links = [self._rng.choice(links)]
        self._cut(links, f"one way {'from' if out else 'to'} {host.id}")

    def cut_pair(self) -> None:
        one, other = self._rng.sample(self._hosts, 2)
        links = [self._network.links[pair] for pair in ((one.id, other.id), (other.id, one.id))]
        self._cut(links, f"cut {one.id}-{other.id}")

    def flap(self) -> None:
        """A host's links go and come several times in a second."""
        host = self._rng.choice(self._hosts)
        self._note("flap", host.id)
        links = self._network.of(host.id)
        for step in range(self._rng.randint(3, 8)):
            at = step * 0.25
            self._later(at, at + 0.05, lambda: self._block_now(links))
            self._later(at + 0.1, at + 0.2, lambda: self._unblock_now(links))
        self._later(2.3, 2.4, lambda: self._unblock_now(links))

    def _block_now(self, links: list[Link]) -> None:
        notice = self._rng.choice((0.0, 0.05))
        for link in links:
            self._network.block(link, notice)

    def _unblock_now(self, links: list[Link]) -> None:
        for link in links:
            self._network.unblock(link)

    def reset(self) -> None:
        links = list(self._network.links.values())
        for link in self._rng.sample(links, self._rng.randint(1, min(4, len(links)))):
            self._note("reset", f"{link.source}>{link.target}")
            self._network.cut(link, notice_s=self._rng.random() * 0.01)

    def slow(self) -> None:
        links = self._rng.sample(list(self._network.links.values()), self._rng.randint(1, 3))
        slow_s = self._rng.choice((0.05, 0.3, 1.0))
        for link in links:
            link.fault.slow_s = slow_s
        self._note("slow", slow_s, " ".join(f"{link.source}>{link.target}" for link in links))

        def heal() -> None:
            for link in links:
                link.fault.slow_s = 0.0

        self._later(0.5, 3.0, heal)

    # --- clocks ---------------------------------------------------------------------------------

    def _set_clock(self, seconds: float) -> None:
        """Somebody sets a clock; sometimes the host is started again while it is wrong."""
        host = self._rng.choice(self._hosts)
        self._note("clock", host.id, f"{seconds:+g} s")
        host.hardware.jump(seconds)
        if self._rng.random() < 0.4 and host.running:
            self._note("kill", host.id)
            host.kill()
            self._later(0.02, 0.5, lambda: self._restart(host))
        self._later(0.5, 4.0, host.hardware.repair)

    def clock_ahead(self) -> None:
        self._set_clock(3600.0)

    def clock_back(self) -> None:
        self._set_clock(-600.0)

    def clock_skew(self) -> None:
        self._set_clock(self._rng.uniform(-0.8, 0.8))

    # --- disks ----------------------------------------------------------------------------------

    def slow_disk(self) -> None:
        host = self._rng.choice(self._hosts)
        model = host.disk.model
        before, stall = model.latency_max_s, self._rng.choice((0.1, 0.4, 1.5))
        self._note("slow disk", host.id, stall)
        if self._rng.random() < 0.5:
            model.stalled_s = stall
            return
        model.latency_max_s = stall

        def heal() -> None:
            model.latency_max_s = min(before, 0.03)

        self._later(0.5, 2.5, heal)

    def full_disk(self) -> None:
        host = self._rng.choice(self._hosts)
        self._note("full disk", host.id)
        host.disk.model.full = True

        def heal() -> None:
            host.disk.model.full = False

        self._later(0.2, 2.5, heal)
