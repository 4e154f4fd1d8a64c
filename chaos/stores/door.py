"""A host's front door: the product's own stores, over the oracle's group, called for the clients.

The law: what a call means is in `consistency/store`; this hands it over, waits for its end, and
writes down what the caller was told. The process's end leaves its calls unknown.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from quorate.chaos.stores.calls import Call, Outcome, Seen
from quorate.chaos.stores.group import SimGroup
from quorate.chaos.stores.lives import StoreLife
from quorate.chaos.stores.loop import LifeLoop
from quorate.chaos.stores.strong import Oracle, View
from quorate.chaos.stores.watch import Watch
from quorate.consistency.replica.states import GROUP
from quorate.consistency.store import reads
from quorate.consistency.store.desk import Desk
from quorate.consistency.store.levels import bounded
from quorate.consistency.store.options import ReadOptions
from quorate.consistency.store.plane import Plane, Surroundings
from quorate.consistency.store.receipts import Receipt
from quorate.consistency.store.session import Session
from quorate.consistency.store.store import Store
from quorate.core import codec
from quorate.core.errors import QuorateError, Refused, UsageError
from quorate.core.group.group import Group

if TYPE_CHECKING:
    from quorate.chaos.stores.host import StoreHost

LOOK_S = 0.05
SECRET = "the secret of the simulated cluster"
SAMPLES = [[1, 2], [2, 3], [4]]
Done = Callable[[Call, bytes | None], object]


class SimStore(Store):
    """A store that also says what a read's session must find again."""

    def __init__(self, store: Store) -> None:
        super().__init__(store._parts, store._defaults)

    async def seen(self, key: str, options: dict[str, Any]) -> reads.Seen:
        """The view that `get` and `get_entry` take their answer from."""
        asked: ReadOptions = {name: options[name] for name in options.keys() - {"timeout"}}  # type: ignore[assignment]
        if self._parts.agreed and self._reads.at_once(key, asked) is not None:
            return reads.Seen(self._core.view(key), self._plane.host_id)
        return await self._read(key, options)


