"""Leases, locks, elections and watches in virtual time: cut off, deposed, late, compacted."""

from __future__ import annotations

import asyncio

import pytest

from quorate.core.errors import Compacted, LockLost, Timeout
from quorate.core.group import lease_hold
from quorate.core.machine.lease_clock import LeaseClock
from tests.group.mini import MiniGroup, MiniHost
from tests.group.virtual import run_virtual


def test_a_cut_off_holder_stops_before_the_next_one_starts() -> None:
    async def story() -> None:
        async with MiniGroup() as mini:
            b, c = mini.hosts["b"], mini.hosts["c"]
            stopped_at = 0.0

            async def hold() -> int:
                nonlocal stopped_at
                token = 0
                try:
                    async with b.lock("l", ttl=3) as lock:
                        token = lock.token
                        await asyncio.Event().wait()
                except LockLost:
                    stopped_at = mini.loop.time()
                return token

            holder = asyncio.ensure_future(hold())
            await mini.pass_time(10)
            assert not holder.done(), "kept alive far beyond its time to live"
            mini.cut("b")
            cut_at = mini.loop.time()
            async with c.lock("l", ttl=3) as next_one:
                granted_at = mini.loop.time()
                assert holder.done(), "the first holder stopped before"
                assert next_one.token > holder.result()
            assert stopped_at < granted_at
            assert granted_at - cut_at < 4.5, "the lease ran out, not more"
            mini.heal("b")
            await mini.pass_time(0.1)

    run_virtual(story())


def test_a_holder_that_counted_from_the_answer_would_be_too_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The planted fault of the test above: no margin, and a keepalive counts for ever."""
    monkeypatch.setattr(lease_hold, "margin_s", lambda ttl_s: -ttl_s)

    async def story() -> None:
        async with MiniGroup() as mini:
            entered = asyncio.Event()

            async def hold() -> None:
                async with mini.hosts["b"].lock("l", ttl=3):
                    entered.set()
                    await asyncio.Event().wait()

            holder = asyncio.ensure_future(hold())
            await entered.wait()
            mini.cut("b")
            async with mini.hosts["c"].lock("l", ttl=3):
                assert not holder.done(), "two holders: the fault shows"
            holder.cancel()
            await asyncio.gather(holder, return_exceptions=True)
            mini.heal("b")

    run_virtual(story())


def test_a_lease_survives_a_change_of_the_leader() -> None:
    async def story() -> None:
        async with MiniGroup() as mini:
            b = mini.hosts["b"]
            lease = await b.leases.grant(2)
            for name in "bca":
                await mini.pass_time(1.5)
                mini.lead(None)
                await mini.pass_time(0.3)
                mini.lead(name)
            await mini.pass_time(3)
            assert not lease.lost
            assert b.machine.lease(lease.id) is not None
            assert mini.hosts["a"].keeper.remaining_s(lease.id) is not None
            assert mini.hosts["b"].keeper.remaining_s(lease.id) is None, "only the leader counts"

    run_virtual(story())


@pytest.mark.parametrize("planted", [False, True])
def test_a_deposed_leader_confirms_no_keepalive_and_expires_nothing(
    planted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted fault: expiries that do not carry the term they were decided in."""
    honest = LeaseClock.on_become_leader
    if planted:
        monkeypatch.setattr(
            LeaseClock,
            "on_become_leader",
            lambda clock, now, leases, term: honest(clock, now, leases),
        )

    async def story() -> None:
        async with MiniGroup() as mini:
            a, b = mini.hosts["a"], mini.hosts["b"]
            lease = await b.leases.grant(2)
            mini.cut("a")  # it goes on believing that it leads
            mini.leader, mini.term = "c", mini.term + 1
            for name in "bc":
                mini.hosts[name].hear_of("c")
            await mini.pass_time(10)
            assert not lease.lost, "the new leader renews it"
            assert a.keeper.statistics()["expiries_proposed_total"] != 0
            mini.heal("a")  # its expiries are sent again, to the new leader
            await mini.pass_time(3)
            alive = b.machine.lease(lease.id) is not None and not lease.lost
            assert alive != planted

    run_virtual(story())


