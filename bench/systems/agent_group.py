"""quorate's agents: three host processes with the defaults of `quorate.Host`, the load inside.

The law of this file: nothing is tuned for the measurement.
"""

from __future__ import annotations

from typing import Any, ClassVar

from quorate.bench.systems.agent_system import AgentSystem
from quorate.bench.systems.raft_group import START_TIMEOUT_S, RaftGroup


class AgentGroup(RaftGroup, AgentSystem):
    """Three hosts that run agents."""

    module: ClassVar[str] = "quorate.bench.agent_worker"
    ops = ("ask", "strong", "eventual")
    moves = True
    drains = True

    @classmethod
    def agent_configuration(cls) -> dict[str, Any]:
        return {
            "agents": "in the host processes, as the callers; host.agents with its defaults",
            "agents, strong state": "put in a turn: replicated by Raft and synced by a majority",
            "agents, eventual state": "put in a turn: synced by the host's own disk, replicated",
        }

    async def kill_host(self, host: str) -> None:
        await self.kill(host)

    async def renew_host(self, host: str) -> None:
        if host in self.children:
            await self.order(host, "undrain")
            return
        child = await self.start_host(host)
        await child.order("ready", timeout_s=START_TIMEOUT_S + 5, within_s=START_TIMEOUT_S)
        await self.wait_caught_up(host, START_TIMEOUT_S)

    async def forget(self, host: str, prefix: str) -> None:
        await self.order(host, "stop_agents", text=f"{prefix}*", within_s=60.0, timeout_s=70.0)

    async def victim(self, number: int) -> str:
        """A follower and the leader in turn."""
        leader = await self.leader()
        return leader if number % 2 else next(host for host in self.hosts[::-1] if host != leader)
