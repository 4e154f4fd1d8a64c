"""Clients: each a session that makes one call after the other, and moves between hosts with its
token.

The law: a session is sequential; what it writes is a number of its own; it knows of the world only
what a client can know (a host that does not answer is left for another).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, Protocol

from quorate.chaos.sim.events import EventQueue
from quorate.chaos.sim.transcript import Transcript
from quorate.chaos.stores.calls import Call, Calls, Kind, Level
from quorate.chaos.stores.door import Door
from quorate.chaos.stores.options import Options

DEADLINE_S = 1.5
MOVE_PROBABILITY = 0.25


class Place(Protocol):
    """What a client needs of a host."""

    id: str
    door: Door

    @property
    def running(self) -> bool: ...

    @property
    def serves(self) -> bool:
        """Whether it runs as a member of the group."""
        ...


class Client:
    """One session after the other: now and then it begins anew, with an empty token."""

    def __init__(
        self,
        name: str,
        *,
        queue: EventQueue,
        hosts: Sequence[Place],
        options: Options,
        calls: Calls,
        ids: count[int],
        transcript: Transcript,
    ) -> None:
        self.name = name
        self._queue, self._hosts, self._options = queue, hosts, options
        self._calls, self._ids, self._transcript = calls, ids, transcript
        self._rng = random.Random(f"client {name} {options.seed}")
        self._session = 0
        self.token: bytes | None = None
        self.host = self._rng.choice(hosts)
        self.stopped = False
        self.busy: Call | None = None
        self._added: dict[str, list[Any]] = {}
        """By key of a set, map or sequence: what this client added."""
        self._menu: list[tuple[Callable[[], Call], int]] = [
            (self._put, 10),
            (self._get, 14),
            (self._delete, 2),
            (self._merge, 5),
            (self._operate, 14),
            (self._get_crdt, 6),
            (self._bounded, 4),
            (self._strong_put, 3),
            (self._strong_get, 2),
            (self._promote, 1),
        ]

    def start(self) -> None:
        self._queue.after(self._rng.expovariate(self._options.calls_per_s), self._next)

    def _next(self) -> None:
        if self.stopped:
            return
        if self.busy is None:
            self._choose_host()
            if self.host.serves:
                menu, weights = zip(*self._menu, strict=True)
                self.begin(self._rng.choices(menu, weights)[0]())
        self.start()

    def _choose_host(self) -> None:
        if self._rng.random() < 0.02:
            self._session += 1
            self.token = None
        if not self.host.serves or self._rng.random() < MOVE_PROBABILITY:
            serving = [host for host in self._hosts if host.serves]
            if serving:
                self.host = self._rng.choice(serving)

    def begin_at(self, host: Place, call: Call) -> None:
        """Make a call that belongs to no session."""
        self._calls.begin(call)
        host.door.begin(call, None, self._on_done)

    def begin(self, call: Call) -> Call:
        """Make this call now."""
        self.busy = call
        self._calls.begin(call)
        self._transcript.trace(self.name, call.id, call.kind, call.level, call.store, call.key)
        self.host.door.begin(call, self.token, self._on_done)
        return call

    def _on_done(self, call: Call, token: bytes | None) -> None:
        self._calls.end(call)
        self._transcript.trace(self.name, call.id, call.outcome, call.reason)
        if self.busy is call:
            self.busy = None
            self.token = token or self.token

    # --- what it does ---------------------------------------------------------------------------

    def _call(self, kind: Kind, level: Level, store: str, key: str, **more: Any) -> Call:
        now = self._queue.now
        return Call(
            next(self._ids),
            f"{self.name}.{self._session}",
            self.host.id,
            kind,
            level,
            store,
            key,
            now,
            now + DEADLINE_S,
            **more,
        )

    def _key(self, prefix: str) -> str:
        return f"{prefix}{self._rng.randrange(self._options.keys)}"

    def _level(self, session: float = 0.6) -> Level:
        return "session" if self._rng.random() < session else "eventual"

    def _register(self) -> tuple[str, str]:
        """A register: of the mixed keys one in three."""
        if self._rng.random() < 0.3:
            return "last", self._key("mixed")
        return self._rng.choice(("last", "sib")), self._key("r")

    def _put(self) -> Call:
        call = self._call("put", self._level(), *self._register())
        call.value = call.own = call.id
        dice = self._rng.random()
        if dice < 0.1 and call.level == "eventual":
            call.durable = False
        elif dice < 0.25:
            call.wait_for = self._rng.choice((2, 3))
        return call

    def _delete(self) -> Call:
        return self._call(
            "delete", self._level(), self._rng.choice(("last", "sib")), self._key("r")
        )

    def _get(self) -> Call:
        level: Level = "session" if self._rng.random() < 0.7 else "local"
        return self._call("get", level, *self._register())

    def _merge(self) -> Call:
        if self._rng.random() < 0.3:
            return self._call("get", "session", "merged", self._key("u"))
        call = self._call("update", self._level(), "merged", self._key("u"))
        call.value = call.own = call.id
        return call

    def _bounded(self) -> Call:
        call = self._call("get", "bounded", *self._register())
        call.bound_ms = self._rng.choice((50, 200, 500))
        return call

    def _strong_put(self) -> Call:
        call = self._call("strong_put", "strong", "last", self._key("mixed"))
        call.value = call.id
        return call

    def _strong_get(self) -> Call:
        return self._call("strong_get", "strong", "last", self._key("mixed"))

    def _promote(self) -> Call:
        return self._call("promote", "strong", "last", self._key("mixed"))

    # --- CRDTs ----------------------------------------------------------------------------------

    def _operate(self) -> Call:
        number, rng = next(self._ids), self._rng
        kind = rng.choice(KINDS)
        key = self._key(kind)
        op, arguments = self._operation(kind, number, self._added.setdefault(key, []))
        level: Level = "session" if rng.random() < 0.5 else "crdt"
        call = self._call("operate", level, "kinds", key)
        call.operation = (kind, op, arguments)
        call.own = number
        return call

    def _operation(self, kind: str, number: int, known: list[Any]) -> tuple[str, list[Any]]:
        """An operation of a kind; what is added is new each time, and removed now and then."""
        rng = self._rng
        if kind == "g_counter":
            return "increment", [rng.randint(1, 3)]
        if kind == "pn_counter":
            return rng.choice(("increment", "decrement")), [rng.randint(1, 3)]
        removes = bool(known) and rng.random() < 0.35
        if kind == "sequence":
            known.append(number)
            if removes:
                return "delete", [0]
            return ("append", [number]) if rng.random() < 0.6 else ("insert", [0, [number]])
        if removes:
            return "remove", [rng.choice(known)]
        element: Any = f"field {number}" if kind == "or_map" else number
        known.append(element)
        if kind == "or_map":
            return "update", [element, "pn_counter", "increment", [1]]
        return "add", [element]

    def _get_crdt(self) -> Call:
        level: Level = "session" if self._rng.random() < 0.7 else "local"
        kind = self._rng.choice(KINDS)
        return self._call("get", level, "kinds", self._key(kind))


KINDS = ("g_counter", "pn_counter", "or_set", "or_map", "sequence")
