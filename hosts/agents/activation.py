"""One agent in the memory of its host: its messages in order, its turns one by one.

The law of this file: a message leaves the mailbox only while the host may act for its agents;
shared turns begin in their order and then overlap with whatever comes. When the activation ends,
what was not begun is handed back untouched. How a turn runs is in `turning.py`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from quorate.core.errors import CircularAsk, Fenced, MailboxFull, StartFailed, Timeout, UsageError
from quorate.hosts.agents.agent import Agent
from quorate.hosts.agents.classes import AgentClass
from quorate.hosts.agents.fence import Fence
from quorate.hosts.agents.lifecycle import Happening, Status, next_status
from quorate.hosts.agents.mailbox import Message, Sender, Work
from quorate.hosts.agents.spec import Spec, meta_of
from quorate.hosts.agents.turning import TurnRunner
from quorate.hosts.agents.turns import current_turn

if TYPE_CHECKING:
    from quorate.core.machine.records import AgentRecord
    from quorate.hosts.agents.engine import AgentEngine
    from quorate.hosts.agents.lasting.reminders import Fired, Waiting

WAIT_S: Final = 5.0
TAKES: Final = (Status.STARTING, Status.ACTIVE, Status.MIGRATING)
"""Statuses in which messages are put into the mailbox."""
OVER: Final = (Status.STOPPING, Status.GONE)
EMPTY: Final[deque[Message]] = deque(maxlen=0)
"""The mailbox of those that have no message: an own deque has room for 64 at once, 760 bytes."""


class Activation(TurnRunner):
    """One activation of one agent. Made by the engine for a binding to this host."""

    __slots__ = (
        "_may_act",
        "_stop_reason",
        "_wake",
        "anonymous",
        "brought_up",
        "fence",
        "heard",
        "life",
        "paused",
        "queue",
        "queue_max",
        "record",
        "restored",
        "spec",
        "status",
        "throttle_s",
    )

    def __init__(
        self, engine: AgentEngine, record: AgentRecord, cls: AgentClass, spec: Spec
    ) -> None:
        super().__init__()
        self.engine = engine
        self.record = record
        self.name = record.name
        self.life = record.life
        self.epoch = record.epoch
        self.cls = cls
        self.spec = spec
        self.status = Status.STARTING
        self.agent: Agent = cls.cls.__new__(cls.cls)
        self.agent._activation = self.me  # pyright: ignore[reportPrivateUsage]
        self.fence = Fence(self.me)
        self.queue: deque[Message] = EMPTY
        self.queue_max = cls.cls.mailbox_messages_max
        self.heard: dict[tuple[str, int], int] = {}
        """(host, life of its process) -> the number of the last message that was taken of it."""
        self.last_active = engine.now()
        self.degraded = False
        """This host reaches no majority, and the agent's policy is to go on all the same."""
        self.read_only = False
        """It is degraded and may write nothing at all, not even what is not strong."""
        self.anonymous = False
        """It has no name: no lease is needed."""
        self.restored: Any = None
        """(what `on_restore` is to be given, the local layer) before the first turn, or None."""
        self.paused = False
        self.throttle_s = 0.0
        """The least time between two turns; above 0 while the agent uses too much."""
        self.brought_up = engine.world.loop.create_future()
        """Done when the agent takes turns, or with what kept it from that."""
        self._may_act = engine.tenancy.valid
        self._wake: asyncio.Future[None] | None = None
        self._stop_reason: str | None = None

    # --- what others ask --------------------------------------------------------------------------

    @property
    def holds(self) -> bool:
        """Whether this activation may believe to be the present one."""
        return self.alive and (self.degraded or self.anonymous or self._may_act())

    @property
    def alive(self) -> bool:
        """Whether it is still the activation of this host."""
        return self.status not in OVER

    @property
    def caller(self) -> Sender | None:
        turn = current_turn.get()
        return None if turn is None or turn.activation is not self.me else turn.message.sender

    @property
    def meta(self) -> Any:
        return meta_of(self.record.meta)

    @property
    def idle(self) -> bool:
        """Nothing runs, nothing waits."""
        return self.turn is None and not self.queue and not self.shared_turns

    def become(self, happening: Happening) -> None:
        """The one door to another status."""
        self.status = next_status(self.status, happening)

    def take(self, record: AgentRecord) -> None:
        """The binding changed and is still to this host, under the same lease."""
        self.record = record
        self.epoch = record.epoch

    # --- messages ---------------------------------------------------------------------------------

    def accept(self, message: Message) -> None:
        """Put a message into the mailbox. Raises `MailboxFull`, `CircularAsk`, `Fenced`."""
        if self.status not in TAKES:
            raise Fenced(f"agent {self.name!r} is {self.status.value} on this host")
        if message.chain and self.name in message.chain and self._reenter(message):
            return
        if len(self.queue) >= self.queue_max and message.kind != "call":
            self._overflow(message)
        if self.queue is EMPTY:
            self.queue = deque[Message]()
        self.queue.append(message)
        wake = self._wake
        if wake is not None and not wake.done():
            wake.set_result(None)

    def _overflow(self, message: Message) -> None:
        parked_max = self.engine.world.settings.parked_messages_max
        waits = self.cls.cls.mailbox_full == "wait" and message.kind == "ask"
        if not waits or len(self.queue) >= self.queue_max + parked_max:
            raise MailboxFull(
                f"agent {self.name!r} has {len(self.queue)} messages waiting, {self.queue_max} may"
            )

    def _reenter(self, message: Message) -> bool:
        """An ask that came around to who waits for it: a shared method runs beside."""
        method = self.cls.methods.get(message.method)
        if message.kind != "ask":
            return False
        if method is None or not method.shared:
            circle = " > ".join((*message.chain, self.name))
            raise CircularAsk(
                f"agent {self.name!r} waits for this ask itself ({circle}): make "
                f"{message.method!r} @shared, or tell instead of asking"
            )
        if self.status is not Status.ACTIVE:
            return False
        self._begin_shared(message, method)
        return True

    def post(
        self,
        work: Work,
        *,
        label: str,
        done: Callable[[BaseException | None], None] | None = None,
    ) -> Message:
        """Work of the host's own on the agent: `work(agent)` runs as a turn, in its place in the
        mailbox. `done(error or None)` when it ended. Raises `Fenced`."""
        message = Message("call", label)
        message.work = work
        message.on_end = done
        self.accept(message)
        return message

    # --- life -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to come up."""
        loop = self.engine.world.loop
        self._pump = loop.create_task(self._live(), name=f"agent {self.name}")

    def nudge(self) -> None:
        """Look at the mailbox again: the host may act again, or the agent goes on."""
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _live(self) -> None:
        try:
            await self._come_up()
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:
            self.engine.on_start_failed(self.me, error)
            return
        while self.status not in OVER:  # a turn may have swallowed that it was cancelled
            queue = self.queue
            if not queue or self.paused or not self.holds:
                if not queue:
                    queue = self.queue = EMPTY
                self._wake = self.engine.world.loop.create_future()
                await self._wake
                self._wake = None
                continue
            message = queue.popleft()
            if message.ended or self._is_late(message):
                continue
            method = None if message.work is not None else self.cls.methods.get(message.method)
            if method is None and message.work is None:
                try:
                    self.cls.method(message.method)
                except UsageError as error:
                    self._end(message, False, error)
                continue
            if method is not None and method.shared:
                self._begin_shared(message, method)
            else:
                await self._exclusive(message, method)
            if self._stop_reason is not None:
                self.engine.on_stops_itself(self.me, self._stop_reason)
                return
            if self.throttle_s:
                await asyncio.sleep(self.throttle_s)

    def _is_late(self, message: Message) -> bool:
        """Nobody waits for it any more: it is not begun."""
        if message.origin is None or self.engine.now() <= message.deadline:
            return False
        text = f"agent {self.name!r}, {message.method}: it was not begun by its deadline"
        if message.kind == "tell":
            self.engine.on_dead(self.name, message, text)
        message.fail(Timeout(text))
        return True

    async def _come_up(self) -> None:
        """Hooks before the first message."""
        engine = self.engine
        self.state = await engine.open_state(self.me)
        await self._until_it_holds()
        self.agent.__init__()
        overrides = self.cls.overrides
        if self.restored is not None:
            value, local = self.restored
            self.restored = None
            if local:
                self.state.import_local(local)
            if value is not None and "on_restore" in overrides:
                await self.agent.on_restore(value)
        repair = engine.parts.restarts.repair_of(self.me)
        if repair is not None:
            await self._hook(repair, "restore", [])
        if self.record.status == "starting":
            await self._hook(_on_start, "on_start", [] if self.anonymous else [["started"]])
        if "on_activate" in overrides:
            await self._hook(_on_activate, "on_activate", [])
        self.become(Happening.STARTED)
        if not self.brought_up.done():
            self.brought_up.set_result(None)
        engine.on_brought_up(self.me)

    async def _hook(self, work: Work, label: str, marks: list[list[Any]]) -> None:
        """A hook as a turn; what it raises is raised."""
        message = Message("call", label)
        message.work = work
        failed: list[BaseException] = []
        message.on_end = lambda error: None if error is None else failed.append(error)
        await self._until_it_holds()
        await self._exclusive(message, None, marks)
        if failed:
            raise failed[0]

    async def _until_it_holds(self) -> None:
        """No turn begins while the host may not act; coming up takes its time."""
        engine = self.engine
        while not self.holds:
            if not self.alive or engine.stopped:
                raise Fenced(f"agent {self.name!r} left this host before it had come up")
            await engine.wait_valid(engine.now() + WAIT_S, self.me)

    # --- standing still, and the end --------------------------------------------------------------

    async def quiesce(self, timeout_s: float) -> bool:
        """Begin no turn any more; True once none runs, False when that takes longer. `resume`
        undoes it."""
        self.paused = True
        return await self.wait_still(timeout_s)

    def resume(self) -> None:
        """Go on."""
        self.paused = False
        self.nudge()

    def take_queue(self) -> list[Message]:
        """The messages that were not begun, in order; they are the caller's now."""
        taken = [message for message in self.queue if not message.ended]
        self.queue.clear()
        return taken

    def drop(self, happening: Happening | None) -> list[Message]:
        """End at once, without effects. Returns what was not begun."""
        if happening is not None and self.status is not Status.GONE:
            self.become(happening)
        if self._pump is not None and self._pump is not asyncio.current_task():
            self._pump.cancel()
        for task in list(self.shared_turns.values()):
            if task is not asyncio.current_task():
                task.cancel()
        if not self.brought_up.done():
            self.brought_up.set_exception(StartFailed(f"agent {self.name!r} left this host"))
            self.brought_up.exception()  # perhaps nobody waits
        if hasattr(self, "state"):
            self.state.close()
        return self.take_queue()

    async def wait_ended(self) -> None:
        """Return when nothing of it runs any more, after `drop`."""
        tasks = [task for task in (self._pump, *self.shared_turns.values()) if task is not None]
        me = asyncio.current_task()
        await asyncio.gather(*(t for t in tasks if t is not me), return_exceptions=True)

    # --- what the agent does to itself ------------------------------------------------------------

    def stop_after_turn(self, reason: str) -> None:
        self._stop_reason = reason

    async def remind(self, id: str, **when: Any) -> None:
        await self.engine.parts.reminders.remind(self.me, id, **when)

    async def forget(self, id: str) -> None:
        await self.engine.parts.reminders.forget(self.me, id)

    def reminders(self) -> list[Waiting]:
        return self.engine.parts.reminders.of(self.me)

    @property
    def firing(self) -> Fired | None:
        return self.engine.parts.reminders.firing(self.me)

    def timer(self, work: Callable[[], Awaitable[object]], **when: Any) -> Any:
        return self.engine.parts.timers.timer(self.me, work, **when)

    async def link(self, name: str, *, on: bool) -> None:
        await self.engine.parts.kin.link(self.me, name, on=on)

    async def monitor(self, name: str, *, on: bool) -> None:
        await self.engine.parts.kin.monitor(self.me, name, on=on)

    def describe(self) -> dict[str, Any]:
        """How it is, as plain values."""
        turn = self.turn
        now = self.engine.now()
        return {
            "name": self.name,
            "status": self.status.value,
            "epoch": self.epoch,
            "life": self.life,
            "kind": self.cls.kind,
            "mailbox": len(self.queue),
            "turns": self.turns,
            "busy_s": round(self.busy_s, 6),
            "running": None if turn is None else turn.message.method,
            "running_s": None if turn is None else round(now - turn.started_at, 6),
            "shared_running": len(self.shared_turns),
            "idle_s": round(now - self.last_active, 3),
            "degraded": self.degraded,
            "paused": self.paused,
            "health": self.engine.parts.health.of(self.me),
        }


async def _on_start(agent: Agent) -> None:
    await agent.on_start()


async def _on_activate(agent: Agent) -> None:
    await agent.on_activate()
