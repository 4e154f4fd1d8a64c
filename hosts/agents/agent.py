"""The programming model: a class of agents.

The law of this file: what a user's class inherits and may override, and nothing that acts. What an
agent can do to others, to its state and to itself it does through its activation, which is there
from before `__init__` runs until the agent leaves this host.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeVar, cast

if TYPE_CHECKING:
    from quorate.hosts.agents.activation import Activation
    from quorate.hosts.agents.agents import Agents
    from quorate.hosts.agents.fence import Fence
    from quorate.hosts.agents.lasting.reminders import Fired, Waiting
    from quorate.hosts.agents.mailbox import Sender
    from quorate.hosts.agents.state.facade import AgentState

F = TypeVar("F", bound=Callable[..., Any])
SHARED = "__quorate_shared__"

PartitionPolicy = Literal["pause_minority", "degraded", "split_brain"]
Strategy = Literal["checkpoint_restore", "state_transfer", "cold_start"]


def shared(method: F) -> F:
    """Mark a method whose turns may overlap: it reads, and writes no state (`UsageError` if it
    tries). It begins in its place in the mailbox and does not hold up what comes behind it."""
    setattr(method, SHARED, True)
    return method


class Agent:
    """Inherit from it, write `async` methods, and start it by name: see `hosts/agents/README.md`.

    Public methods (without a leading underscore) can be called from anywhere. One message at a time
    is handled, each in a turn: what it writes to `self.state` is committed when the method has
    returned, all of it or nothing, and the answer leaves after that. A method that raises is rolled
    back, and its caller gets `AgentError`. Attributes of the object are memory: they survive
    neither a failure nor a passivation, and a migration only through `on_checkpoint`."""

    # --- options of the class ---------------------------------------------------------------------

    kind: ClassVar[str] = ""
    """The name under which hosts know the class; "module:Class" if empty."""
    version: ClassVar[int] = 1
    """An agent runs only on hosts whose class has at least the version it was started with."""
    partition: ClassVar[PartitionPolicy] = "pause_minority"
    """What the agent does on a host that reaches no majority: stop working, answer from what it has
    (marked, and nothing strong), or go on in both parts and be reconciled afterwards."""
    consistency: ClassVar[str] = "eventual"
    """Of writes to `self.state` that name none: strong, session or eventual."""
    keep_state: ClassVar[bool] = False
    """True: an agent that is started again under the name of one that died finds its state."""
    idle_after_s: ClassVar[float | None] = 600.0
    """Without a message for so long it leaves the memory; the next one brings it up again."""
    eager: ClassVar[bool] = False
    """True: after a failover it is brought up at once, and not by its first message."""
    mailbox_messages_max: ClassVar[int] = 1024
    mailbox_full: ClassVar[Literal["refuse", "wait"]] = "refuse"
    """What happens to an ask that finds the mailbox full: `MailboxFull`, or it waits its turn until
    its deadline."""
    turn_timeout_s: ClassVar[float | None] = 30.0
    """A turn that takes longer is interrupted and rolled back."""
    restarts_max: ClassVar[int] = 5
    """So many restarts within `restart_window_s`, then the agent is given up (`failed`)."""
    restart_window_s: ClassVar[float] = 60.0
    migration: ClassVar[Strategy] = "checkpoint_restore"
    state_bytes_max: ClassVar[int] = 64 * 1024 * 1024
    memory_mb: ClassVar[float | None] = None
    """What it may use; the health check calls `on_cleanup` beyond that."""
    backup_s: ClassVar[float | None] = None
    """Every so many seconds in which it changed, a copy of its state is kept beside it: it is put
    back when the state is found to be corrupted. See `hosts/agents/health/README.md`."""

    # --- where and what it is ---------------------------------------------------------------------

    _activation: Activation

    @property
    def name(self) -> str:
        """The name it was started under."""
        return self._activation.name

    @property
    def host_id(self) -> str:
        """The host it runs on now."""
        return self._activation.engine.host_id

    @property
    def epoch(self) -> int:
        """Grows with every new place; fences everything the agent does."""
        return self._activation.epoch

    @property
    def life(self) -> int:
        """Which life of the name this is: another number each time the name is started."""
        return self._activation.life

    @property
    def args(self) -> Mapping[str, Any]:
        """What `start(args=)` was given."""
        return self._activation.spec.args

    @property
    def meta(self) -> Any:
        """The metadata of the name, as this host knows it."""
        return self._activation.meta

    @property
    def fence(self) -> Fence:
        """For effects outside of the cluster: `fence.token` goes along with each of them, and
        whoever receives them refuses a lower token than the highest it has seen."""
        return self._activation.fence

    @property
    def state(self) -> AgentState:
        """The agent's own part of the cluster's state; written in turns only."""
        return self._activation.state

    @property
    def agents(self) -> Agents:
        """All agents, as `host.agents`."""
        return self._activation.engine.face

    @property
    def me(self) -> Self:
        """A proxy of this agent, to be called later or handed to others by its name."""
        return cast(Self, self._activation.engine.face.get(self.name))

    @property
    def caller(self) -> Sender | None:
        """Who sent the message that is being handled: an agent (`name`), or a program on a
        host."""
        return self._activation.caller

    @property
    def degraded(self) -> bool:
        """Whether this host reaches no majority and the agent goes on all the same."""
        return self._activation.degraded

    # --- what it can do ---------------------------------------------------------------------------

    async def remind(
        self,
        id: str,
        *,
        after: float | None = None,
        at: float | None = None,
        every: float | None = None,
        data: Any = None,
    ) -> None:
        """Have `on_reminder(id, data)` called `after` so many seconds, or `at` a time (seconds
        since the epoch), and then `every` so many seconds. It survives hosts and passivation,
        fires once per due time, also when that was missed, and is committed with this turn."""
        await self._activation.remind(id, after=after, at=at, every=every, data=data)

    async def forget(self, id: str) -> None:
        """Take a reminder back, with this turn's commit."""
        await self._activation.forget(id)

    def reminders(self) -> list[Waiting]:
        """The reminders that are set, as this turn leaves them."""
        return self._activation.reminders()

    @property
    def reminder(self) -> Fired | None:
        """In `on_reminder`: when it was due, and how often it was missed."""
        return self._activation.firing

    def timer(
        self,
        work: Callable[[], Awaitable[object]],
        *,
        after: float | None = None,
        every: float | None = None,
    ) -> Any:
        """Run `work` as a turn of its own `after` so many seconds, or `every` so many; it ends with
        the agent's time on this host. Returns what cancels it: `.cancel()`."""
        return self._activation.timer(work, after=after, every=every)

    async def link(self, name: str) -> None:
        """From now on this agent and `name` die together. Raises `AgentNotFound`."""
        await self._activation.link(name, on=True)

    async def unlink(self, name: str) -> None:
        """Undo `link`."""
        await self._activation.link(name, on=False)

    async def monitor(self, name: str) -> None:
        """Have `on_down(name, reason)` called once when `name` dies (at once if it is dead)."""
        await self._activation.monitor(name, on=True)

    async def demonitor(self, name: str) -> None:
        """Undo `monitor`."""
        await self._activation.monitor(name, on=False)

    async def stop(self, reason: str = "stopped itself") -> None:
        """Die when this turn has been committed."""
        self._activation.stop_after_turn(reason)

    # --- hooks: override what is needed -----------------------------------------------------------

    async def on_start(self) -> None:
        """Once in a life, in a turn: before the first message. If it raises, the start fails."""

    async def on_activate(self) -> None:
        """Whenever the agent came into memory on a host: after a start, a failover, a move."""

    async def on_passivate(self) -> None:
        """In a turn, before the agent leaves the memory because nobody needs it."""

    async def on_stop(self, reason: str) -> None:
        """When its life has ended: nothing it writes is kept any more."""

    async def on_checkpoint(self) -> Any:
        """What of the object's memory is to move with it (plain values), for `on_restore`."""
        return None

    async def on_restore(self, value: Any) -> None:
        """What `on_checkpoint` gave on the host it came from, or a health check kept."""

    async def on_reminder(self, id: str, data: Any) -> None:
        """A reminder is due."""

    async def on_down(self, name: str, reason: str) -> None:
        """An agent that is monitored died."""

    async def on_cleanup(self) -> None:
        """The agent uses more memory than it may: give up what can be made again."""

    async def check_state(self) -> str | None:
        """Asked from time to time, and before a backup: why the state makes no sense, or None. It
        is then put back to the last backup."""
        return None

    # --- for type checkers: a proxy has these, and they call the agent ----------------------------

    if TYPE_CHECKING:

        @property
        def tell(self) -> Any: ...
        @property
        def ask(self) -> Any: ...
        def options(
            self,
            *,
            timeout: float | None = None,
            consistency: str | None = None,
            delivery: str | None = None,
        ) -> Self: ...


HOOKS = frozenset(name for name in vars(Agent) if not name.startswith("_"))
"""Names that are not messages."""
