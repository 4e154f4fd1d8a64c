"""Stories of owners: an agent dies with the last of them, within a bound, with a reason."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from quorate.core.errors import LimitExceeded, OwnerDead, UsageError
from quorate.hosts.agents.agent import Agent
from quorate.hosts.agents.kin import reasons
from quorate.hosts.agents.kin.owner_leases import OWNER_LEASE_S
from quorate.hosts.agents.proxy import AgentProxy
from tests.agents_kin.world import KinWorld, begin, session, told

BOUND_S = OWNER_LEASE_S + 1.0
"""A lease runs out by the leader's clock, counted from the last keepalive, and then is proposed."""


class Plain(Agent):
    kind = "plain"


def proxy(name: str) -> AgentProxy:
    none: Any = None
    return AgentProxy(none, name, None)


def test_every_kind_of_owner_by_its_name_in_the_group() -> None:
    async def story(world: KinWorld) -> None:
        kin, until = world.kin(), world.a.now() + 5
        await world.start(Plain, "mum")
        agent = world.a.bring_up("mum").agent
        lease = await world.a.host.leases.grant(10)
        assert await kin.owners_of(None, until) == ()
        assert await kin.owners_of("mum", until) == ("agent:mum",)
        assert await kin.owners_of(proxy("mum"), until) == ("agent:mum",)
        assert await kin.owners_of(agent, until) == ("agent:mum",)
        assert await kin.owners_of(lease, until) == (f"lease:{lease.id}",)
        assert await kin.owners_of([lease, "mum", proxy("mum")], until) == (
            f"lease:{lease.id}",
            "agent:mum",
        )

    told(story)


def test_a_session_owns_from_its_first_agent_until_it_is_closed() -> None:
    async def story(world: KinWorld) -> None:
        async with session() as tab:
            one = await world.owned(Plain, "cart", tab)
            two = await world.owned(Plain, "chat", tab)
            assert one.owners == two.owners and len(one.owners) == 1
            await world.pass_time(10 * OWNER_LEASE_S)
            assert world.lives("cart", "c") and world.lives("chat", "c")
        await world.settle()
        assert not world.lives("cart") and not world.lives("chat", "c")
        with pytest.raises(OwnerDead, match="session has ended"):
            await world.owned(Plain, "cart", tab)
        assert world.kin().statistics()["owners"]["owners"] == 0

    told(story)


def test_closing_one_of_two_sessions_does_not_end_what_both_own() -> None:
    async def story(world: KinWorld) -> None:
        one, two = session(), session()
        await world.owned(Plain, "chat", one)
        await world.owned(Plain, "chat", two, "b", policy="use_existing")
        await one.close()
        await world.settle()
        assert world.lives("chat")
        await two.close()
        await world.settle()
        assert not world.lives("chat")

    told(story)


def test_the_death_of_a_sessions_process_ends_what_it_owns_within_the_bound() -> None:
    async def story(world: KinWorld) -> None:
        await world.owned(Plain, "cart", session(), "c")
        monitor = world.kin("b").watch_exit("cart")
        world.mini.cut("c")
        await world.pass_time(BOUND_S)
        assert not world.lives("cart", "b")
        reason = await monitor
        assert reason.startswith("owner lease:") and reason.endswith("ended")

    told(story)


def test_the_end_of_a_task_ends_what_it_owns_at_once_and_says_how_it_ended() -> None:
    async def story(world: KinWorld) -> None:
        go = asyncio.Event()

        async def job() -> None:
            await go.wait()
            raise ValueError("no more paper")

        task = begin(job(), "printer")
        await world.owned(Plain, "page", task)
        monitor = world.kin().watch_exit("page")
        go.set()
        await asyncio.wait([task])
        assert isinstance(task.exception(), ValueError)
        await world.settle()
        assert not world.lives("page")
        assert await monitor == (
            "owner task 'printer' of host 'a' (ValueError: no more paper) ended"
        )

    told(story)


def test_hosts_that_run_the_agent_know_what_stands_behind_a_lease() -> None:
    async def story(world: KinWorld) -> None:
        go = asyncio.Event()
        task = begin(go.wait(), "printer")
        owners = await world.kin("a").owners_of(task, world.a.now() + 5)
        await world.start(Plain, "page", "b", owners=owners)
        go.set()
        monitor = world.kin("b").watch_exit("page")
        assert await monitor == "owner task 'printer' of host 'a' ended"

    told(story)


def test_a_task_that_has_ended_owns_nothing() -> None:
    async def story(world: KinWorld) -> None:
        task = begin(asyncio.sleep(0))
        await asyncio.wait([task])
        with pytest.raises(OwnerDead, match="task 'job' has ended"):
            await world.owned(Plain, "page", task)
        assert not world.lives("page")

    told(story)


