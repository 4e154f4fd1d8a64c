"""All of a turn or nothing: refused, crashed in the middle, in doubt."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from quorate.core.errors import Fenced, InvariantBroken, NoQuorum, OutcomeUnknown, Overloaded
from quorate.hosts.agents.state.found import find_last
from quorate.hosts.agents.state.marks import TurnMark
from tests.agents_state.world import Agent, World, until


async def write_both(agent: Agent, number: int) -> None:
    """The body of a turn that writes in both planes."""
    state = agent.state
    await state.put("s", number, consistency="strong")
    await state.put("e", number)
    await state.pn_counter("c").increment(10)
    await state.or_set("tags").add(f"t{number}")
    await state.sequence("list").append(number)
    await state.events("log").append({"n": number})


async def shown(agent: Agent) -> dict[str, Any]:
    state = agent.state
    return {
        "s": await state.get("s"),
        "e": await state.get("e"),
        "c": await state.pn_counter("c").value(),
        "tags": await state.or_set("tags").value(),
        "list": await state.sequence("list").value(),
        "log": [event.value["n"] for event in await state.events("log").read()],
    }


def after(*numbers: int) -> dict[str, Any]:
    return {
        "s": numbers[-1],
        "e": numbers[-1],
        "c": 10 * len(numbers),
        "tags": [f"t{n}" for n in numbers],
        "list": list(numbers),
        "log": list(numbers),
    }


async def both(agent: Agent, number: int) -> None:
    async with agent.turn():
        await write_both(agent, number)


def test_a_mixed_turn_happens_in_both_planes(world: World) -> None:
    async def story() -> None:
        agent = await world.agent()
        for number in (1, 2, 3):
            await both(agent, number)
        assert await shown(agent) == after(1, 2, 3)
        assert agent.ledger.mark.number == 3
        again = await world.place("b").take(agent.holder.record)
        there = await world.place("b").open(again)
        assert await shown(there) == after(1, 2, 3)
        assert there.opened.settling.redone == 0, "it had come from a: nothing to do again"
        await both(there, 4)
        assert await shown(there) == after(1, 2, 3, 4)

    world.run(story())


def test_a_fenced_commit_leaves_nothing_local(world: World) -> None:
    async def story() -> None:
        agent = await world.agent()
        await both(agent, 1)
        await world.place("b").take(agent.holder.record)
        await fenced_leaves_nothing(agent)

    world.run(story())


async def fenced_leaves_nothing(agent: Agent) -> None:
    replica = agent.place.plane.replica
    before = replica.statistics()["written"]
    with pytest.raises(Fenced):
        await both(agent, 2)
    assert replica.statistics()["written"] == before
    assert await shown(agent) == after(1)


def test_what_a_crash_between_the_parts_left_is_done_in_the_next_place(world: World) -> None:
    async def story() -> None:
        for where in ("a", "b"):
            agent = await world.agent("a")
            await both(agent, 1)
            agent.fail_at("strong")
            with pytest.raises(InvariantBroken):
                await both(agent, 2)
            agent.state.close()
            record = await world.place(where).take(agent.holder.record)
            there = await world.place(where).open(record)
            assert there.opened.settling.redone == 1
            assert await shown(there) == after(1, 2)
            assert there.ledger.mark.number == 2
            await both(there, 3)
            assert await shown(there) == after(1, 2, 3)

    world.run(story())


def test_a_crash_before_the_strong_part_leaves_nothing(world: World) -> None:
    async def story() -> None:
        agent = await world.agent()
        await both(agent, 1)
        agent.fail_at("asked")
        with pytest.raises(InvariantBroken):
            await both(agent, 2)
        record = await world.place("b").take(agent.holder.record)
        assert await shown(await world.place("b").open(record)) == after(1)

    world.run(story())


def test_what_was_done_again_is_not_done_once_more(world: World) -> None:
    world.run(done_once(world))


async def done_once(world: World) -> None:
    agent = await world.agent()
    await both(agent, 1)
    await agent.put("e", "newer than the turn that can be done again")
    agent.state.close()
    again = await agent.place.open(agent.holder.record)
    assert await again.state.get("e") == "newer than the turn that can be done again"
    assert again.opened.settling.redone == 0
    await both(again, 2)
    again.fail_at("strong")
    with pytest.raises(InvariantBroken):
        await both(again, 3)
    again.state.close()
    last = await agent.place.open(await agent.place.take(again.holder.record))
    assert await shown(last) == after(1, 2, 3)
    last.state.close()
    last = await agent.place.open(last.holder.record)
    assert await shown(last) == after(1, 2, 3)
    assert last.opened.settling.redone == 0


def test_turns_with_local_updates_are_counted(world: World) -> None:
    async def story() -> None:
        agent = await world.agent()
        await agent.put("k", 1)
        await agent.put("k", 2, consistency="strong")
        async with agent.turn():
            assert await agent.state.get("k") == 2
        await both(agent, 1)
        with pytest.raises(RuntimeError):
            async with agent.turn():
                await agent.state.put("k", 3)
                raise RuntimeError
        await agent.put("k", 4)
        assert agent.ledger.mark.place == (agent.holder.epoch, 3)
        found = find_last(agent.place.plane, agent.ledger.keys.scope)
        assert found.mark == agent.ledger.mark
        assert found.actor == agent.place.plane.replica.actor
        record = await agent.place.take(agent.holder.record)
        again = await agent.place.open(record)
        await again.put("k", 5)
        mark = again.ledger.mark
        assert mark.place == (record.epoch, 4)
        assert (mark.from_epoch, mark.from_number) == (agent.holder.record.life, 3)

    world.run(story())


class Doubt:
    """Bindings whose next commit ends without an answer."""

    def __init__(self, agent: Agent, fate: str) -> None:
        self._real = agent.ledger.bindings
        self._fate = fate
        self.late: list[Any] = []
        agent.ledger.bindings = self

    async def bind(self, *args: Any, **options: Any) -> Any:
        return await self._real.bind(*args, **options)

    async def commit(self, *args: Any, **options: Any) -> Any:
        fate, self._fate = self._fate, "clear"
        if fate == "clear":
            return await self._real.commit(*args, **options)
        if fate == "happened":
            await self._real.commit(*args, **options)
        elif fate == "late":
            self.late.append((args, options))
        raise OutcomeUnknown("planted: no answer")

    async def arrive(self) -> None:
        """What was on its way arrives."""
        for args, options in self.late:
            with pytest.raises(Fenced):
                await self._real.commit(*args, **options)


@pytest.mark.parametrize("fate", ["happened", "lost", "late"])
def test_what_is_in_doubt_is_found_out_before_the_next_turn(world: World, fate: str) -> None:
    async def story() -> None:
        agent = await world.agent()
        await both(agent, 1)
        doubt = Doubt(agent, fate)
        epoch = agent.holder.epoch
        with pytest.raises(OutcomeUnknown):
            await both(agent, 2)
        assert agent.state.in_doubt
        expected = after(1, 2) if fate == "happened" else after(1)
        assert await shown(agent) == expected, "a read finds out first"
        assert not agent.state.in_doubt and agent.holder.epoch > epoch
        await doubt.arrive()
        assert await shown(agent) == expected
        await both(agent, 3)
        assert await shown(agent) == (after(1, 2, 3) if fate == "happened" else after(1, 3))

    world.run(story())


def test_a_turn_that_was_cut_short_in_its_commit_is_in_doubt(world: World) -> None:
    async def story() -> None:
        agent = await world.agent()
        await both(agent, 1)
        gate = asyncio.Event()

        class Slow(Doubt):
            async def commit(self, *args: Any, **options: Any) -> Any:
                if gate.is_set():
                    return await self._real.commit(*args, **options)
                done = await self._real.commit(*args, **options)
                gate.set()
                await asyncio.get_running_loop().create_future()
                return done

        Slow(agent, "clear")
        cut = asyncio.get_running_loop().create_task(both(agent, 2))
        await gate.wait()
        cut.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cut
        assert agent.state.in_doubt
        agent.state.close()  # passivated with it: the next activation of the binding finds out
        again = await agent.place.open(agent.holder.record)
        assert await shown(again) == after(1, 2)
        assert again.holder.epoch > agent.holder.epoch

    world.run(story())


def test_the_local_part_waits_for_a_host_that_may_act_again(world: World) -> None:
    async def story() -> None:
        agent = await world.agent()
        await both(agent, 1)

        def lose(step: str) -> None:
            if step == "strong":
                agent.holder.holds = False

        agent.opened.committer.on_step = lose
        await both(agent, 2)
        assert agent.state.in_doubt, "it is in the group, and not yet here"
        agent.holder.holds = True
        assert await shown(agent) == after(1, 2)
        agent.opened.committer.on_step = lose
        agent.holder.holds = True
        await both(agent, 3)
        record = await world.place("b").take(agent.holder.record)
        assert await shown(await world.place("b").open(record)) == after(1, 2, 3)

    world.run(story())


def test_a_host_that_cannot_be_sure_writes_nothing_local(world: World) -> None:
    async def story() -> None:
        agent = await world.agent()
        await agent.put("k", 1)
        agent.holder.holds = False
        with pytest.raises(Fenced):
            await agent.put("k", 2)
        agent.holder.holds = True
        assert await agent.state.get("k") == 1

    world.run(story())


def test_a_disk_that_takes_nothing_for_a_moment_delays_the_local_part(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        agent = await world.agent()
        await both(agent, 1)
        replica = agent.place.plane.replica
        real, refusals = replica.admit, iter(range(3))

        def admit(updates: int, size_bytes: int) -> None:
            if next(refusals, None) is not None:
                raise Overloaded("planted: slow disk")
            real(updates, size_bytes)

        monkeypatch.setattr(replica, "admit", admit)
        await both(agent, 2)
        assert await shown(agent) == after(1, 2)
        with monkeypatch.context() as inner:
            inner.setattr(replica, "admit", _refuse)
            with pytest.raises(Overloaded):
                await agent.put("e", "local only: refused, nothing done")
            with pytest.raises(OutcomeUnknown, match="committed"):
                async with agent.turn(left=0.3):
                    await write_both(agent, 3)
        assert await shown(agent) == after(1, 2, 3)

    world.run(story())


def _refuse(updates: int, size_bytes: int) -> None:
    raise Overloaded("planted: full")


def test_marks_and_writes_are_one_commit(world: World) -> None:
    async def story() -> None:
        place = world.place("a")
        if not place.lease:
            await place.hold()
        record, _ = await place.bindings.start(
            world.name(), "tests.Kind", host="a", lease=place.lease, status="starting"
        )
        agent = await place.open(record)
        async with agent.turn(marks=[["started"], ["remind", "tea", 10**15, 0, b""]]):
            await agent.state.put("k", 1)
        machine = place.host.group.machine
        assert machine.agent(record.name).status == "placed"
        assert [one.id for one in machine.reminders(record.name)] == ["tea"]
        assert await agent.state.get("k") == 1
        async with agent.turn(marks=[["forget", "tea"]]):
            pass
        assert machine.reminders(record.name) == []

    world.run(story())


def test_the_redo_record_stays_small(world: World) -> None:
    async def story() -> None:
        agent = await world.agent()
        for number in range(1, 60):
            await both(agent, number)
            assert len(agent.ledger.redo) <= 16
        assert await agent.state.pn_counter("c").value() == 590

    world.run(story())


def test_a_clock_that_is_ahead_makes_no_old_turn_the_last_one(world: World) -> None:
    async def story() -> None:
        a, b = world.place("a"), world.place("b")
        agent = await a.open(await a.take((await world.agent("a")).holder.record))
        await both(agent, 1)
        await agent.put("e", "newer than what can be done again")
        core, keys, epoch = agent.ledger.core, agent.ledger.keys, agent.holder.epoch
        late = TurnMark(epoch - 1, 99).encode()
        ahead = b.plane.replica.hlc.now(0) + (500 << 16)
        b.plane.replica.put(core.name, keys.turn(epoch - 1), late, floor=ahead)
        await until(a, lambda: core.view(keys.turn(epoch - 1)).value == late)
        agent.state.close()
        again = await a.open(agent.holder.record)
        assert again.ledger.mark.place == (epoch, 2)
        there = await b.open(await b.take(again.holder.record))
        assert there.ledger.mark.place == (epoch, 2)
        assert await there.state.get("e") == "newer than what can be done again"
        await there.put("k", 1)
        registers = find_last(b.plane, keys.scope).keys
        assert registers == (keys.turn(there.holder.epoch),), "the former ones went with the turn"

    world.run(story())


def test_nothing_is_written_over_a_doubt_that_cannot_be_ended(world: World) -> None:
    async def story() -> None:
        agent = await world.agent()
        await both(agent, 1)
        Doubt(agent, "happened")
        with pytest.raises(OutcomeUnknown):
            await both(agent, 2)
        agent.holder.degraded = True
        with pytest.raises(NoQuorum, match="earlier turn"):
            await agent.put("e", 3)
        assert await agent.state.get("e") == 1, "served from what is here"
        agent.holder.degraded = False
        await agent.put("k", 1)
        assert await shown(agent) == after(1, 2)

    world.run(story())
