"""One turn: written, read in the turn, committed or rolled back."""

from __future__ import annotations

import asyncio

import pytest

from quorate.core.errors import LimitExceeded, NoQuorum, Refused, UsageError, WrongType
from tests.agents_state.world import World


def test_a_turn_is_committed_and_read_afterwards(world: World) -> None:
    async def story() -> None:
        agent = await world.agent()
        async with agent.turn() as turn:
            receipt = await agent.state.put("k", {"n": 1})
            assert not receipt.committed
        assert turn.buffer.receipt is receipt
        assert receipt.committed and receipt.level == "eventual" and receipt.durable
        assert receipt.turn == 1 and receipt.replicas == ("a",)
        assert await agent.state.get("k") == {"n": 1}

    world.run(story())


def test_a_strong_turn_is_one_commit_of_the_group(world: World) -> None:
    async def story() -> None:
        agent = await world.agent(consistency="strong")
        before = world.place("a").host.group.machine.revision
        receipt = await agent.put("k", 1)
        assert receipt.level == "strong" and receipt.index and receipt.term
        assert receipt.turn == 0, "no local update, no number"
        assert world.place("a").host.group.machine.revision == before + 1
        assert await agent.state.get("k") == 1
        entry = await agent.state.get_entry("k", level="linearizable")
        assert entry.version is not None and entry.version.seq == 1

    world.run(story())


def test_a_turn_reads_its_own_writes_at_every_level(world: World) -> None:
    async def story() -> None:
        agent = await world.agent()
        state = agent.state
        async with agent.turn():
            await state.put("e", 1)
            assert await state.get("e") == 1
            assert await state.get("e", level="linearizable") is None
            await state.put("s", 2, consistency="strong")
            assert await state.get("s") == await state.get("s", level="linearizable") == 2
            await state.delete("s", consistency="strong")
            assert await state.get("s", default="gone") == "gone"
            await state.update("e", lambda n: n + 1)
            assert await state.get("e") == 2
            await state.pn_counter("c").increment(3)
            assert await state.pn_counter("c").value() == 3
            await state.or_set("tags").add("x")
            assert await state.or_set("tags").value() == ["x"]
            await state.sequence("list").append("a")
            await state.sequence("list").insert(0, "b")
            assert await state.sequence("list").value() == ["b", "a"]
            assert await state.keys() == ["c", "e", "list", "tags"]
        assert await state.keys() == ["c", "e", "list", "tags"]
        assert await state.sequence("list").value() == ["b", "a"]
        assert await state.pn_counter("c").value() == 3
        assert await state.get("s") is None and await state.get("e") == 2

    world.run(story())


def test_a_rolled_back_turn_leaves_nothing(world: World) -> None:
    async def story() -> None:
        agent = await world.agent()
        state = agent.state
        await agent.put("k", "old")
        written = world.place("a").plane.replica.statistics()["written"]
        state.local.put("m", 1)
        with pytest.raises(RuntimeError):
            async with agent.turn():
                await state.put("k", "new")
                await state.put("s", 1, consistency="strong")
                await state.pn_counter("c").increment()
                await state.or_map("map")["f"].set(1)
                await state.events("log").append("it happened")
                state.local.put("m", 2)
                state.local.put("n", 2)
                raise RuntimeError("the method fails")
        assert await state.get("k") == "old" and await state.get("s") is None
        assert await state.pn_counter("c").value() == 0 and await state.or_map("map").value() == {}
        assert await state.events("log").read() == []
        assert state.local.get("m") == 1 and "n" not in state.local
        assert await state.keys() == ["k"]
        assert world.place("a").plane.replica.statistics()["written"] == written

    world.run(story())


