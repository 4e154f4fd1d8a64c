"""Leases, locks and elections on three real hosts."""

from __future__ import annotations

import asyncio

import pytest

import quorate
from quorate import Host, LockLost, Refused, Timeout
from tests.hosts.conftest import World, hosts


def test_a_lock_has_a_growing_token_and_waits_its_turn(world: World) -> None:
    async def story() -> None:
        a, b, c = hosts(world)
        tokens: list[int] = []
        inside = 0

        async def work(host: Host) -> None:
            nonlocal inside
            async with host.lock("rebuild", ttl=10, timeout=10) as lock:
                inside += 1
                assert inside == 1, "one at a time"
                tokens.append(lock.token)
                await asyncio.sleep(0)
                inside -= 1

        await asyncio.gather(*(work(host) for host in (a, b, c, a, b)))
        assert len(set(tokens)) == 5 and tokens == sorted(tokens)
        await a.ready()
        assert a.machine.lock("rebuild") is None

    world.run(story())


def test_a_lock_that_is_held_refuses_or_times_out(world: World) -> None:
    async def story() -> None:
        a, b, c = hosts(world)
        async with a.lock("busy") as lock:
            assert lock.token > 0 and not lock.lost
            with pytest.raises(Timeout) as caught:
                async with b.lock("busy", timeout=0.2):
                    raise AssertionError("two holders")
            assert caught.value.outcome == "not_applied"
            with pytest.raises(Refused):
                async with c.lock("busy", wait=False):
                    raise AssertionError("two holders")
        async with b.lock("busy", timeout=5):
            pass

    world.run(story())


def test_the_body_is_cancelled_when_the_lease_is_taken_away(world: World) -> None:
    async def story() -> None:
        a, b, _ = hosts(world)
        entered = asyncio.Event()

        async def hold() -> None:
            async with a.lock("fragile", ttl=30):
                entered.set()
                await asyncio.Event().wait()

        holder = asyncio.ensure_future(hold())
        await entered.wait()
        record = b.machine.lock("fragile") or a.machine.lock("fragile")
        assert record is not None
        await b.group.propose(quorate.core.machine.commands.lease_revoke(record.lease), 16, 2)
        with pytest.raises(LockLost, match="fragile"):
            await holder
        async with b.lock("fragile", timeout=5) as next_one:
            assert next_one.token > record.token

    world.run(story())


def test_a_cancelled_holder_releases_at_once(world: World) -> None:
    async def story() -> None:
        a, b, _ = hosts(world)
        entered = asyncio.Event()

        async def hold() -> None:
            async with a.lock("left", ttl=60):
                entered.set()
                await asyncio.Event().wait()

        holder = asyncio.ensure_future(hold())
        await entered.wait()
        holder.cancel()
        with pytest.raises(asyncio.CancelledError):
            await holder
        async with b.lock("left", timeout=5):
            pass

    world.run(story())


def test_elections_have_one_leader_with_a_growing_term(world: World) -> None:
    async def story() -> None:
        a, b, c = hosts(world)
        watching = c.election("cron").observe()
        assert (await anext(watching)).term == 0
        async with a.election("cron").campaign("a") as leadership:
            assert leadership.term > 0
            assert (await b.election("cron").leader()).value == "a"
            assert (await anext(watching)).value == "a"
            await leadership.proclaim({"at": "a", "load": 1})
            assert (await anext(watching)).value == {"at": "a", "load": 1}
            standing = asyncio.ensure_future(campaign(b))
            while not (a.machine.election("cron") or _none()).candidates:
                await a.group.advance.wait()
            await leadership.resign()
            term = await standing
            assert term > 0
        await watching.aclose()

    async def campaign(host: Host) -> int:
        async with host.election("cron").campaign("b", ttl=5) as leadership:
            return leadership.term

    def _none() -> quorate.core.machine.records.ElectionRecord:
        return quorate.core.machine.records.ElectionRecord("", 0, b"", 0, b"", ())

    world.run(story())


def test_leases_take_with_them_what_hangs_on_them(world: World) -> None:
    async def story() -> None:
        a, b, _ = hosts(world)
        lease = await a.leases.grant(5)
        await a.kv.put("alive/a", 1, lease=lease.id)
        await a.registry.register("alive:a", "a", lease=lease)
        assert await b.kv.get("alive/a") == 1 and lease.remaining > 3
        await lease.revoke()
        assert await b.kv.get("alive/a") is None
        assert await b.registry.whereis("alive:a", level="linearizable") is None
        with pytest.raises(quorate.LeaseExpired):
            await a.kv.put("alive/a", 1, lease=lease.id)

    world.run(story())


def test_a_short_lease_is_kept_alive_by_its_holder_and_expires_without_it(world: World) -> None:
    async def story() -> None:
        a, b, _ = hosts(world)
        lease = await a.leases.grant(0.6)
        granted = a.machine.lease(lease.id)
        lost: list[str] = []
        lease.when_lost(lost.append)
        for _ in range(3):  # three times the lease's own time
            with pytest.raises(Timeout):
                async with (
                    b.lock(f"never:{lease.id}", timeout=0.3),
                    a.lock(f"never:{lease.id}", timeout=0.6),
                ):
                    raise AssertionError("two holders")
        assert not lost and b.machine.lease(lease.id) == granted
        await a.leases.stop()  # the holder is stuck: nobody renews
        a.leases._stopped = False
        while b.machine.lease(lease.id) is not None:
            await b.group.advance.wait()
        assert lost

    world.run(story())
