"""The bindings of agents as calls: what they answer, what they raise, and who goes on sweeping."""

from __future__ import annotations

import asyncio

import pytest

from quorate.core.errors import (
    AgentNotFound,
    Fenced,
    LeaseExpired,
    NameTaken,
    NotFound,
    OwnerDead,
    Refused,
    StillHeld,
    UsageError,
)
from quorate.core.group.bindings import Bindings
from quorate.core.group.watch import Watch
from quorate.core.machine import agent_commands, commands
from quorate.core.machine.agent_deaths import AgentDeaths
from quorate.core.machine.records import AgentRecord
from tests.group.mini import MiniGroup
from tests.group.virtual import run_virtual


def test_an_agent_starts_commits_moves_and_stops() -> None:
    async def story() -> None:
        async with MiniGroup() as mini:
            b = mini.hosts["b"]
            bindings = Bindings(b.group)
            lease = (await b.leases.grant(30)).id
            other = (await mini.hosts["c"].leases.grant(30)).id
            watch = Watch(b.group, "cart:", space="agent")
            record, outcome = await bindings.start(
                "cart:1", "Cart", b"spec", b"meta", host="b", lease=lease, status="placed"
            )
            assert outcome == "started" and record == b.machine.agent("cart:1")
            assert record.owners == () and record.epoch == record.life

            done = await bindings.commit("cart:1", record.epoch, [["s:x", "k", b"v", 9]])
            assert done.written == [(1, 9)] and done.revision == b.machine.revision
            assert done.index == b.machine.applied_index

            moved = await bindings.bind("cart:1", record.epoch, "c", other, "move")
            assert (moved.host, moved.lease, moved.life) == ("c", other, record.life)
            with pytest.raises(Fenced, match="another epoch") as fenced:
                await bindings.commit("cart:1", record.epoch, [["s:x", "k", b"late", 10]])
            assert fenced.value.outcome == "not_applied"

            changed = await bindings.update("cart:1", moved.epoch, meta=b"new")
            assert changed.meta == b"new" and changed.epoch == moved.epoch
            assert await bindings.stop("cart:1", reason="enough") == 1
            assert await bindings.stop("cart:1") == 0
            with pytest.raises(Fenced, match="does not live"):
                await bindings.commit("cart:1", moved.epoch)

            told = [await anext(watch) for _ in range(4)]
            assert [(e.kind, e.value) for e in told] == [
                *(("started", "b"), ("moved", "c"), ("updated", "c"), ("stopped", None)),
            ]
            assert told[-1].meta == "enough" and told[-1].version == moved.epoch

    run_virtual(story())


def test_every_no_has_its_error() -> None:
    async def story() -> None:
        async with MiniGroup() as mini:
            a = mini.hosts["a"]
            bindings = Bindings(a.group)
            lease = (await a.leases.grant(30)).id
            place = {"host": "a", "lease": lease, "status": "placed"}
            record, _ = await bindings.start("x", "K", **place)  # type: ignore[arg-type]
            with pytest.raises(NameTaken) as taken:
                await bindings.start("x", "K")
            assert taken.value.holder == record
            again, outcome = await bindings.start("x", "K", policy="use_existing")
            assert (again, outcome) == (record, "existing")
            with pytest.raises(StillHeld) as held:
                await bindings.bind("x", record.epoch, "b", lease, "take")
            assert held.value.holder == record
            with pytest.raises(LeaseExpired):
                await bindings.bind("x", record.epoch, "b", 12345, "move")
            with pytest.raises(LeaseExpired):
                await bindings.start("y", "K", host="b", lease=12345, status="placed")
            with pytest.raises(OwnerDead, match="does not live"):
                await bindings.start("y", "K", owners=["agent:nobody"])
            with pytest.raises(NotFound, match="later epoch"):
                await bindings.update("x", record.epoch + 7, meta=b"")
            with pytest.raises(NotFound):
                await bindings.stop("x", life=record.life + 1)
            for call in (
                bindings.bind("nobody", 1, "", 0, "take"),
                bindings.update("nobody", 1, meta=b""),
                bindings.own("nobody", "agent:x"),
                bindings.link("x", "nobody"),
                bindings.monitor("nobody", "x"),
            ):
                with pytest.raises(AgentNotFound):
                    await call
            with pytest.raises(Refused, match="fired already"):
                await bindings.commit("x", record.epoch, marks=[["reminded", "r", 1, 0]])
            with pytest.raises(UsageError, match="own itself"):
                await bindings.own("x", "agent:x")
            with pytest.raises(UsageError, match="a mark must be one of"):
                await bindings.commit("x", record.epoch, marks=[["nonsense"]])

    run_virtual(story())


