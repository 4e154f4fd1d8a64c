"""What a fault is: it begins, it shows that it hurt, it ends.

The law of this file: a fault takes back exactly what it did, may be ended at any moment after
`begin` was called, and never judges the cluster. Where it strikes comes from the scene's dice
alone. A fault that cannot show an effect makes the run invalid: a fault that did nothing has proven
nothing.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar, NamedTuple, Protocol

from quorate.chaos.faults.picture import Picture
from quorate.chaos.lab.children import LabError
from quorate.chaos.lab.links import Condition, Pair

ORDER_S = 12.0
LEADER_S = 5.0
Look = Mapping[str, Mapping[str, Any]]
"""What each host that answers counts, see `quorate.chaos.lab.hurts.look`."""


class LinksFace(Protocol):
    """What a fault uses of `quorate.chaos.lab.links.Links`."""

    @property
    def state(self) -> Mapping[Pair, Condition]: ...
    async def apply(self, changes: Mapping[Pair, Condition]) -> None: ...
    async def heal(self, pairs: Sequence[Pair] | None = None) -> None: ...


class ClusterFace(Protocol):
    """What a fault uses of `quorate.chaos.lab.cluster.LabCluster`."""

    paused: set[str]
    inside: dict[str, set[str]]

    @property
    def hosts(self) -> tuple[str, ...]: ...
    @property
    def links(self) -> LinksFace: ...
    @property
    def up(self) -> set[str]: ...
    @property
    def answering(self) -> list[str]: ...
    @property
    def addresses(self) -> Mapping[str, str]: ...
    def lives(self, host: str) -> int: ...
    def standing(self, host: str) -> bool: ...
    def pause(self, host: str) -> None: ...
    def resume(self, host: str) -> None: ...
    async def start_host(self, host: str) -> None: ...
    async def kill(self, host: str) -> None: ...
    async def terminate(self, host: str) -> int: ...
    async def wipe(self, host: str) -> None: ...
    async def order(
        self, host: str, do: str, timeout_s: float = ..., **fields: Any
    ) -> dict[str, Any]: ...
    async def look(self) -> Look: ...
    async def leader(self, within_s: float = ...) -> str: ...
    async def heal(self) -> None: ...


@dataclass(slots=True)
class Scene:
    """Where a fault strikes: a cluster, dice, and time."""

    cluster: ClusterFace
    rng: Random
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep
    taken: set[str] = field(default_factory=set[str])
    """Hosts that another fault hurts now: where there are others, those are chosen, because two
    faults of one host hide each other."""

    async def hurt(self, host: str, which: str, **fields: Any) -> dict[str, Any]:
        """Order a hurt from inside. Raises `LabError` when the host says no or nothing."""
        answer = await self.cluster.order(host, "fault", ORDER_S, which=which, **fields)
        if not answer.get("ok"):
            why = f"{answer.get('error')}: {answer.get('text')}"
            raise LabError(f"host {host!r} could not do {which!r}: {why}")
        return answer

    async def leader_or_any(self) -> str:
        """Who leads; any host that answers when nobody does."""
        try:
            return await self.cluster.leader(LEADER_S)
        except LabError:
            return self.any_host()

    def any_host(self) -> str:
        """Raises `LabError` when no host answers."""
        answering = list(self.cluster.answering)
        if not answering:
            raise LabError("no host answers")
        return self.rng.choice([h for h in answering if h not in self.taken] or answering)

    async def leader_often(self) -> str:
        """The leader half of the time, any host otherwise: faults of the leader find most."""
        if self.rng.random() < 0.5:
            leader = await self.leader_or_any()
            if leader not in self.taken:
                return leader
        return self.any_host()


class Shown(NamedTuple):
    """Whether a fault had an effect that could be seen, and which."""

    ok: bool
    text: str
    nobody_there: bool = False
    """There was nothing to look at, because another fault held all its hosts down."""


@dataclass(slots=True)
class Hurt:
    """What a fault hurt: it goes into `faults.jsonl` as it is."""

    hosts: list[str] = field(default_factory=list[str])
    pairs: list[Pair] = field(default_factory=list[Pair])
    facts: dict[str, Any] = field(default_factory=dict[str, Any])

    def told(self) -> dict[str, Any]:
        return {
            "hosts": list(self.hosts),
            "pairs": [list(pair) for pair in self.pairs],
            **self.facts,
        }


class Fault(ABC):
    """One fault, used once: `begin`, `shown`, `end`."""

    name: ClassVar[str]
    does: ClassVar[str]
    cannot: ClassVar[str]
    needs: ClassVar[str] = ""
    """What a workload must have for this fault to hurt it: "agents", or nothing."""
    hosts_min: ClassVar[int] = 2
    """Below so many hosts it has nobody to hurt."""

    def __init__(self) -> None:
        self.hurt = Hurt()

    @abstractmethod
    async def begin(self, scene: Scene) -> Mapping[str, Any]:
        """Hurt; returns `hosts`, `pairs` (who no longer reaches whom as before) and numbers. Raises
        `LabError` when there is nobody to hurt now."""

    @abstractmethod
    async def shown(self, scene: Scene) -> Shown:
        """Just before the end: was there an effect?"""

    @abstractmethod
    async def end(self, scene: Scene) -> None:
        """Take it back. Safe to call twice."""

    @classmethod
    @abstractmethod
    def draw(cls, hosts: Sequence[str]) -> Picture:
        """An example of whom it hurts, for the picture."""

    @classmethod
    def picture(cls, hosts: Sequence[str] = ("a", "b", "c")) -> str:
        """The hosts on a circle with what is affected, as SVG."""
        return cls.draw(hosts).svg(cls.name)


class ActiveFault(Fault):
    """A fault that goes on acting until its end."""

    def __init__(self) -> None:
        super().__init__()
        self.acts: int = 0
        """How often something was really done."""
        self._task: asyncio.Task[None] | None = None
        self._trouble = ""

    async def begin(self, scene: Scene) -> Mapping[str, Any]:
        await self.choose(scene)
        self._task = asyncio.ensure_future(self._act(scene))
        return self.hurt.told()

    async def choose(self, scene: Scene) -> None:
        """Whom it will hurt; all hosts unless a fault says otherwise."""
        self.hurt.hosts = list(scene.cluster.hosts)

    @abstractmethod
    async def act(self, scene: Scene) -> None:
        """Act until cancelled; count in `acts` what was done. A `LabError` ends one `act`, and
        another begins."""

    @property
    def pause_s(self) -> float:
        """Between one act that failed and the next."""
        return 0.3

    async def _act(self, scene: Scene) -> None:
        while True:
            try:
                await self.act(scene)
            except LabError as error:
                self._trouble = str(error)
            await scene.sleep(self.pause_s)

    async def stop_acting(self) -> None:
        """Let nothing more be done. An error of our own is raised here."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def shown(self, scene: Scene) -> Shown:
        if self.acts:
            return Shown(True, f"done {self.acts} times")
        return Shown(False, f"nothing was done{': ' + self._trouble if self._trouble else ''}")

    async def end(self, scene: Scene) -> None:
        await self.stop_acting()


FaultFactory = Callable[[], Fault]
