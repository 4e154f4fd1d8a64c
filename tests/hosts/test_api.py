"""Every line of the public API, on three real hosts."""

from __future__ import annotations

import asyncio

import pytest

import quorate
from quorate import (
    Compacted,
    Else,
    Event,
    If,
    LimitExceeded,
    NameTaken,
    NotFound,
    Refused,
    Then,
    UsageError,
    delete,
    exists,
    get,
    put,
    revision,
    value,
    version,
)
from tests.hosts.conftest import World, hosts


def test_a_write_on_one_host_is_read_on_another(world: World) -> None:
    async def story() -> None:
        a, b, c = hosts(world)
        receipt = await a.kv.put(
            "users/ann", {"age": 3, "tags": ["x", None, 1.5, b"\0"]}, timeout=2
        )
        assert (receipt.term > 0, receipt.index > 0, receipt.revision > 0) == (True, True, True)
        assert await b.kv.get("users/ann") == {"age": 3, "tags": ["x", None, 1.5, b"\0"]}
        assert await a.kv.get("users/ann", level="local") is not None
        record = await c.kv.get_record("users/ann")
        assert record is not None
        assert (record.version, record.revision) == (1, receipt.revision)
        assert await c.kv.get("users/nobody", default=7) == 7
        assert [r.key for r in await b.kv.range("users/")] == ["users/ann"]
        gone = await b.kv.delete("users/ann")
        assert gone.deleted == 1
        assert await a.kv.get("users/ann") is None
        assert (await a.kv.delete("users/ann")).deleted == 0

    world.run(story())


def test_compare_and_set_and_namespaces(world: World) -> None:
    async def story() -> None:
        a, b, _ = hosts(world)
        mine = a.kv.namespace("mine")
        await mine.cas("k", 1, version=0)
        with pytest.raises(Refused, match="version 1"):
            await mine.cas("k", 2, version=0)
        await mine.cas("k", 2, expected=1)
        record = await b.kv.namespace("mine").get_record("k")
        assert record is not None and record.value == 2
        await mine.cas("k", 3, revision=record.revision)
        assert await a.kv.get("k") is None, "another namespace"
        with pytest.raises(UsageError, match="exactly one"):
            await mine.cas("k", 3)
        with pytest.raises(Refused):
            await mine.delete("k", version=77)
        for n in range(5):
            await mine.put(f"many/{n}", n)
        assert (await mine.delete_prefix("many/")).deleted == 5

    world.run(story())


def test_transactions_choose_a_branch_and_answer_each_operation(world: World) -> None:
    async def story() -> None:
        a, b, _ = hosts(world)
        await a.kv.put("t/ann", 1)
        done = await b.kv.txn(
            If(version("t/ann") == 1, value("t/ann") == 1, exists("t/ann"), ~exists("t/bob")),
            Then(put("t/ann", 2), get("t/ann"), delete("t/bob")),
            Else(get("t/ann")),
        )
        assert done.succeeded
        assert done.results[0] == 2 and done.results[1].value == 2 and done.results[2] is False
        other = await b.kv.txn(
            If(revision("t/ann") < 1), Then(put("t/ann", 9)), Else(get("t/ann"), get("t/no"))
        )
        assert not other.succeeded
        assert other.results[0].value == 2 and other.results[1] is None
        with pytest.raises(UsageError, match="commas"):
            If(version("x") == 1 and version("y") == 2)
        with pytest.raises(UsageError):
            await a.kv.txn(If(version("x") == 1), If(version("y") == 2))

    world.run(story())


def test_a_watch_on_another_host_sees_every_change_in_order_and_can_resume(world: World) -> None:
    async def story() -> None:
        a, b, _ = hosts(world)
        watch = b.kv.watch("w/", from_revision=None)
        first = await a.kv.put("w/0", 0)
        for n in range(1, 30):
            await a.kv.put(f"w/{n % 3}", n)
            await a.kv.put("elsewhere", n)
        await a.kv.delete("w/0")
        seen: list[Event] = []
        async for event in watch:
            seen.append(event)
            if event.kind == "delete":
                break
        assert [event.value for event in seen] == [*range(30), None]
        assert [e.revision for e in seen] == sorted({e.revision for e in seen})
        again = [e async for e in _until_delete(b.kv.watch("w/", from_revision=first.revision))]
        assert again == seen
        assert watch.cursor > seen[-1].revision

    async def _until_delete(watch: quorate.Watch):
        async for event in watch:
            yield event
            if event.kind == "delete":
                return

    world.run(story())


