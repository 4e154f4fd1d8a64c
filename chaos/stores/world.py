"""One run: hosts, strong plane, network, clients and nemesis put together, driven through its
phases, and judged.

The law: a run is start, trouble, calm, convergence, tidying, verdict. It is `broken` when any check
found something, `unknown` when it cannot speak (too little happened), else `held`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from quorate.chaos.sim.events import EventQueue
from quorate.chaos.sim.network import Network
from quorate.chaos.sim.transcript import Transcript
from quorate.chaos.stores import endings, judge
from quorate.chaos.stores.calls import Calls
from quorate.chaos.stores.clients import DEADLINE_S, Client
from quorate.chaos.stores.host import StoreHost
from quorate.chaos.stores.nemesis import Nemesis
from quorate.chaos.stores.options import CLOCK_FAULTS, NETWORK_FAULTS, Options, draw
from quorate.chaos.stores.parts import Parts
from quorate.chaos.stores.rings import RingFaults
from quorate.chaos.stores.strong import Oracle
from quorate.chaos.stores.watch import Watch

SECONDS = 12.0
"""Of trouble."""
Verdict = Literal["held", "broken", "unknown"]

LOOK_S = 0.1
ENDING_S = 0.2
"""So much later than its deadline a call may end: disks and paused processes."""
ACKED_MIN_CALLS = 15
EVENTS_MAX = 2_000_000
LOST_HOSTS_MAX = 2
"""Disks lost at once: fewer than `replicas`."""
WARM_UP_S = 1.0
RECOVERY_S = 3.0
"""After so long a host that lost its disk counts as whole again."""


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
    heal_s: float = 0.0
    faults: dict[str, int] = field(default_factory=dict[str, int])
    story: list[str] = field(default_factory=list[str])


class World:
    """See the law above."""

    def __init__(
        self,
        options: Options,
        parts: Parts | None = None,
        echo: Callable[[str], object] | None = None,
    ) -> None:
        self.options, self.parts = options, parts or Parts()
        self.queue = EventQueue()
        self.transcript = Transcript(lambda: self.queue.now, echo)
        self.calls = Calls()
        self.over = False
        self.watch = Watch(self.calls, self.transcript, lambda: self.queue.now, self._stop)
        seed = options.seed
        self.network = Network(
            self.queue,
            random.Random(f"store network {seed}"),
            self.transcript,
            weather=options.weather,
            on_malformed=self._on_malformed,
        )
        self.oracle = Oracle(
            self.queue,
            random.Random(f"oracle {seed}"),
            options.hosts,
            self._reach,
            self.transcript,
        )
        self.hosts = {host_id: self._host(host_id) for host_id in (*options.hosts, *options.spares)}
        self.rings = RingFaults(
            options, self.queue, self.oracle, self.hosts, self._may_lose, self.transcript
        )
        self.watch.epoch = lambda: self.rings.ring.epoch
        self.nemesis = Nemesis(
            options=options,
            queue=self.queue,
            network=self.network,
            hosts=list(self.hosts.values()),
            rings=self.rings,
            may_lose=self._may_lose,
            transcript=self.transcript,
        )
        self.ids = ids = count(1)
        self.clients = [
            Client(
                f"s{number}",
                queue=self.queue,
                hosts=list(self.hosts.values()),
                options=options,
                calls=self.calls,
                ids=ids,
                transcript=self.transcript,
            )
            for number in range(options.sessions)
        ]
        self._lost: dict[str, float] = {}
        self.heal_s = 0.0

    def _host(self, host_id: str) -> StoreHost:
        return StoreHost(
            host_id,
            queue=self.queue,
            network=self.network,
            oracle=self.oracle,
            transcript=self.transcript,
            watch=self.watch,
            options=self.options,
            parts=self.parts,
        )

    # --- what the parts ask of the world --------------------------------------------------------

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

    def _may_lose(self, host: StoreHost) -> bool:
        """Fewer than `replicas` disks are lost at once: one counts until its host runs again, was
        given time to be repaired, and nobody's keys are moving."""
        now, moving = self.queue.now, self.rings.ring.before is not None
        for host_id in list(self._lost):
            other = self.hosts[host_id]
            if not other.running or moving or now - other.started_at < RECOVERY_S:
                self._lost[host_id] = now
            elif now - self._lost[host_id] > RECOVERY_S:
                del self._lost[host_id]
        if len({*self._lost, host.id}) > LOST_HOSTS_MAX or moving:
            return False
        self._lost[host.id] = now
        return True

    # --- phases ---------------------------------------------------------------------------------

    def run(self) -> Report:
        options = self.options
        self.transcript.note("seed", options.seed, "hosts", "".join(self.hosts))
        self.transcript.note("faults", " ".join(options.faults))
        self.rings.begin()
        for host in self.hosts.values():
            if not host.out:
                host.start()
        self._look()
        self._pass(WARM_UP_S)
        for client in self.clients:
            client.start()
        self.nemesis.start()
        self._pass(options.seconds)
        self.nemesis.calm()
        for client in self.clients:
            client.stopped = True
        if not self.over:
            self._settle()
        return self._judge()

    def _pass(self, seconds: float) -> None:
        self.queue.run_until(self.queue.now + seconds, lambda: self.over)

    def until(self, holds: Callable[[], str | None], bound_s: float, what: str) -> bool:
        """Let time pass until `holds()` finds nothing missing; a finding when the bound passes."""
        end = self.queue.now + bound_s
        missing = holds()
        while missing is not None and not self.over and self.queue.now < end:
            self._pass(LOOK_S)
            missing = holds()
        if missing is not None and not self.over:
            self.watch.find(f"{what} after {bound_s:g} s of calm: {missing}")
        return missing is None and not self.over

    @property
    def heal_bound_s(self) -> float:
        """How long convergence may take after calm: plain partitions 2 s (and a redial)."""
        faults = set(self.options.faults)
        if faults <= {*NETWORK_FAULTS}:
            return endings.CONVERGE_S
        return endings.CONVERGE_CLOCKS_S if faults & {*CLOCK_FAULTS} else endings.CONVERGE_REPAIR_S

    def _settle(self) -> None:
        began = self.queue.now
        if not self.until(lambda: endings.differs(self), self.heal_bound_s, "replicas differ"):
            return
        self.heal_s = self.queue.now - began
        self.transcript.note("converged")
        self.until(lambda: endings.open_calls(self), 2 * DEADLINE_S, "calls are open")
        if not self.until(lambda: endings.differs(self), 2.0, "replicas differ again"):
            return
        if self.watch.findings or not judge.survived(self):
            return
        # What a caller had asked of another host may come late, and is over by then.
        self._pass(self.network.weather.ghost_delay_s + DEADLINE_S)
        endings.delete_everything(self)
        self.until(lambda: endings.untidy(self), endings.TIDY_S, "not everything is collected")

    # --- looking --------------------------------------------------------------------------------

    def _look(self) -> None:
        running = [host for host in self.hosts.values() if host.running]
        for host in running:
            self.watch.look(host)
        now = self.queue.now
        for call in self.calls.all[-200:]:
            if call.outcome == "pending" and now > call.deadline + ENDING_S:
                host = self.hosts[call.host]
                paused = host.life is None or host.life.paused
                if not paused and host.resumed_at < call.called:
                    self.watch.find(f"call {call.id} ({call.kind}) is open after its deadline")
        if self.queue.count > EVENTS_MAX:
            self.watch.find(f"more than {EVENTS_MAX} events: something spins")
        self.queue.after(LOOK_S, self._look)

    # --- the verdict ----------------------------------------------------------------------------

    def _judge(self) -> Report:
        findings = self.watch.findings
        if not findings:
            for text in judge.judge(self):
                self.watch.find(text)
        acked = [made for made in self.calls.made.values() if made.acked]
        reads = [call for call in self.calls.all if call.kind == "get" and call.outcome == "ok"]
        verdict: Verdict = "broken" if findings else "held"
        if not findings and len(acked) < ACKED_MIN_CALLS:
            verdict = "unknown"
            findings.append(f"only {len(acked)} updates were acknowledged: too few to judge")
        return Report(
            seed=self.options.seed,
            verdict=verdict,
            findings=list(findings),
            hash=self.transcript.hash,
            virtual_s=self.queue.now,
            events=self.queue.count,
            calls=len(self.calls.all),
            acked=len(acked),
            reads=len(reads),
            heal_s=self.heal_s,
            faults=dict(sorted(self.nemesis.counts.items())),
            story=[] if verdict == "held" else self.transcript.last(),
        )


def run_seed(
    seed: int,
    seconds: float = SECONDS,
    parts: Parts | None = None,
    echo: Callable[[str], object] | None = None,
) -> Report:
    """Run one seed from start to verdict."""
    return World(draw(seed, seconds), parts, echo).run()
