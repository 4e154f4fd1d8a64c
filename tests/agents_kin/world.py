"""Agents with kin, on a make-believe group in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from quorate.consistency.store.session import Session
from quorate.core.errors import QuorateError
from quorate.hosts.agents.kin.kin import Kin
from tests.agents_lasting.world import MiniEngine, World
from tests.group.mini import MiniGroup
from tests.group.virtual import run_virtual

STORY_S = 3600.0
"""Of virtual time."""


class NoKeys:
    """In place of what makes tokens: nobody reads any here."""

    async def ready(self, timeout: float | None = None) -> None:
        return None

    def is_ready(self) -> bool:
        return True

    def token(self, past: Any) -> bytes:
        return b""

    read: Any = None
    prune: Any = None


def session() -> Session:
    return Session(NoKeys())


class KinWorld(World):
    """Hosts a, b and c with kin."""

    def __init__(self, mini: MiniGroup, kin: type[Kin] = Kin) -> None:
        super().__init__(mini)
        for engine in self.engines.values():
            _equip(engine, kin)

    def kin(self, at: str = "a") -> Kin:
        return self.engines[at].parts.kin

    async def owned(self, cls: Any, name: str, owner: Any, at: str = "a", **options: Any) -> Any:
        """Start an agent at host a that belongs to `owner`, as `host.agents.start` does."""
        engine = self.engines[at]
        owners = await self.kin(at).owners_of(owner, engine.now() + 5)
        return await self.start(cls, name, at, owners=owners, **options)

    def lives(self, name: str, at: str = "a") -> bool:
        return self.engines[at].group.machine.agent(name) is not None

    async def stop(self) -> None:
        await super().stop()
        for engine in self.engines.values():
            await engine.parts.kin.wait_stopped()


def _equip(engine: MiniEngine, kin: type[Kin]) -> None:
    me: Any = engine
    made = engine.parts.kin = kin(me.world, engine.bindings, engine.place)
    engine.listeners.append(made.on_applied)

    def on_entry(changes: list[Any], downs: list[Any]) -> None:
        gone = [lease for lease, ttl_ms, _ in engine.group.machine.lease_changes if ttl_ms == 0]
        if gone:
            made.on_leases_gone(gone)

    engine.listeners.append(on_entry)
    heard = engine.host.hear_of

    def hear_of(leader: str | None) -> None:
        heard(leader)
        made.on_leader()

    engine.host.hear_of = hear_of  # type: ignore[method-assign]


def told(story: Callable[[KinWorld], Awaitable[None]], kin: type[Kin] = Kin) -> None:
    """Tell a story in virtual time; nothing may be left running."""

    async def tell() -> None:
        async with MiniGroup("abc") as mini:
            world = KinWorld(mini, kin)
            await world.join()
            try:
                async with asyncio.timeout(STORY_S):
                    await story(world)
            except TimeoutError as error:
                if isinstance(error, QuorateError):
                    raise
                raise AssertionError("the story waits for ever") from error
            finally:
                await world.stop()

    run_virtual(tell())


def begin(work: Any, name: str = "job") -> asyncio.Task[Any]:
    return asyncio.get_running_loop().create_task(work, name=name)