def test_names_are_bound_once_and_found_everywhere(world: World) -> None:
    async def story() -> None:
        a, b, c = hosts(world)
        bound = await a.registry.register("cart:7", "a", {"kind": "cart"})
        with pytest.raises(NameTaken) as caught:
            await b.registry.register("cart:7", "b")
        assert caught.value.holder is not None
        same = await b.registry.register("cart:7", "b", on_conflict="use_existing")
        assert (same.value, same.epoch, same.outcome) == ("a", bound.epoch, "existing")
        taken = await b.registry.register("cart:7", "b", on_conflict="replace")
        assert taken.epoch > bound.epoch
        with pytest.raises(NotFound):
            await a.registry.unregister("cart:7", epoch=bound.epoch)
        found = await c.registry.whereis("cart:7", level="linearizable")
        assert found is not None and (found.value, found.epoch) == ("b", taken.epoch)
        await c.registry.register("cart:8", "c", lease=0)
        names = await a.registry.list("cart:*", level="linearizable")
        assert [name.name for name in names] == ["cart:7", "cart:8"]
        assert [n.name for n in await a.registry.find("rt:8", level="linearizable")] == ["cart:8"]
        assert await b.registry.count("cart:", level="linearizable") == 2
        updated = await b.registry.update_meta("cart:7", {"kind": "van"}, epoch=taken.epoch)
        assert updated.meta == {"kind": "van"}
        assert await a.registry.unregister("cart:7")
        again = await a.registry.register("cart:7", "a")
        assert again.epoch > taken.epoch, "free at once, and never an old epoch again"
        kinds = []
        async for event in c.registry.watch("cart:7", from_revision=bound.revision):
            kinds.append(event.kind)
            if event.version == again.epoch and event.kind == "registered":
                break
        assert kinds == ["registered", "registered", "updated", "removed", "registered"]

    world.run(story())


def test_racing_registrations_on_three_hosts_have_one_winner(world: World) -> None:
    async def story() -> None:
        a, b, c = hosts(world)
        for n in range(10):
            answers = await asyncio.gather(
                *(host.registry.register(f"race:{n}", host.id) for host in (a, b, c)),
                return_exceptions=True,
            )
            winners = [x for x in answers if isinstance(x, quorate.Name)]
            losers = [x for x in answers if isinstance(x, NameTaken)]
            assert (len(winners), len(losers)) == (1, 2)
            assert {loser.holder.epoch for loser in losers} == {winners[0].epoch}  # type: ignore[attr-defined]

    world.run(story())


def test_wrong_calls_say_what_is_wrong_and_change_nothing(world: World) -> None:
    async def story() -> None:
        a, _, _ = hosts(world)
        await a.ready()
        sent = a.group.submitter.statistics()["submitted_total"]
        with pytest.raises(LimitExceeded, match="448"):
            await a.kv.put("k" * 449, 1)
        with pytest.raises(LimitExceeded):
            await a.kv.put("k", b"x" * (1024 * 1024 + 1))
        with pytest.raises(UsageError):
            await a.kv.put("", 1)
        with pytest.raises(UsageError):
            await a.kv.put("k", object())
        with pytest.raises(UsageError):
            await a.kv.put("k", 1, timeout=-1)
        with pytest.raises(UsageError, match="level"):
            await a.kv.get("k", level="eventual")  # type: ignore[arg-type]
        with pytest.raises(UsageError):
            await a.leases.grant(0.01)
        with pytest.raises(UsageError):
            a.kv.watch("x", from_revision=-1)
        assert a.group.submitter.statistics()["submitted_total"] == sent, "nothing left the host"

    world.run(story())


def test_a_watch_of_forgotten_history_says_so(world: World) -> None:
    async def story() -> None:
        a, _, _ = hosts(world)
        await a.kv.put("x", 1)
        events = a.machine._events
        oldest, events.oldest_revision = events.oldest_revision, a.machine.revision
        try:
            with pytest.raises(Compacted) as caught:
                async for _event in a.kv.watch("x", from_revision=1):
                    raise AssertionError("a gap was served")
            assert caught.value.oldest_revision == a.machine.revision
        finally:
            events.oldest_revision = oldest

    world.run(story())


def test_leadership_is_handed_over_and_the_status_shows_it(world: World) -> None:
    async def story() -> None:
        a, b, c = hosts(world)
        leader = await world.cluster.leader()
        target = next(host for host in (a, b, c) if host is not leader)
        assert await leader.transfer_leadership(target.id) == target.id
        await target.kv.put("after", 1)
        status = target.status()
        assert (status["leader"], status["role"], status["ready"]) == (target.id, "leader", True)
        assert [member["id"] for member in status["members"]] == ["a", "b", "c"]
        assert (await a.snapshot())["index"] > 0
        assert a.statistics()["group"]

    world.run(story())


def test_cancelled_calls_leave_nothing_behind(world: World) -> None:
    async def story() -> None:
        a, b, _ = hosts(world)
        tasks_before = len(asyncio.all_tasks())
        for _ in range(5):
            calls = [asyncio.ensure_future(a.kv.put(f"c/{n}", n)) for n in range(50)]
            calls += [asyncio.ensure_future(a.kv.get("c/1")) for _ in range(50)]
            calls += [asyncio.ensure_future(anext(a.kv.watch("never"))) for _ in range(10)]
            calls += [asyncio.ensure_future(b.registry.register("c", n)) for n in range(10)]
            await asyncio.sleep(0)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        await a.ready()
        await b.kv.put("c", 0)
        await a.kv.put("c", 1)
        for host in (a, b):
            group = host.group.statistics()
            assert group["proposer"]["inflight_ops"] == 0  # type: ignore[index]
            assert group["reads"]["waiting"] == 0  # type: ignore[index]
            assert group["deadlines"]["waiting"] == 0  # type: ignore[index]
            assert group["listeners"]["waiting"] == 0  # type: ignore[index]
        assert len(asyncio.all_tasks()) <= tasks_before + 4, "lease streams at most"

    world.run(story())
