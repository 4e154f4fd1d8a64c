"""What is done to the ring: hosts join, leave properly, or die for good and are taken out.

The law: one change at a time; a host that leaves hands over first; a host that died comes back, if
at all, with an empty disk.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from quorate.chaos.sim.events import EventQueue
from quorate.chaos.sim.transcript import Transcript
from quorate.chaos.stores.host import StoreHost
from quorate.chaos.stores.options import Options
from quorate.chaos.stores.settings import MEMBERS, RING
from quorate.chaos.stores.strong import Oracle
from quorate.consistency.ring.placement import Ring

HOSTS_MIN_HOSTS = 3
LAST_WORDS_S = 0.5
AWAY_S = 7.0
"""Longer than a host may be silent before it is taken out of the ring."""


class RingFaults:
    """The operator of the ring."""

    def __init__(
        self,
        options: Options,
        queue: EventQueue,
        oracle: Oracle,
        hosts: Mapping[str, StoreHost],
        may_lose: Callable[[StoreHost], bool],
        transcript: Transcript,
    ) -> None:
        self._rng = random.Random(f"rings {options.seed}")
        self._options, self._queue, self._oracle = options, queue, oracle
        self._hosts, self._may_lose, self._transcript = hosts, may_lose, transcript

        self._members = list(options.hosts)
        self._away: list[str] = list(options.spares)
        """Hosts that are no members now."""
        self._over = False
        self._read: tuple[Any, Ring] = (None, Ring(0, ()))
        """The group's plain ring and what it says."""

    def begin(self) -> None:
        """The first members and the first ring: the initial hosts."""
        for host_id in self._away:
            self._hosts[host_id].out = True
        self._oracle.bootstrap(MEMBERS, sorted(self._members))
        self._oracle.bootstrap(RING, Ring.of(1, self._members).to_plain())

    @property
    def ring(self) -> Ring:
        """As the group has it."""
        plain = self._oracle.value(RING)
        if plain != self._read[0]:
            self._read = (plain, Ring.from_plain(plain))
        return self._read[1]

    @property
    def settled(self) -> bool:
        """No keys are moving, and everybody who should own data does."""
        ring = self.ring
        return ring.before is None and set(ring.hosts) == set(self._members)

    def calm(self) -> None:
        """Nobody begins to leave any more; who left is started, and stays out."""
        self._over = True
        for host_id in self._members:
            host = self._hosts[host_id]
            host.out = False
            if host.running:
                host.ring.mover.stay()

    def _write_members(self) -> None:
        """The group's own membership is another simulator's subject: it is just so from now on."""
        self._oracle.bootstrap(MEMBERS, sorted(self._members))

    # --- faults ---------------------------------------------------------------------------------

    def join(self) -> None:
        """A host comes, empty or with what it had when it left."""
        if not self._away or self._over:
            return
        host = self._hosts[self._away.pop(0)]
        self._transcript.note("ring:", host.id, "joins")
        self._members.append(host.id)
        self._write_members()
        host.out = False
        if host.life is None:
            host.start()

    def leave(self) -> None:
        """A host leaves properly: it hands over first, then it is no member any more."""
        host = self._leaver()
        if host is None:
            return
        self._transcript.note("ring:", host.id, "wants to leave")
        life = host.life

        def drained() -> None:
            if host.life is life and not self._over and self._may_go(host.id):
                self._transcript.note("ring:", host.id, "has left")
                self._members.remove(host.id)
                self._away.append(host.id)
                self._write_members()
                host.out = True
                self._queue.after(LAST_WORDS_S, host.kill)

        host.ring.mover.drain(drained)
        self._queue.after(AWAY_S, lambda: self._stay(host))

    def _stay(self, host: StoreHost) -> None:
        """Whoever could not leave by now stays."""
        if host.running and host.id in self._members:
            host.ring.mover.stay()

    def dies(self) -> None:
        """A host is gone for good, with its disk; another one comes under its name, much later."""
        host = self._leaver()
        if host is None or not self._may_lose(host):
            return
        self._transcript.note("ring:", host.id, "dies")
        host.kill()
        host.wipe()
        host.out = True

        def back() -> None:
            host.out = False
            if host.life is None:
                host.start()

        self._queue.after(AWAY_S, back)

    def _leaver(self) -> StoreHost | None:
        running = [h for h in self._members if self._hosts[h].running and self._may_go(h)]
        return self._hosts[self._rng.choice(running)] if running and not self._over else None

    def _may_go(self, host_id: str) -> bool:
        """Voters of the group stay members; enough hosts stay to hold every key three times."""
        return host_id in self._members and len(self._members) > HOSTS_MIN_HOSTS
