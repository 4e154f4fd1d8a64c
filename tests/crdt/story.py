"""A few hosts, one key, and everything that can happen to it; each step is held to the laws.

Deltas are lost (never delivered), doubled and reordered as the caller likes; whole states are
merged; hosts are wiped (a new actor), drop their copy (the same actor) and collect at the stable
cut. `LawBroken` says which law did not hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quorate.consistency.crdt.base import BY_KIND, Crdt
from quorate.consistency.versions.context import CausalContext
from quorate.consistency.versions.vector import meet
from quorate.core.codec import dumps, loads
from quorate.core.errors import UsageError
from tests.crdt.model import COUNTERS, Id, Model, seen

Op = tuple[str, list[Any]]
NESTED = ("pn_counter", "or_set", "lww_register", "or_map", "sequence")


class LawBroken(AssertionError):
    """A law does not hold; the text begins with its name."""


def held(law: str, holds: bool, detail: object = "") -> None:
    if not holds:
        raise LawBroken(f"{law}: {detail}")


class Host:
    """One replica, and what the model says about it."""

    def __init__(self, crdt: Crdt, actor: int) -> None:
        self.crdt = crdt
        self.actor = actor
        self.seq = 0
        self.model = Model(crdt.kind)
        self.ops: set[Id] = set()
        self.collected = False
        self.forgot: set[Id] | None = None
        """Its own operations when it dropped its copy: until it has them again, it takes a copy
        back only from a host that has them all."""


class Story:
    """`make(context)` gives an empty CRDT: of the real class, or of a planted wrong one."""

    def __init__(self, make: Callable[..., Crdt], hosts: int = 3) -> None:
        self.make = make
        self.kind = make().kind
        self.hosts = [Host(make(), 1000 + at) for at in range(hosts)]
        self.actors = 1000 + hosts
        self.items = 0
        self.made: dict[int, list[int]] = {}
        self.deltas: list[tuple[Id, bytes, Model]] = []
        self.order: set[tuple[str, str]] = set()

    # --- what happens -----------------------------------------------------------------------------

    def operate(self, who: int, a: int, b: int, stamp: int) -> None:
        host = self.hosts[who]
        chosen = self._choose(self.kind, host.crdt.value(), a, b)
        if chosen is None:
            return
        op, args = chosen
        before, was = self.data(host.crdt), host.crdt.value()
        seq = host.seq + a % 3 + host.crdt.dots_needed(op, args)
        if self._is_refused(host.model, op, args):
            try:
                host.crdt.operate(op, args, host.actor, seq, stamp)
            except UsageError:
                held("a refused operation changes nothing", self.data(host.crdt) == before)
                return
            raise LawBroken(f"a wrong type is refused: {args}")
        effect = host.model.effect(op, args, (host.actor, seq), stamp, was)
        delta = host.crdt.operate(op, args, host.actor, seq, stamp)
        host.seq = seq
        self.made.setdefault(host.actor, []).append(seq)
        at = (host.actor, seq)
        host.ops.add(at)
        host.model.absorb(effect)
        wire = dumps(delta.wire())
        self.deltas.append((at, wire, effect))
        for form in (delta, self.read(wire)):
            other = self.read(before)
            other.merge(form)
            held("delta = full state", self.data(other) == self.data(host.crdt), (op, args))
        self.check(host)
        if self.kind == "sequence":
            held("sequential", host.crdt.value() == _edited(was, op, args), (op, args))

    def deliver(self, to: int, number: int) -> None:
        if not self.deltas or self.hosts[to].forgot is not None:
            return
        at, wire, effect = self.deltas[-1 - number % len(self.deltas)]
        host = self.hosts[to]
        self._merge(host, self.read(wire))
        host.model.absorb(effect)
        host.ops.add(at)
        self.check(host)

    def deliver_group(self, to: int, first: int, second: int) -> None:
        """Two deltas joined with each other first."""
        if not self.deltas or self.hosts[to].forgot is not None:
            return
        host, group = self.hosts[to], None
        for number in (first, second):
            at, wire, effect = self.deltas[-1 - number % len(self.deltas)]
            delta = self.read(wire)
            if group is None:
                group = delta if first % 2 else self.make()
            group.merge(delta)
            host.model.absorb(effect)
            host.ops.add(at)
        if group is not None:
            self._merge(host, group)
        self.check(host)

    def sync(self, to: int, source: int) -> None:
        host, other = self.hosts[to], self.hosts[source]
        if host.forgot is not None and not host.forgot <= other.ops:
            return
        self._merge(host, self.read(self.data(other.crdt)))
        host.model.absorb(other.model)
        host.ops |= other.ops
        host.collected |= other.collected
        host.forgot = None
        self.check(host)

    def wipe(self, who: int) -> None:
        self.hosts[who] = Host(self.make(), self.actors)
        self.actors += 1

    def forget(self, who: int) -> None:
        """Drop the copy, once everybody else has what was done here."""
        host = self.hosts[who]
        own = {(host.actor, seq) for seq in self.made.get(host.actor, [])}
        others = [other for other in self.hosts if other is not host]
        if all(own <= other.ops and other.forgot is None for other in others):
            host.crdt, host.model, host.ops = self.make(), Model(self.kind), set()
            host.forgot = own

    def collect(self, who: int) -> None:
        host = self.hosts[who]
        shown = host.crdt.value()
        host.collected = True
        host.crdt.collect(meet([self._applied(other) for other in self.hosts]))
        held("collecting shows nothing", host.crdt.value() == shown)
        self.check(host)

    # --- the laws ---------------------------------------------------------------------------------

    def check(self, host: Host) -> None:
        value = host.crdt.value()
        wanted = host.model.value()
        try:
            now = seen(self.kind, value, host.model)
        except TypeError:
            now = value  # of another type than history says
        held("history", now == wanted, (now, wanted))
        held(
            "is_empty",
            host.crdt.is_empty()
            == (
                not host.model.is_alive()
                and not (self.kind == "two_phase_set" and host.model.alive())
            ),
        )
        if self.kind == "sequence":
            ids = [item for item, _ in value]
            pairs = {(x, y) for at, x in enumerate(ids) for y in ids[at + 1 :]}
            held("one order", not any((y, x) in self.order for x, y in pairs), ids)
            self.order |= pairs

    def check_laws(self) -> None:
        """Over the present states of the first three hosts."""
        a, b, c = (self.data(host.crdt) for host in self.hosts[:3])
        ab, ba = self.joined(a, b), self.joined(b, a)
        held("commutative", ab == ba)
        held("associative", self.joined(ab, c) == self.joined(a, self.joined(b, c)))
        again = self.read(a)
        held("idempotent", not again.merge(self.read(a)) and self.data(again) == a)
        held("monotone", self.joined(ab, a) == ab == self.joined(a, ab))
        merged = self.read(ab)
        held("context", all(merged.context.covers(self.read(x).context) for x in (a, b)))
        held("round trip", all(self.data(self.read(x)) == x for x in (a, b, c, ab)))
        held("equal bytes, equal values", self.read(ab).value() == self.read(ba).value())
        for one in self.hosts:
            for two in self.hosts:
                if one.ops != two.ops or one.forgot is not two.forgot:
                    continue
                if one.crdt.context == two.crdt.context or not (one.collected or two.collected):
                    same = self.data(one.crdt) == self.data(two.crdt)
                    held("equal updates, equal bytes", same)
                    held("equal updates, equal values", one.crdt.value() == two.crdt.value())

    def end(self) -> None:
        """Everybody meets everybody: all are the same, and show what history says."""
        self.check_laws()
        for source in range(len(self.hosts)):
            self.hosts[source].forgot = None
        for _ in range(2):
            for to in range(len(self.hosts)):
                for source in range(len(self.hosts)):
                    self.sync(to, source)
        held("converged", len({self.data(host.crdt) for host in self.hosts}) == 1)
        values = [host.crdt.value() for host in self.hosts]
        held("converged values", all(value == values[0] for value in values))
        for who in range(len(self.hosts)):
            self.collect(who)
        held("converged after collecting", len({self.data(h.crdt) for h in self.hosts}) == 1)

    # --- helpers ----------------------------------------------------------------------------------

    def data(self, crdt: Crdt) -> bytes:
        return dumps(crdt.wire())

    def read(self, data: bytes) -> Crdt:
        _, context, body = loads(data)
        found = self.make(CausalContext.from_wire(context))
        found.load(body, found.context.actors(), 1)
        return found

    def joined(self, a: bytes, b: bytes) -> bytes:
        crdt = self.read(a)
        crdt.merge(self.read(b))
        return self.data(crdt)

    def _merge(self, host: Host, other: Crdt) -> None:
        before = self.data(host.crdt)
        changed = host.crdt.merge(other)
        held("merge says whether it changed", changed == (self.data(host.crdt) != before))

    def _applied(self, host: Host) -> dict[int, int]:
        found: dict[int, int] = {}
        for actor, seqs in self.made.items():
            for seq in seqs:
                if (actor, seq) not in host.ops:
                    break
                found[actor] = seq
        return found

    def _is_refused(self, model: Model, op: str, args: list[Any]) -> bool:
        if self.kind != "or_map" or op != "update":
            return False
        shown = model.shown(args[0])
        if shown is not None and shown != args[1]:
            return True
        if args[1] == "or_map" and args[2] == "update":
            inner = model.parts.get((args[0], "or_map"), Model("or_map")).shown(args[3][0])
            return inner is not None and inner != args[3][1]
        return False

    def _choose(self, kind: str, value: Any, a: int, b: int, depth: int = 1) -> Op | None:
        """The operation of two small numbers; None if it makes no sense now."""
        if kind in COUNTERS:
            down = kind == "pn_counter" and a % 3 == 1
            return ("reset", []) if a == 7 else ("decrement" if down else "increment", [b + 1])
        if kind == "or_map":
            return self._choose_nested(value, a, b, depth)
        if kind == "sequence":
            return self._choose_edit(value or [], a, b)
        if kind == "ew_flag":
            return ("enable" if a < 4 else "disable" if a < 7 else "reset", [])
        if kind.endswith("_register"):
            return ("reset", []) if a == 7 else ("set", [a * 10 + b if a < 5 else b])
        if a == 7 or (a == 6 and kind == "or_set"):
            return "reset" if a == 7 else "clear", []
        element = [b, "x" * 40, {"b": 1, "a": 2}][b % 3] if b else b
        return "remove" if a >= 4 and kind != "g_set" else "add", [element]

    def _choose_nested(self, value: Any, a: int, b: int, depth: int) -> Op | None:
        if a == 7:
            return ("remove", ["k"]) if b else ("clear", [])
        key, kind = "kl"[a % 2], NESTED[(a // 2 + b) % (5 if depth == 1 else 3)]
        inner_value = (value or {}).get(key)
        if isinstance(inner_value, dict) != (kind == "or_map") and inner_value is not None:
            inner_value = None
        if kind == "sequence" and not _is_edited(inner_value):
            inner_value = None
        inner = self._choose(kind, inner_value, (a + 3 * b) % 8, (a * b) % 4, depth + 1)
        return None if inner is None else ("update", [key, kind, *inner])

    def _choose_edit(self, value: list[Any], a: int, b: int) -> Op | None:
        size = len(value)
        self.items += 4
        new = [[f"{self.items + step}", 0] for step in range(1 + b)]
        if a < 3:
            return "insert", [min(a * size // 2, size), new]
        if a == 3:
            return "append", [new[0]]
        if size == 0 or (a == 7 and b):
            return None
        at = (a * b) % size
        if a == 4:
            return "set", [at, [value[at][0], self.items]]
        return ("reset", []) if a == 7 else ("delete", [at, min(1 + b % 2, size - at)])


def _is_edited(value: Any) -> bool:
    """Whether it looks like the value of a sequence of ours: [[id, version], ...]."""
    return isinstance(value, list) and all(isinstance(item, list) for item in value)


def _edited(was: list[Any], op: str, args: list[Any]) -> list[Any]:
    now = list(was)
    if op == "insert":
        now[args[0] : args[0]] = args[1]
    elif op == "append":
        now.append(args[0])
    elif op == "set":
        now[args[0]] = args[1]
    elif op == "delete":
        del now[args[0] : args[0] + args[1]]
    else:
        now = []
    return now


def real(kind: str) -> Callable[..., Crdt]:
    return BY_KIND[kind]
