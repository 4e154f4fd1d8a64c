"""Messages of programs and agents on this host, and their answers.

The law of this file: every message ends by its deadline, once, and its end says whether it may have
been handled. What is known to have arrived nowhere is sent again by itself (`finding.py`); what may
have arrived is never repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from quorate.core.errors import (
    CircularAsk,
    Fenced,
    MailboxFull,
    OutcomeUnknown,
    Partitioned,
    QuorateError,
    Stopped,
    Timeout,
)
from quorate.hosts.agents import envelope as wire
from quorate.hosts.agents.finding import Deliver, Finder, OnDead
from quorate.hosts.agents.mailbox import Message, Sender
from quorate.hosts.agents.outbox import Outbox
from quorate.hosts.agents.sent import Sent
from quorate.hosts.agents.turns import current_turn

if TYPE_CHECKING:
    from quorate.core.machine.records import AgentRecord
    from quorate.hosts.agents.activation import Activation
    from quorate.hosts.agents.directory import Directory
    from quorate.hosts.agents.tenancy import Tenancy
    from quorate.hosts.agents.world import AgentWorld

TELL_KEPT_S: Final = 30.0
"""A tell that finds no place for so long becomes a dead letter."""


class Calls:
    """One per host. `here`: the activations of this host, by name."""

    def __init__(
        self,
        world: AgentWorld,
        directory: Directory,
        tenancy: Tenancy,
        here: dict[str, Activation],
        outbox: Outbox,
        *,
        deliver_here: Deliver,
        on_dead: OnDead,
        vouch: Callable[[str, int], int],
        stand_in: Callable[[AgentRecord], str | None],
    ) -> None:
        """`vouch(sender, epoch)`: the present epoch of an agent that sent something under `epoch`
        and left this host in good order since; `epoch` for all others."""
        self._me: Any = self
        self._world = world
        self._clock = world.group.clock.monotonic
        self._here = here
        self._on_dead = on_dead
        self._vouch = vouch
        self._deadlines = world.group.deadlines
        self._create_future = world.loop.create_future
        self._host_id = world.host_id
        self._program = Sender(world.host_id)
        self._timeout_s = world.settings.timeout_s
        self._pending_max = world.settings.calls_pending_max
        self._stopped: QuorateError | None = None
        self._counts = dict.fromkeys(("at_once", "moved", "late"), 0)
        self.finder = Finder(
            world,
            directory,
            tenancy,
            outbox,
            deliver_here=deliver_here,
            on_dead=on_dead,
            stand_in=stand_in,
        )
        self._pending = self.finder.pending
        self._holds = self.finder.holds
        self._routes = self.finder.routes
        self.dispatch = self.finder.dispatch
        self._forget = self.finder.forget

    # --- sending ----------------------------------------------------------------------------------

    def ask(
        self,
        target: str,
        method: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: dict[str, Any] | None,
    ) -> Sent:
        """Send a question; its `future` gets the answer. Raises `UsageError`, `Overloaded`,
        `Stopped`."""
        message = self._make("ask", target, method, args, kwargs, options)
        message.future = self._create_future()
        timeout_s = options.get("timeout") if options else None
        if timeout_s is None:
            timeout_s = self._timeout_s
        message.deadline = self._clock() + timeout_s
        message.bucket = self._deadlines.add(message.deadline, message)
        self._send(target, message)
        return message

    def tell(
        self,
        target: str,
        method: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: dict[str, Any] | None,
    ) -> None:
        """Send without waiting for anything. Raises `UsageError`, `Stopped`, and `MailboxFull`
        where that is seen at once; what fails later is a dead letter."""
        message = self._make("tell", target, method, args, kwargs, options)
        message.deadline = self._clock() + TELL_KEPT_S
        self._send(target, message)

    def _make(
        self,
        kind: str,
        target: str,
        method: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: dict[str, Any] | None,
    ) -> Sent:
        if self._stopped is not None:
            raise self._stopped
        args, kwargs = wire.isolated_call(args, kwargs, method)
        message = Sent(
            self._me, target, kind, method, args=args, kwargs=kwargs, options=options or None
        )
        turn = current_turn.get()
        if turn is None:
            message.sender = self._program
        else:
            activation = turn.activation
            message.sender = Sender(self._host_id, activation.name, activation.epoch)
            if not activation.holds:
                raise Fenced(
                    f"agent {activation.name!r}, epoch {activation.epoch}: this host cannot be "
                    "sure any more that it runs the agent; nothing was sent"
                )
            if kind == "ask" and not turn.closed:
                message.chain = turn.chain
                if len(turn.chain) >= wire.CHAIN_NAMES_MAX:
                    raise CircularAsk(f"{len(turn.chain)} agents wait for each other in a line")
                message.turn = turn
                turn.waits_for[target] = turn.waits_for.get(target, 0) + 1
        return message

    def _send(self, target: str, message: Sent) -> None:
        activation = self._here.get(target)
        if (
            activation is not None
            and not (self._holds and target in self._holds)
            and not (self._routes and target in self._routes)
        ):
            try:
                activation.accept(message)
                self._counts["at_once"] += 1
                return
            except Fenced:
                pass  # it is leaving: look where it goes
            except (MailboxFull, CircularAsk) as error:
                self._refuse(message, error)
                return
        self.dispatch(target, message)

    def _refuse(self, message: Message, error: QuorateError) -> None:
        if message.kind == "tell":
            message.ended = True
            raise error
        message.fail(error)

    # --- answers ----------------------------------------------------------------------------------

    def on_reply(self, id_: int, body: bytes, degraded: bool) -> None:
        """The answer to an ask."""
        message = self._pending.get(id_)
        if message is None:
            return
        self._forget(message, came_back=False)
        message.degraded = degraded
        try:
            value = wire.codec.decode_value(body)
        except QuorateError as error:
            message.fail(error)
            return
        message.end(True, value)

    def on_error(self, id_: int, parts: list[Any]) -> None:
        message = self._pending.get(id_)
        if message is None:
            return
        self._forget(message, came_back=True)  # it may have overtaken what waits in the mailbox
        message.fail(wire.error_of(parts))

    def on_moved(self, peer: str, id_: int, host: str, epoch: int) -> None:
        """The ask was not taken there: it goes to where the agent is."""
        message = self._pending.get(id_)
        if message is None:
            return
        self._counts["moved"] += 1
        self._forget(message, came_back=True)
        self.finder.came_back(message.target, message, peer, (host, epoch))

    def on_returned(self, peer: str, host: str, epoch: int, parts: wire.Envelope) -> None:
        """A tell was not taken there."""
        self._counts["moved"] += 1
        if epoch == wire.SENDER_IS_OVER:
            present = self._vouch(parts[6], parts[7])
            if present == parts[7]:
                lost = Message("tell", parts[4], sender=Sender(self._host_id, parts[6], parts[7]))
                self._on_dead(
                    parts[2], lost, f"agent {parts[6]!r} sent it in an epoch that is over"
                )
                return
            parts[7] = present
            host, epoch = "", 0
        message = Sent(self._me, parts[2], "tell", parts[4], options=parts[10])
        message.id, message.body = parts[1], parts[5]
        message.sender = Sender(self._host_id, parts[6], parts[7])
        message.deadline = self._clock() + parts[9] / 1000
        self.finder.came_back(parts[2], message, peer, (host, epoch))

    def on_at(self, peer: str, id_: int, host: str) -> None:
        """The place it was sent to handed it on."""
        message = self._pending.get(id_)
        if message is not None:
            message.peer = host

    def on_peer_down(self, peer: str) -> None:
        """What was sent there may have been handled."""
        for message in [m for m in self._pending.values() if m.peer == peer]:
            self._forget(message, came_back=True)
            message.fail(
                OutcomeUnknown(
                    f"agent {message.target!r}, {message.method}: the link to host {peer!r} broke "
                    "before it answered"
                )
            )
        self.finder.on_peer_down(peer)

    def on_late(self, message: Sent) -> None:
        """Its deadline passed."""
        if message.ended:
            return
        self._counts["late"] += 1
        what = f"agent {message.target!r}, {message.method}"
        if message.id in self._pending:
            self._forget(message, came_back=True)
            message.fail(
                OutcomeUnknown(f"{what}: host {message.peer!r} did not answer by the deadline")
            )
            return
        activation = self._here.get(message.target)
        running = activation is not None and (
            (activation.turn is not None and activation.turn.message is message)
            or any(turn.message is message for turn in activation.shared_turns)
        )
        if running:
            message.fail(OutcomeUnknown(f"{what}: it was still running at the deadline"))
        elif self._world.cut_off():
            message.fail(Partitioned(f"{what}: this host reaches no majority; it was not handled"))
        else:
            message.fail(Timeout(f"{what}: it was not begun by the deadline and will not be"))

    # --- the end ----------------------------------------------------------------------------------

    def stop(self, error: QuorateError | None = None) -> None:
        """Every call ends. Safe to call twice."""
        if self._stopped is not None:
            return
        self._stopped = error or Stopped("the host is stopped or stopping")
        for message in list(self._pending.values()):
            what = f"agent {message.target!r}, {message.method}"
            message.fail(OutcomeUnknown(f"{what}: the host stopped before it was answered"))
        self._pending.clear()
        self.finder.stop()

    def statistics(self) -> dict[str, object]:
        counts = {f"{name}_total": count for name, count in self._counts.items()}
        return {**self.finder.statistics(), **counts}
