"""What goes wrong, and when: faults drawn from the seed, each with its own end.

The law: a fault is a method that breaks something now and plans its repair; faults may overlap in
any way; `calm` repairs everything. A nemesis may do to the hosts what the world may do, never
what their operator is told not to do (members.py says what that is).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Container, Sequence

from quorate.chaos.sim.events import EventQueue
from quorate.chaos.sim.forger import forged_messages
from quorate.chaos.sim.host import SimHost
from quorate.chaos.sim.members import Operator
from quorate.chaos.sim.network import Link, Network
from quorate.chaos.sim.options import Options
from quorate.chaos.sim.transcript import Transcript


class Nemesis:
    """Faults against `hosts`."""

    def __init__(
        self,
        *,
        options: Options,
        queue: EventQueue,
        network: Network,
        hosts: Sequence[SimHost],
        operator: Operator | None,
        transcript: Transcript,
        forges: bool,
        only: Container[str] | None = None,
    ) -> None:
        self._rng = random.Random(f"nemesis {options.seed}")
        self._options, self._queue, self._network = options, queue, network
        self._hosts = list(hosts)
        self._operator = operator
        self._transcript = transcript
        self._over = False
        self.counts: dict[str, int] = {}
        self._faults: list[tuple[Callable[[], object], int]] = [
            (self.kill, 12),
            (self.kill_all, 1),
            (self.pause, 6),
            (self.isolate, 10),
            (self.halves, 5),
            (self.one_way, 6),
            (self.cut_pair, 5),
            (self.reset, 10),
            (self.slow, 8),
            (self.compact, 12),
            (self.slow_disk, 5),
            (self.full_disk, 3),
            (self.failing_disk, 2),
            (self.flip_a_bit, 3),
            (self.transfer, 5),
            (self.change_members, 6),
            (self.island, 12),
            (self.lonely_changes, 3),
        ]
        if forges:
            self._faults.append((self.forge, 6))
        if only is not None:
            self._faults = [row for row in self._faults if row[0].__name__ in only]

    def start(self) -> None:
        self._next()

    def _next(self) -> None:
        self._queue.after(self._rng.expovariate(self._options.faults_per_s), self._strike)

    def _strike(self) -> None:
        if self._over:
            return
        faults, weights = zip(*self._faults, strict=True)
        fault = self._rng.choices(faults, weights)[0]
        name = fault.__name__
        self.counts[name] = self.counts.get(name, 0) + 1
        fault()
        self._next()

    def calm(self) -> None:
        """No more faults; everything that is broken is repaired."""
        self._over = True
        self._transcript.note("calm")
        self._network.heal()
        for host in self._hosts:
            host.disk.model.full = host.disk.model.failing = False
            host.disk.model.latency_max_s = min(host.disk.model.latency_max_s, 0.03)
            host.resume()
            host.revive()
            if host.life is None and not host.out:
                host.start()

    # --- choosing -------------------------------------------------------------------------------

    def _later(self, low_s: float, high_s: float, act: Callable[[], object]) -> None:
        """Repair after a while, unless everything was repaired before."""
        self._queue.after(self._rng.uniform(low_s, high_s), lambda: None if self._over else act())

    def _alive(self) -> list[SimHost]:
        return [host for host in self._hosts if host.life is not None and host.failed is None]

    def leader(self) -> SimHost | None:
        leaders = [host for host in self._alive() if host.leads]
        return max(leaders, key=lambda host: host.term, default=None)

    def _victim(self) -> SimHost | None:
        """Any host; the leader more often than others."""
        leader = self.leader()
        if leader is not None and self._rng.random() < 0.4:
            return leader
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
            self._later(0.02, 3.0, lambda: self._restart(host))

    def kill_all(self) -> None:
        self._note("kill all")
        for host in self._alive():
            host.kill()
            self._later(0.1, 2.0, lambda host=host: self._restart(host))

    def _restart(self, host: SimHost) -> None:
        if host.life is None and host.failed is None and not host.out:
            host.start()

    def pause(self) -> None:
        host = self._victim()
        if host is None or host.life is None or host.life.paused:
            return
        self._note("pause", host.id)
        self._later(0.1, 3.0, host.pause())

    # --- the network ----------------------------------------------------------------------------

    def _block(self, links: list[Link], what: str) -> None:
        notice = self._rng.choice((0.0, 0.0, 0.3, 3.0))
        self._note(what, f"(noticed after {notice} s)")
        for link in links:
            self._network.block(link, notice * self._rng.random())

        def heal() -> None:
            self._note("heal", what)
            for link in links:
                self._network.unblock(link)

        self._later(0.3, 5.0, heal)

    def isolate(self) -> None:
        host = self._victim()
        if host is not None:
            self._block(self._network.of(host.id), f"isolate {host.id}")

    def halves(self) -> None:
        ids = [host.id for host in self._hosts]
        left = self._rng.sample(ids, self._rng.randint(1, len(ids) - 1))
        links = [
            link
            for link in self._network.links.values()
            if (link.source in left) != (link.target in left)
        ]
        self._block(links, f"halves {'+'.join(sorted(left))}")

    def one_way(self) -> None:
        host = self._victim()
        if host is not None:
            out = self._rng.random() < 0.5
            links = [
                link
                for link in self._network.of(host.id)
                if (link.source if out else link.target) == host.id
            ]
            if self._rng.random() < 0.4:
                links = [self._rng.choice(links)]
            self._block(links, f"one way {'from' if out else 'to'} {host.id}")

    def cut_pair(self) -> None:
        one, other = self._rng.sample(self._hosts, 2)
        links = [self._network.links[pair] for pair in ((one.id, other.id), (other.id, one.id))]
        self._block(links, f"cut {one.id}-{other.id}")

    def reset(self) -> None:
        link = self._rng.choice(list(self._network.links.values()))
        self._note("reset", f"{link.source}>{link.target}")
        self._network.cut(link, notice_s=self._rng.random() * 0.01)

    def slow(self) -> None:
        links = self._rng.sample(list(self._network.links.values()), self._rng.randint(1, 3))
        slow_s = self._rng.choice((0.05, 0.3, 1.5))
        for link in links:
            link.fault.slow_s = slow_s
        self._note("slow", slow_s, " ".join(f"{link.source}>{link.target}" for link in links))

        def heal() -> None:
            for link in links:
                link.fault.slow_s = 0.0

        self._later(0.5, 4.0, heal)

    def forge(self) -> None:
        """Somebody who is not a member speaks, and a member speaks nonsense."""
        for host in self._alive():
            if self._rng.random() < 0.5 and host.life is not None:
                for peer, message in forged_messages(self._rng, host, self._hosts):
                    host.life.run(
                        lambda host=host, peer=peer, message=message: host.hand(peer, message)
                    )

    # --- disks ----------------------------------------------------------------------------------

    def slow_disk(self) -> None:
        host = self._victim()
        if host is not None:
            model = host.disk.model
            before, stall = model.latency_max_s, self._rng.choice((0.1, 0.5, 2.0))
            self._note("slow disk", host.id, stall)
            if self._rng.random() < 0.5:
                model.stalled_s = stall
            else:
                model.latency_max_s = stall

                def heal() -> None:
                    model.latency_max_s = before

                self._later(0.5, 3.0, heal)

    def full_disk(self) -> None:
        host = self._victim()
        if host is not None:
            self._note("full disk", host.id)
            host.disk.model.full = True

            def heal() -> None:
                host.disk.model.full = False

            self._later(0.2, 3.0, heal)

    def failing_disk(self) -> None:
        """An fsync fails: the host stops itself, and comes back on another disk with what was
        committed."""
        host = self._victim()
        if host is not None and host.running:
            self._note("failing disk", host.id)
            host.disk.model.failing = True

            def replace() -> None:
                host.disk.model.failing = False
                host.revive()

            self._later(0.5, 3.0, replace)

    def flip_a_bit(self) -> None:
        host = self._rng.choice(self._hosts)
        self._note("a bit of the next snapshot flips on", host.id)
        host.disk.flip_a_bit = True

    def compact(self) -> None:
        for host in self._alive():
            if self._rng.random() < 0.5:
                host.compact()

    # --- operators ------------------------------------------------------------------------------

    def transfer(self) -> None:
        leader = self.leader()
        if leader is not None:
            others = [host.id for host in self._hosts if host is not leader]
            target = self._rng.choice([None, *others])
            self._note("transfer", leader.id, "->", target)
            leader.transfer(target)

    def change_members(self) -> None:
        if self._operator is not None:
            self._operator.change_something(self._rng, self.leader)

    def lonely_changes(self) -> None:
        """A leader is cut off, and is then told to remove the others one after the other."""
        leader, operator = self.leader(), self._operator
        if leader is None or operator is None:
            return
        self._block(self._network.of(leader.id), f"isolate {leader.id}, then remove the others")
        others = [
            voter for voter in leader.driver.engine.configuration.voters if voter != leader.id
        ]
        for step, voter in enumerate(others, 1):
            self._queue.after(0.05 * step, lambda voter=voter: operator.remove(leader, voter))

    # --- stories --------------------------------------------------------------------------------

    def island(self) -> None:
        """The leader is cut off, alone or with a follower whose answers are slow; the others go on
        and compact; the old leader comes back first, and is handed the leadership."""
        leader = self.leader()
        if leader is None:
            return
        rng, network = self._rng, self._network
        others = [host for host in self._hosts if host is not leader and host.running]
        friends = [rng.choice(others).id] if others and rng.random() < 0.6 else []
        island = [leader.id, *friends]
        self._note("island", "+".join(island))
        for friend in friends:
            network.links[(friend, leader.id)].fault.slow_s = rng.choice((0.0, 2.0, 4.0, 6.0))
        cut = [
            link
            for link in network.links.values()
            if (link.source in island) != (link.target in island)
        ]
        for link in cut:
            network.block(link, 0.0)
        self._trickle(leader, rng.randint(3, 50))
        if rng.random() < 0.5:
            self._later(1.5, 3.0, self._compact_elsewhere(island))
        self._later(2.0, 4.5, lambda: self._return(leader, friends, cut))

    def _trickle(self, host: SimHost, calls: int) -> None:
        """Writes one after the other, each of which becomes an entry of its own."""
        life, client = host.life, host.client
        if life is not None:
            for step in range(calls):
                life.call_later(0.02 * step, lambda: client.burst(1))

    def _compact_elsewhere(self, island: list[str]) -> Callable[[], None]:
        def act() -> None:
            for host in self._alive():
                if host.id not in island:
                    host.client.burst(10)
                    host.compact()

        return act

    def _return(self, leader: SimHost, friends: list[str], cut: list[Link]) -> None:
        """First the old leader alone, then it leads again if it can, then everybody."""
        self._note("island: back comes", leader.id)
        for link in cut:
            if leader.id in (link.source, link.target):
                self._network.unblock(link)
        again = self.leader()
        if again is not None and self._rng.random() < 0.6:
            self._later(0.4, 1.0, lambda: again.transfer(leader.id) if again.running else None)

        def heal() -> None:
            for link in cut:
                self._network.unblock(link)
            for friend in friends:
                self._network.links[(friend, leader.id)].fault.slow_s = 0.0

        self._later(1.0, 4.0, heal)
