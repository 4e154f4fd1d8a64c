"""Faults of one host's disk and wall clock, through the seams of a host.

The law of this file: the hurt is done inside the worker, at the fault points of the storage layer
and at the clock the host was given; the machine's own disk and clock stay as they are. At the end
both are as new, and a host that left service because of it is started again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

from quorate.chaos.faults.fault import Fault, Scene, Shown
from quorate.chaos.faults.picture import Picture
from quorate.chaos.lab.children import LabError

SLOW_MS = (50, 800)
JUMPS_S = (-3600.0, -60.0, -2.0, 2.0, 60.0, 3600.0)
NOT_THE_DISK = (
    "The fault is in our own storage layer and not below it: what LMDB or the kernel would do with "
    "a broken disk is not shown."
)


class Inside(Fault):
    """A lasting hurt inside one host."""

    which: ClassVar[str]
    mark: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self._hurt_before = 0

    def details(self, scene: Scene) -> dict[str, Any]:
        """The fields of the order, from the dice; none for most."""
        return {}

    async def begin(self, scene: Scene) -> Mapping[str, Any]:
        host = await scene.leader_often()
        self.hurt.hosts = [host]
        self.hurt.facts = {**self.details(scene), "life": scene.cluster.lives(host)}
        look = await scene.cluster.look()
        self._hurt_before = int(look.get(host, {}).get("commits_hurt", 0))
        details = {name: value for name, value in self.hurt.facts.items() if name != "life"}
        scene.cluster.inside.setdefault(host, set()).add(self.which)
        await scene.hurt(host, self.which, **details)
        return self.hurt.told()

    async def shown(self, scene: Scene) -> Shown:
        [host] = self.hurt.hosts
        if host not in scene.cluster.up or scene.cluster.lives(host) > self.hurt.facts["life"]:
            return Shown(True, f"host {host} left service")
        look = await scene.cluster.look()
        count = int(look.get(host, {}).get("commits_hurt", 0)) - self._hurt_before
        return Shown(count > 0, f"{count} commits of host {host} were hurt")

    async def end(self, scene: Scene) -> None:
        cluster = scene.cluster
        for host in self.hurt.hosts:
            if host in cluster.up and cluster.lives(host) == self.hurt.facts.get("life"):
                with suppress(LabError):  # a host that just ends of it is started below
                    await scene.hurt(host, "heal")
            cluster.inside.get(host, set()).discard(self.which)
            await cluster.start_host(host)

    @classmethod
    def draw(cls, hosts: Sequence[str]) -> Picture:
        return Picture(tuple(hosts), {}, {hosts[0]: cls.mark})


class DiskFull(Inside):
    name = "disk-full"
    which = "disk-full"
    mark = "no space"
    does = "Every commit of one host fails for want of space until the end."
    cannot = NOT_THE_DISK


class FsyncFails(Inside):
    name = "fsync-fails"
    which = "fsync-fails"
    mark = "fsync fails"
    does = "A commit of one host fails after its pages were written; the host must leave service."
    cannot = NOT_THE_DISK


class FsyncSlow(Inside):
    name = "fsync-slow"
    which = "fsync-slow"
    mark = "slow disk"
    does = "Every commit of one host takes 50 to 800 ms longer."
    cannot = NOT_THE_DISK

    def details(self, scene: Scene) -> dict[str, Any]:
        return {"delay_ms": scene.rng.randint(*SLOW_MS)}


class ClockJump(Inside):
    name = "clock-jump"
    which = "clock-jump"
    mark = "wall clock"
    does = "The wall clock of one host jumps by seconds, a minute or an hour, either way."
    cannot = "The monotonic clock does not jump, and the clocks of other programs are as they were."

    def details(self, scene: Scene) -> dict[str, Any]:
        return {"by_s": scene.rng.choice(JUMPS_S)}

    async def shown(self, scene: Scene) -> Shown:
        [host] = self.hurt.hosts
        look = await scene.cluster.look()
        ahead_s = float(look.get(host, {}).get("ahead_s", 0.0))
        return Shown(ahead_s != 0.0, f"the wall clock of host {host} is off by {ahead_s:g} s")