def test_an_expired_lease_takes_names_and_keys_with_it_and_tells_the_holder() -> None:
    async def story() -> None:
        async with MiniGroup() as mini:
            b, c = mini.hosts["b"], mini.hosts["c"]
            name = await b.registry.register("n", "b")
            lost: list[str] = []
            session = await b.leases.session()
            session.when_lost(lost.append)
            await b.kv.put("k", 1, lease=session.id)
            assert name.lease == session.id
            mini.cut("b")
            await mini.pass_time(8)
            assert lost and "could not be renewed" in lost[0]
            assert await c.registry.whereis("n") is None
            assert await c.kv.get("k") is None
            mini.heal("b")
            again = await b.registry.register("n", "b2")
            assert again.epoch > name.epoch and again.lease != session.id

    run_virtual(story())


def test_a_waiter_whose_lease_ends_leaves_the_line() -> None:
    async def story() -> None:
        async with MiniGroup() as mini:
            a, b, c = mini.hosts.values()
            async with a.lock("l", ttl=30):
                waiting = asyncio.ensure_future(enter(b))
                await mini.pass_time(1)
                assert len(waiters(a)) == 1
                mini.cut("b")
                await mini.pass_time(6)
                assert waiters(a) == [], "T42"
                in_line = asyncio.ensure_future(enter(c))
                await mini.pass_time(1)
                with pytest.raises(Timeout):
                    async with a.lock("l", ttl=5, timeout=1):
                        raise AssertionError("two holders")
                await mini.pass_time(0.1)
                assert len(waiters(a)) == 1, "who gave up does not stand in line"
            assert await in_line > 0
            mini.heal("b")
            with pytest.raises(Exception, match=r"lease ended|renewed"):
                await waiting

    async def enter(host: MiniHost) -> int:
        async with host.lock("l", ttl=4) as lock:
            return lock.token

    def waiters(host: MiniHost) -> list[object]:
        record = host.machine.lock("l")
        return [] if record is None else list(record.waiters)

    run_virtual(story())


def test_one_keepalive_serves_all_leases_that_are_due() -> None:
    async def story() -> None:
        async with MiniGroup() as mini:
            b = mini.hosts["b"]
            await asyncio.gather(*(b.leases.grant(6) for _ in range(50)))
            await mini.pass_time(60)
            assert b.leases.statistics()["held"] == 50
            assert b.leases.statistics()["keepalives_total"] <= 40, "30 periods, one message each"  # type: ignore[operator]

    run_virtual(story())


def test_a_watch_continues_across_leaders_and_says_when_history_is_gone() -> None:
    async def story() -> None:
        async with MiniGroup(events_keep_revisions=2000) as mini:
            a, b = mini.hosts["a"], mini.hosts["b"]
            watch = b.kv.watch("k/")
            lazy = b.kv.watch("k/")
            for n in range(4000):
                if n % 1000 == 500:
                    mini.lead("abc"[n // 1000 % 3])
                await a.kv.put(f"k/{n}", n)
                if n % 100 == 99:
                    seen = [(await anext(watch)).value for _ in range(100)]
                    assert seen == list(range(n - 99, n + 1))
            with pytest.raises(Compacted) as caught:
                await anext(lazy)
            resumed = b.kv.watch("k/", from_revision=caught.value.oldest_revision)
            assert (await anext(resumed)).revision == caught.value.oldest_revision

    run_virtual(story())


def test_an_observer_follows_the_latest_leader() -> None:
    async def story() -> None:
        async with MiniGroup() as mini:
            a, b, c = mini.hosts.values()
            seen: list[object] = []

            async def follow() -> None:
                async for leader in c.election("e").observe():
                    seen.append(leader.value)

            following = asyncio.ensure_future(follow())
            async with a.election("e").campaign("a", ttl=3):
                second = asyncio.ensure_future(lead(b))
                await mini.pass_time(1)
            await second
            await mini.pass_time(1)
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            assert seen == [None, "a", "b", None]

    async def lead(host: MiniHost) -> None:
        async with host.election("e").campaign("b", ttl=3) as leadership:
            assert leadership.term > 0
            await host.mini.pass_time(0.5)

    run_virtual(story())


def test_a_replica_that_differs_is_found_even_while_it_lags() -> None:
    async def story() -> None:
        async with MiniGroup() as mini:
            a, b, c = mini.hosts.values()
            for host in (a, b, c):
                host.digests.start()
            await a.kv.put("k", 1)
            await mini.pass_time(2)
            assert not (a.out or b.out or c.out)
            mini.cut("c")
            for n in range(5):
                await a.kv.put("k", n)
            c.machine._digest.value = b"\xee" * 16
            await mini.pass_time(2)
            mini.heal("c")
            await a.kv.put("k", 9)
            await mini.pass_time(3)
            assert len(c.out) == 1 and "differs" in str(c.out[0])
            assert not (a.out or b.out)

    run_virtual(story())