def test_an_owner_that_dies_while_the_agent_is_being_started() -> None:
    """At each moment: the start is refused, or what was started dies. Never an orphan."""

    async def story(world: KinWorld) -> None:
        refused = started = 0
        for step in range(40):
            go = asyncio.Event()
            task = begin(go.wait())
            name = f"page{step}"
            starting = begin(world.owned(Plain, name, task), "starting")
            world.mini.loop.call_later(step * 0.0003, go.set)
            (ended,) = await asyncio.gather(starting, return_exceptions=True)
            await world.pass_time(0.2)
            assert not world.lives(name), step
            refused += isinstance(ended, OwnerDead)
            started += not isinstance(ended, BaseException)
        assert refused + started == 40 and refused > 5 and started > 5
        assert world.a.group.machine.agents_count() == 0
        assert world.kin().statistics()["owners"]["owners"] == 0

    told(story)


def test_a_task_of_a_host_that_hears_nothing_still_ends_its_agents() -> None:
    """Nobody can give the lease up: it runs out."""

    async def story(world: KinWorld) -> None:
        go = asyncio.Event()
        task = begin(go.wait())
        await world.owned(Plain, "page", task, "c")
        world.mini.cut("c")
        go.set()
        await world.pass_time(BOUND_S)
        assert not world.lives("page", "a")
        world.mini.heal("c")

    told(story)


def test_a_host_that_leaves_in_good_order_takes_what_its_sessions_own_with_it() -> None:
    async def story(world: KinWorld) -> None:
        await world.owned(Plain, "cart", session(), "c")
        await world.kin("c").leave(1.0)
        await world.settle()
        assert not world.lives("cart")
        with pytest.raises(OwnerDead):
            await world.owned(Plain, "cart", session(), "c")

    told(story)


def test_a_sessions_lease_that_was_lost_is_granted_anew() -> None:
    async def story(world: KinWorld) -> None:
        tab = session()
        before = await world.owned(Plain, "cart", tab, "c")
        world.mini.cut("c")
        await world.pass_time(BOUND_S)
        world.mini.heal("c")
        await world.settle()
        after = await world.owned(Plain, "cart", tab, "c")
        assert before.owners != after.owners and world.lives("cart")
        await tab.close()
        await world.settle()
        assert not world.lives("cart")

    told(story)


def test_orphans_go_by_their_policy() -> None:
    async def story(world: KinWorld) -> None:
        await world.start(Plain, "grandma")
        tab = session()
        mum = await world.kin().owners_of([tab, "grandma"], world.a.now() + 5)
        await world.start(Plain, "mum", owners=mum)
        await world.owned(Plain, "stays", "mum", orphan="continue")
        await world.owned(Plain, "goes", "mum", orphan="stop")
        await world.owned(Plain, "adopted", "mum", orphan="adopt")
        await world.a.bindings.stop("mum", reason="tired")
        await world.settle()
        assert [name for name in ("stays", "goes", "adopted") if world.lives(name)] == [
            "stays",
            "adopted",
        ]
        record = world.a.group.machine.agent("adopted")
        assert record is not None and set(record.owners) == set(mum)
        await world.a.bindings.stop("grandma")
        await tab.close()
        await world.settle()
        assert world.lives("stays") and not world.lives("adopted")

    told(story)


def test_bad_input() -> None:
    async def story(world: KinWorld) -> None:
        until = world.a.now() + 5
        for bad in (0, True, 7.5, object(), "", "~a/1", proxy("~a/1"), b"x", ["mum", 7.5]):
            with pytest.raises(UsageError):
                await world.kin().owners_of(bad, until)
        with pytest.raises(LimitExceeded):
            await world.kin().owners_of([f"o{n}" for n in range(17)], until)
        lease = await world.a.host.leases.grant(10)
        await lease.revoke()
        await world.settle()
        with pytest.raises(OwnerDead):
            await world.owned(Plain, "x", lease)
        with pytest.raises(OwnerDead):
            await world.owned(Plain, "x", "nobody")

        async def owned_by_its_own_task(agent: Any) -> None:
            with pytest.raises(UsageError, match="owner=self"):
                await world.kin().owners_of(asyncio.current_task(), until)

        await world.start(Plain, "mum")
        await world.turn("mum", owned_by_its_own_task)

    told(story)


def test_reasons_in_words() -> None:
    texts = {7: "task 'job' of host 'a' (done)"}
    assert reasons.explained("owner lease:7 ended", texts.get) == (
        "owner task 'job' of host 'a' (done) ended"
    )
    assert reasons.explained("linked: x: owner lease:8 ended", texts.get) == (
        "linked: x: owner lease:8 ended"
    )
    assert reasons.task_end("task 'x'", None, cancelled=True) == "task 'x' (cancelled)"