class Door:
    """One life. `host.replica` is attached by `open`."""

    desk_class = Desk

    def __init__(
        self, host: StoreHost, life: StoreLife, view: View, oracle: Oracle, watch: Watch
    ) -> None:
        self._host, self._life, self._watch = host, life, watch
        self._oracle = oracle
        self.loop = LifeLoop(life, lambda text: watch.find(f"{host.id}: {text}"))
        rng = random.Random(f"door {host.id} {host.incarnation}")
        self.group = self._make_group(view, rng)
        world = Surroundings(
            cluster="simulated",
            secret=SECRET,
            is_up=host.is_up,
            rtt_s=_unmeasured,
            strong_holders=self._strong_holders,
            cut_off=self.cut_off,
            fresh_bytes=rng.randbytes,
            on_problem=host.on_problem,
            on_fatal=host.on_fatal,
        )
        planes: list[Plane] = []
        self.loop.run(lambda: planes.append(Plane(cast(Group, self.group), world)))
        self.plane = planes[0]
        self._stores: dict[str, SimStore] = {}
        self._open: dict[int, tuple[Call, Done]] = {}
        self._looking = False

    def _make_group(self, view: View, rng: random.Random) -> SimGroup:
        return SimGroup(
            self._host.id,
            life=self._life,
            oracle=self._oracle,
            view=view,
            send=lambda peer, message: self._host.send(peer, message),
            make_future=self.loop.create_future,
            rng=rng,
        )

    def cut_off(self) -> bool:
        return not self._oracle.reaches_majority(self._host.id)

    def _strong_holders(self, index: int) -> tuple[str, ...]:
        return (self._host.id,)

    def open(self) -> None:
        """The replica is there: open the stores."""
        self.plane.attach(self._host.replica)
        self.loop.run(self._open_desk)

    def _open_desk(self) -> None:
        self.desk = self.desk_class(self.plane)
        for store in self._host.options.stores:
            merge = self._host.parts.merge_of(self._host.id) if store.resolver == "merge" else None
            opened = self.desk.store(
                store.name,
                replicas=store.replicas,
                resolver=store.resolver,
                merge=merge,
                merge_samples=SAMPLES if merge is not None else None,
            )
            self._stores[store.name] = SimStore(opened)

    def on_strong_applied(self) -> None:
        """The group's state moved on here."""
        self.plane.on_strong_applied()
        if not self._looking:
            self._looking = True
            self._life.call_later(LOOK_S, self._look)

    def _look(self) -> None:
        self._looking = False
        self.desk.look()

    # --- a call begins and ends -----------------------------------------------------------------

    def begin(self, call: Call, token: bytes | None, done: Done) -> None:
        """Start `call` of a session that carries `token`; `done(call, token)` when it ends."""
        self._open[call.id] = (call, done)
        self._life.run(lambda: self.loop.create_task(self._run(call, token)))

    async def _run(self, call: Call, token: bytes | None) -> None:
        outcome: Outcome = "ok"
        reason = ""
        try:
            with_session = call.level in ("session", "strong")
            session = self.desk.session(token) if with_session else None
            await self._handlers()[call.kind](self._stores[call.store], call, session)
            if session is not None:
                token = session.token
        except Refused as error:
            outcome, reason = "no", str(error)
        except UsageError as error:
            outcome, reason = "no", f"{type(error).__name__}: {error}"
            if call.operation is None or call.operation[1] != "delete":  # an index may be gone
                self._watch.find(f"{self._host.id}, call {call.id} ({call.kind}): {reason}")
        except QuorateError as error:
            outcome = "no" if error.outcome == "not_applied" else "unknown"
            reason = f"{type(error).__name__}: {error}"
        except Exception as error:
            outcome, reason = "unknown", f"{type(error).__name__}: {error}"
            self._watch.find(f"{self._host.id}, call {call.id} ({call.kind}) raised {reason}")
        self._end(call, outcome, reason, token)

    def _end(self, call: Call, outcome: Outcome, reason: str, token: bytes | None) -> None:
        known = self._open.pop(call.id, None)
        if known is None:
            return
        call.outcome, call.reason, call.returned = outcome, reason, self._watch.now()
        if outcome == "ok" and call.writes:
            self._watch.on_acknowledged(call)
        known[1](call, token)

    def dies(self) -> None:
        """The process is gone: what was open stays unknown."""
        for call, done in list(self._open.values()):
            call.outcome = "unknown" if call.writes else "no"
            call.returned, call.reason = self._watch.now(), "the host died"
            done(call, None)
        self._open.clear()

    # --- what the calls are ---------------------------------------------------------------------

    def _handlers(self) -> dict[str, Any]:
        return {
            "put": self._put,
            "delete": self._delete,
            "update": self._update,
            "operate": self._operate,
            "get": self._get,
            "strong_put": self._strong_put,
            "strong_get": self._get,
            "promote": self._promote,
        }

    def _options(self, call: Call, session: Session | None) -> dict[str, Any]:
        options: dict[str, Any] = {
            "consistency": call.level,
            "timeout": call.deadline - call.called,
        }
        if session is not None:
            options["session"] = session
        if call.wait_for > 1:
            options["wait_for"] = call.wait_for
        if not call.durable:
            options["durable"] = False
        return options

    async def _put(self, store: Store, call: Call, session: Session | None) -> None:
        self._told(call, await store.put(call.key, call.value, **self._options(call, session)))

    async def _delete(self, store: Store, call: Call, session: Session | None) -> None:
        self._told(call, await store.delete(call.key, **self._options(call, session)))

    async def _update(self, store: Store, call: Call, session: Session | None) -> None:
        def add(numbers: list[int]) -> list[int]:
            call.value = sorted({*numbers, call.own})
            return call.value

        options = self._options(call, session)
        self._told(call, await store.update(call.key, add, default=[], **options))

    async def _operate(self, store: Store, call: Call, session: Session | None) -> None:
        assert call.operation is not None
        options = self._options(call, session)
        self._told(call, await store.operate(call.key, *call.operation, **options))

    async def _strong_put(self, store: Store, call: Call, session: Session | None) -> None:
        self._told(call, await store.put(call.key, call.value, **self._options(call, session)))

    async def _promote(self, store: Store, call: Call, session: Session | None) -> None:
        timeout = call.deadline - call.called
        self._told(call, await store.promote(call.key, timeout=timeout, session=session))

    async def _get(self, store: SimStore, call: Call, session: Session | None) -> None:
        level: Any = {"bounded": bounded(ms=max(1, call.bound_ms)), "strong": "linearizable"}.get(
            call.level, call.level
        )
        options: dict[str, Any] = {"level": level, "timeout": call.deadline - call.called}
        if session is not None:
            options["session"] = session
        answer = await store.seen(call.key, options)
        view, host = answer.view, answer.host
        value = None if view.value is None else codec.decode_value(view.value)
        siblings = [codec.decode_value(one) for one in view.siblings]
        context = self._watch.hosts[host].replica.seen(call.store, call.key)
        for actor, seq in self._watch.collected().items():
            context[actor] = max(seq, context.get(actor, 0))
        call.seen = Seen(value, siblings, view.version, view.type, view.saw, host, context)

    def _told(self, call: Call, receipt: Receipt) -> None:
        """What the receipt says."""
        version = receipt.version
        call.stamp, call.holders = version.stamp, receipt.replicas
        call.achieved_durable = receipt.durable
        if version.actor == GROUP:
            call.index, call.strong_version = receipt.index or 0, version.seq
        else:
            call.dot = version[:2]


def _unmeasured(peer: str) -> float | None:
    """Nobody pings here: hosts are as near as their names."""
    return None
