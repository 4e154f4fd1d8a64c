"""One run: hosts, group, network, programs, register and nemesis put together, driven through its
phases, and judged.

The law: a run is start, trouble, calm, healing, verdict. It is `broken` when any check found
something, `unknown` when it cannot speak (too little happened), else `held`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from quorate.chaos.agents.actors import Site, worker_at
from quorate.chaos.agents.endings import Healing
from quorate.chaos.agents.host import AgentHost
from quorate.chaos.agents.judge import judge
from quorate.chaos.agents.log import GroupLog
from quorate.chaos.agents.nemesis import AgentNemesis
from quorate.chaos.agents.network import AgentNetwork
from quorate.chaos.agents.options import AgentOptions, draw
from quorate.chaos.agents.parts import AgentParts
from quorate.chaos.agents.programs import DEADLINE_S, Programs
from quorate.chaos.agents.record import Record
from quorate.chaos.agents.register import OutsideRegister
from quorate.chaos.agents.views import Applied, Entry, GroupView
from quorate.chaos.agents.watch import AgentWatch
from quorate.chaos.agents.witness import Witness
from quorate.chaos.sim.events import EventQueue
from quorate.chaos.sim.transcript import Transcript
from quorate.chaos.stores.calls import Calls
from quorate.chaos.stores.settings import MEMBERS, RING
from quorate.consistency.ring.placement import Ring

SECONDS = 5.0
"""Of trouble."""
Verdict = Literal["held", "broken", "unknown"]

LOOK_S = 0.1
EVENTS_MAX = 400_000
WARM_UP_S = 0.8
ANSWERED_MIN_CALLS = 5


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
    answered: int
    turns: int
    commits: int
    moves: int
    lives: int
    heal_s: float = 0.0
    faults: dict[str, int] = field(default_factory=dict[str, int])
    story: list[str] = field(default_factory=list[str])


class World:
    """See the law above."""

    def __init__(
        self,
        options: AgentOptions,
        parts: AgentParts | None = None,
        echo: Callable[[str], object] | None = None,
    ) -> None:
        self.options, self.parts = options, parts or AgentParts()
        self.queue = EventQueue()
        self.transcript = Transcript(lambda: self.queue.now, echo)
        self.over = False
        seed, now = options.seed, lambda: self.queue.now
        self.watch = AgentWatch(Calls(), self.transcript, now, self._stop)
        self.network = AgentNetwork(
            self.queue,
            random.Random(f"agent network {seed}"),
            self.transcript,
            weather=options.weather,
            on_malformed=self._on_malformed,
        )
        rng = random.Random(f"agent log {seed}")
        self.log = GroupLog(self.queue, rng, options.voters, self._reach, self.transcript)
        self.log.machine_class = self.parts.machine_class
        self.record = Record()
        self.register = OutsideRegister(self.queue, random.Random(f"register {seed}"), self.record)
        self.witness = Witness(now, self.watch.find)
        self.log.on_first = self._on_first
        self.hosts = {host_id: self._host(host_id) for host_id in options.hosts}
        hosts = list(self.hosts.values())
        self.programs = Programs(
            options, self.queue, hosts, self.record, self.transcript, self.watch.find
        )
        self.nemesis = AgentNemesis(
            options=options,
            queue=self.queue,
            network=self.network,
            hosts=hosts,
            log=self.log,
            transcript=self.transcript,
        )
        self.heal_s = 0.0

    def _host(self, host_id: str) -> AgentHost:
        made = AgentHost(
            host_id,
            queue=self.queue,
            network=self.network,
            oracle=self.log,
            transcript=self.transcript,
            watch=self.watch,
            options=self.options,
            parts=self.parts,
        )
        made.news = self
        return made

    # --- what the parts ask of the world ----------------------------------------------------------

    def _stop(self) -> None:
        """The first finding ends the run."""
        self.over = True

    def _on_malformed(self, source: str, target: str, text: str) -> None:
        self.watch.find(f"{target} cannot read what {source} sent: {text}")

    def _reach(self, one: str, other: str) -> bool:
        source, target = self.hosts[one].life, self.hosts[other].life
        if source is None or target is None or source.paused or target.paused:
            return False
        link = self.network.links[(one, other)]
        return link.up and not link.fault.blocked

    def _on_first(self, index: int, entry: Entry, view: GroupView, applied: Applied) -> None:
        for lease, ttl_ms, _ in view.machine.lease_changes:
            if not ttl_ms:
                self.watch.on_lease_ended(lease, self.hosts)
        self.witness.on_first(index, entry, view, applied)

    def on_host_started(self, host: AgentHost) -> None:
        """A process is up: it has the run's agents."""
        life = host.life
        assert life is not None
        site = Site(
            host=host.id,
            incarnation=host.incarnation,
            life=life,
            loop=host.door.loop,
            queue=self.queue,
            record=self.record,
            register=self.register,
            over=lambda message, epoch: host.over_on_arrival.get((message, epoch), False),
        )
        host.engine.face.register(worker_at(site, eager=self.options.eager))

    def on_host_killed(self, host: AgentHost) -> None:
        self.programs.on_killed(host)

    # --- phases -----------------------------------------------------------------------------------

    def run(self) -> Report:
        options = self.options
        self.transcript.note("seed", options.seed, "hosts", "".join(self.hosts))
        self.transcript.note("faults", " ".join(options.faults))
        self.log.bootstrap(MEMBERS, sorted(options.hosts))
        self.log.bootstrap(RING, Ring.of(1, options.hosts).to_plain())
        for host in self.hosts.values():
            host.start()
        self._look()
        self.pass_time(WARM_UP_S)
        self.programs.start()
        self.trouble()
        self.nemesis.calm()
        self.programs.stopped = True
        if not self.over:
            self._settle()
        return self._judge()

    def trouble(self) -> None:
        """What goes wrong while the programs run: here by chance; a story has its own."""
        self.nemesis.start()
        self.pass_time(self.options.seconds)

    def pass_time(self, seconds: float) -> None:
        """Let so much virtual time pass, or less if the run is over."""
        self.queue.run_until(self.queue.now + seconds, lambda: self.over)

    def until(self, holds: Callable[[], str | None], bound_s: float, what: str) -> bool:
        """Let time pass until `holds()` finds nothing missing; a finding when the bound passes."""
        end = self.queue.now + bound_s
        missing = holds()
        while missing is not None and not self.over and self.queue.now < end:
            self.pass_time(LOOK_S)
            missing = holds()
        if missing is not None and not self.over:
            self.watch.find(f"{what} after {bound_s:g} s of calm: {missing}")
        return missing is None and not self.over

    def _settle(self) -> None:
        began = self.queue.now
        healing = Healing(self)
        if not healing.run():
            return
        self.heal_s = self.queue.now - began
        self.transcript.note("healed")
        self.until(self._open_calls, 2 * DEADLINE_S, "calls are open")

    def _open_calls(self) -> str | None:
        open_calls = self.programs.open_calls
        return f"call {open_calls[0].id}" if open_calls else None

    # --- looking ----------------------------------------------------------------------------------

    def _look(self) -> None:
        running = [host for host in self.hosts.values() if host.running]
        names = self.programs.names
        for host in running:
            self.watch.look(host)
            self.watch.look_at_directory(host, names)
        self.watch.look_at_places(running, names)
        self.watch.look_at_calls(self.programs, self.hosts)
        if self.queue.count > EVENTS_MAX:
            self.watch.find(f"more than {EVENTS_MAX} events: something spins")
        self.queue.after(LOOK_S, self._look)

    # --- the verdict ------------------------------------------------------------------------------

    def _judge(self) -> Report:
        findings = self.watch.findings
        if not findings:
            for text in judge(self.record, self.witness):
                self.watch.find(text)
        calls = list(self.record.calls.values())
        answered = [call for call in calls if call.kind == "ask" and call.outcome == "ok"]
        verdict: Verdict = "broken" if findings else "held"
        if not findings and len(answered) < ANSWERED_MIN_CALLS:
            verdict = "unknown"
            findings.append(f"only {len(answered)} asks were answered: too few to judge")
        return Report(
            seed=self.options.seed,
            verdict=verdict,
            findings=list(findings),
            hash=self.transcript.hash,
            virtual_s=self.queue.now,
            events=self.queue.count,
            calls=len(calls),
            answered=len(answered),
            turns=len(self.record.turns),
            commits=self.witness.commits,
            moves=sum(call.kind == "move" and call.outcome == "ok" for call in calls),
            lives=len(self.witness.lives),
            heal_s=self.heal_s,
            faults=dict(sorted(self.nemesis.counts.items())),
            story=[] if verdict == "held" else self.transcript.last(),
        )


def run_seed(
    seed: int,
    seconds: float = SECONDS,
    parts: AgentParts | None = None,
    echo: Callable[[str], object] | None = None,
) -> Report:
    """Run one seed from start to verdict."""
    return World(draw(seed, seconds), parts, echo).run()
