"""One run: hosts, network, clients and nemesis put together, driven through its phases, and judged.

The law: a run is start, trouble, calm, quiet, verdict. It is `broken` when any check found
something, `unknown` when it cannot speak (too little happened, or it was cut short), else `held`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from quorate.chaos.sim import checks
from quorate.chaos.sim.clients import DEADLINE_S
from quorate.chaos.sim.events import EventQueue
from quorate.chaos.sim.history import History, Op
from quorate.chaos.sim.host import SimHost
from quorate.chaos.sim.members import Operator
from quorate.chaos.sim.nemesis import Nemesis
from quorate.chaos.sim.network import Network
from quorate.chaos.sim.options import SPARE_ID, Options, draw
from quorate.chaos.sim.parts import Parts
from quorate.chaos.sim.transcript import Transcript
from quorate.chaos.sim.watch import Watch
from quorate.core.raft.members import Configuration, Member

Verdict = Literal["held", "broken", "unknown"]

LOOK_S = 0.05
HEAL_BOUND_S = 40.0
"""After calm, everybody has caught up and every host has written by then."""
QUIET_S = 3.0
ACKED_WRITES_MIN = 10
EVENTS_MAX = 3_000_000


@dataclass(slots=True)
class Report:
    """What one run was, as values."""

    seed: int
    verdict: Verdict
    findings: list[str]
    hash: str
    virtual_s: float
    events: int
    calls: int
    acked: int
    reads: int
    faults: dict[str, int] = field(default_factory=dict[str, int])
    leader_changes: int = 0
    heal_s: float = 0.0
    snapshots: int = 0
    story: list[str] = field(default_factory=list[str])


class World:
    """See the law above."""

    def __init__(
        self,
        options: Options,
        parts: Parts | None = None,
        echo: Callable[[str], object] | None = None,
        only: Container[str] | None = None,
    ) -> None:
        """`only`: the names of the faults to choose from."""
        self.options = options
        self.parts = parts or Parts()
        self.queue = EventQueue()
        self.transcript = Transcript(lambda: self.queue.now, echo)
        self.history = History()
        self.over = False
        self.watch = Watch(self.history, self.transcript, self._stop)
        self.network = Network(
            self.queue,
            random.Random(f"network {options.seed}"),
            self.transcript,
            weather=options.weather,
            make_lanes=self.parts.make_lanes,
            link_class=self.parts.link_class,
            on_malformed=self._on_malformed,
        )
        configuration = Configuration.of([Member(i, f"{i}:1") for i in options.voters])
        ids = count(1)
        self.hosts = {
            host_id: SimHost(
                host_id,
                queue=self.queue,
                network=self.network,
                transcript=self.transcript,
                watch=self.watch,
                history=self.history,
                ids=ids,
                options=options,
                parts=self.parts,
                configuration=configuration if host_id in options.voters else None,
            )
            for host_id in (*options.voters, SPARE_ID)
        }
        self.operator = Operator(self.queue, self.hosts, self.transcript)
        self.nemesis = Nemesis(
            options=options,
            queue=self.queue,
            network=self.network,
            hosts=list(self.hosts.values()),
            operator=self.operator,
            transcript=self.transcript,
            forges=self.parts.forges,
            only=only,
        )
        self._counted_at = 0.0
        self.heal_s = 0.0

    def _stop(self) -> None:
        """The first finding ends the run."""
        self.over = True

    def _on_malformed(self, source: str, target: str, text: str) -> None:
        self.watch.find(f"{target} cannot read what {source} sent: {text}")

    # --- phases ---------------------------------------------------------------------------------

    def run(self) -> Report:
        self.transcript.note("seed", self.options.seed, "voters", "".join(self.options.voters))
        for host in self.hosts.values():
            host.start()
        self._look()
        self.nemesis.start()
        self._pass(self.options.seconds)
        self.nemesis.calm()
        for host in self.hosts.values():
            host.calls = False
            if host.life is not None:
                host.client.calls = False
        healed = self._heal()
        if healed:
            self._be_quiet()
        return self._judge()

    def _pass(self, seconds: float) -> None:
        self.queue.run_until(self.queue.now + seconds, lambda: self.over)

    def _until(self, holds: Callable[[], bool], bound_s: float) -> bool:
        """Let time pass until `holds`, looked at every 50 ms; False when the bound passed."""
        end = self.queue.now + bound_s
        while not self.over and self.queue.now < end:
            if holds():
                return True
            self._pass(LOOK_S)
        return not self.over and holds()

    def _heal(self) -> bool:
        """Progress after healing, within a bound."""
        began = self.queue.now
        wanted = list(self.options.voters)
        steps: list[tuple[str, Callable[[], bool]]] = [
            ("the voters are not back", lambda: self.operator.repair(wanted, self.nemesis.leader)),
            ("a fresh write of some host did not succeed", self._fresh_writes()),
            ("some host has not caught up", self._caught_up),
        ]
        for text, holds in steps:
            if not self._until(holds, HEAL_BOUND_S - (self.queue.now - began)):
                if not self.over:
                    self.watch.find(
                        f"no progress {HEAL_BOUND_S:.0f} s after healing: {text} ({self._where()})"
                    )
                return False
        self.heal_s = self.queue.now - began
        return True

    def _fresh_writes(self) -> Callable[[], bool]:
        """Every host's client writes until one of its writes was acknowledged."""
        latest: dict[str, Op] = {}

        def hold() -> bool:
            good = True
            for host in self._members():
                op = latest.get(host.id)
                if host.running and (op is None or op.outcome in ("no", "unknown")):
                    latest[host.id] = host.client.add()
                good = good and op is not None and op.outcome == "ok"
            return good

        return hold

    def _members(self) -> list[SimHost]:
        leader = self.nemesis.leader()
        if leader is None:
            return [self.hosts[host_id] for host_id in self.options.voters]
        members = leader.driver.engine.configuration
        return [host for host in self.hosts.values() if host.id in members]

    def _caught_up(self) -> bool:
        leader = self.nemesis.leader()
        if leader is None or leader.driver.engine.commit_index < leader.journal.last_index:
            return False
        index = leader.journal.last_index
        return all(host.running and host.state.applied_index == index for host in self._members())

    def _where(self) -> str:
        parts: list[str] = []
        for host in self.hosts.values():
            if host.running:
                engine = host.driver.engine
                parts.append(
                    f"{host.id} {engine.statistics()['role']} term {engine.term} log "
                    f"{host.journal.base_index}..{host.journal.last_index} commit "
                    f"{engine.commit_index} applied {host.state.applied_index}"
                )
            else:
                parts.append(f"{host.id} down")
        return "; ".join(parts)

    def _be_quiet(self) -> None:
        """A healthy group keeps its leader, and no call is forgotten."""
        pending = [op for op in self.history.ops if op.outcome == "pending"]
        self._until(lambda: all(op.outcome != "pending" for op in pending), 2 * DEADLINE_S)
        changes = self.watch.leader_changes
        terms = max(host.term for host in self.hosts.values() if host.running)
        self._pass(QUIET_S)
        if self.over:
            return
        if not self._until(self._caught_up, QUIET_S) and not self.over:
            self.watch.find(f"some host fell behind in a quiet group ({self._where()})")
        now = max(host.term for host in self.hosts.values() if host.running)
        if self.watch.leader_changes != changes or now != terms:
            self.watch.find(f"an election in a healthy group: term {terms} became {now}")
        for host in self._members():
            if host.running and host.client.open_reads:
                self.watch.find(f"{host.client.open_reads} reads of {host.id} were never answered")

    # --- looking --------------------------------------------------------------------------------

    def _look(self) -> None:
        now = self.queue.now
        for host in self.hosts.values():
            life = host.life
            if life is not None and host.running and not life.paused:
                self.watch.look(
                    now,
                    host.id,
                    host.driver,
                    len(host.driver.engine.outbox),
                    self.options.cache_bytes_max,
                )
        leader = self.nemesis.leader()
        if leader is not None:
            running = {host.id: host for host in self.hosts.values() if host.running}
            if leader.term == max(host.term for host in running.values()):
                self.watch.look_at_leader(
                    leader.driver, {host_id: host.driver for host_id, host in running.items()}
                )
        stalled = self.network.idle_too_long()
        if stalled is not None:
            self.watch.find(
                f"bytes wait on the idle link {stalled.source}>{stalled.target}: it forgot to flush"
            )
        if now - self._counted_at >= 1.0:
            for pair, link in self.network.links.items():
                self.watch.count(pair, link.messages, now - self._counted_at)
            self._counted_at = now
        if self.queue.count > EVENTS_MAX:
            self.watch.find(f"more than {EVENTS_MAX} events: something spins")
        self.queue.after(LOOK_S, self._look)

    # --- the verdict ----------------------------------------------------------------------------

    def _judge(self) -> Report:
        findings = list(self.watch.findings)
        if not findings:
            states = {host.id: host.contents() for host in self._members()}
            for text in checks.judge(self.history, states):
                self.transcript.note("FOUND", text)
                findings.append(text)
        acked = self.history.acknowledged()
        reads = [op for op in self.history.ops if op.kind == "read" and op.outcome == "ok"]
        verdict: Verdict = "held"
        if findings:
            verdict = "broken"
        elif len(acked) < ACKED_WRITES_MIN:
            verdict = "unknown"
            findings.append(f"only {len(acked)} writes were acknowledged: too few to judge")
        return Report(
            seed=self.options.seed,
            verdict=verdict,
            findings=findings,
            hash=self.transcript.hash,
            virtual_s=self.queue.now,
            events=self.queue.count,
            calls=len(self.history.ops),
            acked=len(acked),
            reads=len(reads),
            faults=dict(sorted(self.nemesis.counts.items())),
            leader_changes=self.watch.leader_changes,
            heal_s=self.heal_s,
            story=[] if verdict == "held" else self.transcript.last(),
        )


def run_seed(
    seed: int,
    seconds: float = 30.0,
    parts: Parts | None = None,
    echo: Callable[[str], object] | None = None,
) -> Report:
    """Run one seed from start to verdict."""
    return World(draw(seed, seconds), parts, echo).run()
