"""Asking a member what it has of an agent beyond what is here, and answering that.

The law of this file: who is asked answers from its own replica, at once, a page at a time; nothing
is changed. A state is told if it holds any update that the asker's vector does not cover. Questions
to one member go out together, as many as a page takes: a failover asks for thousands of agents.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

from quorate.consistency.replica.states import (
    GROUP,
    KeyState,
    RegisterState,
    Vector,
    flat,
    vector_of,
)
from quorate.consistency.store.plane import Plane
from quorate.core import codec
from quorate.core.errors import NotCommitted, QuorateError, Timeout
from quorate.core.group.requests import Reply
from quorate.hosts.agents.state.scope import STORE

if TYPE_CHECKING:
    from quorate.hosts.agents.world import AgentWorld

RECOVER: Final = "agent.recover"
SCOPES_MAX: Final = 64
"""In one question."""
PAGE_KEYS: Final = 256
PAGE_BYTES_MAX: Final = 1 << 20
"""Of one answer."""
KEYS_MAX: Final = 1_000_000
"""Of one agent, from one member."""


class _Asked:
    __slots__ = ("after", "done", "rows", "scope", "until")

    def __init__(self, scope: str, until: float, done: asyncio.Future[list[Any]]) -> None:
        self.scope = scope
        self.until = until
        self.done = done
        self.after = ""
        self.rows: list[Any] = []


class Having:
    """Both sides. `plane()`: the stores of this host, opened now if they were not."""

    def __init__(self, world: AgentWorld, plane: Callable[[], Plane]) -> None:
        self._world = world
        self._plane = plane
        self._waiting: dict[str, list[_Asked]] = {}
        self._runners: dict[str, asyncio.Task[None]] = {}
        self._counts = dict.fromkeys(("questions", "answers"), 0)
        world.group.requests.handle(RECOVER, self._on_recover)

    # --- asking -----------------------------------------------------------------------------------

    async def ask(self, peer: str, scope: str, until: float) -> list[Any]:
        """[key, state as plain values] of every key of the scope that `peer` has further than this
        host. Raises `Unavailable` and its kinds when it does not answer by `until`."""
        asked = _Asked(scope, until, self._world.loop.create_future())
        self._waiting.setdefault(peer, []).append(asked)
        if peer not in self._runners:
            runner = self._world.loop.create_task(self._run(peer), name=f"{RECOVER} at {peer}")
            self._runners[peer] = runner
        return await asked.done

    async def _run(self, peer: str) -> None:
        try:
            while waiting := self._waiting.get(peer):
                together = waiting[:SCOPES_MAX]
                del waiting[:SCOPES_MAX]
                try:
                    again = await self._ask_together(peer, together)
                except QuorateError as error:
                    for asked in together:
                        _fail(asked, error)
                except BaseException:
                    waiting[:0] = together
                    raise
                else:
                    waiting[:0] = again
        finally:
            del self._runners[peer]
            for asked in self._waiting.pop(peer, []):
                _fail(asked, NotCommitted("the host is stopping"))

    async def _ask_together(self, peer: str, together: list[_Asked]) -> list[_Asked]:
        """One question; those that have more to be told."""
        world, plane = self._world, self._plane()
        left_s = max(asked.until for asked in together) - world.group.clock.monotonic()
        if left_s <= 0:
            raise Timeout(f"host {peer!r} was not asked in time")
        self._counts["questions"] += 1
        scopes = [[asked.scope, asked.after] for asked in together]
        vector = flat(dict(plane.replica.applied))
        answer = await world.group.requests.ask(peer, RECOVER, [scopes, vector], left_s)
        again: list[_Asked] = []
        try:
            for asked, (rows, after) in zip(together, answer, strict=True):
                asked.rows += [(str(key), wire) for key, wire in rows]
                if after is None or len(asked.rows) > KEYS_MAX:
                    _end(asked)
                else:
                    asked.after = str(after)
                    again.append(asked)
        except (TypeError, ValueError) as error:
            raise NotCommitted(f"host {peer!r} answered {RECOVER} with something else") from error
        return again

    # --- answering --------------------------------------------------------------------------------

    def _on_recover(self, peer: str, args: list[Any], reply: Reply) -> None:
        self._counts["answers"] += 1
        try:
            scopes, known = args
            vector, left_bytes = vector_of(known), PAGE_BYTES_MAX
            answer: list[Any] = []
            for scope, after in cast("list[Any]", scopes)[:SCOPES_MAX]:
                if left_bytes <= 0:
                    answer.append([[], str(after)])
                    continue
                rows, more, size_bytes = self._page(str(scope), str(after), vector, left_bytes)
                left_bytes -= size_bytes
                answer.append([rows, more])
            reply(answer)
        except QuorateError as error:
            reply(error)
        except (TypeError, ValueError) as error:
            reply(NotCommitted(f"{RECOVER}: malformed ({type(error).__name__})"))

    def _page(
        self, scope: str, after: str, vector: Vector, bytes_max: int
    ) -> tuple[list[Any], str | None, int]:
        """(rows, where to go on, bytes)"""
        replica, prefix = self._plane().replica, scope + "/"
        rows: list[Any] = []
        size_bytes = 0
        page = replica.keys_under(STORE, prefix, after, PAGE_KEYS)
        for key in page:
            if size_bytes >= bytes_max:
                return rows, after, size_bytes
            after = key
            state = replica.read(STORE, key)
            if state is not None and beyond(state, vector):
                wire = state.wire()
                size_bytes += len(key) + len(codec.dumps(wire))
                rows.append([key, wire])
        return rows, after if len(page) == PAGE_KEYS else None, size_bytes

    def stop(self) -> None:
        for runner in self._runners.values():
            runner.cancel()

    async def wait_stopped(self) -> None:
        await asyncio.gather(*self._runners.values(), return_exceptions=True)

    def statistics(self) -> dict[str, object]:
        return {f"recovery_{name}_total": count for name, count in self._counts.items()}


def beyond(state: KeyState, vector: Vector) -> bool:
    """Whether the state holds an update that the vector does not cover. What was given dots ahead
    of any log counts by its place in the log that brought it (`CrdtState.deps`), and by itself
    where that is not told."""
    if isinstance(state, RegisterState):
        return any(entry.seq > vector.get(entry.actor, 0) for entry in state.entries)
    if any(a != GROUP and seq > vector.get(a, 0) for a, seq in state.deps.items()):
        return True
    context = state.crdt.context
    return any(context.high(actor) > vector.get(actor, 0) for actor in context.spans)


def _end(asked: _Asked) -> None:
    if not asked.done.done():
        asked.done.set_result(asked.rows)


def _fail(asked: _Asked, error: QuorateError) -> None:
    if not asked.done.done():
        asked.done.set_exception(error)
