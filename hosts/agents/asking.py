"""Questions about agents and hosts that another host has to answer.

The law of this file: each question is one method of the request layer, asked of the host that knows
and answered from its memory; what cannot be asked ends by its deadline with a definite error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

from quorate.core.errors import (
    AgentNotFound,
    NotFound,
    QuorateError,
    Refused,
    Timeout,
    UsageError,
)
from quorate.core.group.requests import Reply, answer
from quorate.hosts.agents.failures import as_agent_error
from quorate.hosts.agents.lifecycle import Status

if TYPE_CHECKING:
    from quorate.core.machine.records import AgentRecord
    from quorate.hosts.agents.engine import AgentEngine

DESCRIBE: Final = "agent.describe"
DRAIN: Final = "agent.drain"
GONE: Final = "agent.gone"
STATE: Final = "agent.state"
SETTINGS: Final = "agent.settings"
GONE_TIMEOUT_S: Final = 5.0
MAILBOX_SHOWN_MESSAGES: Final = 100
DRAIN_AT_ONCE: Final = 32
DRAIN_MOVE_TIMEOUT_S: Final = 10.0
ASK_SHARE_RATIO: Final = 0.9
LABELS_MAX: Final = 64


class Asking:
    """One per host."""

    def __init__(self, engine: AgentEngine) -> None:
        self._engine = engine
        self._tasks: set[asyncio.Task[Any]] = set()
        requests = engine.group.requests
        requests.handle(DESCRIBE, self._on_describe)
        requests.handle(DRAIN, self._on_drain)
        requests.handle(GONE, self._on_gone)
        requests.handle(STATE, self._on_state)
        requests.handle(SETTINGS, self._on_settings)

    def _answer(self, work: Awaitable[Any], reply: Reply) -> None:
        task = self._engine.world.loop.create_task(answer(work, reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, host: str, method: str, args: list[Any], until: float) -> Any:
        left_s = until - self._engine.now()
        if left_s <= 0:
            raise Timeout(f"host {host!r} was not asked in time")
        return await self._engine.group.requests.ask(host, method, args, left_s)

    # --- one agent --------------------------------------------------------------------------------

    async def describe(self, name: str, record: AgentRecord, until: float) -> dict[str, Any]:
        """How it is on its host. Raises `AgentNotFound`, `Unavailable`."""
        answer: Any = await self._ask(record.host, DESCRIBE, [name, record.epoch], until)
        if not isinstance(answer, dict):
            raise AgentNotFound(f"no agent {name!r} lives")
        return cast("dict[str, Any]", answer)

    def _on_describe(self, peer: str, args: list[Any], reply: Reply) -> None:
        name = str(args[0])
        engine = self._engine
        activation = engine.here.get(name)
        if activation is not None:
            shown = activation.describe()
            shown["queued"] = [
                {
                    "method": m.method,
                    "kind": m.kind,
                    "sender": "" if m.sender is None else m.sender[1],
                }
                for m in list(activation.queue)[:MAILBOX_SHOWN_MESSAGES]
            ]
            if hasattr(activation, "state"):
                shown["state"] = activation.state.statistics()
        else:
            record = engine.directory.look(name)
            if record is None:
                reply(None)
                return
            status = Status.PASSIVE.value if engine.placed_here(record) else "recovering"
            if record.status in ("failed", "starting"):
                status = record.status
            shown = {"name": name, "status": status, "epoch": record.epoch, "life": record.life}
            shown |= {"kind": record.kind, "mailbox": 0, "queued": []}
        shown["host"] = engine.host_id
        reply(shown)

    async def state(
        self, name: str, record: AgentRecord, limit: int, until: float
    ) -> dict[str, Any]:
        """What the agent keeps. Raises `Unavailable`."""
        answer: Any = await self._ask(record.host, STATE, [name, record.epoch, limit], until)
        return cast("dict[str, Any]", answer)

    def _on_state(self, peer: str, args: list[Any], reply: Reply) -> None:
        name, epoch, limit = str(args[0]), int(args[1]), int(args[2])
        activation = self._engine.activation_for(name, epoch)

        async def look(agent: Any) -> None:
            names: list[str] = await agent.state.keys(limit=limit + 1)
            shown = {key: await _value_of(agent.state, key) for key in names[:limit]}
            found = {"keys": shown, "more": len(names) > limit}
            reply({**found, "statistics": activation.state.statistics()})

        def ended(error: BaseException | None) -> None:
            if error is not None:
                reply(as_agent_error(error))

        activation.post(look, label="inspect", done=ended)

    async def wait_gone(self, record: AgentRecord, until: float) -> None:
        """Return when the host of a life that ended knows of its end, and takes nothing for it any
        more; or when it cannot be asked: then its lease, or the deadline, is the bound."""
        if not record.host or not self._engine.directory.runs(record):
            return
        with suppress(QuorateError):
            await self._ask(record.host, GONE, [record.name, record.life], until)

    def _on_gone(self, peer: str, args: list[Any], reply: Reply) -> None:
        name, life = str(args[0]), int(args[1])
        until = self._engine.now() + GONE_TIMEOUT_S

        async def work() -> bool:
            while (found := self._engine.directory.look(name)) and found.life == life:
                if not await self._engine.directory.wait(name, until):
                    return False
            return True

        self._answer(work(), reply)

    # --- hosts ------------------------------------------------------------------------------------

    async def settings(self, host: str, change: dict[str, Any], timeout: float | None) -> None:
        """Change labels, capacity or draining of a host; this host places agents by them then.
        Raises `NotFound`, `UsageError`."""
        _check_settings(change)
        until = self._engine.now() + self._engine.group.seconds(timeout)
        self._check_host(host)
        await self._ask(host, SETTINGS, [change, self._left_ms(until)], until)
        await self._see_what_was_told(until)

    async def _see_what_was_told(self, until: float) -> None:
        """The other host told the group; wait until this one has applied that."""
        left_s = max(0.0, until - self._engine.now())
        await self._engine.group.read_point("linearizable", left_s)
        self._engine.look_at_roster()

    def _left_ms(self, until: float) -> int:
        return max(1, int((until - self._engine.now()) * 1000 * ASK_SHARE_RATIO))

    def _check_host(self, host: str) -> None:
        rows = self._engine.roster.rows
        if host not in rows:
            raise NotFound(f"no host {host!r} runs agents; there are {', '.join(sorted(rows))}")

    def _on_settings(self, peer: str, args: list[Any], reply: Reply) -> None:
        change, left_ms = cast("dict[str, Any]", args[0]), int(args[1])
        _check_settings(change)
        tenancy = self._engine.tenancy
        for name, value in change.items():
            setattr(tenancy, name, value)

        async def work() -> bool:
            await tenancy.tell(left_ms / 1000)
            return True

        self._answer(work(), reply)

    async def drain(self, host: str, timeout: float | None) -> int:
        """Move everything off a host; look-ups here show the new places then. Raises `Timeout`,
        `NotFound`, `ClusterAtCapacity`."""
        engine = self._engine
        seconds = engine.world.settings.drain_timeout_s if timeout is None else timeout
        until = engine.now() + engine.group.seconds(seconds)
        self._check_host(host)
        if host == engine.host_id:
            return await self.drain_here(until)
        moved = int(await self._ask(host, DRAIN, [self._left_ms(until)], until))
        await self._see_what_was_told(until)
        return moved

    def _on_drain(self, peer: str, args: list[Any], reply: Reply) -> None:
        until = self._engine.now() + int(args[0]) / 1000
        self._answer(self.drain_here(until), reply)

    async def drain_here(self, until: float) -> int:
        """Place nothing here any more, and move away what is here; how many moved."""
        engine = self._engine
        tenancy = engine.tenancy
        tenancy.draining = True
        await tenancy.tell(max(0.1, until - engine.now()))
        moved = 0
        problem = ""
        while True:
            names = [r.name for r in engine.group.machine.agents_on(tenancy.lease, limit=10_000)]
            if not names:
                return moved
            if engine.now() >= until:
                raise Timeout(
                    f"{len(names)} agents are still on host {engine.host_id!r}: {problem or 'late'}"
                )
            waiting = iter(names)
            results = await asyncio.gather(
                *(self._drain_some(waiting, until) for _ in range(min(DRAIN_AT_ONCE, len(names))))
            )
            moved += sum(count for count, _ in results)
            problem = next((text for _, text in results if text), "")
            if problem and not any(count for count, _ in results):
                await asyncio.sleep(0.1)

    async def _drain_some(self, names: Any, until: float) -> tuple[int, str]:
        """Move the next ones until there are none; (how many, the last problem)."""
        engine = self._engine
        moved, problem = 0, ""
        for name in names:
            if engine.now() >= until:
                break
            record = engine.directory.look(name)
            if record is None or not engine.placed_here(record):
                continue
            try:
                row = engine.parts.placing.choose_for(record)
                left_s = min(DRAIN_MOVE_TIMEOUT_S, max(0.05, until - engine.now()))
                await engine.parts.mover.move(name, row.id, timeout=left_s)
                engine.parts.placing.placed(row.id, {})
                moved += 1
            except QuorateError as error:
                problem = str(error)
        return moved, problem

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()


async def _value_of(state: Any, key: str) -> Any:
    """A value, or what stands in place of one that cannot be shown."""
    try:
        entry = await state.get_entry(key, level="local")
    except QuorateError as error:
        return {"problem": str(error)}
    return entry.value


def _check_settings(change: dict[str, Any]) -> None:
    for name, value in change.items():
        if name == "draining":
            if type(value) is not bool:
                raise UsageError(f"draining must be true or false, not {value!r}")
        elif name in ("labels", "capacity"):
            wanted = str if name == "labels" else (int, float)
            if not isinstance(value, dict) or len(cast("dict[str, Any]", value)) > LABELS_MAX:
                raise UsageError(f"{name} must be a map of {LABELS_MAX} entries at most")
            for key, one in cast("dict[Any, Any]", value).items():
                if not isinstance(key, str) or not isinstance(one, wanted) or isinstance(one, bool):
                    raise UsageError(f"{name}[{key!r}] = {one!r}: want {name} as name and value")
                if not isinstance(one, str) and one < 0:
                    raise UsageError(f"capacity[{key!r}] must not be below 0, it is {one!r}")
        else:
            raise Refused(f"a host has no setting {name!r}: labels, capacity, draining")
