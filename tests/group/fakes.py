"""A driver for one host without a network: what is submitted is applied in the next turn, unless
the script says otherwise."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from quorate.bench.virtual_loop import LoopClock
from quorate.core.group.deadlines import Deadlines
from quorate.core.group.pending import ProposerLimits
from quorate.core.group.reads import Reads
from quorate.core.group.submitter import Submitter
from quorate.core.raft.refusals import Refusal

EXPIRED = "session expired"


class CountingMachine:
    """De-duplicates by (session, sequence) and counts effects: enough to see a double apply."""

    def __init__(self) -> None:
        self.sessions: dict[int, dict[int, Any]] = {}
        self.effects: list[Any] = []
        self.index = 0
        self.ack_low: dict[int, int] = {}

    def apply(self, batches: Sequence[Any]) -> list[tuple[int, int, Any]]:
        self.index += 1
        results: list[tuple[int, int, Any]] = []
        for session, ack_low, commands in batches:
            for sequence, operation, *args in commands:
                results.append(
                    (session, sequence, self._one(session, sequence, operation, args, ack_low))
                )
        return results

    def _one(
        self, session: int, sequence: int, operation: str, args: list[Any], ack_low: int
    ) -> Any:
        if operation == "open":
            self.sessions.setdefault(session, {})
        known = self.sessions.get(session)
        if known is None:
            return EXPIRED
        self.ack_low[session] = max(ack_low, self.ack_low.get(session, 0))
        if sequence < self.ack_low[session]:
            return "acknowledged already"
        if sequence not in known:
            if operation != "open":
                self.effects.append(args[0])
            known[sequence] = f"done {args[0]}"
        return known[sequence]


class FakeDriver:
    """Scriptable: `script` holds one action per submit ('apply', 'drop', 'lose_answer', a Refusal,
    ('delay', seconds))."""

    def __init__(self, loop: asyncio.AbstractEventLoop, machine: CountingMachine) -> None:
        self.loop = loop
        self.machine = machine
        self.script: deque[Any] = deque()
        self.reads_script: deque[Any] = deque()
        self.default: Any = "apply"
        self.submitted: list[Any] = []
        self.read_rounds = 0
        self.on_applied: Callable[[int, int, list[tuple[int, int, Any]]], None] = (
            lambda index, term, results: None
        )

    def submit(self, batch: Any, on_refused: Callable[[Any], None]) -> None:
        self.submitted.append(batch)
        action = self.script.popleft() if self.script else self.default
        if isinstance(action, Refusal):
            self.loop.call_soon(on_refused, action)
        elif action == "apply":
            self.loop.call_soon(self.apply, batch)
        elif action == "lose_answer":
            self.loop.call_soon(self.machine.apply, [batch])
        elif action != "drop":
            self.loop.call_later(action[1], self.apply, batch)

    def apply(self, batch: Any) -> None:
        results = self.machine.apply([batch])
        self.on_applied(self.machine.index, 1, results)

    def read_index(self, done: Callable[[int | None, Any], None]) -> None:
        self.read_rounds += 1
        action = self.reads_script.popleft() if self.reads_script else "answer"
        if isinstance(action, Refusal):
            self.loop.call_soon(done, None, action)
        elif action == "answer":
            self.loop.call_soon(done, self.machine.index, None)
        elif action != "drop":  # the read point of when it was asked, later
            self.loop.call_later(action[1], done, self.machine.index, None)


class Bench:
    """A submitter and a reader on a fake driver, in the running loop's time."""

    def __init__(self, *, leader: str | None = "a", **limits: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self.clock = LoopClock(self.loop)
        self.machine = CountingMachine()
        self.driver = FakeDriver(self.loop, self.machine)
        self.deadlines = Deadlines(self.clock, self.loop)
        ids = iter(range(100, 10_000))
        self.submitter = Submitter(
            driver=self.driver,
            encode=lambda session, ack_low, commands: (session, ack_low, list(commands)),  # type: ignore[arg-type,return-value]
            open_command=lambda session: ("open", session),
            is_session_expired=lambda result: result == EXPIRED,
            new_session_id=lambda: next(ids),
            clock=self.clock,
            scheduler=self.loop,
            deadlines=self.deadlines,
            make_future=self.loop.create_future,
            limits=ProposerLimits(**limits),
        )
        self.reads = Reads(
            driver=self.driver,
            clock=self.clock,
            scheduler=self.loop,
            deadlines=self.deadlines,
            make_future=self.loop.create_future,
            leader_wait_s=ProposerLimits(**limits).leader_wait_s,
        )
        self.driver.on_applied = self.submitter.on_applied
        if leader is not None:
            self.lead(leader)

    def lead(self, leader: str | None) -> None:
        self.submitter.on_leader_change(leader)
        self.reads.on_leader_change(leader)

    async def put(self, what: Any, timeout_s: float = 5.0, size_bytes: int = 100) -> str:
        _index, _term, result = await self.submitter.call(("put", what), size_bytes, timeout_s)
        return result

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def pass_time(self, seconds: float) -> None:
        """Virtual seconds: they cost nothing."""
        passed = self.loop.create_future()
        self.loop.call_later(seconds, passed.set_result, None)
        await passed

    def assert_nothing_left(self) -> None:
        statistics = self.submitter.statistics()
        assert statistics["waiting_ops"] == statistics["inflight_ops"] == 0, statistics
        assert statistics["waiting_bytes"] == statistics["inflight_bytes"] == 0, statistics
        assert self.deadlines.statistics()["waiting"] == 0, self.deadlines.statistics()
        assert self.reads.statistics()["waiting"] == 0
