"""The agents of a real host behind the admin API's port.

The law of this file: it translates and decides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from quorate.core.errors import NotLeader, UsageError
from quorate.core.group.leases import KEEPALIVE, TTL_MIN_S
from quorate.core.machine import commands, results
from quorate.hosts.admin.agents_port import AgentCall, AgentFilter, AgentStart

if TYPE_CHECKING:
    from quorate.hosts.agents.lookups import AgentInfo
    from quorate.hosts.host import Host

PAGE_AGENTS = 1000


class AgentsOfHost:
    """`AgentsPort` over a host."""

    def __init__(self, host: Host) -> None:
        self._host = host

    # --- agents -----------------------------------------------------------------------------------

    def agents(self, wanted: AgentFilter, after: str, limit: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while len(found) < limit:
            page = self._host.agents.list(
                wanted.pattern, prefix=wanted.prefix, limit=PAGE_AGENTS, after=after
            )
            found += [_shown(one) for one in page if _fits(one, wanted)]
            if len(page) < PAGE_AGENTS:
                break
            after = page[-1].name
        return found[:limit]

    async def agent(self, name: str, timeout_s: float) -> dict[str, Any]:
        return await self._host.agents.describe(name, timeout=timeout_s)

    async def agent_start(self, start: AgentStart, timeout_s: float) -> dict[str, Any]:
        agents = self._host.agents
        await agents.start(start.kind, start.name, **start.options, timeout=timeout_s)
        place = agents.look(start.name)
        return {"name": start.name, **({} if place is None else place._asdict())}

    async def agent_call(self, name: str, call: AgentCall, timeout_s: float) -> Any:
        if call.method.startswith("_"):
            raise UsageError(f"{call.method!r} is no method of agents that can be called")
        proxy = self._host.agents.get(name).options(timeout=timeout_s, consistency=call.consistency)
        if call.tell:
            getattr(proxy.tell, call.method)(*call.args, **call.kwargs)
            return None
        return await getattr(proxy.ask, call.method)(*call.args, **call.kwargs)

    async def agent_move(
        self, name: str, to: str, strategy: str | None, timeout_s: float
    ) -> dict[str, Any]:
        place = await self._host.agents.move(name, to, strategy, timeout=timeout_s)
        return {"name": name, **place._asdict()}

    async def agent_stop(self, name: str, reason: str, timeout_s: float) -> bool:
        return await self._host.agents.stop(name, reason, timeout=timeout_s)

    async def agents_stop_matching(self, text: str, reason: str, timeout_s: float) -> int:
        return await self._host.agents.stop_matching(text, reason, timeout=timeout_s)

    async def agent_state(self, name: str, limit: int, timeout_s: float) -> dict[str, Any]:
        return await self._host.agents.inspect(name, limit=limit, timeout=timeout_s)

    def agent_log(self, name: str, limit: int) -> list[dict[str, Any]]:
        return self._host.agents.history(name, limit=limit)

    def agent_classes(self) -> dict[str, dict[str, int]]:
        return self._host.agents.classes()

    def agent_dead_letters(self, name: str | None) -> list[dict[str, Any]]:
        return [letter._asdict() for letter in self._host.agents.dead_letters(name)]

    def agent_reports(self) -> list[dict[str, Any]]:
        return [
            {"report": type(report).__name__, **report._asdict()}
            for report in self._host.agents.reports()
        ]

    # --- hosts ------------------------------------------------------------------------------------

    def agent_hosts(self) -> list[dict[str, Any]]:
        return self._host.agents.hosts()

    async def host_drain(self, host: str, on: bool, timeout_s: float) -> int:
        if on:
            return await self._host.agents.drain(host, timeout=timeout_s)
        await self._host.agents.undrain(host, timeout=timeout_s)
        return 0

    async def host_settings(
        self, host: str, change: dict[str, dict[str, Any]], timeout_s: float
    ) -> None:
        agents = self._host.agents
        for name, value in change.items():
            setter = agents.set_labels if name == "labels" else agents.set_capacity
            await setter(value, host, timeout=timeout_s)

    # --- leases -----------------------------------------------------------------------------------

    async def lease_grant(self, ttl_s: float, timeout_s: float) -> int:
        if ttl_s < TTL_MIN_S:
            raise UsageError(f"ttl must be at least {TTL_MIN_S} seconds, not {ttl_s}")
        group = self._host.group
        lease = group.new_id()
        command = commands.lease_grant(int(ttl_s * 1000), lease)
        _, _, answer = await group.propose(command, 32, timeout_s)
        results.raise_for(answer, "lease")
        return lease

    async def lease_keep(self, lease: int, timeout_s: float) -> bool:
        group = self._host.group
        if group.leader is None:
            raise NotLeader("no leader is known here")
        answer: Any = await group.requests.ask(group.leader, KEEPALIVE, [[lease]], timeout_s)
        return lease in cast("list[Any]", answer)

    async def lease_revoke(self, lease: int, timeout_s: float) -> None:
        _, _, answer = await self._host.group.propose(commands.lease_revoke(lease), 16, timeout_s)
        results.raise_for(answer, f"lease {lease}")


def _fits(one: AgentInfo, wanted: AgentFilter) -> bool:
    return (
        wanted.host in (None, one.host)
        and wanted.kind in (None, one.kind)
        and wanted.status in (None, one.status)
    )


def _shown(one: AgentInfo) -> dict[str, Any]:
    return {**one._asdict(), "owners": list(one.owners)}
