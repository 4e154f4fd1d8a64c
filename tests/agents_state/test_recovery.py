"""An agent whose host died goes on elsewhere: with everything that reached another member."""

from __future__ import annotations

import asyncio
from typing import Any

from quorate import Cluster
from quorate.core.errors import QuorateError
from tests.agents_state.test_commit import after, both, shown
from tests.agents_state.world import (
    FAST,
    Agent,
    Place,
    cut,
    end_lease,
    heal,
    run_story,
    until,
)


async def settled(cluster: Cluster, replicas: int = 3) -> dict[str, Place]:
    """Places on a running cluster whose ring is whole, led by the second host if it can be."""
    places = {host_id: Place(host) for host_id, host in cluster.hosts.items()}
    for place in places.values():
        now = place.plane.clock.monotonic()
        await place.keeper.ready(now + 10)
        await until(place, lambda place=place: whole(place, len(places)))
    return places


def whole(place: Place, hosts: int) -> bool:
    placement = place.plane.placement
    if placement is None:
        return False
    ring = placement.ring
    return len(ring.hosts) == hosts and ring.before is None


async def lead(cluster: Cluster, host_id: str) -> None:
    """Have this host lead, so that the death of another one disturbs nothing."""
    while (await cluster.leader()).id != host_id:
        leader = await cluster.leader()
        try:
            await leader.transfer_leadership(host_id)
        except QuorateError:
            await asyncio.sleep(0)


async def take_over(agent: Agent, place: Place) -> Agent:
    """The lease of its host is over; it goes on here."""
    await end_lease(place, agent.place)
    record = await place.take(agent.holder.record, "take")
    return await place.open(record)


def test_a_failover_reads_what_reached_one_other_host() -> None:
    run_story(reached_one_other())


def nothing(*_: object) -> None: ...


async def reached_one_other() -> None:
    """Host c heard nothing of what host a wrote; host b did, and a dies."""
    async with Cluster.local(3, **FAST) as cluster:
        places = await settled(cluster)
        await lead(cluster, "b")
        a, c = places["a"], places["c"]
        for place in places.values():  # or an exchange tells c before the agent is there
            upkeep: Any = place.host.stores.mover.upkeep
            upkeep.work = upkeep.on_peer_up = upkeep.sync_needed = nothing
        agent = await a.open(await a.start("cart:1"))
        await both(agent, 1)
        cut(a.host, [c.host])
        for number in (2, 3):
            async with agent.turn():
                await agent.state.put("k", number, wait_for=2)
                await agent.state.pn_counter("n").increment(number)
                await agent.state.or_map("m")["f"].set(number)
        assert agent.ledger.mark.number == 3
        await cluster.kill("a")
        there = await take_over(agent, c)
        assert await there.state.get("k") == 3
        assert await there.state.pn_counter("n").value() == 5
        assert await there.state.or_map("m").value() == {"f": 3}
        assert await shown(there) == after(1)
        assert there.ledger.mark.number == 3
        await there.put("k", 4)
        assert await there.state.get("k") == 4
        assert [r for r in c.keeper.reports() if r.name == "cart:1"] == []


def test_a_turn_in_both_planes_survives_though_its_local_part_reached_nobody() -> None:
    run_story(counted_once())


async def counted_once() -> None:
    async with Cluster.local(3, **FAST) as cluster:
        places = await settled(cluster)
        await lead(cluster, "b")
        a, b, c = (places[one] for one in "abc")
        agent = await a.open(await a.start("cart:1"))
        await both(agent, 1)

        def at(step: str) -> None:
            if step == "strong":  # what follows stays on a's disk
                cut(a.host, [b.host, c.host])

        agent.opened.committer.on_step = at
        await both(agent, 2)
        assert await shown(agent) == after(1, 2)
        await cluster.kill("a")
        there = await take_over(agent, b)
        assert there.opened.settling.redone == 1
        assert await shown(there) == after(1, 2)
        await both(there, 3)
        again = await cluster.restart("a")
        assert again is not None
        late = Place(again)
        heal(again, [b.host, c.host])
        actor = agent.ledger.plane.replica.actor
        assert late.plane.replica.actor == actor, "the same folder: it brings what it had"
        seq = max(agent.ledger.redo_seqs.values())
        for place in (b, c):
            await until(place, lambda p=place: p.plane.replica.covers({actor: seq}))
        assert await shown(there) == after(1, 2, 3), "joined twice, counted once"


