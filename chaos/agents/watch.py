"""What must hold at every moment, looked at from outside all hosts.

The law: it changes nothing. Nobody believes in a lease that the group ended; a host's look-ups say
what its copy of the group says; two hosts do not hold one life at once; a message of an activation
that was over where it arrived is not handled there; every call ends by its deadline.
"""

from __future__ import annotations

from typing import Any

from quorate.chaos.agents.host import AgentHost, AgentWitness
from quorate.chaos.agents.programs import Programs
from quorate.hosts.agents import envelope as wire
from quorate.hosts.agents.lifecycle import Status

ENDING_S = 0.2
"""So much later than its deadline a call may end."""


class AgentWatch(AgentWitness):
    """The watch of the stores, and what agents add."""

    def arrivals(self, host: AgentHost, message: dict[str, Any]) -> None:
        """A batch of envelopes arrives on `host`."""
        for parts in message.get("b", ()):
            inner = parts[3] if parts[0] == wire.FORWARD else parts
            if inner[0] <= wire.TELL and inner[6]:
                known = host.view.machine.agent(inner[6])
                over = known is not None and known.epoch > inner[7]
                host.over_on_arrival[inner[1], inner[7]] = over

    def on_lease_ended(self, lease: int, hosts: dict[str, AgentHost]) -> None:
        """An entry that ends the lease was applied by the first host."""
        for host in hosts.values():
            if host.life is None:
                continue
            tenancy = host.engine.tenancy
            if tenancy.lease == lease and tenancy.remaining_s > 0:
                self.find(
                    f"{host.id} believes in lease {lease} for {tenancy.remaining_s:.3f} s more, "
                    "and the group has ended it"
                )

    def look_at_directory(self, host: AgentHost, names: list[str]) -> None:
        """Look-ups say what is applied here: nothing that is dead, nothing that is elsewhere."""
        machine = host.view.machine
        for name in names:
            shown, known = host.engine.face.look(name), machine.agent(name)
            if (shown is None) != (known is None):
                self.find(
                    f"{host.id} shows {name} as {shown}, and its copy of the group has {known}"
                )
            elif (
                shown is not None
                and known is not None
                and (shown.host, shown.epoch) != (known.host, known.epoch)
            ):
                self.find(
                    f"{host.id} shows {name} on {shown.host} in epoch {shown.epoch}; it knows "
                    f"{known.host} and {known.epoch}"
                )

    def look_at_places(self, hosts: list[AgentHost], names: list[str]) -> None:
        """No two hosts hold one life."""
        for name in names:
            held: dict[int, str] = {}
            for host in hosts:
                activation = host.engine.here.get(name)
                if activation is None or activation.status is not Status.ACTIVE:
                    continue
                if activation.degraded or host.engine.tenancy.remaining_s <= 0:
                    continue
                other = held.setdefault(activation.life, host.id)
                if other != host.id:
                    self.find(f"{name}, life {activation.life}, is active on {other} and {host.id}")

    def look_at_calls(self, programs: Programs, hosts: dict[str, AgentHost]) -> None:
        """Every call ends by its deadline."""
        now = self.now()
        for call in programs.open_calls:
            host = hosts[call.host]
            if now <= call.deadline + ENDING_S or host.life is None or host.life.paused:
                continue
            if host.resumed_at < call.called:
                self.find(f"call {call.id} ({call.kind}, {call.name}) is open after its deadline")
