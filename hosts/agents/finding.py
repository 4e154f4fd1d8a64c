"""The way of a message from this host: where its agent is, and in which order messages go there.

The law of this file: messages for one agent leave in the order in which they were sent
(`routes.py`). While it is not known where an agent is, its messages are held; one task finds out,
flushes every way that something went or came back by, and sends them. What came back untouched goes
before what is new, in the order in which it was sent. What might still come, when a flush was not
answered or a link broke, is not sent again: it has been overtaken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from quorate.core.errors import (
    AgentNotFound,
    Fenced,
    Moved,
    NotCommitted,
    Overloaded,
    Partitioned,
    QuorateError,
    StartFailed,
    Timeout,
)
from quorate.hosts.agents import envelope as wire
from quorate.hosts.agents.flushes import Flushes
from quorate.hosts.agents.mailbox import Message, Sender
from quorate.hosts.agents.names import home_of
from quorate.hosts.agents.outbox import Outbox
from quorate.hosts.agents.routes import Hold, Route
from quorate.hosts.agents.sent import Sent

if TYPE_CHECKING:
    from quorate.core.machine.records import AgentRecord
    from quorate.hosts.agents.directory import Directory
    from quorate.hosts.agents.tenancy import Tenancy
    from quorate.hosts.agents.world import AgentWorld

AGAIN_S: Final = 0.003
"""The first pause: about what a follower needs to hear of a binding that the leader has applied."""
AGAIN_MAX_S: Final = 0.25
LOOK_AGAIN_S: Final = 0.25
ROUTE_KEPT_S: Final = 30.0
HELD_MESSAGES_MAX: Final = 65_536
OVERTAKEN_NAMES_MAX: Final = 4096

Deliver = Callable[[str, Message], None]
OnDead = Callable[[str, Message, str], None]


class Finder:
    """One per host. `deliver_here(target, message)`: into the mailbox of an agent on this host."""

    def __init__(
        self,
        world: AgentWorld,
        directory: Directory,
        tenancy: Tenancy,
        outbox: Outbox,
        *,
        deliver_here: Deliver,
        on_dead: OnDead,
        stand_in: Callable[[AgentRecord], str | None],
    ) -> None:
        """`stand_in(record)`: who answers for an agent in a part without a majority."""
        self._world = world
        self._group = world.group
        self._clock = world.group.clock.monotonic
        self._directory = directory
        self._may_act = tenancy.valid
        self._outbox = outbox
        self._deliver_here = deliver_here
        self._on_dead = on_dead
        self._stand_in = stand_in
        self._host_id = world.host_id
        self._program = Sender(world.host_id)
        self._next_id = world.group.rng.getrandbits(30) << wire.RUN_SHIFT
        self.pending: dict[int, Sent] = {}
        """Asks that were sent to other hosts, by number."""
        self.routes: dict[str, Route] = {}
        self.holds: dict[str, Hold] = {}
        self._flushes = Flushes(world, outbox)
        self.on_flushed = self._flushes.on_flushed
        self._overtaken: dict[str, int] = {}
        """Messages for a name up to this number are not sent again when they come back."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False
        self._counts = dict.fromkeys(("local", "remote", "held", "flushes"), 0)

    def dispatch(self, target: str, message: Message) -> None:
        """Send along, or hold it until it is known where to."""
        hold = self.holds.get(target)
        if hold is not None:
            self._put(hold, target, message)
            return
        home = home_of(target)
        if home is not None:
            self._to_host(target, home, 0, message)
            return
        record = self._directory.look(target)
        if record is not None and self._directory.runs(record):
            route = self.routes.get(target)
            if route is None or route.host == record.host or route.quiet:
                self._to_host(target, record.host, record.epoch, message)
                return
        self.hold(target).fresh.append(message)

    def _to_host(self, target: str, host: str, epoch: int, message: Message) -> None:
        self._next_id += 1
        message.id = self._next_id
        route = self.routes.get(target)
        if host == self._host_id:
            if route is not None and route.quiet:
                del self.routes[target]
            self._counts["local"] += 1
            try:
                self._deliver_here(target, message)
            except (Moved, Fenced):
                self.came_back(target, message)
            except QuorateError as error:
                self.end_badly(target, message, error)
            return
        if route is None or route.host != host:
            route = self.routes[target] = Route(host, epoch)
        self._remote(target, route, message)

    def _remote(self, target: str, route: Route, message: Message) -> None:
        """Into the batch for the host of the route."""
        try:
            parts = self._envelope(target, route.epoch, message)
        except QuorateError as error:
            self.end_badly(target, message, error)
            return
        route.used_at = self._clock()
        if message.kind == "ask":
            route.asks += 1
            if isinstance(message, Sent):
                message.peer = route.host
                message.route = route
                message.tells_before = route.tells
                self.pending[message.id] = message
        else:
            route.tells += 1
        self._counts["remote"] += 1
        self._outbox.add(route.host, parts, lambda: self._on_unsent(target, message))

    def _envelope(self, target: str, epoch: int, message: Message) -> wire.Envelope:
        if message.body is None:
            message.body = wire.encode_call(message.args, message.kwargs, message.method)
        sender = message.sender or self._program
        left_ms = max(1, int((message.deadline - self._clock()) * 1000))
        return [
            wire.ASK if message.kind == "ask" else wire.TELL,
            message.id,
            target,
            epoch,
            message.method,
            message.body,
            sender.name,
            sender.epoch,
            list(message.chain),
            left_ms,
            message.options,
        ]

    def _on_unsent(self, target: str, message: Message) -> None:
        """It did not leave this host."""
        self.forget(message, came_back=True)
        self.came_back(target, message)

    def came_back(
        self, target: str, message: Message, peer: str = "", told: tuple[str, int] = ("", 0)
    ) -> None:
        """It was not taken (by `peer`, who says that the agent is at `told`): it goes to where the
        agent is, before what is new."""
        if message.ended:
            return
        if peer and message.id <= self._overtaken.get(target, 0):
            text = f"{message.method}: it came back from host {peer!r} after later ones had left"
            self.end_badly(target, message, NotCommitted(text))
            return
        hold = self.hold(target)
        hold.returned.append(message)
        if peer:
            hold.returned_by[peer] = hold.closed[peer] = None
        else:  # from this host's own hands, in order
            self._next_id += 1
            message.id = self._next_id
        if told[1] > hold.told[1]:
            hold.told = told
        message.times_back += 1

    def forget(self, message: Message, *, came_back: bool) -> None:
        """It is on no way any more. `came_back`: it did not arrive, or nobody knows."""
        if not isinstance(message, Sent):
            return
        self.pending.pop(message.id, None)
        route, message.route = message.route, None
        if route is None:
            return
        if message.kind == "ask":
            route.on_answered(0 if came_back else message.tells_before)
        if route.quiet and self.routes.get(message.target) is route:
            del self.routes[message.target]

    # --- holding ----------------------------------------------------------------------------------

    def _put(self, hold: Hold, target: str, message: Message) -> None:
        if len(hold) >= HELD_MESSAGES_MAX:
            text = f"{HELD_MESSAGES_MAX} messages wait for agent {target!r} already"
            self.end_badly(target, message, Overloaded(text))
            return
        hold.fresh.append(message)

    def hold(self, target: str) -> Hold:
        """The hold of a name; makes it, and has somebody find out."""
        hold = self.holds.get(target)
        if hold is None:
            hold = self.holds[target] = Hold()
            self._counts["held"] += 1
            if not self._stopped:
                task = self._world.loop.create_task(self._find(target, hold), name=f"to {target}")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        return hold

    async def _find(self, target: str, hold: Hold) -> None:
        """Find out where the messages go, flush the old ways, send them."""
        await asyncio.sleep(0)  # those that come back in this turn come first
        try:
            while until := self._until(target, hold):
                await self._back_off(target, hold, until)
                host, epoch = await self._place(target, hold, until)
                if not host or await self._flush(target, hold):
                    continue
                if self.holds.get(target) is hold:
                    del self.holds[target]
                for closed in hold.closed and {**hold.closed, host: None}:
                    self._flushes.open(target, closed, self._next_id)
                for message in hold.take():
                    if self.holds.get(target) is None:
                        self._to_host(target, host, epoch, message)
                    else:  # one of them came back at once
                        self.came_back(target, message)
                return
        except QuorateError as error:
            for message in hold.take():
                self.end_badly(target, message, error)
        finally:
            if self.holds.get(target) is hold:
                del self.holds[target]

    def _until(self, target: str, hold: Hold) -> float:
        """The last deadline of those that wait; 0 when nobody does. Whose deadline has passed waits
        no longer."""
        now = self._clock()
        last = 0.0
        for message in hold.messages():
            if message.deadline <= now:
                text = f"{message.method}: no place of agent {target!r} was found in time"
                self.end_badly(target, message, Timeout(text))
            elif not message.ended:
                last = max(last, message.deadline)
        return last

    async def _back_off(self, target: str, hold: Hold, until: float) -> None:
        """What comes back again and again is sent more and more seldom."""
        times = max((message.times_back for message in hold.returned), default=0)
        if times > 1:
            wait_s = min(AGAIN_MAX_S, AGAIN_S * 2.0 ** min(times - 2, 8))
            await self._directory.wait(target, min(until, self._clock() + wait_s))

    async def _place(self, target: str, hold: Hold, until: float) -> tuple[str, int]:
        """(host, epoch) once the agent has a place that can be reached; ("", 0): look again.
        Raises `AgentNotFound` and what stands in the way."""
        directory = self._directory
        record = directory.look(target)
        if record is None:
            left_s = max(0.0, until - self._clock())
            await self._group.read_point("linearizable", min(left_s, self._group.timeout_s))
            record = directory.look(target)
            if record is None:
                raise AgentNotFound(f"no agent {target!r} lives")
        if record.status == "failed":
            raise StartFailed(f"agent {target!r} failed and was given up: see `describe`")
        if self._world.cut_off():
            instead = self._stand_in(record)
            if instead is not None:
                return instead, record.epoch
        told_host, told_epoch = hold.told
        if told_epoch > record.epoch and told_host and self._world.is_up(told_host):
            return told_host, told_epoch  # who was asked knows more than this host
        if not directory.runs(record):
            self._refuse_cut_off(target)
            await directory.wait(target, min(until, self._clock() + LOOK_AGAIN_S))
            return "", 0
        host = record.host
        if host == self._host_id:
            if not self._may_act():
                self._refuse_cut_off(target)
                await directory.wait(target, min(until, self._clock() + LOOK_AGAIN_S))
                return "", 0
        elif not self._world.is_up(host):
            self._refuse_cut_off(target)
            await directory.wait(target, min(until, self._clock() + LOOK_AGAIN_S))
            return "", 0
        return host, record.epoch

    def _refuse_cut_off(self, target: str) -> None:
        if self._world.cut_off():
            raise Partitioned(
                f"agent {target!r}: this host reaches no majority, and cannot reach the agent"
            )

    async def _flush(self, target: str, hold: Hold) -> bool:
        """Wait until what went by other ways, or behind what came back, has arrived or come back.
        Whether something did that changes where to."""
        route = self.routes.get(target)
        ways = hold.returned_by
        hold.returned_by = {}
        if route is not None and not route.quiet:
            ways[route.host] = None
        if not ways:
            return False
        back, told = len(hold.returned), hold.told
        self._counts["flushes"] += len(ways)
        answered = await asyncio.gather(*(self._flushes.ask(target, host) for host in ways))
        if not all(answered):
            self._overtaken[target] = self._next_id
        if self.routes.get(target) is route and route is not None:
            del self.routes[target]
        return len(hold.returned) != back or hold.told != told

    def on_peer_down(self, peer: str) -> None:
        """Whatever went there is there, or lost, or comes late: then it is overtaken."""
        for name, route in list(self.routes.items()):
            if route.host == peer and route.asks == 0:
                if not route.quiet:
                    self._overtaken[name] = self._next_id
                del self.routes[name]
        self.look_again()

    def send_to(self, target: str, host: str, epoch: int, message: Message) -> None:
        """Send a message of this host that an agent which moved had not begun."""
        self._to_host(target, host, epoch, message)

    def look_again(self) -> None:
        """Hosts came or went: whoever waits for a name looks again."""
        if self.holds:
            self._directory.wake_all()

    def sweep(self) -> None:
        """Forget routes that were not used for a while."""
        before = self._clock() - ROUTE_KEPT_S
        old = [n for n, route in self.routes.items() if route.used_at < before and not route.asks]
        for name in old:
            del self.routes[name]
        while len(self._overtaken) > OVERTAKEN_NAMES_MAX:
            del self._overtaken[next(iter(self._overtaken))]

    def end_badly(self, target: str, message: Message, error: QuorateError) -> None:
        if message.ended:
            return
        if message.kind == "tell":
            self._on_dead(target, message, str(error))
            message.ended = True
        else:
            message.fail(error)

    # --- the end ----------------------------------------------------------------------------------

    def stop(self) -> None:
        """Nothing is held any more. Safe to call twice."""
        self._stopped = True
        for hold in self.holds.values():
            for message in hold.take():
                message.fail(NotCommitted(f"{message.method}: the host stopped before it was sent"))
        for task in self._tasks:
            task.cancel()
        self._flushes.stop()

    async def wait_stopped(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def statistics(self) -> dict[str, object]:
        return {
            "pending": len(self.pending),
            "held": sum(map(len, self.holds.values())),
            "routes": len(self.routes),
            **{f"{name}_total": count for name, count in self._counts.items()},
        }
