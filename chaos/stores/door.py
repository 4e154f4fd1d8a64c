"""What a host does with a call at each level: the store's front door, in callbacks.

The law: a write is acknowledged when it is durable here (or on as many hosts as asked); a session
read is served where the session's token is covered, else it waits, else it is forwarded, else it is
refused at its deadline; a strong call goes through the strong plane only. Every call ends by its
deadline. The replica decides; this only waits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from quorate.chaos.sim.events import Life
from quorate.chaos.stores.calls import Call, Outcome, Token
from quorate.chaos.stores.strong import Answer, Command, Oracle, View
from quorate.chaos.stores.views import shown, shown_wire
from quorate.chaos.stores.watch import Watch
from quorate.core import codec
from quorate.core.errors import Unavailable, UsageError

if TYPE_CHECKING:
    from quorate.chaos.stores.host import StoreHost

FORWARD_AFTER_S = 0.15
ASK_AGAIN_S = 0.2
PROBE_S = 0.1
Ready = Callable[[], bool]


class Door:
    """One life's calls."""

    def __init__(
        self, host: StoreHost, life: Life, view: View, oracle: Oracle, watch: Watch
    ) -> None:
        self._host, self._life, self._view, self._oracle = host, life, view, oracle
        self._watch = watch
        self.replica = host.replica
        self._open: dict[int, tuple[Call, Token, Callable[[Call], object]]] = {}
        self._waiting: list[tuple[int, Ready, Callable[[], object]]] = []
        self._asked: dict[int, Call] = {}

    # --- a call begins and ends -----------------------------------------------------------------

    def begin(self, call: Call, token: Token, done: Callable[[Call], object]) -> None:
        """Start `call` of a session that carries `token` (which is brought up to date when it
        ends). `done(call)` once, unless the process dies first."""
        self._open[call.id] = (call, token, done)
        self._life.call_later(
            max(0.0, call.deadline - call.called), partial(self._on_deadline, call)
        )
        if self.replica.ring is None:
            self.end(call, "no", "the ring is not known yet")
            return
        try:
            self._handler(call)(call, token)
        except UsageError as error:
            self._watch.find(f"{self._host.id} refused call {call.id} ({call.kind}): {error}")
            self.end(call, "no", str(error))
        except Unavailable as error:
            outcome: Outcome = "no" if error.outcome == "not_applied" else "unknown"
            self.end(call, outcome, f"{type(error).__name__}: {error}")

    def _handler(self, call: Call) -> Callable[[Call, Token], object]:
        if call.kind == "get":
            return self._read_bounded if call.level == "bounded" else self._read
        return {
            "put": self._put,
            "delete": self._put,
            "update": self._update,
            "operate": self._operate,
            "strong_put": self._strong_put,
            "promote": self._promote,
            "strong_get": self._strong_get,
        }[call.kind]

    def end(self, call: Call, outcome: Outcome, reason: str = "") -> None:
        known = self._open.pop(call.id, None)
        if known is None:
            return
        _, token, done = known
        call.outcome, call.reason = outcome, reason
        call.returned = self._watch.now()
        if outcome == "ok" and call.level in ("session", "strong"):
            if call.dot is not None:
                token.see({call.dot[0]: call.dot[1]}, call.stamp, 0)
            if call.seen is not None:
                token.see(call.seen.saw, call.seen.stamp, call.seen.strong_revision)
            token.see({}, call.stamp, call.index)
        done(call)

    def _on_deadline(self, call: Call) -> None:
        if call.id not in self._open:
            return
        wrote = call.dot is not None or call.kind in ("strong_put", "promote")
        self.end(call, "unknown" if wrote else "no", "deadline")

    def dies(self) -> None:
        """The process is gone: what was open stays unknown."""
        for call, _, done in list(self._open.values()):
            call.outcome = "unknown" if call.writes else "no"
            call.returned, call.reason = self._watch.now(), "the host died"
            done(call)
        self._open.clear()

    @property
    def open_calls(self) -> int:
        return len(self._open)

    # --- waiting --------------------------------------------------------------------------------

    def when(self, call: Call, ready: Ready, act: Callable[[], object]) -> None:
        """Run `act` once `ready()`; never if the call ended before."""
        if ready():
            act()
        else:
            self._waiting.append((call.id, ready, act))

    def on_durable(self, seq: int) -> None:
        self._look()

    def on_applied(self) -> None:
        self._look()

    def on_held(self, peer: str, upto: int) -> None:
        self._look()

    def _look(self) -> None:
        if not self._waiting:
            return
        rows, self._waiting = self._waiting, []
        for row in rows:
            call_id, ready, act = row
            if call_id >= 0 and call_id not in self._open:
                continue
            if ready():
                act()
            else:
                self._waiting.append(row)

    # --- writes of the local plane --------------------------------------------------------------

    def _put(self, call: Call, token: Token) -> None:
        session = call.level == "session"
        record = self._view.get(f"{call.store}:{call.key}")
        floor = max(token.stamp if session else 0, record.value[0] if record else 0)
        before = self.replica.read(call.store, call.key)
        if before is not None and before.kind == "register":
            call.overwrote = before.context
        value = None if call.kind == "delete" else codec.encode_value(call.value)
        update = self.replica.put(
            call.store, call.key, value, deps=dict(token.vector) if session else None, floor=floor
        )
        self._written(call, update)

    def _update(self, call: Call, token: Token) -> None:
        """update(fn): what is here, and this call's own value, written back."""
        seen = shown(self.replica.read(call.store, call.key), None, self._merge_of(call.store))
        known: list[int] = seen.value if isinstance(seen.value, list) else []
        call.value = sorted({*known, call.value})
        self._put(call, token)

    def _operate(self, call: Call, token: Token) -> None:
        assert call.operation is not None
        kind, op, arguments = call.operation
        session = call.level == "session"
        update = self.replica.operate(
            call.store,
            call.key,
            kind,
            op,
            arguments,
            deps=dict(token.vector) if session else None,
            floor=token.stamp if session else 0,
        )
        self._written(call, update)

    def _written(self, call: Call, update: Any) -> None:
        replica = self.replica
        call.dot, call.stamp = (replica.actor, update.seq), update.stamp
        self._watch.on_update(self._host, call)
        if not call.durable:
            replica.mark_volatile(lambda: self.end(call, "ok"))
            return

        def held() -> bool:
            if replica.durable < update.seq:
                return False
            return (
                call.wait_for <= 1
                or len(replica.holders(call.store, call.key, update.seq)) >= call.wait_for
            )

        self.when(call, held, lambda: self.end(call, "ok"))

    # --- reads ----------------------------------------------------------------------------------

    def _covers(self, token: Token) -> bool:
        applied = self.replica.applied
        return self._view.applied >= token.index and all(
            applied.get(actor, 0) >= seq for actor, seq in token.vector.items()
        )

    def _synced(self, store: str, key: str) -> bool:
        state = self.replica.read(store, key)
        return state is None or state.lsn <= self.replica.synced_lsn

    def _read(self, call: Call, token: Token) -> None:
        if call.level != "session":
            if self.replica.owns(call.store, call.key):
                self._serve(call)
            else:
                self._forward(call, Token())
            return
        if not self.replica.owns(call.store, call.key):
            self._forward(call, token)
            return

        def ready() -> bool:
            return self._covers(token) and self._synced(call.store, call.key)

        self.when(call, ready, lambda: self._serve(call))
        if call.id in self._open:
            self._life.call_later(FORWARD_AFTER_S, partial(self._forward, call, token))

    def _serve(self, call: Call) -> None:
        name = f"{call.store}:{call.key}"
        state = self.replica.read(call.store, call.key)
        merge, collected = self._merge_of(call.store), self.replica.joiner.collected
        call.seen = shown(state, self._view.get(name), merge, collected)
        self.end(call, "ok")

    def _merge_of(self, store: str) -> Any:
        return self.replica.shelf.store(store).definition.merge

    def _read_bounded(self, call: Call, token: Token) -> None:
        """Served once everything that anybody had accepted `bound_ms` before now is here."""
        replica = self.replica
        since = self._life.monotonic() - call.bound_ms / 1000.0

        def fresh() -> bool:
            return replica.freshness.fresh_at(replica.others()) >= since and self._synced(
                call.store, call.key
            )

        self.when(call, fresh, lambda: self._serve(call))
        self._probe(call)

    def _probe(self, call: Call) -> None:
        if call.id in self._open:
            self.replica.probe()
            self._life.call_later(PROBE_S, partial(self._probe, call))

    # --- forwarding -----------------------------------------------------------------------------

    def _forward(self, call: Call, token: Token) -> None:
        """Ask the other owners, again and again until the deadline."""
        if call.id not in self._open:
            return
        wire = [list(token.vector.items()), token.stamp, token.index]
        message = {"type": "fw", "k": "ask", "id": call.id, "s": call.store, "n": call.key}
        for peer in self.replica.owners(call.store, call.key):
            if peer != self._host.id:
                self._host.send(peer, {**message, "t": wire})
        self._life.call_later(ASK_AGAIN_S, partial(self._forward, call, token))

    def on_message(self, peer: str, message: dict[str, Any]) -> None:
        if message["k"] == "ask":
            self._on_ask(peer, message)
        else:
            self._on_told(message)

    def token_of(self, wire: list[Any]) -> Token:
        """The token that a forwarded call carries."""
        return Token({actor: seq for actor, seq in wire[0]}, wire[1], wire[2])

    def _on_ask(self, peer: str, message: dict[str, Any]) -> None:
        token = self.token_of(message["t"])
        store, key = message["s"], message["n"]
        if not self.replica.owns(store, key):
            return
        if not (self._covers(token) and self._synced(store, key)):
            return  # it asks again
        record = self._view.get(f"{store}:{key}")
        state = self.replica.read(store, key)
        answer = {
            "type": "fw",
            "k": "told",
            "id": message["id"],
            "state": None if state is None else state.wire(),
            "strong": None if record is None else list(record),
            "cut": dict(self.replica.joiner.collected),
        }
        self._host.send(peer, answer)

    def _on_told(self, message: dict[str, Any]) -> None:
        known = self._open.get(message["id"])
        if known is None:
            return
        call = known[0]
        merge = self._merge_of(call.store)
        call.seen = shown_wire(message["state"], message["strong"], merge, message["cut"])
        self.end(call, "ok")

    # --- the strong plane -----------------------------------------------------------------------

    def _strong_put(self, call: Call, token: Token) -> None:
        """A blind put or a compare-and-set, above every stamp known here."""
        name = f"{call.store}:{call.key}"
        record, state = self._view.get(name), self.replica.read(call.store, call.key)
        floor = max(
            token.stamp,
            record.value[0] if record is not None else 0,
            state.stamp if state is not None else 0,
        )
        call.stamp = self.replica.hlc.now(floor)
        command = Command(name, [call.stamp, call.value], call.expected, stamped=True)
        self._oracle.propose(self._host.id, command, partial(self._on_answer, call))

    def _promote(self, call: Call, token: Token) -> None:
        seen = shown(self.replica.read(call.store, call.key), None)
        if seen.plane == "none":
            self.end(call, "no", "nothing to promote")
            return
        call.value = seen.value
        self._strong_put(call, token)

    def _on_answer(self, call: Call, answer: Answer) -> None:
        call.index = answer.index
        if answer.outcome == "ok":
            self._view.when_applied(answer.index, lambda: self.end(call, "ok"))
        elif answer.outcome == "unknown":
            self.end(call, "unknown", "nobody knows")
        else:
            self.end(call, "no", answer.outcome)

    def _strong_get(self, call: Call, token: Token) -> None:
        def at(index: int | None) -> None:
            if index is None:
                self._life.call_later(ASK_AGAIN_S, again)
            else:
                self._view.when_applied(index, show)

        def show() -> None:
            if call.id in self._open:
                record = self._view.get(f"{call.store}:{call.key}")
                call.seen = shown(None, record)
                call.index = self._view.applied
                self.end(call, "ok")

        def again() -> None:
            if call.id in self._open:
                self._oracle.read_point(self._host.id, at)

        again()
