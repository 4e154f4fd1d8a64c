"""The operator: changes the members of the group by the rules an operator is given.

The law: one thing at a time; a host's folder is emptied only after a leader's *committed*
configuration does not name it, and only some time after the host was stopped (so that nothing of
its old life is still on the way); a host that was emptied joins as a new one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from quorate.chaos.sim.events import EventQueue
from quorate.chaos.sim.host import SimHost
from quorate.chaos.sim.transcript import Transcript
from quorate.core.raft.members import Change

SETTLE_S = 3.0
"""Between a host's stop and its return under the same id."""


class Operator:
    """Knows all hosts, members or not."""

    def __init__(
        self, queue: EventQueue, hosts: Mapping[str, SimHost], transcript: Transcript
    ) -> None:
        self._queue, self._hosts, self._transcript = queue, hosts, transcript
        self._busy_until = 0.0
        self._wanted: list[str] | None = None
        """The voters of a calm group: nobody else is brought in any more."""

    # --- single steps ---------------------------------------------------------------------------

    def remove(self, leader: SimHost, host_id: str) -> None:
        self._ask(leader, Change("remove", host_id))

    def add(self, leader: SimHost, host_id: str, *, learner: bool = False) -> None:
        role = "learner" if learner else "staging"
        self._ask(leader, Change("add", host_id, f"{host_id}:1", role))

    def _ask(self, leader: SimHost, change: Change) -> None:
        if not leader.leads or leader.life is None or leader.life.paused:
            return
        self._transcript.note("operator: asks", leader.id, "to", change.kind, change.id)

        def done(error: Any) -> None:
            outcome = "done" if error is None else f"{type(error).__name__}: {error}"
            self._transcript.note("operator:", change.kind, change.id, outcome)

        leader.change(change, done)

    def members(self, leader: SimHost) -> dict[str, str] | None:
        """id -> role by the leader's committed configuration, or None while it is not certain."""
        engine = leader.driver.engine
        if (
            engine.configuration_index > engine.commit_index
            or engine.commit_index < engine.term_start
        ):
            return None
        return {member.id: member.role for member in engine.configuration.members}

    # --- something, now and then ----------------------------------------------------------------

    def change_something(
        self, rng: random.Random, leader_now: Callable[[], SimHost | None]
    ) -> None:
        leader = leader_now()
        members = None if leader is None else self.members(leader)
        if leader is None or members is None or self._queue.now < self._busy_until:
            return
        out = [host_id for host_id in self._hosts if host_id not in members]
        voters = [host_id for host_id, role in members.items() if role == "voter"]
        learners = [host_id for host_id, role in members.items() if role == "learner"]
        roll = rng.random()
        if out and roll < 0.6:
            self.bring_back(out[0], leader_now, learner=rng.random() < 0.3)
        elif learners and roll < 0.75:
            self._ask(leader, Change("promote", learners[0]))
        elif len(voters) > 2:
            self.remove(leader, rng.choice(voters))

    def bring_back(
        self, host_id: str, leader_now: Callable[[], SimHost | None], *, learner: bool = False
    ) -> None:
        """Stop it, empty it, start it, add it: the last only if it is still no member then."""
        host = self._hosts[host_id]
        self._busy_until = self._queue.now + SETTLE_S + 2.0
        if host.life is not None:
            host.kill()
        host.out = True

        def again() -> None:
            leader = leader_now()
            members = None if leader is None else self.members(leader)
            host.out = False
            unwanted = self._wanted is not None and host_id not in self._wanted
            stays = unwanted or host.life is not None
            if leader is None or members is None or stays or host_id in members:
                if host.life is None:
                    host.start()
                return
            host.wipe()
            host.start()
            self.add(leader, host_id, learner=learner)

        self._queue.after(SETTLE_S, again)

    def repair(self, wanted: list[str], leader_now: Callable[[], SimHost | None]) -> bool:
        """One step towards `wanted` being voters; True when they are."""
        self._wanted = wanted
        leader = leader_now()
        members = None if leader is None else self.members(leader)
        if leader is None or members is None:
            return False
        missing = [host_id for host_id in wanted if members.get(host_id) != "voter"]
        if not missing:
            return True
        if self._queue.now < self._busy_until:
            return False
        host_id = missing[0]
        if host_id not in members:
            self.bring_back(host_id, leader_now)
        elif members[host_id] == "learner":
            self._busy_until = self._queue.now + 0.5
            self._ask(leader, Change("promote", host_id))
        return False
