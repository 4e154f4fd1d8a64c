"""The Raft group of one host as the stores see it, over the oracle: the product's requests and
deadlines, the machine of the oracle's view.

The law: the shape of `core.group.group.Group`, no more of it than the stores use. Outcomes are the
oracle's: refused is certainly not applied, a lost answer is unknown.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from quorate.chaos.stores.lives import StoreLife
from quorate.chaos.stores.strong import MACHINE, Answer, Command, Oracle, View
from quorate.core.clock import Clock, Scheduler
from quorate.core.errors import NoQuorum, OutcomeUnknown, QuorateError, Timeout, UsageError
from quorate.core.group.deadlines import Deadlines
from quorate.core.group.requests import Requests, Send
from quorate.core.machine import commands
from quorate.core.machine.machine import Machine

READ_AGAIN_S = 0.1
TIMEOUT_MAX_S = 3600.0


class SimGroup:
    """One life."""

    def __init__(
        self,
        host_id: str,
        *,
        life: StoreLife,
        oracle: Oracle,
        view: View,
        send: Send,
        make_future: Callable[[], Any],
        rng: random.Random,
    ) -> None:
        self.host_id = host_id
        self.clock: Clock = life
        self.scheduler: Scheduler = life
        self.rng = rng
        self.timeout_s = 1.5
        self.broken: QuorateError | None = None
        self._life, self._oracle, self._view = life, oracle, view
        self._make_future = make_future
        self.deadlines = Deadlines(life, life)
        self.requests = Requests(
            host_id=host_id,
            send=send,
            clock=life,
            deadlines=self.deadlines,
            make_future=make_future,
            run_id=rng.getrandbits(62),
        )
        self.reads = self

    @property
    def machine(self) -> Machine:
        return self._view.machine

    @property
    def term(self) -> int:
        return self._oracle.term

    @property
    def leader(self) -> str | None:
        return self._oracle.leader

    @property
    def leads(self) -> bool:
        return self.leader == self.host_id

    def seconds(self, timeout: float | None) -> float:
        """See `Group.seconds`."""
        if timeout is None:
            return self.timeout_s
        if not 0 <= timeout <= TIMEOUT_MAX_S:
            raise UsageError(f"timeout must be 0 to {TIMEOUT_MAX_S:g} seconds, not {timeout!r}")
        return timeout

    async def propose(self, command: Any, size_bytes: int, timeout: float | None) -> Any:
        """(index, term, answer) of a command. See `Group.propose`."""
        commands.validate(command)
        waiter = self._make_future()

        def answered(answer: Answer) -> None:
            if waiter.done():
                return
            if answer.outcome == "refused":
                waiter.set_exception(NoQuorum("this host cannot reach a majority"))
            elif answer.outcome == "unknown":
                waiter.set_exception(OutcomeUnknown("the leader changed meanwhile"))
            else:
                row = (answer.at, self.term, answer.result)
                self._view.when_applied(answer.at, lambda: _give(waiter, row))

        def late() -> None:
            if not waiter.done():
                waiter.set_exception(OutcomeUnknown("the deadline passed"))

        self._life.call_later(self.seconds(timeout), late)
        self._oracle.propose(self.host_id, Command(MACHINE, command), answered)
        return await waiter

    async def read_point(self, level: str, timeout: float | None) -> Machine:
        """The machine, fit to answer a read of this level."""
        if level == "linearizable":
            await self.wait_read_point(self.seconds(timeout))
        return self.machine

    async def wait_read_point(self, seconds: float) -> None:
        """Until everything committed before this call is applied here. Raises `Timeout`."""
        waiter = self._make_future()

        def at(index: int | None) -> None:
            if waiter.done():
                return
            if index is None:
                self._life.call_later(READ_AGAIN_S, again)
            else:
                self._view.when_applied(index, lambda: _give(waiter, None))

        def again() -> None:
            if not waiter.done():
                self._oracle.read_point(self.host_id, at)

        def late() -> None:
            if not waiter.done():
                waiter.set_exception(Timeout("no majority was reached until the deadline"))

        self._life.call_later(seconds, late)
        again()
        await waiter

    def on_peer_down(self, peer: str) -> None:
        self.requests.on_peer_down(peer)


def _give(waiter: Any, value: Any) -> None:
    if not waiter.done():
        waiter.set_result(value)
