"""Envelopes of other hosts.

The law of this file: nothing is taken for an agent that this host does not surely run now, nor from
an activation that is over; it goes back untouched, or along to where the agent moved. A malformed
envelope closes the connection it came by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from quorate.core.errors import Fenced, Moved, NotCommitted, QuorateError
from quorate.core.wire.frames import ProtocolError
from quorate.hosts.agents import envelope as wire
from quorate.hosts.agents.forwards import Forwards
from quorate.hosts.agents.mailbox import Message, Sender
from quorate.hosts.agents.names import home_of

if TYPE_CHECKING:
    from quorate.hosts.agents.engine import AgentEngine

GIVEN_BACK_MAX_PAIRS: Final = 65_536
FORWARD_S: Final = 60.0
"""So long after a move messages that still come here are handed on."""


class Peer:
    """Answers go to it."""

    __slots__ = ("_host", "_incoming")

    def __init__(self, incoming: Incoming, host: str) -> None:
        self._incoming = incoming
        self._host = host

    @property
    def host(self) -> str:
        return self._host

    def answer(self, id_: int, ok: bool, value: object, degraded: bool) -> None:
        """See `mailbox.Origin`."""
        self._incoming.answer(self._host, id_, ok, value, degraded)


class Incoming:
    """One per host."""

    def __init__(self, engine: AgentEngine) -> None:
        self._engine = engine
        self._here = engine.here
        self._outbox = engine.outbox
        engine.outbox.to_self = lambda parts: self._on_envelope(engine.host_id, parts)
        self._clock = engine.now
        self._peers: dict[str, Peer] = {}
        self.forwards = Forwards()
        self._flushes: dict[str, list[wire.Envelope]] = {}
        """Flushes that wait until an agent that is moving has left, or stays."""
        self._given_back: dict[tuple[str, str], int] = {}
        """(host, agent): what of this host for this agent was given back last, by its number. What
        it sent behind that goes back as well, until it says that it has all of it: order is kept.
        What it said before that number was sent may come late, by a longer way."""
        self._counts = dict.fromkeys(("taken", "returned", "forwarded", "fenced"), 0)
        engine.tenancy.when_changed(self._on_tenancy)

    # --- one batch --------------------------------------------------------------------------------

    def on_message(self, peer: str, message: dict[str, Any]) -> None:
        """A batch. Raises `ProtocolError` if it is malformed."""
        batch = message.get("b")
        if type(batch) is not list:
            raise ProtocolError(f"host {peer!r} sent a malformed batch for agents")
        try:
            for parts in cast("list[Any]", batch):
                self._on_envelope(peer, wire.check(parts))
        except ValueError as error:
            if isinstance(error, QuorateError):
                raise
            raise ProtocolError(f"host {peer!r}: {error}") from error

    def _on_envelope(self, peer: str, parts: wire.Envelope) -> None:
        calls = self._engine.calls
        kind = parts[0]
        if kind <= wire.TELL:
            self._take(peer, parts, peer, 0)
        elif kind == wire.REPLY:
            calls.on_reply(parts[1], parts[2], parts[3])
        elif kind == wire.ERROR:
            calls.on_error(parts[1], parts[2])
        elif kind == wire.MOVED:
            calls.on_moved(peer, parts[1], parts[2], parts[3])
        elif kind == wire.RETURNED:
            calls.on_returned(peer, parts[1], parts[2], wire.check(parts[3]))
        elif kind == wire.FLUSH:
            self._on_flush(parts)
        elif kind == wire.FLUSHED:
            calls.finder.on_flushed(parts[1], parts[2], parts[3])
        elif kind == wire.OPEN:
            self._on_open(parts)
        elif kind == wire.FORWARD:
            inner = wire.check(parts[3])
            if inner[0] > wire.TELL:
                raise ValueError("a forwarded envelope that is no message")
            self._take(parts[1], inner, peer, parts[2])
        else:
            calls.on_at(peer, parts[1], parts[2])

    # --- messages ---------------------------------------------------------------------------------

    def _take(self, origin: str, parts: wire.Envelope, peer: str, hops: int) -> None:
        """A message of `origin`, which came by way of `peer`."""
        target, epoch = parts[2], parts[3]
        engine = self._engine
        activation = self._here.get(target)
        if self._given_back and (origin, target) in self._given_back:
            self._give_back(origin, parts, Moved("what was sent before it went back"))
            return
        if activation is None and self.forwards:
            record = engine.directory.look(target)
            present = 0 if record is None else record.epoch
            way = self.forwards.of_message(target, epoch, present)
            if way is not None:
                parts[3] = way.epoch
                way.origins[origin] = parts[1]
                self._forward(origin, parts, hops, way.host)
                return
        if parts[6] and engine.is_over(parts[6], parts[7], origin):
            self._counts["fenced"] += 1
            self._refuse_sender(origin, parts)
            return
        try:
            if activation is None:
                activation = engine.activation_for(target, epoch)
            elif not activation.holds:
                raise Fenced(f"host {engine.host_id!r} cannot be sure that it runs {target!r}")
            elif epoch > activation.epoch:
                raise Moved(f"agent {target!r} is bound elsewhere by now")
            if self.forwards:
                # What was handed on comes after this.
                for other, last in self.forwards.come_home(target).items():
                    self._gave_back(other, target, last)
                if (origin, target) in self._given_back:
                    raise Moved("what was sent before it is on its way here")
            sent_by = (origin, parts[1] >> wire.RUN_SHIFT)
            if parts[1] <= activation.heard.get(sent_by, 0):
                raise NotCommitted(f"agent {target!r} has had later messages of host {origin!r}")
            activation.heard[sent_by] = parts[1]
            activation.accept(self._message(origin, parts, hops))
            self._counts["taken"] += 1
        except QuorateError as error:
            self._give_back(origin, parts, error)

    def _message(self, origin: str, parts: wire.Envelope, hops: int) -> Message:
        deadline = self._clock() + parts[9] / 1000
        message = Message(
            "ask" if parts[0] == wire.ASK else "tell",
            parts[4],
            sender=Sender(origin, parts[6], parts[7]),
            chain=tuple(parts[8]),
            deadline=deadline,
            options=parts[10],
        )
        message.id, message.body, message.hops = parts[1], parts[5], hops
        message.origin = self._peer(origin)
        return message

    def _peer(self, host: str) -> Peer:
        found = self._peers.get(host)
        if found is None:
            found = self._peers[host] = Peer(self, host)
        return found

    def _refuse_sender(self, origin: str, parts: wire.Envelope) -> None:
        """It was sent by an activation that is over, as far as is known here. Whether it left its
        host in good order, and may still have been heard, that host knows."""
        if parts[0] == wire.TELL:
            self._gave_back(origin, parts[2], parts[1])
            self._return(origin, "", wire.SENDER_IS_OVER, parts)
            return
        text = f"agent {parts[6]!r} asked from an activation that is over (epoch {parts[7]})"
        self._outbox.add(origin, [wire.ERROR, parts[1], wire.error_parts(Fenced(text))])

    def _give_back(self, origin: str, parts: wire.Envelope, error: QuorateError) -> None:
        """Not handled here: what may be elsewhere is said to be, the rest is an error."""
        self._counts["returned"] += 1
        elsewhere = isinstance(error, Moved | Fenced) and home_of(parts[2]) is None
        record = self._engine.directory.look(parts[2]) if elsewhere else None
        host, epoch = ("", 0) if record is None else (record.host, record.epoch)
        if elsewhere:
            self._gave_back(origin, parts[2], parts[1])
        if parts[0] == wire.TELL:
            if elsewhere:
                self._return(origin, host, epoch, parts)
            else:
                self._engine.on_dead(parts[2], self._message(origin, parts, 0), str(error))
        elif elsewhere:
            self._outbox.add(origin, [wire.MOVED, parts[1], host, epoch])
        else:
            self._outbox.add(origin, [wire.ERROR, parts[1], wire.error_parts(error)])

    def _gave_back(self, origin: str, target: str, id_: int) -> None:
        last = self._given_back.get((origin, target), 0)
        same_run = last >> wire.RUN_SHIFT == id_ >> wire.RUN_SHIFT
        self._given_back[origin, target] = max(last, id_) if same_run else id_

    def _return(self, origin: str, host: str, epoch: int, parts: wire.Envelope) -> None:
        """A tell goes back to who sent it; if that cannot be, it is a dead letter here."""
        lost = f"it was not taken here, and host {origin!r} cannot be reached"
        self._outbox.add(
            origin,
            [wire.RETURNED, host, epoch, parts],
            lambda: self._engine.on_dead(parts[2], self._message(origin, parts, 0), lost),
        )

    def answer(self, host: str, id_: int, ok: bool, value: object, degraded: bool) -> None:
        """The end of an ask of another host."""
        if ok:
            try:
                body = wire.encode_answer(value, "the method")
                self._outbox.add(host, [wire.REPLY, id_, body, degraded])
                return
            except QuorateError as error:
                value = error
        assert isinstance(value, BaseException)
        if isinstance(value, Moved):
            self._outbox.add(host, [wire.MOVED, id_, value.host, value.epoch])
        else:
            self._outbox.add(host, [wire.ERROR, id_, wire.error_parts(value)])

    def give_back(self, name: str, host: str, message: Message) -> None:
        """A message of `host` that was not begun here."""
        parts = self._parts(name, 0, message)
        self._give_back(host, parts, Moved(f"agent {name!r} left host {self._engine.host_id!r}"))

    def _parts(self, name: str, epoch: int, message: Message) -> wire.Envelope:
        """The envelope of a message that came from elsewhere, once more."""
        sender = message.sender
        assert sender is not None
        if message.body is None:
            message.body = wire.encode_call(message.args, message.kwargs, message.method)
        return [
            wire.ASK if message.kind == "ask" else wire.TELL,
            message.id,
            name,
            epoch,
            message.method,
            message.body,
            sender.name,
            sender.epoch,
            list(message.chain),
            max(1, int((message.deadline - self._clock()) * 1000)),
            message.options,
        ]

    # --- handing on -------------------------------------------------------------------------------

    def hand_on(self, name: str, host: str, epoch: int, messages: list[Message]) -> None:
        """The agent moved to `host`: these messages, and what still comes, go there in order."""
        self.forwards.put(name, host, epoch, self._clock() + FORWARD_S)
        for message in messages:
            self._engine.forward(name, host, epoch, message)
        for parts in self._flushes.pop(name, ()):
            self._on_flush(parts)

    def forward_message(
        self, name: str, host: str, epoch: int, origin: str, message: Message
    ) -> None:
        """A message of `origin` that the moved agent had not begun."""
        way = self.forwards.of_flush(name, 0)
        if way is not None:
            way.origins[origin] = message.id
        self._forward(origin, self._parts(name, epoch, message), message.hops, host)

    def stays(self, name: str) -> None:
        """The move was given up: whoever flushes is answered."""
        for parts in self._flushes.pop(name, ()):
            self._on_flush(parts)

    def _on_tenancy(self, state: str) -> None:
        """What waited for whether the host may act for its agents: after they were told."""
        if self._flushes and state != "doubtful":
            self._engine.world.loop.call_soon(self._look_at_flushes)

    def _look_at_flushes(self) -> None:
        for name in list(self._flushes):
            self.stays(name)

    def _forward(self, origin: str, parts: wire.Envelope, hops: int, host: str) -> None:
        if hops >= wire.HOPS_MAX:
            self._give_back(origin, parts, Moved(f"agent {parts[2]!r} moved too often"))
            return
        self._counts["forwarded"] += 1
        sent = [wire.FORWARD, origin, hops + 1, parts]
        self._outbox.add(
            host, sent, lambda: self._give_back(origin, parts, Moved(f"host {host!r} is away"))
        )
        if parts[0] == wire.ASK:
            self._outbox.add(origin, [wire.AT, parts[1], host])

    def _on_flush(self, parts: wire.Envelope) -> None:
        """What came before it is here, or went back, or on."""
        _, token, target, origin, hops, epoch = parts
        here = self._here.get(target)
        if here is not None and (not here.holds or self._engine.parts.mover.is_moving(target)):
            self._flushes.setdefault(target, []).append(parts)  # what it has may yet go back
            return
        way = self.forwards.of_flush(target, epoch)
        if way is None or hops >= wire.HOPS_MAX:
            self._flushed(origin, token, hops, True)
            return
        on = [wire.FLUSH, token, target, origin, hops + 1, way.epoch]
        self._outbox.add(way.host, on, lambda: self._flushed(origin, token, hops + 1, True))
        self._flushed(origin, token, hops, False)

    def _flushed(self, origin: str, token: int, hops: int, last: bool) -> None:
        self._outbox.add(origin, [wire.FLUSHED, token, hops, last])

    def _on_open(self, parts: wire.Envelope) -> None:
        """Everything that was given back is in its sender's hands again, in order."""
        _, target, origin, hops, epoch, upto = parts
        last = self._given_back.get((origin, target), 0)
        if last <= upto or last >> wire.RUN_SHIFT != upto >> wire.RUN_SHIFT:
            self._given_back.pop((origin, target), None)
        way = self.forwards.of_flush(target, epoch)
        if way is not None and hops < wire.HOPS_MAX:
            self._outbox.add(way.host, [wire.OPEN, target, origin, hops + 1, way.epoch, upto])

    def sweep(self) -> None:
        """Forget moves of long ago."""
        self.forwards.sweep(self._clock())
        while len(self._given_back) > GIVEN_BACK_MAX_PAIRS:
            del self._given_back[next(iter(self._given_back))]

    def statistics(self) -> dict[str, object]:
        return {
            "forwards": len(self.forwards),
            **{f"{name}_total": count for name, count in self._counts.items()},
        }
