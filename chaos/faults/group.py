"""Faults that the group does to itself on order: snapshots, leaders, members, agents on the move.

The law of this file: everything is done through a host's own doors, by order to its worker
(`quorate.chaos.lab.hurts`), as an operator would; the operator keeps the rules an operator is given
(one change at a time; a host's disk is emptied only when it is no member any more).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from quorate.chaos.faults.fault import ActiveFault, Fault, Scene, Shown
from quorate.chaos.faults.picture import Picture
from quorate.chaos.lab.children import LabError

EVERY_S = 0.5
SETTLE_S = 3.0
"""Between a host's removal and its return as a new one: nothing of its old life is on the way."""
BACK_TRIES_MAX = 8


class Compaction(ActiveFault):
    name = "compaction"
    does = "Twice a second every host makes a snapshot and drops its log but for 16 entries."
    cannot = "A host that never lags needs no snapshot of others: combine it with kill or isolate."

    async def act(self, scene: Scene) -> None:
        for host in list(scene.cluster.answering):
            try:
                answer = await scene.hurt(host, "compaction", keep_entries=16)
            except LabError:
                continue  # a busy or cut-off host does it the next time
            self.acts += int(answer.get("done", 0))
        await scene.sleep(EVERY_S)

    @classmethod
    def draw(cls, hosts: Sequence[str]) -> Picture:
        return Picture(tuple(hosts), {}, dict.fromkeys(hosts, "snapshot"))


class Transfer(ActiveFault):
    name = "transfer"
    does = "Hands the leadership to another host about every second."
    cannot = "The old leader helps: nothing is lost with it."

    async def act(self, scene: Scene) -> None:
        leader = await scene.cluster.leader()
        others = [host for host in scene.cluster.answering if host != leader]
        if others:
            to = scene.rng.choice(others)
            answer = await scene.hurt(leader, "transfer", to=to)
            self.acts += int(answer.get("done", 0))
        await scene.sleep(scene.rng.uniform(0.5, 1.5))

    @classmethod
    def draw(cls, hosts: Sequence[str]) -> Picture:
        return Picture(tuple(hosts), {}, {hosts[0]: "leads", hosts[1]: "leads next"})


class Membership(ActiveFault):
    name = "membership"
    does = (
        "One host, the leader too, hands over and leaves; its disk is emptied, and it is added as "
        "a new one; then the next."
    )
    cannot = "With two hosts the one that is left decides alone; it needs three."
    hosts_min = 3

    def __init__(self) -> None:
        super().__init__()
        self._removals = 0
        self._out = ""
        """The host that was removed, or may have been, and is not back."""
        self._removed = False

    async def act(self, scene: Scene) -> None:
        cluster = scene.cluster
        self._out = scene.any_host()
        self._removed = False
        await self._remove(scene, self._out)
        await cluster.kill(self._out)
        await scene.sleep(SETTLE_S)
        await self._bring_back(scene)
        self.acts += 1

    async def _remove(self, scene: Scene, host: str) -> None:
        try:
            await scene.hurt(host, "leave")
            why = ""
        except LabError as error:  # a host that has left may be gone before it answers
            why = str(error)
        if await self._is_member(scene, host):
            self._out = ""
            raise LabError(why or f"host {host!r} is a member still, though it was to leave")
        self._removed = True
        self._removals += 1

    @staticmethod
    async def _is_member(scene: Scene, host: str) -> bool:
        """By the leader's word; a leader that was not found yet is waited for."""
        for _ in range(BACK_TRIES_MAX):
            try:
                leader = await scene.cluster.leader()
            except LabError:
                continue
            look = await scene.cluster.look()
            if leader in look:
                return any(row[0] == host for row in look[leader]["members"])
        raise LabError("nobody leads who could say who is a member")

    async def _bring_back(self, scene: Scene) -> None:
        """Empty it, start it, add it; then there is nobody out."""
        cluster, host = scene.cluster, self._out
        if self._removed:
            await cluster.wipe(host)
            self._removed = False
        await cluster.start_host(host)
        for attempt in range(BACK_TRIES_MAX):
            try:
                if not await self._is_member(scene, host):
                    leader = await cluster.leader()
                    await scene.hurt(leader, "add", member=host, address=cluster.addresses[host])
                self._out = ""
                return
            except LabError:
                if attempt == BACK_TRIES_MAX - 1:
                    raise
                await scene.sleep(EVERY_S)

    async def end(self, scene: Scene) -> None:
        try:
            await self.stop_acting()
        finally:
            if self._out:
                if not self._removed:  # the order was on its way when it ended: what came of it?
                    self._removed = not await self._is_member(scene, self._out)
                if self._removed:
                    await scene.cluster.kill(self._out)
                    await scene.sleep(SETTLE_S)
                await self._bring_back(scene)

    async def shown(self, scene: Scene) -> Shown:
        if self._removals:
            return Shown(True, f"{self._removals} removed, {self.acts} of them back as new ones")
        return await super().shown(scene)

    @classmethod
    def draw(cls, hosts: Sequence[str]) -> Picture:
        return Picture(tuple(hosts), {}, {hosts[0]: "removed, new"})


class AgentMoves(ActiveFault):
    name = "agent-moves"
    does = (
        "Moves up to four agents of every host to others, again and again, while they are called."
    )
    cannot = "Agents that do not live cannot be moved: the workload must have some."
    needs = "agents"
    AGENTS_AT_ONCE_MAX = 4

    async def act(self, scene: Scene) -> None:
        answering = list(scene.cluster.answering)
        for host in answering:
            others = [other for other in answering if other != host]
            scene.rng.shuffle(others)
            if not others:
                continue
            try:
                answer = await scene.hurt(
                    host, "agent-moves", to=others, agents_max=self.AGENTS_AT_ONCE_MAX
                )
            except LabError:
                continue
            self.acts += int(answer.get("done", 0))
        await scene.sleep(EVERY_S)

    @classmethod
    def draw(cls, hosts: Sequence[str]) -> Picture:
        return Picture(tuple(hosts), {}, dict.fromkeys(hosts, "agents move"))


class Drain(Fault):
    name = "drain"
    does = "Moves every agent off one host and places none there until the end."
    cannot = "It is an order: a host that cannot obey keeps its agents."
    needs = "agents"

    def __init__(self) -> None:
        super().__init__()
        self._draining: asyncio.Task[dict[str, Any]] | None = None

    async def begin(self, scene: Scene) -> Mapping[str, Any]:
        host = scene.any_host()
        self.hurt.hosts = [host]
        scene.cluster.inside.setdefault(host, set()).add("drain")
        self._draining = asyncio.ensure_future(scene.hurt(host, "drain"))
        return self.hurt.told()

    async def shown(self, scene: Scene) -> Shown:
        task = self._draining
        if task is None or not task.done():
            return Shown(False, "the drain is not done yet")
        if (error := task.exception()) is not None:
            return Shown(False, f"not drained: {error}")
        answer = task.result()
        return Shown(True, f"{answer.get('done')} agents moved, {answer.get('here')} were there")

    async def end(self, scene: Scene) -> None:
        task, self._draining = self._draining, None
        if task is None:
            return
        await asyncio.wait([task])
        [host] = self.hurt.hosts
        if host in scene.cluster.answering:
            await scene.hurt(host, "undrain")
        scene.cluster.inside.get(host, set()).discard("drain")

    @classmethod
    def draw(cls, hosts: Sequence[str]) -> Picture:
        return Picture(tuple(hosts), {}, {hosts[0]: "drained"})