def test_kin_is_told() -> None:
    async def story() -> None:
        async with MiniGroup() as mini:
            a = mini.hosts["a"]
            bindings = Bindings(a.group)
            for name in ("boss", "worker", "friend", "watcher"):
                await bindings.start(name, "K")
            owned = await bindings.own("worker", "agent:boss")
            assert isinstance(owned, AgentRecord) and owned.owners == ("agent:boss",)
            assert await bindings.link("worker", "friend") is True
            assert await bindings.link("friend", "worker") is False, "it is one link"
            assert await bindings.monitor("watcher", "friend") is True
            assert await bindings.stop("boss", reason="tired") == 3
            ((watcher, _, target, reason),) = a.machine.downs_for("watcher")
            assert (watcher, target) == ("watcher", "friend")
            assert reason == "linked: worker: owner agent:boss ended"

    run_virtual(story())


def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """One command ends three things at most."""
    built = AgentDeaths.__init__

    def with_few(self: AgentDeaths, *parts: object) -> None:
        built(self, *parts)  # type: ignore[arg-type]
        self.things_max = 3

    monkeypatch.setattr(AgentDeaths, "__init__", with_few)


def test_a_stop_that_is_too_much_for_one_command_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    _few(monkeypatch)

    async def story() -> None:
        async with MiniGroup() as mini:
            c = mini.hosts["c"]
            bindings = Bindings(c.group)
            await bindings.start("boss", "K")
            for at in range(20):
                await bindings.start(f"w{at:02}", "K", owners=["agent:boss"])
            assert await bindings.stop("boss") == 21
            assert c.machine.agents_count() == 0 and c.machine.agents_dying == 0

    run_virtual(story())


@pytest.mark.parametrize("new_leader", [False, True])
def test_the_leader_goes_on_with_what_a_lease_left(
    monkeypatch: pytest.MonkeyPatch, new_leader: bool
) -> None:
    _few(monkeypatch)

    async def story() -> None:
        async with MiniGroup() as mini:
            b = mini.hosts["b"]
            bindings = Bindings(b.group)
            lease = await b.leases.grant(2)
            for at in range(20):
                await bindings.start(f"w{at:02}", "K", owners=[f"lease:{lease.id}"])
            if new_leader:
                mini.leader = None  # what follows is lost, so nobody sweeps
                revoked = mini.hosts["a"].machine.applied_index + 1
                batch = commands.encode_batch(
                    9,
                    0,
                    [(1, *commands.open_session(revoked)), (2, *commands.lease_revoke(lease.id))],
                )
                mini.log.append((mini.term, batch))
                for host in mini.hosts.values():
                    host.keeper.stop() if host.name == "a" else None
                    host.catch_up()
                assert b.machine.agents_dying > 0
                mini.lead("c")
            else:
                await lease.revoke()
            await mini.pass_time(1)
            assert b.machine.agents_count() == 0 and b.machine.agents_dying == 0

    run_virtual(story())


def test_commits_of_one_turn_of_the_loop_are_one_entry() -> None:
    async def story() -> None:
        async with MiniGroup() as mini:
            a = mini.hosts["a"]
            bindings = Bindings(a.group)
            lease = (await a.leases.grant(30)).id
            place = {"host": "a", "lease": lease, "status": "placed"}
            started = [
                await bindings.start(f"n{at}", "K", **place)  # type: ignore[arg-type]
                for at in range(10)
            ]
            done = await asyncio.gather(
                *(bindings.commit(r.name, r.epoch, [["s", r.name, b"v", 1]]) for r, _ in started)
            )
            assert len({one.index for one in done}) == 1

    run_virtual(story())


def test_the_factories_make_what_the_checks_take() -> None:
    for command in (
        agent_commands.agent_start("n", "K"),
        agent_commands.agent_bind("n", 1, "h", 2, "take"),
        agent_commands.agent_stop("n"),
        agent_commands.agent_update("n"),
        agent_commands.agent_commit("n", 1, [("s", "k", None, 0)], [("started",)]),
        agent_commands.agent_own("n", "lease:7"),
        agent_commands.agent_link("n", "m"),
        agent_commands.agent_monitor("n", "m", on=False),
        agent_commands.agent_sweep(),
    ):
        commands.validate(command)