def test_there_is_no_writing_outside_of_a_turn(world: World) -> None:
    async def story() -> None:
        agent, other = await world.agent(), await world.agent()
        state = agent.state
        with pytest.raises(UsageError, match="in turns only"):
            await state.put("k", 1)
        with pytest.raises(UsageError, match="@shared"):
            async with agent.turn(shared=True):
                assert await state.get("k") is None
                await state.put("k", 1)
        with pytest.raises(UsageError, match="its own state"):
            async with other.turn():
                await state.put("k", 1)
        async with agent.turn():
            late = asyncio.get_running_loop().create_task(write_late(agent))
            await state.put("k", 1)
        agent_closed.set()
        with pytest.raises(UsageError, match="turn is over"):
            await late
        for call in (
            lambda: state.delete("k"),
            lambda: state.update("k", lambda x: x),
            lambda: state.cas("k", 1, version=0),
            lambda: state.pn_counter("c").increment(),
            lambda: state.events("log").append(1),
            lambda: state.shared.put("k", 1),
        ):
            with pytest.raises(UsageError):
                await call()

    agent_closed = asyncio.Event()

    async def write_late(agent: object) -> None:
        await agent_closed.wait()
        await agent.state.put("k", 2)  # type: ignore[attr-defined]

    world.run(story())


def test_the_level_comes_from_the_call_the_caller_or_the_class(world: World) -> None:
    async def story() -> None:
        agent = await world.agent(consistency="session")
        async with agent.turn() as turn:
            await agent.state.put("k", 1)
        assert turn.buffer.receipt.level == "session"
        async with agent.turn(level="strong") as turn:
            await agent.state.put("k", 2)
        assert turn.buffer.receipt.level == "strong"
        async with agent.turn(level="strong") as turn:
            await agent.state.put("k", 3, consistency="eventual")
        assert turn.buffer.receipt.level == "eventual" and turn.buffer.receipt.index is None
        assert await agent.state.get("k") == 3
        assert await agent.state.get("k", level="linearizable") == 2
        async with agent.turn() as turn:
            await agent.state.put("k", 4, consistency="strong")
            await agent.state.pn_counter("c").increment()
        receipt = turn.buffer.receipt
        assert receipt.asked == "strong" and receipt.level == "session" and receipt.index

    world.run(story())


def test_wrong_types_and_wrong_words_are_refused_when_called(world: World) -> None:
    async def story() -> None:
        agent = await world.agent()
        state = agent.state
        await agent.put("plain", 1)
        async with agent.turn():
            await state.pn_counter("count").increment()
        await agent.put("strong", 1, consistency="strong")
        async with agent.turn():
            with pytest.raises(WrongType):
                await state.put("count", 1)
            with pytest.raises(WrongType):
                await state.pn_counter("plain").increment()
            with pytest.raises(WrongType):
                await state.pn_counter("strong").increment()
            with pytest.raises(WrongType):
                await state.or_set("count").add(1)
            with pytest.raises(WrongType):
                await state.or_set("count").value()
            await state.put("new", 1)
            with pytest.raises(WrongType):
                await state.flag("new").enable()
            await state.flag("other").enable()
            with pytest.raises(WrongType):
                await state.put("other", 1)
            for wrong in ("", "~turn", "~", "a\0b", 7, "k" * 448, "\ud800"):
                with pytest.raises(UsageError):
                    await state.put(wrong, 1)  # type: ignore[arg-type]
            with pytest.raises(UsageError):
                await state.put("k", object())
            with pytest.raises(UsageError, match="did you mean"):
                await state.put("k", 1, consistancy="strong")  # type: ignore[call-arg]
            with pytest.raises(UsageError):
                await state.put("k", 1, consistency="crdt")
            with pytest.raises(UsageError):
                await state.pn_counter("c").increment(consistency="strong")
            with pytest.raises(UsageError):
                await state.pn_counter("c").increment(-1)
            with pytest.raises(UsageError):
                await state.sequence("s").delete(0)
            with pytest.raises(UsageError):
                await state.put("k", 1, consistency="strong", durable=False)
        assert await state.keys() == ["count", "new", "other", "plain", "strong"]

    world.run(story())


def test_cas_compares_what_the_group_has(world: World) -> None:
    async def story() -> None:
        agent = await world.agent()
        async with agent.turn():
            await agent.state.cas("k", 1, version=0)
            with pytest.raises(Refused):
                await agent.state.cas("k", 2, version=0)
            await agent.state.cas("k", 2, version=1)
        entry = await agent.state.get_entry("k", level="linearizable")
        assert entry.value == 2 and entry.version is not None and entry.version.seq == 1
        async with agent.turn():
            with pytest.raises(Refused):
                await agent.state.cas("k", 3, version=7)
            await agent.state.cas("k", 3, version=1)
        assert await agent.state.get("k") == 3

    world.run(story())


