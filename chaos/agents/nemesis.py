"""What goes wrong with hosts that run agents: the faults of the stores, and those that are about
leases, leaders and places.

The law: as `chaos/stores/nemesis.py`: a fault plans its own repair, `calm` repairs everything.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from quorate.chaos.agents.host import AgentHost
from quorate.chaos.agents.log import GroupLog
from quorate.chaos.agents.options import AgentOptions
from quorate.chaos.sim.events import EventQueue
from quorate.chaos.sim.network import Network
from quorate.chaos.sim.transcript import Transcript
from quorate.chaos.stores.nemesis import Nemesis


class NoRings:
    """The ring of these runs does not change."""

    def calm(self) -> None:
        return None


class AgentNemesis(Nemesis):
    """Faults against hosts and their group."""

    def __init__(
        self,
        *,
        options: AgentOptions,
        queue: EventQueue,
        network: Network,
        hosts: Sequence[AgentHost],
        log: GroupLog,
        transcript: Transcript,
    ) -> None:
        rings: Any = NoRings()
        super().__init__(
            options=options,
            queue=queue,
            network=network,
            hosts=hosts,
            rings=rings,
            may_lose=lambda host: False,
            transcript=transcript,
        )
        self._rng = random.Random(f"agent nemesis {options.seed}")
        self._log, self._lease_s = log, options.lease_s

    def _leader(self) -> Any:
        found = [host for host in self._alive() if host.id == self._log.leader]
        return found[0] if found else None

    # --- processes --------------------------------------------------------------------------------

    def kill_leader(self) -> None:
        host = self._leader()
        if host is not None:
            self._note("kill the leader", host.id)
            host.kill()
            self._later(0.02, 2.0, lambda: self._restart(host))

    def pause(self) -> None:
        """SIGSTOP: shorter than the lease, about as long, or longer."""
        self._stop_still(self._victim())

    def pause_leader(self) -> None:
        self._stop_still(self._leader())

    def _stop_still(self, host: Any) -> None:
        if host is None or host.life.paused:
            return
        seconds = self._lease_s * self._rng.choice((0.3, 0.9, 1.1, 2.0, 3.0))
        self._note("pause", host.id, f"{seconds:.2f} s")
        host.pause()
        self._later(seconds, seconds * 1.1, host.resume)

    def stop(self) -> None:
        """A host is stopped in good order, and started again."""
        host: Any = self._victim()
        if host is None or host.life.paused:
            return
        self._note("stop", host.id)

        def stopped() -> None:
            wait_s = 0.05 if self._over else self._rng.uniform(0.05, 1.0)
            self._queue.after(wait_s, lambda: self._restart(host))

        host.stop_gracefully(stopped)

    # --- the group --------------------------------------------------------------------------------

    def depose(self) -> None:
        """Another leader is elected, and the old one does not know it yet."""
        self._note("depose", self._log.leader)
        self._log.depose()
