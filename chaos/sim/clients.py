"""The workload: one client in every host's process, with the product's own proposer, so that
retries, sessions and refusals are those of a real host.

The law: a client belongs to one life of its host and dies with it (its open calls are unknown
then); it calls at random, in bursts now and then, and every call has a deadline.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

from quorate.chaos.sim.events import Life
from quorate.chaos.sim.history import History, Kind, Op
from quorate.chaos.sim.options import Options
from quorate.core.errors import Overloaded, QuorateError, UsageError
from quorate.core.group.pending import Batch, Ended, Pending, ProposerLimits
from quorate.core.group.proposer import Proposer
from quorate.core.machine import commands
from quorate.core.machine.results import is_session_expired
from quorate.core.raft.driver import RaftDriver
from quorate.core.raft.refusals import Refusal

DEADLINE_S = 4.0
SWEEP_S = 0.1
REGISTERS = ("r0", "r1", "r2")
READ_RETRY_S = 0.05


class Waiter:
    """Where the answer of one command goes."""

    __slots__ = ("op", "over", "tell")

    def __init__(self, op: Op | None, tell: Callable[[Op, Any], None] | None = None) -> None:
        self.op, self.tell, self.over = op, tell, op is None

    def done(self) -> bool:
        return self.over

    def set_result(self, result: Any, /) -> None:
        self._end(result)

    def set_exception(self, exception: Any, /) -> None:
        self._end(exception)

    def _end(self, result: Any) -> None:
        self.over = True
        if self.op is not None and self.tell is not None:
            self.tell(self.op, result)


class Client:
    """See the law above."""

    proposer_class: type[Proposer] = Proposer

    def __init__(
        self,
        host_id: str,
        *,
        life: Life,
        driver: RaftDriver,
        look: Callable[[str], tuple[str | None, int]],
        applied: Callable[[], int],
        history: History,
        rng: random.Random,
        now: Callable[[], float],
        ids: count[int],
        options: Options,
    ) -> None:
        self._host_id = host_id
        self._life, self._driver = life, driver
        self._look, self._applied = look, applied
        self._history, self._rng, self._now, self._ids = history, rng, now, ids
        self._options = options
        self._seen: dict[str, str | None] = {}
        self._sweeping = False
        self._planned = False
        self.open_reads = 0
        self.calls = False
        self.proposer = self.proposer_class(
            ProposerLimits(batch_bytes_max=16 * 1024, inflight_ops_max=64, waiting_ops_max=200),
            lambda: rng.getrandbits(62) | 1,
            lambda session: commands.open_session(applied()),
            lambda: Waiter(None),
            no_leader_since=life.monotonic(),
        )

    # --- calling --------------------------------------------------------------------------------

    def start(self) -> None:
        """Call at random from now on, until `calls` is cleared."""
        self.calls = True
        self._next_write()
        self._next_read()

    def _next_write(self) -> None:
        rng, options = self._rng, self._options
        delay = rng.expovariate(options.writes_per_s)
        self._life.call_later(delay, self._on_write_time)

    def _on_write_time(self) -> None:
        if not self.calls:
            return
        rng, options = self._rng, self._options
        calls = rng.randint(10, 60) if rng.random() < options.burst_probability else 1
        self.burst(calls)
        self._next_write()

    def burst(self, calls: int) -> None:
        """Many writes at once."""
        for _ in range(calls):
            self.write()

    def _next_read(self) -> None:
        self._life.call_later(self._rng.expovariate(self._options.reads_per_s), self._on_read_time)

    def _on_read_time(self) -> None:
        if not self.calls:
            return
        self.read(self._rng.choice(REGISTERS))
        self._next_read()

    def write(self) -> Op:
        """One random update."""
        rng, options = self._rng, self._options
        number = next(self._ids)
        value = f"{self._host_id}{number}"
        roll = rng.random()
        if roll < 0.5:
            if rng.random() < options.large_probability:
                value += "." * rng.randint(options.large_bytes // 4, options.large_bytes)
            return self.add(number, value)
        key = rng.choice(REGISTERS)
        if roll < 0.75:
            return self._submit(number, "set", key, value, commands.put(key, value.encode()))
        expected = self._seen.get(key)
        command = commands.compare_and_set(
            key,
            value.encode(),
            target="value",
            operand=None if expected is None else expected.encode(),
        )
        return self._submit(number, "cas", key, value, command, expected)

    def add(self, number: int | None = None, value: str = "probe") -> Op:
        """Write a key that nobody else writes."""
        number = next(self._ids) if number is None else number
        key = f"w/{number:06d}"
        return self._submit(number, "add", key, value, commands.put(key, value.encode()))

    def _invoke(
        self, number: int, kind: Kind, key: str, value: str | None, expected: str | None
    ) -> Op:
        now = self._now()
        return self._history.invoke(
            Op(number, self._host_id, kind, key, value, now, expected, deadline=now + DEADLINE_S)
        )

    def _submit(
        self,
        number: int,
        kind: Kind,
        key: str,
        value: str,
        command: commands.Command,
        expected: str | None = None,
    ) -> Op:
        op = self._invoke(number, kind, key, value, expected)
        deadline = self._life.monotonic() + DEADLINE_S
        pending = Pending(command, len(value) + 60, Waiter(op, self._end), deadline)
        try:
            self.proposer.add(pending)
        except Overloaded as error:
            self._end(op, error)
            return op
        self._life.call_later(DEADLINE_S, partial(self._on_deadline, pending))
        self._plan()
        return op

    def _on_deadline(self, pending: Pending) -> None:
        if not pending.waiter.done():
            pending.waiter.set_exception(self.proposer.on_deadline(pending))

    # --- sending --------------------------------------------------------------------------------

    def _plan(self) -> None:
        if not self._planned and self.proposer.busy:
            self._planned = True
            self._life.call_soon(self._flush)
        if not self._sweeping and self.proposer.busy:
            self._sweeping = True
            self._life.call_later(SWEEP_S, self._sweep)

    def _flush(self) -> None:
        self._planned = False
        for batch in self.proposer.take(self._life.monotonic()):
            for pending in batch.members:
                waiter = pending.waiter
                if isinstance(waiter, Waiter) and waiter.op is not None:
                    self._history.names[(batch.session, pending.sequence)] = waiter.op
            data = self.encode(batch)
            self._driver.submit(data, partial(self._on_refused, batch))

    def encode(self, batch: Batch) -> bytes:
        return commands.encode_batch(batch.session, batch.ack_low, batch.commands())

    def _sweep(self) -> None:
        self._sweeping = False
        self._finish(self.proposer.on_sweep(self._life.monotonic()))
        if self.proposer.again or self.proposer.waiting:
            self._flush()
        self._plan()

    # --- what comes back ------------------------------------------------------------------------

    def _on_refused(self, batch: Batch, refusal: Refusal) -> None:
        self._finish(self.proposer.on_refused(batch, refusal, self._life.monotonic()))
        self._plan()

    def on_applied(self, index: int, results: list[tuple[int, int, Any]]) -> None:
        """The machine of this host applied an entry."""
        expired: list[Pending] = []
        for pending, result in self.proposer.on_results(results, self._life.monotonic()):
            if is_session_expired(result):
                expired.append(pending)
            elif not pending.waiter.done():
                pending.waiter.set_result((index, result))
        if expired:
            self._finish(self.proposer.on_session_expired(expired))
        self._plan()

    def on_leader(self, leader: str | None) -> None:
        self.proposer.on_leader(leader, self._life.monotonic())
        self._plan()

    def on_snapshot_installed(self) -> None:
        self.proposer.resend_all()
        self._plan()

    def _finish(self, ended: Ended) -> None:
        for pending, error in ended:
            if not pending.waiter.done():
                pending.waiter.set_exception(error)

    def _end(self, op: Op, result: Any) -> None:
        op.returned = self._now()
        if isinstance(result, UsageError):
            op.outcome = "no"
        elif isinstance(result, QuorateError):
            op.outcome = "no" if result.outcome == "not_applied" else "unknown"
        else:
            op.index, answer = result
            op.outcome, op.swapped = "ok", answer[0] != "failed"
            if op.swapped:
                op.revision = answer[0]
            elif answer[1] != "compare_failed":
                op.outcome = "unknown" if answer[1] == "already_acknowledged" else "no"

    # --- reading --------------------------------------------------------------------------------

    def read(self, key: str) -> Op:
        """One linearizable read, asked again until its deadline."""
        op = self._invoke(next(self._ids), "read", key, None, None)
        self._life.call_later(DEADLINE_S, partial(self._give_up, op))
        self._ask(op)
        return op

    def _ask(self, op: Op) -> None:
        if op.outcome == "pending":
            self.open_reads += 1
            self._driver.read_index(partial(self._on_read_point, op))

    def _on_read_point(self, op: Op, index: int | None, refusal: Refusal | None) -> None:
        self.open_reads -= 1
        if op.outcome != "pending":
            return
        if index is None:
            self._life.call_later(READ_RETRY_S, partial(self._ask, op))
            return
        op.value, op.index = self._look(op.key)
        self._seen[op.key] = op.value
        op.returned, op.outcome = self._now(), "ok"

    def _give_up(self, op: Op) -> None:
        if op.outcome == "pending":
            op.returned, op.outcome = self._now(), "no"

    def was_paused(self, seconds: float) -> None:
        """The process stood still: its callers could not be told anything."""
        for op in self._history.ops:
            if op.client == self._host_id and op.outcome == "pending":
                op.deadline += seconds

    def dies(self) -> None:
        """The process is gone: what was open stays unknown for ever."""
        for op in self._history.ops:
            if op.client == self._host_id and op.outcome == "pending":
                op.returned, op.outcome = self._now(), "unknown"
