"""Faults of processes: killed, stopped, standing still, restarted.

The law of this file: a host that was taken down is started again at the end, and one that stands
still goes on; the disk stays as the end of the process left it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from quorate.chaos.faults.fault import ActiveFault, Fault, Scene, Shown
from quorate.chaos.faults.picture import Picture
from quorate.chaos.lab.children import LabError

NO_POWER = "The kernel survives: what was written but not synced is not lost by it."
DOWN_S = (0.0, 0.6)


class Kill(Fault):
    name = "kill"
    does = "kill -9 of one host, the leader every second time; it comes back at the end."
    cannot = NO_POWER

    async def begin(self, scene: Scene) -> Mapping[str, Any]:
        host = await scene.leader_often()
        self.hurt.hosts = [host]
        self.hurt.facts = {"life": scene.cluster.lives(host)}
        await self.take_down(scene, host)
        return self.hurt.told()

    async def take_down(self, scene: Scene, host: str) -> None:
        await scene.cluster.kill(host)

    async def shown(self, scene: Scene) -> Shown:
        [host] = self.hurt.hosts
        down = host not in scene.cluster.up
        again = scene.cluster.lives(host) > self.hurt.facts["life"]
        return Shown(down or again, f"host {host} {'is down' if down else 'was down'}")

    async def end(self, scene: Scene) -> None:
        for host in self.hurt.hosts:
            await scene.cluster.start_host(host)

    @classmethod
    def draw(cls, hosts: Sequence[str]) -> Picture:
        return Picture(tuple(hosts), {}, {hosts[0]: cls.name})


class Stop(Kill):
    name = "stop"
    does = "Asks one host to stop (SIGTERM): it hands over what it has, and comes back at the end."
    cannot = "A host that leaves in good order shows nothing of what a crash would."

    async def take_down(self, scene: Scene, host: str) -> None:
        self.hurt.facts["code"] = await scene.cluster.terminate(host)


class Pause(Fault):
    name = "pause"
    does = "SIGSTOP: one host stands still with open connections, and goes on at the end."
    cannot = "Its clocks go on meanwhile; a machine that sleeps stops one of them."

    async def begin(self, scene: Scene) -> Mapping[str, Any]:
        host = await scene.leader_often()
        scene.cluster.pause(host)
        self.hurt.hosts = [host]
        return self.hurt.told()

    async def shown(self, scene: Scene) -> Shown:
        [host] = self.hurt.hosts
        standing = scene.cluster.standing(host)
        return Shown(
            standing, f"the kernel says that host {host} {'' if standing else 'never '}stood"
        )

    async def end(self, scene: Scene) -> None:
        for host in self.hurt.hosts:
            scene.cluster.resume(host)

    @classmethod
    def draw(cls, hosts: Sequence[str]) -> Picture:
        return Picture(tuple(hosts), {}, {hosts[0]: "SIGSTOP"})


class RestartAll(Fault):
    name = "restart-all"
    does = "kill -9 of every host at the same moment; all are started again at once, in any order."
    cannot = NO_POWER

    async def begin(self, scene: Scene) -> Mapping[str, Any]:
        cluster = scene.cluster
        hosts = list(cluster.hosts)
        self.hurt.hosts = hosts
        self.hurt.facts = {"lives": {host: cluster.lives(host) for host in hosts}}
        await asyncio.gather(*(cluster.kill(host) for host in hosts))

        async def start(host: str, after_s: float) -> None:
            await scene.sleep(after_s)
            await cluster.start_host(host)

        await asyncio.gather(*(start(host, scene.rng.uniform(*DOWN_S)) for host in hosts))
        return self.hurt.told()

    async def shown(self, scene: Scene) -> Shown:
        lives = self.hurt.facts["lives"]
        again = [host for host in lives if scene.cluster.lives(host) > lives[host]]
        return Shown(len(again) == len(lives), f"{len(again)} of {len(lives)} began a new life")

    async def end(self, scene: Scene) -> None:
        down = [host for host in self.hurt.hosts if host not in scene.cluster.up]
        await asyncio.gather(*(scene.cluster.start_host(host) for host in down))

    @classmethod
    def draw(cls, hosts: Sequence[str]) -> Picture:
        return Picture(tuple(hosts), {}, dict.fromkeys(hosts, "kill -9"))


class RollingRestart(ActiveFault):
    name = "rolling-restart"
    does = "Stops and starts one host after the other in good order, each when the last one serves."
    cannot = "It waits for each host, so a majority is always there."
    READY_S = 10.0

    async def act(self, scene: Scene) -> None:
        cluster = scene.cluster
        for host in cluster.hosts:
            await cluster.terminate(host)
            self.acts += 1
            await scene.sleep(scene.rng.uniform(*DOWN_S))
            await cluster.start_host(host)
            answer = await cluster.order(host, "ready", self.READY_S + 1, within_s=self.READY_S)
            if not answer.get("ok"):
                raise LabError(f"host {host!r} was not ready again: {answer.get('text')}")

    async def end(self, scene: Scene) -> None:
        try:
            await self.stop_acting()
        finally:
            for host in self.hurt.hosts:
                await scene.cluster.start_host(host)

    @classmethod
    def draw(cls, hosts: Sequence[str]) -> Picture:
        marks = {host: f"{number}." for number, host in enumerate(hosts, 1)}
        return Picture(tuple(hosts), {}, marks)


class Nothing(Fault):
    name = "none"
    does = "Nothing: what the workload does on a healthy cluster."
    cannot = "It finds only what is wrong without any fault."
    hosts_min = 1

    async def begin(self, scene: Scene) -> Mapping[str, Any]:
        return self.hurt.told()

    async def shown(self, scene: Scene) -> Shown:
        return Shown(True, "nothing was to be seen")

    async def end(self, scene: Scene) -> None:
        return

    @classmethod
    def draw(cls, hosts: Sequence[str]) -> Picture:
        return Picture(tuple(hosts))
