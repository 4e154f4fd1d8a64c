"""Programs on all hosts: they start, call, move and stop agents, and write down what they were
told.

The law: a program knows what a program can know: its host, and the names. Its process's end leaves
its calls unknown; everything else that a call can do wrong is an end with an outcome.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from quorate.chaos.agents.actors import START_FAILS, PlannedError, Worker
from quorate.chaos.agents.options import AgentOptions
from quorate.chaos.agents.record import AgentCall, Record
from quorate.chaos.sim.events import EventQueue
from quorate.chaos.sim.transcript import Transcript
from quorate.core.errors import AgentError, AgentNotFound, QuorateError, UsageError

DEADLINE_S = 1.5
STOP_REASON = "stopped by call"
ON_CONFLICT = ("fail", "use_existing", "use_existing", "use_existing", "replace")


class Place(Protocol):
    """What a program needs of its host."""

    id: str
    incarnation: int
    engine: Any
    door: Any
    life: Any

    @property
    def running(self) -> bool: ...


Work = Callable[[Place, AgentCall], Awaitable[Any]]


class Programs:
    """All programs. `find(text)` is told of what must not be."""

    def __init__(
        self,
        options: AgentOptions,
        queue: EventQueue,
        hosts: list[Any],
        record: Record,
        transcript: Transcript,
        find: Callable[[str], object],
    ) -> None:
        self._rng = random.Random(f"programs {options.seed}")
        self._options, self._queue, self._record = options, queue, record
        self._hosts: list[Place] = hosts
        self._transcript, self._find = transcript, find
        self.names = [f"n{number}" for number in range(options.names)]
        self.stopped = False
        self._open: dict[tuple[str, int], dict[int, AgentCall]] = {}
        self._menu: list[tuple[Callable[[], None], int]] = [
            (self._ask, 30),
            (self._burst, 8),
            (self._relay, 6),
            (self._start, 2 * options.lives_weight),
            (self._race, 2),
            (self._stop, options.lives_weight),
            (self._move, options.moves_weight),
            (self._look, 3),
        ]

    # --- time -------------------------------------------------------------------------------------

    def start(self) -> None:
        """All names are started from all hosts at once; then the programs go on."""
        for name in self.names:
            self._race_for(name)
        self._plan()

    def _plan(self) -> None:
        rate = self._options.sessions * self._options.calls_per_s
        self._queue.after(self._rng.expovariate(rate), self._next)

    def _next(self) -> None:
        if self.stopped:
            return
        doers, weights = zip(*self._menu, strict=True)
        self._rng.choices(doers, weights)[0]()
        self._plan()

    def on_killed(self, host: Place) -> None:
        """What its programs had asked stays unknown."""
        for call in self._open.pop((host.id, host.incarnation), {}).values():
            self._end(call, "unknown", "the process died")

    # --- one call ---------------------------------------------------------------------------------

    def _place(self) -> Place | None:
        running = [host for host in self._hosts if host.running]
        return self._rng.choice(running) if running else None

    def do(self, host: Place, kind: str, name: str, work: Work, plan: dict[str, Any]) -> AgentCall:
        """Make a call on `host` as soon as its process runs."""
        now = self._queue.now
        call = AgentCall(
            next(self._record.ids),
            kind,
            host.id,
            host.incarnation,
            name,
            now,
            now + DEADLINE_S,
            plan,
        )
        host.life.run(lambda: host.door.loop.create_task(self._run(host, call, work)))
        return call

    async def _run(self, host: Place, call: AgentCall, work: Work) -> None:
        call.called = self._queue.now
        call.deadline = call.called + DEADLINE_S
        self._record.begin(call)
        self._open.setdefault((host.id, host.incarnation), {})[call.id] = call
        self._transcript.trace("call", call.id, call.kind, call.host, call.name)
        try:
            call.value = await work(host, call)
            outcome, reason = "ok", ""
        except AgentError as error:
            outcome, reason = error.outcome, f"AgentError: {error.type}"
            if not error.type.endswith(PlannedError.__name__):
                self._find(f"call {call.id} on {call.host}: an agent raised {error.type}: {error}")
        except UsageError as error:
            outcome, reason = "not_applied", f"{type(error).__name__}: {error}"
            self._find(f"call {call.id} ({call.kind}) on {call.host}: {reason}")
        except QuorateError as error:
            outcome, reason = error.outcome, f"{type(error).__name__}: {error}"
        except Exception as error:
            outcome, reason = "unknown", f"{type(error).__name__}: {error}"
            self._find(f"call {call.id} ({call.kind}) on {call.host} raised {reason}")
        told = {"ok": "ok", "not_applied": "no", "unknown": "unknown", "applied": "ok"}[outcome]
        self._open.get((host.id, host.incarnation), {}).pop(call.id, None)
        self._end(call, told, reason)

    def _end(self, call: AgentCall, outcome: Any, reason: str) -> None:
        call.outcome, call.reason, call.returned = outcome, reason, self._queue.now
        self._transcript.trace("call", call.id, outcome, reason)

    @property
    def open_calls(self) -> list[AgentCall]:
        return [call for calls in self._open.values() for call in calls.values()]

    # --- messages ---------------------------------------------------------------------------------

    def _work_plan(self) -> dict[str, Any]:
        rng = self._rng
        plan: dict[str, Any] = {"acts": rng.choice((0, 1, 3)), "step_s": rng.choice((0.0, 0.02))}
        if rng.random() < 0.5:
            plan["strong"] = True
        if rng.random() < 0.3:
            plan["effects"] = rng.randint(1, 3)
        if self._options.eventual and rng.random() < 0.3:
            plan["eventual"] = True
        if rng.random() < self._options.lasting:
            plan["remind_s"] = rng.choice((0.1, 0.4, 1.5))
        if rng.random() < self._options.lasting:
            plan["timer_s"] = rng.choice((0.02, 0.2, 0.6))
        if rng.random() < 0.04:
            plan["raise"] = True
        return plan

    def _source(self, host: Place) -> str:
        return f"program {host.id}.{host.incarnation}"

    def _ask(self) -> None:
        host = self._place()
        if host is not None:
            self.ask(host, self._rng.choice(self.names), self._work_plan())

    def ask(self, host: Place, name: str, plan: dict[str, Any]) -> AgentCall:
        """An ask, from a program on `host`."""

        async def work(host: Place, call: AgentCall) -> Any:
            source = self._source(host)
            number = self._record.number(source, name)
            proxy = host.engine.face.get(name).options(timeout=DEADLINE_S)
            return await proxy.work(source, number, call.id, plan)

        return self.do(host, "ask", name, work, plan)

    def tell(self, host: Place, name: str, plan: dict[str, Any]) -> AgentCall:
        """A tell, from a program on `host`."""

        async def work(host: Place, call: AgentCall) -> None:
            source = self._source(host)
            number = self._record.number(source, name)
            host.engine.face.get(name).tell.work(source, number, call.id, plan)

        return self.do(host, "tell", name, work, plan)

    def _burst(self) -> None:
        """Several messages in one go: their order counts."""
        host = self._place()
        if host is None:
            return
        name = self._rng.choice(self.names)
        for _ in range(self._rng.randint(2, 5)):
            plan = {"strong": self._rng.random() < 0.3}
            (self.ask if self._rng.random() < 0.5 else self.tell)(host, name, plan)

    def _relay(self) -> None:
        """An agent sends messages to others in its turn."""
        host = self._place()
        if host is None:
            return
        rows = [
            (self._rng.choice(self.names), next(self._record.ids), {"strong": False})
            for _ in range(self._rng.randint(1, 3))
        ]
        self.ask(host, self._rng.choice(self.names), {"relay": [list(row) for row in rows]})

    def _look(self) -> None:
        host = self._place()
        if host is None:
            return
        name = self._rng.choice(self.names)

        async def look(host: Place, call: AgentCall) -> Any:
            try:
                return await host.engine.face.whereis(name, timeout=DEADLINE_S)
            except AgentNotFound:
                return None

        self.do(host, "whereis", name, look, {})

    # --- lives ------------------------------------------------------------------------------------

    def _start(self) -> None:
        host = self._place()
        if host is not None:
            policy = self._rng.choice(ON_CONFLICT)
            self.start_on(host, self._rng.choice(self.names), policy)

    def start_on(self, host: Place, name: str, policy: str) -> AgentCall:
        """Start a name from a program on `host`."""
        rng, options = self._rng, self._options
        args: dict[str, Any] = {"start_s": rng.choice((0.0, 0.0, 0.05, options.start_s))}
        if rng.random() < options.start_fails:
            args[START_FAILS] = rng.sample(options.hosts, rng.choice((1, 1, len(options.hosts))))

        async def start(host: Place, call: AgentCall) -> None:
            await host.engine.face.start(
                Worker.kind, name, on_conflict=policy, args=args, timeout=DEADLINE_S
            )

        return self.do(host, "start", name, start, {"policy": policy, **args})

    def _race(self) -> None:
        self._race_for(self._rng.choice(self.names))

    def _race_for(self, name: str) -> None:
        """The first calls of a name on all hosts at once."""
        for host in self._hosts:
            if host.running:
                self.start_on(host, name, "use_existing")
                self.ask(host, name, {"strong": True})

    def _stop(self) -> None:
        host = self._place()
        if host is None:
            return
        name = self._rng.choice(self.names)

        async def stop(host: Place, call: AgentCall) -> bool:
            reason = f"{STOP_REASON} {call.id}"
            return await host.engine.face.stop(name, reason, timeout=DEADLINE_S)

        self.do(host, "stop", name, stop, {})

    def _move(self) -> None:
        host = self._place()
        if host is not None:
            self.move(host, self._rng.choice(self.names), self._rng.choice(self._hosts).id)

    def move(self, host: Place, name: str, to: str) -> AgentCall:
        """Move an agent, at the order of a program on `host`."""
        strategy = self._rng.choice((None, None, "state_transfer", "cold_start"))
        timeout_s = self._rng.choice((self._options.move_s, DEADLINE_S))

        async def move(host: Place, call: AgentCall) -> Any:
            place = await host.engine.face.move(name, to, strategy, timeout=timeout_s)
            return [place.host, place.epoch]

        return self.do(host, "move", name, move, {"to": to, "strategy": strategy})