def test_an_agent_keeps_no_more_than_it_may(world: World) -> None:
    async def story() -> None:
        agent = await world.agent(bytes_max=2000)
        await agent.put("a", b"x" * 800)
        await agent.put("b", b"x" * 800, consistency="strong")
        with pytest.raises(LimitExceeded, match="state_bytes_max"):
            await agent.put("c", b"x" * 800)
        with pytest.raises(LimitExceeded, match="state_bytes_max"):
            await agent.put("c", b"x" * 800, consistency="strong")
        assert await agent.state.keys() == ["a", "b"]
        await agent.put("a", b"x" * 900)  # in place of what is there
        async with agent.turn():
            await agent.state.delete("a")
            await agent.state.put("c", b"x" * 800)
        async with agent.turn():
            await agent.state.delete("b", consistency="strong")
        assert agent.state.statistics()["strong_bytes"] == 0
        again = await agent.place.open(agent.holder.record, bytes_max=2000)
        assert again.ledger.usage.total < 900
        await again.put("d", b"x" * 800)
        with pytest.raises(LimitExceeded):
            await again.put("e", b"x" * 800)

    world.run(story())


def test_what_crdts_take_is_counted_again_before_a_turn_is_refused(world: World) -> None:
    async def story() -> None:
        agent = await world.agent(bytes_max=3000)
        for _ in range(200):  # 200 increments are charged far more than the counter takes
            async with agent.turn():
                await agent.state.pn_counter("c").increment()
        assert agent.ledger.usage.total < 3000

    world.run(story())


def test_one_turn_has_its_own_limits(world: World) -> None:
    async def story() -> None:
        agent = await world.agent()
        async with agent.turn():
            with pytest.raises(LimitExceeded, match="one turn writes"):
                await agent.state.put("k", b"x" * 1_000_000)
            for number in range(120):
                await agent.state.put(f"s{number}", 1, consistency="strong")
            with pytest.raises(LimitExceeded, match="keys strongly"):
                await agent.state.put("one more", 1, consistency="strong")
            await agent.state.put("s0", 2, consistency="strong")
        assert len(await agent.state.keys()) == 120

    world.run(story())


def test_a_degraded_activation_writes_nothing_strong(world: World) -> None:
    async def story() -> None:
        place = world.place("a")
        agent = await place.open(await place.start(world.name()), degraded=True)
        async with agent.turn():
            with pytest.raises(NoQuorum):
                await agent.state.put("k", 1, consistency="strong")
            await agent.state.put("k", 1)
        with pytest.raises(NoQuorum):
            async with agent.turn(marks=[["started"]]):
                await agent.state.put("k", 2)
        assert await agent.state.get("k") == 1
        assert (await agent.state.get_entry("k")).degraded

    world.run(story())


def test_layers_say_how_a_turn_is_acknowledged(world: World) -> None:
    async def story() -> None:
        agent = await world.agent()
        async with agent.turn() as turn:
            await agent.state.shared.put("k", 1)
        assert not turn.buffer.receipt.durable
        async with agent.turn() as turn:
            await agent.state.shared.put("k", 2)
            await agent.state.persistent(wait_for=2).put("j", 2)
        receipt = turn.buffer.receipt
        assert receipt.durable and len(receipt.replicas) >= 2
        async with agent.turn() as turn:
            await agent.state.persistent(consistency="strong").put("j", 3)
        assert turn.buffer.receipt.level == "strong"
        assert await agent.state.get("k") == 2 and await agent.state.get("j") == 3

    world.run(story())


def test_a_session_sees_the_turn_everywhere(world: World) -> None:
    async def story() -> None:
        agent = await world.agent()
        async with world.place("a").host.session() as session:
            receipt = await agent.put("k", 1, session=session)
            assert receipt.level == "session"
            assert session.past.vector == receipt.past.vector
            token = receipt.token
        other = world.place("b")
        await other.keeper.cover(await agent.state.token(), other.plane.clock.monotonic() + 5)
        core = other.keeper.core
        assert core.view(agent.ledger.keys.full("k")).exists
        assert token == session.token

    world.run(story())
