# pyright: basic, reportMissingImports=false
"""Three Ray nodes on loopback, and an actor on each that carries the load.

The law of this file: Ray as its documentation shows actors, with its defaults; an actor is a class
with plain methods, so one call at a time, in a process of its own. It is started on a node by
NodeAffinitySchedulingStrategy. Everything ends with this process; its files are in the folder that
the harness gave.

Run by the harness, in Ray's own Python: `ray_worker.py '{"folder", "hosts"}'`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

SETTINGS: dict[str, Any] = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
if SETTINGS:
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_TMPDIR=SETTINGS["folder"])
    (Path(SETTINGS["folder"]) / "ray").mkdir(parents=True, exist_ok=True)

import ray  # noqa: E402
from ray.cluster_utils import Cluster  # noqa: E402
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: E402

from quorate.bench.agent_orders import AgentOrders, Call  # noqa: E402
from quorate.bench.lines import Order, obey  # noqa: E402

LOOPBACK = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
"""An address on loopback for each node: Ray takes 127.0.0.1 for the machine's own outer address."""
CPUS_A_NODE = 64
TRIES_MAX = 100
STORE_BYTES = 100 * 1024 * 1024
CALLER_ORDERS = ("agent_load", "spawn", "look_up", "watch", "hurry", "watched", "unwatch")


class Echo:
    """Answers what it was asked; counts in its memory."""

    def __init__(self) -> None:
        self.count = 0
        self.node = ray.get_runtime_context().get_node_id()

    def ask(self, n: int) -> int:
        return n

    def bump(self) -> list[Any]:
        self.count += 1
        return [self.node, self.count]


class Caller(AgentOrders):
    """The load of one node, in an async actor."""

    def __init__(self, hosts: dict[str, str]) -> None:
        self.hosts = hosts
        self.echo = ray.remote(num_cpus=0, max_restarts=-1)(Echo)

    async def do(self, name: str, order: Order) -> Any:
        return await getattr(self, name)(order)

    async def rename(self, hosts: dict[str, str]) -> None:
        self.hosts = hosts

    def call(self, name: str, op: str) -> Call:
        handle = ray.get_actor(name)
        if op == "bump":

            async def bump(_: int) -> list[Any]:
                node, count = await handle.bump.remote()
                return [self.hosts.get(node, node), count]

            return bump

        async def ask(n: int) -> int:
            return await handle.ask.remote(n)

        return ask

    async def make(self, order: Order) -> list[str]:
        """A strict affinity would keep an actor from being restarted elsewhere, and a soft one is
        not always followed: what came up on another node is ended."""
        place = NodeAffinitySchedulingStrategy(node_id=order["node"], soft=True)
        kept: list[str] = []
        for n in range(TRIES_MAX):
            name = f"{order['prefix']}/{order['host']}/{n}"
            kind = self.echo.options(name=name, lifetime="detached", scheduling_strategy=place)
            handle = kind.remote()
            node, _ = await handle.bump.remote()
            if node == order["node"]:
                kept.append(name)
            else:
                ray.kill(handle)
            if len(kept) == order["count"]:
                return kept
        raise LookupError(f"{len(kept)} of {TRIES_MAX} actors came up on the node that was named")

    async def start_named(self, name: str) -> object:
        handle = self.echo.options(
            name=name, lifetime="detached", scheduling_strategy="SPREAD"
        ).remote()
        return await handle.ask.remote(0)

    async def active(self) -> int:
        return 0

    def look_up_once(self, names: list[str]) -> Any:
        return ray.get_actor

    async def find(self, name: str) -> str:
        node, _ = await ray.get_actor(name).bump.remote()
        return str(self.hosts.get(node, node))


class Driver:
    """The nodes, and the orders that are handed to the caller on one of them."""

    def __init__(self) -> None:
        self.cluster: Any = None
        self.nodes: dict[str, Any] = {}
        self.callers: dict[str, Any] = {}

    def start(self) -> None:
        hosts = SETTINGS["hosts"]
        self.cluster = Cluster()
        for host in hosts:
            self.nodes[host] = self._add_node(host)
        ray.init(
            address=self.cluster.address,
            namespace="bench",
            log_to_driver=False,
            _node_ip_address=LOOPBACK[0],
        )
        for host in hosts:
            self._add_caller(host)
        self._rename()

    def _add_node(self, host: str) -> Any:
        number = SETTINGS["hosts"].index(host)
        more = {} if number else {"include_dashboard": False}
        return self.cluster.add_node(
            num_cpus=CPUS_A_NODE,
            object_store_memory=STORE_BYTES,
            node_ip_address=LOOPBACK[number],
            **more,
        )

    def _names(self) -> dict[str, str]:
        return {node.node_id: host for host, node in self.nodes.items()}

    def _add_caller(self, host: str) -> None:
        place = NodeAffinitySchedulingStrategy(node_id=self.nodes[host].node_id, soft=False)
        kind = ray.remote(num_cpus=0)(Caller)
        self.callers[host] = kind.options(scheduling_strategy=place).remote(self._names())

    def _rename(self) -> None:
        ray.get([caller.rename.remote(self._names()) for caller in self.callers.values()])

    def handlers(self) -> dict[str, Any]:
        handed = {name: self._handed(name) for name in CALLER_ORDERS}
        own = ("make", "kill_node", "renew_node", "processes", "settle")
        return {**handed, **{name: getattr(self, name) for name in own}}

    def _handed(self, name: str) -> Any:
        async def hand(order: Order) -> Any:
            return await self.callers[order["host"]].do.remote(name, order)

        return hand

    async def make(self, order: Order) -> list[str]:
        order["node"] = self.nodes[order["host"]].node_id
        caller = self.callers.get(order["host"]) or next(iter(self.callers.values()))
        return await caller.do.remote("make", order)

    async def settle(self, order: Order) -> dict[str, int]:
        """An actor that nobody needs stays as it is."""
        return {"active": 0}

    async def kill_node(self, order: Order) -> dict[str, Any]:
        """kill -9 of the node and of every process on it, all at the same moment."""
        node = self.nodes[order["host"]]
        for pid in self._pids(node):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.callers.pop(order["host"], None)
        return {}

    async def renew_node(self, order: Order) -> dict[str, Any]:
        """A new node in place of the killed one."""
        host = order["host"]
        self.cluster.remove_node(self.nodes[host], allow_graceful=False)
        self.nodes[host] = self._add_node(host)
        self._add_caller(host)
        await asyncio.gather(*(one.rename.remote(self._names()) for one in self.callers.values()))
        return {}

    async def processes(self, order: Order) -> list[int]:
        return self._pids(self.nodes[order["host"]])

    def _pids(self, node: Any) -> list[int]:
        """The raylet with what it started, and what else belongs to the node."""
        own = [info.process.pid for infos in node.all_processes.values() for info in infos]
        parents = _parents()
        return own + [pid for pid, parent in parents.items() if parent in own]


def _parents() -> dict[int, int]:
    found: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                found[int(entry.name)] = int(fields[1])
    return found


def main() -> None:
    driver = Driver()
    driver.start()
    try:
        hello = {"version": version("ray"), "python": sys.version}
        asyncio.run(obey(driver.handlers(), hello))
    finally:
        ray.shutdown()
        driver.cluster.shutdown()


if __name__ == "__main__":
    main()
