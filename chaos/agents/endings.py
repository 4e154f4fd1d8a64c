"""After calm: every living name answers everywhere, from one place, with all that it wrote.

The law: within a bound. Programs on all hosts ask every living name again and again until each has
answered once; what does not come is a finding.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Protocol

from quorate.chaos.agents.host import AgentHost
from quorate.chaos.agents.network import AgentNetwork
from quorate.chaos.agents.options import AgentOptions
from quorate.chaos.agents.programs import Programs
from quorate.chaos.agents.record import AgentCall, Record
from quorate.chaos.agents.watch import AgentWatch
from quorate.chaos.agents.witness import Witness
from quorate.hosts.agents.lifecycle import Status

HELD_S = 4.0
"""So long after calm every host may run agents again."""
ANSWERS_S = 6.0
"""So long after that every name has answered on every host."""
TIMEOUT_S = 1.0
QUIET_ROUNDS = 6
LATE_S = 0.5
"""So much later than somewhere else a host may hear of the end of a life."""


class Stage(Protocol):
    """What is needed of a run."""

    options: AgentOptions
    record: Record
    watch: AgentWatch
    witness: Witness
    programs: Programs
    network: AgentNetwork
    hosts: dict[str, AgentHost]

    def pass_time(self, seconds: float) -> None: ...
    def until(self, holds: Callable[[], str | None], bound_s: float, what: str) -> bool: ...


async def report(host: Any, call: AgentCall) -> Any:
    """A name's own word on its strong list."""
    return await host.engine.face.get(call.name).options(timeout=TIMEOUT_S).report()


class Healing:
    """The end of one run."""

    def __init__(self, world: Stage) -> None:
        self._world = world
        self._asked: dict[tuple[str, str], AgentCall] = {}
        self._reports: dict[str, AgentCall] = {}
        self._quiet_since = 0.0

    def run(self) -> bool:
        """Let time pass until everything is well; False after a finding."""
        world = self._world
        return (
            world.until(self._not_held, HELD_S, "hosts do not run agents")
            and world.until(self._silent, ANSWERS_S, "names do not answer")
            and world.until(self._unfired, ANSWERS_S, "reminders do not fire")
            and world.until(self._link_down, ANSWERS_S, "links are down")
            and self._quiet()
            and world.until(self._unreported, ANSWERS_S, "strong state is not told")
            and self._one_place()
        )

    def _not_held(self) -> str | None:
        for host in self._world.hosts.values():
            if host.life is None:
                return f"{host.id} does not run"
            state = host.engine.tenancy.state
            if state != "held":
                return f"{host.id} is {state}"
        return None

    def _living(self) -> list[str]:
        return sorted(self._world.witness.present)

    def _silent(self) -> str | None:
        world, missing = self._world, None
        for name in self._living():
            for host in world.hosts.values():
                asked = self._asked.get((name, host.id))
                if asked is not None and asked.outcome == "ok":
                    continue
                if asked is None or asked.outcome != "pending":
                    self._asked[name, host.id] = world.programs.ask(host, name, {"strong": True})
                told = "not asked" if asked is None else asked.reason or "no answer yet"
                missing = missing or f"{name}, asked on {host.id}: {told}"
        return missing

    def _unfired(self) -> str | None:
        """Reminders of those that live."""
        world = self._world
        for call in world.record.calls.values():
            if call.kind == "ask" and call.outcome == "ok" and "remind_s" in call.plan:
                life = call.value[0]
                present = world.witness.present.get(call.name)
                if present is None or present.life != life:
                    continue
                if -call.id not in world.witness.logs.get(life, []):
                    return f"the one that call {call.id} set in {call.name}"
        return None

    # --- nothing goes wrong any more --------------------------------------------------------------

    def _link_down(self) -> str | None:
        for link in self._world.network.links.values():
            if not link.up:
                return f"{link.source}>{link.target}"
        return None

    def _quiet(self) -> bool:
        """A while of messages and moves, and nobody is in the way: every message is handled."""
        world = self._world
        rng = random.Random(f"quiet {world.options.seed}")
        hosts, names = list(world.hosts.values()), self._living()
        sent: list[AgentCall] = []
        self._quiet_since = world.watch.now()
        for _ in range(QUIET_ROUNDS):
            for name in names:
                for host in rng.sample(hosts, 2):
                    for _ in range(rng.randint(1, 3)):
                        told = rng.random() < 0.5
                        post = world.programs.tell if told else world.programs.ask
                        sent.append(post(host, name, {"strong": rng.random() < 0.5}))
                if rng.random() < 0.5:
                    world.programs.move(rng.choice(hosts), name, rng.choice(hosts).id)
            world.pass_time(rng.uniform(0.005, 0.1))
        return world.until(lambda: self._unhandled(sent), ANSWERS_S, "messages are not handled")

    def _unhandled(self, sent: list[AgentCall]) -> str | None:
        world = self._world
        handled = {row.message for row in world.record.turns}
        restless = {
            life.name  # an order of before took its time
            for life in world.witness.lives.values()
            if max(life.began, life.ended or 0.0) >= self._quiet_since - LATE_S
        }
        for call in sent:
            if call.name in restless:
                continue
            if call.outcome == "no" or call.outcome == "unknown":
                world.watch.find(
                    f"nothing is wrong, and call {call.id} ({call.kind}) to {call.name} on "
                    f"{call.host} ended with {call.reason}"
                )
                return call.reason
            if call.outcome == "pending" or call.id not in handled:
                return f"call {call.id} ({call.kind}) to {call.name} on {call.host}"
        return None

    # --- what is there ----------------------------------------------------------------------------

    def _unreported(self) -> str | None:
        """Each name tells its strong list; it is the one that the group has."""
        world = self._world
        for name in self._living():
            asked = self._reports.get(name)
            if asked is None or asked.outcome in ("no", "unknown"):
                host = world.hosts[min(world.hosts)]
                self._reports[name] = world.programs.do(host, "report", name, report, {})
                return f"{name} was not asked"
            if asked.outcome == "pending":
                return f"{name} has not told"
            life, told = asked.value
            known = world.witness.logs.get(life, [])
            if told != known[: len(told)]:  # it may have gone on since
                world.watch.find(
                    f"{name} has {told[-5:]} as its strong list, and the group {known[-5:]}"
                )
        return None

    def _one_place(self) -> bool:
        """In memory on the host of its binding, and nowhere else."""
        world = self._world
        for name in self._living():
            record = world.witness.present[name]
            here = [
                host.id
                for host in world.hosts.values()
                if (found := host.engine.here.get(name)) and found.status is not Status.GONE
            ]
            if here not in ([record.host], []):
                world.watch.find(f"{name} is bound to {record.host}, and in memory on {here}")
        return not world.watch.findings
