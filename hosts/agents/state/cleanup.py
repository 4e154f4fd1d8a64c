"""What an agent kept goes when its life is over: in the background, a little at a time.

The law of this file: a scope is cleaned only when its life is certainly over, because the group
said so and no life of that number can come again. Cleaning twice, on two hosts, or half and then
again comes to the same. Nobody waits for it; what fails is tried again, and what is forgotten is
found by the sweep, which looks at every scope there is against every life there is.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from quorate.consistency.replica.states import RegisterState
from quorate.consistency.store.core import Core
from quorate.core.errors import NotCommitted, QuorateError, Stopped
from quorate.core.group.requests import Reply
from quorate.core.machine import commands
from quorate.hosts.agents.state.scope import NAMESPACE, STORE, life_of

if TYPE_CHECKING:
    from quorate.hosts.agents.state.keeper import Keeper
    from quorate.hosts.agents.world import AgentWorld

CLEAN: Final = "agent.clean"
WAITING_SCOPES_MAX: Final = 100_000
STEP_KEYS: Final = 64
"""Deleted locally without letting others run."""
PAUSE_FIRST_S: Final = 0.1
PAUSE_MAX_S: Final = 5.0
CALL_S: Final = 5.0


class Cleanup:
    """One per host. `add(scope)`; the rest happens."""

    def __init__(self, keeper: Keeper, world: AgentWorld) -> None:
        self._keeper = keeper
        self._world = world
        self._waiting: dict[str, None] = {}
        self._runner: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopped = False
        self.idle = asyncio.Event()
        """Set while nothing is to be cleaned."""
        self.idle.set()
        self._counts = dict.fromkeys(("scopes", "keys", "retries", "dropped"), 0)
        world.group.requests.handle(CLEAN, self._on_clean)

    def add(self, scope: str) -> None:
        """The life of this scope is over. Raises nothing; beyond the limit it is left to the
        sweep."""
        if self._stopped or scope in self._waiting:
            return
        if len(self._waiting) >= WAITING_SCOPES_MAX:
            self._counts["dropped"] += 1
            return
        self._waiting[scope] = None
        self.idle.clear()
        if self._runner is None:
            self._runner = self._world.loop.create_task(self._run(), name="clean after agents")

    async def _run(self) -> None:
        pause_s = PAUSE_FIRST_S
        while self._waiting:
            scope = next(iter(self._waiting))
            try:
                await self._clean(scope)
            except Stopped:
                break
            except QuorateError:
                self._counts["retries"] += 1
                self._waiting[scope] = self._waiting.pop(scope)  # behind the others
                await asyncio.sleep(pause_s)
                pause_s = min(PAUSE_MAX_S, pause_s * 2)
            else:
                self._waiting.pop(scope, None)
                self._counts["scopes"] += 1
                pause_s = PAUSE_FIRST_S
        self._runner = None
        self.idle.set()

    async def _clean(self, scope: str) -> None:
        """Both planes. Raises `Unavailable` when it could not be done now."""
        if scope in self._keeper.open_here or life_of(scope) is None:
            return
        until = self._world.group.clock.monotonic() + CALL_S
        core = (await self._keeper.ready(until)).core
        if core.plane.strong.has_any(core.name):
            await self._clean_strong(core, scope)
        if core.is_home(scope + "/"):
            await self._clean_local(core, scope)
            return
        for owner in core.plane.nearest(core.homes(scope + "/")):
            await self._world.group.requests.ask(owner, CLEAN, [scope], CALL_S)
            return
        raise _nobody(scope)

    async def _clean_strong(self, core: Core, scope: str) -> None:
        machine, prefix = self._world.group.machine, scope + "/"
        more = bool(machine.kv_range(prefix=prefix, ns=NAMESPACE, limit=1))
        while more:
            command = commands.delete_prefix(prefix, NAMESPACE)
            _, _, answer = await self._world.group.propose(command, 64, CALL_S)
            self._counts["keys"] += int(answer[1])
            more = bool(answer[2])

    async def _clean_local(self, core: Core, scope: str) -> None:
        """Tombstones in this host's replica, which go on to the other owners."""
        replica, prefix, after = core.plane.replica, scope + "/", ""
        while page := replica.keys_under(STORE, prefix, after, STEP_KEYS):
            core.plane.check()
            for key in page:
                state = replica.read(STORE, key)
                if state is None or state.is_dead:
                    continue
                if isinstance(state, RegisterState):
                    replica.put(STORE, key, None, floor=core.floor(key))
                else:
                    replica.operate(STORE, key, state.kind, "reset", [], floor=core.floor(key))
                self._counts["keys"] += 1
            after = page[-1]
            await asyncio.sleep(0)

    # --- for a host that owns none of it ----------------------------------------------------------

    def _on_clean(self, peer: str, args: list[Any], reply: Reply) -> None:
        task = self._world.loop.create_task(self._answer(args, reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, args: list[Any], reply: Reply) -> None:
        try:
            scope = str(args[0])
            until = self._world.group.clock.monotonic() + CALL_S
            core = (await self._keeper.ready(until)).core
            if life_of(scope) is None or not core.is_home(scope + "/"):
                raise _nobody(scope)
            await self._clean_local(core, scope)
            reply(True)
        except QuorateError as error:
            reply(error)
        except IndexError:
            reply(_nobody(""))

    # --- the end ----------------------------------------------------------------------------------

    def stop(self) -> None:
        """Safe to call twice."""
        self._stopped = True
        for task in (self._runner, *self._tasks):
            if task is not None:
                task.cancel()

    async def wait_stopped(self) -> None:
        tasks = [task for task in (self._runner, *self._tasks) if task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)

    def statistics(self) -> dict[str, object]:
        return {
            "waiting": len(self._waiting),
            **{f"{name}_total": count for name, count in self._counts.items()},
        }


def _nobody(scope: str) -> NotCommitted:
    return NotCommitted(f"scope {scope!r:.60} cannot be cleaned on this host now")