def test_turns_that_come_late_are_joined_counted_and_reported() -> None:
    async def story() -> None:
        async with Cluster.local(3, **FAST) as cluster:
            places = await settled(cluster)
            await lead(cluster, "b")
            a, b, c = (places[one] for one in "abc")
            agent = await a.open(await a.start("cart:1"))
            await agent.put("k", 1, wait_for=3)
            cut(a.host, [b.host, c.host])
            for number in (2, 3, 4):
                async with agent.turn():
                    await agent.state.put("k", number)
                    await agent.state.pn_counter("n").increment()
            there = await take_over(agent, b)
            assert await there.state.get("k") == 1 and there.ledger.mark.number == 1
            await there.put("mine", 1)
            agent.holder.holds = False
            heal(a.host, [b.host, c.host])
            await until(b, lambda: any(r.turns_late == 3 for r in b.keeper.reports()))
            (report,) = b.keeper.reports()
            assert (report.name, report.host, report.from_host) == ("cart:1", "b", "a")
            assert (report.turns_recovered, report.turns_late) == (1, 3)
            assert report.from_epoch == agent.holder.epoch and report.epoch == there.holder.epoch
            assert await there.state.get("k") == 4 and await there.state.get("mine") == 1
            assert await there.state.pn_counter("n").value() == 3
            await there.put("k", 5)
            assert await there.state.get("k") == 5

    run_story(story())


def test_a_member_that_does_not_answer_is_gone_without_and_named() -> None:
    async def story() -> None:
        async with Cluster.local(3, **FAST) as cluster:
            places = await settled(cluster)
            a, b = places["a"], places["b"]
            agent = await a.open(await a.start("cart:1"))
            await agent.put("k", 1, wait_for=3)
            silent: Any = lambda peer, args, reply: None  # noqa: E731
            places["c"].host.group.requests.handle("agent.recover", silent)
            there = await take_over(agent, b)
            assert await there.state.get("k") == 1
            (report,) = b.keeper.reports()
            assert report.missing == ("c",) and report.turns_late == 0

    run_story(story())


def test_a_host_that_owns_no_key_of_an_agent_runs_it_all_the_same() -> None:
    async def story() -> None:
        async with Cluster.local(4, **FAST) as cluster:
            places = await settled(cluster)
            for host_id in places:
                place = places[host_id]
                agent = await place.open(await place.start(f"cart:{host_id}"))
                if not agent.ledger.is_home:
                    break
            number = 0
            while agent.ledger.is_home:
                number += 1
                agent = await place.open(await place.start(f"cart:more:{number}"))
            for n in (1, 2):
                await both(agent, n)
            assert await shown(agent) == after(1, 2)
            async with agent.turn():
                await agent.state.put("x", 1)
                await agent.state.put("y", 1)
                await agent.state.put("y", 2)
                await agent.state.delete("x")
                assert await agent.state.keys() == ["c", "e", "list", "s", "tags", "y"]
            assert await agent.state.keys() == ["c", "e", "list", "s", "tags", "y"]
            home = agent.ledger.core.homes(agent.ledger.keys.turns)[0]
            there = await places[home].open(await places[home].take(agent.holder.record))
            assert there.ledger.is_home and await shown(there) == after(1, 2)
            assert await there.state.get("y") == 2
            await both(there, 3)
            back = await place.open(await place.take(there.holder.record))
            assert not back.ledger.is_home and await shown(back) == after(1, 2, 3)
            assert back.ledger.mark.number == there.ledger.mark.number
            await both(back, 4)
            assert await shown(back) == after(1, 2, 3, 4)

    run_story(story())
