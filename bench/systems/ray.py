"""Ray: three nodes on loopback (a head and two more), driven from inside by an actor on each node.

The law of this file: Ray as its documentation shows actors: a class with plain methods, one process
each, one call at a time. Its defaults, without the dashboard and without reporting anything. All of
Ray is started by one process of the harness (`peers/ray_worker.py`) and ends with it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from quorate.bench import peer_python
from quorate.bench.child import Child, end_all
from quorate.bench.systems.agent_system import ORDER_TIMEOUT_S, AgentSystem

PEER = peer_python.Peer("ray", ("ray==2.60.0", "uvloop>=0.21,<1"), ("3.11", "3.12", "3.13"))
WORKER = Path(__file__).parent.parent / "peers" / "ray_worker.py"
START_TIMEOUT_S = 120.0
STOP_WITHIN_S = 30.0
DRIVER = "driver"


class Ray(AgentSystem):
    """Three nodes."""

    name = "ray"
    durable = "an actor's state is in its process alone"
    synced = False
    slow = True
    agents_per_host = 4
    watched_max_agents = 8
    named_max_agents = 24
    lacks = {  # noqa: RUF012 - a constant
        "state": "the state of an actor is in its process: it is neither replicated nor stored",
        "moves": "an actor stays in its process",
        "drain": "draining a node waits for its actors to end; it moves none",
        "local": "an actor is always another process: local is one on the caller's node",
    }

    def __init__(self) -> None:
        self.children = {}

    @classmethod
    def check(cls) -> None:
        peer_python.interpreter(PEER)

    @classmethod
    def agent_configuration(cls) -> dict[str, Any]:
        python = peer_python.interpreter(PEER)
        return {
            "version": f"{peer_python.installed_version(python, 'ray')}, "
            f"{peer_python.python_version(python)}",
            "hosts": "a head and two nodes on 127.0.0.1 (ray.cluster_utils.Cluster), no dashboard",
            "load": "in an async actor on each node, await handle.method.remote(); our generator",
            "agents": f"a process each, plain methods: {cls.agents_per_host} on each node "
            f"({cls.watched_max_agents} of a node killed, {cls.named_max_agents} named)",
        }

    async def start(self, folder: Path) -> None:
        settings = {"folder": str(folder), "hosts": self.hosts}
        try:
            self.children[DRIVER] = await Child.start(
                DRIVER,
                [str(peer_python.interpreter(PEER)), str(WORKER), json.dumps(settings)],
                stderr=folder / "driver.stderr",
                timeout_s=START_TIMEOUT_S,
            )
        except BaseException:
            await self.stop()
            raise

    async def order(self, host: str, do: str, **fields: Any) -> Any:
        timeout_s = fields.pop("timeout_s", ORDER_TIMEOUT_S)
        return await self.children[DRIVER].order(do, timeout_s=timeout_s, host=host, **fields)

    async def kill_host(self, host: str) -> None:
        await self.order(host, "kill_node")

    async def renew_host(self, host: str) -> None:
        await self.order(host, "renew_node")

    async def stop(self) -> None:
        children, self.children = list(self.children.values()), {}
        await end_all(children, gently_s=STOP_WITHIN_S)

    async def processes(self, host: str) -> list[int]:
        """Ray's own of this node, and those of its actors."""
        return list(await self.order(host, "processes"))
