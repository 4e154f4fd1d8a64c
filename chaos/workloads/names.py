"""Names: many callers bind the same few names, act under the epoch they got, and give them up.

The law of this file: epochs are fencing tokens. Per name they grow from binding to binding, no
epoch has two bindings, the resource outside accepts nothing below an epoch it has accepted, and who
looks linearizably sees no binding older than one that was acknowledged before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from quorate.chaos.workloads.workload import CALL_S, Workload, part
from quorate.consistency.check import models
from quorate.consistency.check.history import History, Operation
from quorate.consistency.check.values import show
from quorate.consistency.check.verdict import Anomaly, Verdict, judged
from quorate.core.errors import NameTaken

if TYPE_CHECKING:
    from quorate.chaos.lab.client import Client

NAMES = 6
EFFECTS_MAX = 5
PAUSE_S = 0.02


class NamesWorkload(Workload):
    """Bind a name (now and then by force), act under it, look around, let it go."""

    name: ClassVar[str] = "names"
    promise: ClassVar[str] = "one binding per epoch, epochs grow, the resource takes no older one"
    settings: ClassVar[Mapping[str, Any]] = {"session_lease_s": 2.0}
    rate_per_client: ClassVar[float] = 3.0

    async def invoke(self, client: Client) -> None:
        registry, name = client.host.registry, f"n/{client.rng.randrange(NAMES)}"
        epoch, holder = 0, client.unique()
        policy: Any = "replace" if client.rng.random() < 0.2 else "fail"
        async with client.op("acquire", name, holder) as op:
            try:
                bound = await registry.register(name, holder, on_conflict=policy, timeout=CALL_S)
            except NameTaken:
                op.ok(None)
            else:
                epoch = bound.epoch
                op.ok(epoch)
        await self._look(client, name)
        if not epoch:
            return
        for _ in range(client.rng.randint(1, EFFECTS_MAX)):
            async with client.op("effect", name, epoch) as op:
                effect = await client.resource.effect(name, epoch, client.id)
                op.ok(witness=(0, effect.place))
            if not op.done:
                break
            await client.pause(client.rng.uniform(0, PAUSE_S))
        async with client.op("release", name, epoch) as op:
            op.ok(await registry.unregister(name, epoch=epoch, timeout=CALL_S))

    async def _look(self, client: Client, name: str) -> None:
        level: Any = "local" if client.rng.random() < 0.5 else "linearizable"
        async with client.op("look", name, level=level) as op:
            found = await client.host.registry.whereis(name, level=level, timeout=CALL_S)
            op.ok(None if found is None else [found.value, found.epoch])

    async def final_reads(self, client: Client) -> None:
        for number in range(NAMES):
            name = f"n/{number}"
            async with client.op("look", name, level="linearizable") as op:
                found = await client.host.registry.whereis(
                    name, level="linearizable", timeout=CALL_S
                )
                op.ok(None if found is None else [found.value, found.epoch])

    def check(self, history: History) -> list[Verdict]:
        held = part(history, lambda op: op.f in ("acquire", "release", "effect"))
        return [models.check("locks", held), check_bindings(history)]


def check_bindings(history: History) -> Verdict:
    """Judge `acquire` (value: the holder; answer: the epoch) and `look` (answer: [holder,
    epoch])."""
    found: list[Anomaly] = []
    bindings: dict[tuple[Any, int], tuple[Any, Operation]] = {}
    for op in history.operations:
        pair = _binding(op)
        if pair is None:
            continue
        holder, epoch = pair
        other = bindings.setdefault((op.key, epoch), (holder, op))
        if other[0] != holder:
            text = f"{op.key!r}: epoch {epoch} binds {show(other[0])} and {show(holder)}"
            found.append(Anomaly("two-bindings", text, (other[1], op)))
    looks = [op for op in history.operations if op.f == "look" and op.outcome == "ok"]
    grants = [op for op in history.operations if op.f == "acquire" and _binding(op)]
    found += _stale(looks, grants)
    return judged("bindings", len(looks) + len(grants), found, history=history)


def _binding(op: Operation) -> tuple[Any, int] | None:
    if op.outcome != "ok" or op.result is None:
        return None
    if op.f == "acquire":
        return op.value, int(op.result)
    return (op.result[0], int(op.result[1])) if op.f == "look" else None


def _stale(looks: list[Operation], grants: list[Operation]) -> list[Anomaly]:
    """A linearizable look sees no epoch below one that was acknowledged before it began."""
    found: list[Anomaly] = []
    grants = sorted(grants, key=lambda op: op.ended)
    highest: dict[Any, Operation] = {}
    at = 0
    for op in looks:
        while at < len(grants) and grants[at].ended < op.invoked:
            grant = grants[at]
            if grant.key not in highest or grant.result > highest[grant.key].result:
                highest[grant.key] = grant
            at += 1
        before, seen = highest.get(op.key), _binding(op)
        if op.level != "linearizable" or before is None or seen is None:
            continue
        if seen[1] < before.result:
            text = f"{op.key!r}: {op.where} shows epoch {seen[1]} after {before.result} was bound"
            found.append(Anomaly("stale-binding", text, (before, op)))
    return found
