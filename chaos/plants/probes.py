"""Workloads for plants that the others have no eye for.

The law of this file: as for every workload. All hold without a plant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from quorate.chaos.workloads.agents import TELLERS, AgentsWorkload
from quorate.chaos.workloads.turns import check_turns
from quorate.chaos.workloads.workload import CALL_S, Workload
from quorate.consistency.check import models
from quorate.consistency.check.history import History, Operation
from quorate.consistency.check.verdict import Anomaly, Verdict, judged

if TYPE_CHECKING:
    from quorate.chaos.lab.client import Client

LOCKS = 5
TTL_S = 1.5
BELIEVES_MAX = 200
BELIEVE_S = 0.02
KEYS = 24
STORE = "removing"


class HoldingWorkload(Workload):
    """Take a lock and ask again and again whether it is still held; nothing is fenced."""

    name: ClassVar[str] = "holding"
    promise: ClassVar[str] = "who believes to hold a lock is not told so after another was granted"

    async def invoke(self, client: Client) -> None:
        name = f"hold/{client.rng.randrange(LOCKS)}"
        claim, token = client.host.lock(name, ttl=TTL_S, timeout=CALL_S), 0
        async with client.op("acquire", name) as op:
            await claim.__aenter__()
            token = claim.token
            op.ok(token)
        if not op.done:
            return
        try:
            for _ in range(client.rng.randint(1, BELIEVES_MAX)):
                async with client.op("believe", name, token) as op:
                    op.ok(not claim.lost)
                await client.pause(BELIEVE_S)
        except BaseException as error:
            await claim.__aexit__(type(error), error, error.__traceback__)
            raise
        await claim.__aexit__(None, None, None)

    def check(self, history: History) -> Verdict:
        return check_holding(history)


def check_holding(history: History) -> Verdict:
    """Judge `acquire` (answer: the token) and `believe` (value: the token; answer: whether)."""
    found: list[Anomaly] = []
    highest: dict[Any, Operation] = {}
    done = [op for op in history.operations if op.f == "acquire" and op.outcome == "ok"]
    grants = sorted(done, key=lambda op: op.ended)
    believes = [op for op in history.operations if op.f == "believe" and op.outcome == "ok"]
    at = 0
    for op in believes:
        while at < len(grants) and grants[at].ended < op.invoked:
            grant = grants[at]
            if grant.key not in highest or grant.result > highest[grant.key].result:
                highest[grant.key] = grant
            at += 1
        grant = highest.get(op.key)
        if op.result and grant is not None and grant.result > op.value:
            text = (
                f"{op.key!r}: {op.where} on {op.host} believes to hold under token {op.value}, "
                f"after {grant.result} was granted on {grant.host} ({grant.where})"
            )
            found.append(Anomaly("two-holders", text, (grant, op)))
    return judged("holding", len(grants) + len(believes), found, history=history)


class RemovingWorkload(Workload):
    """Sets of a few elements, emptied as often as they are filled."""

    name: ClassVar[str] = "removing"
    promise: ClassVar[str] = "what was removed by someone who knew it stays away"

    async def invoke(self, client: Client) -> None:
        key = f"tags/{client.rng.randrange(KEYS)}"
        tags, dice = client.host.store(STORE).or_set(key), client.rng.random()
        if dice < 0.3:
            element = client.unique()
            async with client.op("add", key, element, level="crdt") as op:
                receipt = await tags.add(element, timeout=CALL_S)
                op.ok(dot=receipt.dot)
            return
        seen: list[Any] = []
        async with client.op("read", key, level="local") as op:
            seen = sorted(await tags.value(timeout=CALL_S) or ())
            op.ok(seen)
        for element in seen:
            async with client.op("remove", key, element, level="crdt") as op:
                await tags.remove(element, timeout=CALL_S)
                op.ok()

    async def final_reads(self, client: Client) -> None:
        for number in range(KEYS):
            key = f"tags/{number}"
            async with client.op("final", key, level="local") as op:
                found = (
                    await client.host.store(STORE).or_set(key).value(level="local", timeout=CALL_S)
                )
                op.ok(sorted(found or ()))

    def check(self, history: History) -> Verdict:
        return models.check("crdt", history)


class TellersWorkload(AgentsWorkload):
    """Turns and reads of the agents' workload alone, twice as fast."""

    name: ClassVar[str] = "tellers"
    rate_per_client: ClassVar[float] = 20.0

    async def invoke(self, client: Client) -> None:
        name = f"teller/{client.rng.randrange(TELLERS)}"
        proxy = client.host.agents.get(name).options(timeout=CALL_S)
        turns = client.rng.random() < 0.4
        async with client.op("turn" if turns else "read", name) as op:
            op.ok(await (proxy.turn() if turns else proxy.total()))

    def check(self, history: History) -> list[Verdict]:
        return [check_turns(history)]


class CountingWorkload(Workload):
    """Every client writes a key of its own, again and again; the group counts the writes."""

    name: ClassVar[str] = "counting"
    promise: ClassVar[str] = "every write is done once, however often it was sent"
    rate_per_client: ClassVar[float] = 30.0

    async def invoke(self, client: Client) -> None:
        async with client.op("put", client.id, client.number()) as op:
            receipt = await client.host.kv.put(f"count/{client.id}", 0, timeout=CALL_S)
            op.ok(witness=(receipt.term, receipt.index))

    async def final_reads(self, client: Client) -> None:
        async with client.op("final") as op:
            found = await client.host.kv.range("count/", timeout=CALL_S)
            op.ok([[record.key.removeprefix("count/"), record.version] for record in found])

    def check(self, history: History) -> Verdict:
        return check_counting(history)


def check_counting(history: History) -> Verdict:
    """Judge `put` (key: the only writer) and `final` (answer: [writer, how often written])."""
    puts: dict[Any, list[Operation]] = {}
    found: list[Anomaly] = []
    for op in history.operations:
        if op.f == "put" and op.outcome != "fail":
            puts.setdefault(op.key, []).append(op)
    finals = [op for op in history.operations if op.f == "final" and op.outcome == "ok"]
    for final in finals:
        for writer, version in final.result:
            ops = puts.get(writer, [])
            acknowledged = sum(op.outcome == "ok" for op in ops)
            if version > len(ops):
                text = f"the key of {writer} was written {version} times, by {len(ops)} writes"
                found.append(Anomaly("done-twice", text, (final,)))
            elif version < acknowledged:
                text = f"the key of {writer} was written {version} times; {acknowledged} are known"
                found.append(Anomaly("lost-write", text, (final,)))
    doubts = [] if finals else ["nobody counted in the end"]
    count = sum(map(len, puts.values()))
    return judged("counting", count, found, history=history, unknown=doubts)
