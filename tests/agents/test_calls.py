"""Messages: answered, in order, bounded, and each with an end that says what happened."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from quorate.core.errors import (
    AgentError,
    AgentNotFound,
    CircularAsk,
    MailboxFull,
    OutcomeUnknown,
    Timeout,
    UsageError,
)
from tests.agents.conftest import World, until
from tests.agents.people import Circle, Patient, Scribe, Shop, Small


async def start(world: World, cls: Any, at: str) -> Any:
    """(name, a proxy on the first host) of a new agent on host `at`."""
    name = world.name()
    await world.hosts[0].agents.start(cls, name, hints={"host": at})
    return name, world.hosts[0].agents.get(name)


@pytest.mark.parametrize("at", ["a", "b"])
def test_messages_of_one_sender_come_in_order(world: World, at: str) -> None:
    async def story() -> None:
        _, scribe = await start(world, Scribe, at)
        for number in range(300):
            if number % 7:
                scribe.tell.note(number)
            else:
                scribe.ask.note(number)
        assert await scribe.read() == list(range(300))

    world.run(story())


@pytest.mark.parametrize("at", ["a", "b"])
def test_a_future_and_a_deadline(world: World, at: str) -> None:
    async def story() -> None:
        _, scribe = await start(world, Scribe, at)
        pending = scribe.ask.hold()
        assert not pending.done()
        with pytest.raises(Timeout if at == "a" else OutcomeUnknown):
            await scribe.options(timeout=0.05).note("behind the one that waits")
        await until(lambda: True)
        name = scribe.name
        opener = world.hosts[2].agents.get(name)
        opening = opener.ask.open()  # shared: behind what holds the mailbox
        assert not opening.done()
        holder = next(
            host.agents._engine.here[name]  # pyright: ignore[reportPrivateUsage]
            for host in world.hosts
            if name in host.agents._engine.here  # pyright: ignore[reportPrivateUsage]
        )
        await until(lambda: holder.agent.gate is not None)
        holder.agent.gate.set()
        assert await pending == "released"
        await opening
        lines = await scribe.read()
        assert lines == [], "what nobody waited for any more was not begun"

    world.run(story())


@pytest.mark.parametrize("at", ["a", "b"])
def test_an_exception_reaches_the_caller_with_its_type_and_where_it_came_from(
    world: World, at: str
) -> None:
    async def story() -> None:
        _, scribe = await start(world, Scribe, at)
        with pytest.raises(AgentError) as raised:
            await scribe.raise_error("which page?")
        error = raised.value
        assert (error.type, error.text, error.outcome) == (
            "LookupError",
            "which page?",
            "not_applied",
        )
        assert "raise_error" in error.traceback and "people.py" in error.traceback
        with pytest.raises(UsageError, match="no method 'raed'; did you mean 'read'"):
            await scribe.raed()
        with pytest.raises(UsageError, match="the answer cannot be encoded"):
            await scribe.odd_answer()
        with pytest.raises(AgentError, match="TypeError"):
            await scribe.note()
        with pytest.raises(UsageError, match="arguments cannot be encoded"):
            await scribe.note(object())
        assert await scribe.note("fine") == 1

    world.run(story())


def test_an_agent_knows_who_calls(world: World) -> None:
    async def story() -> None:
        _, first = await start(world, Scribe, "a")
        name, _ = await start(world, Scribe, "b")
        assert (await world.hosts[1].agents.get(name).who())[:2] == ["b", ""]
        host, caller, epoch = await first.ask_of(name, "who")
        assert (host, caller) == ("a", first.name) and epoch > 0

    world.run(story())


def test_shared_methods_overlap_and_others_do_not(world: World) -> None:
    async def story() -> None:
        _, scribe = await start(world, Scribe, "b")
        overlapping = [scribe.ask.overlap() for _ in range(5)]
        await scribe.open()  # a sixth one, while the five wait
        assert [await one for one in overlapping] == ["overlapped"] * 5

    world.run(story())


def test_an_ask_that_comes_around_is_refused_unless_it_is_shared(world: World) -> None:
    async def story() -> None:
        one, first = await start(world, Scribe, "a")
        two, _ = await start(world, Scribe, "b")
        assert await first.ask_of(two, "ask_of", one, "read") == []
        with pytest.raises(CircularAsk, match=f"{one} > {two} > {one}"):
            await first.ask_of(two, "ask_of", one, "note", "never")
        with pytest.raises(CircularAsk):
            await first.ask_of(one, "note", "never")

    world.run(story())


@pytest.mark.parametrize("at", ["a", "b"])
def test_agents_that_wait_for_each_other_are_found_and_one_is_told(world: World, at: str) -> None:
    async def story() -> None:
        a, _, _ = world.hosts
        names = [world.name() for _ in range(3)]
        for number, name in enumerate(names):
            await a.agents.start(Circle, name, hints={"host": "a" if number else at})
        ring = list(zip(names, [*names[1:], names[0]], strict=True))
        answers = await asyncio.gather(
            *(a.agents.get(name).meet(following, len(names)) for name, following in ring),
            return_exceptions=True,
        )
        refused = [one for one in answers if isinstance(one, CircularAsk)]
        assert len(refused) == 1, answers
        assert all(name in str(refused[0]) for name in names)

    Circle.arrived = 0
    world.run(story())


@pytest.mark.parametrize("at", ["a", "b"])
def test_a_full_mailbox_refuses_or_has_the_caller_wait(world: World, at: str) -> None:
    async def story() -> None:
        for cls in (Small, Patient):
            _, small = await start(world, cls, at)
            here = next(h for h in world.hosts if h.id == at).agents
            running = small.ask.hold()
            activation = None
            while activation is None or activation.turn is None:
                activation = here._engine.here.get(small.name)  # pyright: ignore[reportPrivateUsage]
                await asyncio.sleep(0)
            asks = [small.ask.note(number) for number in range(4)]
            await until(lambda activation=activation: len(activation.queue) >= 2)
            if cls is Small:
                await until(lambda asks=asks: sum(ask.done() for ask in asks) == 2)
                for ask in asks[2:]:
                    with pytest.raises(MailboxFull):
                        await ask
            activation.agent.gate.set()
            await running
            await asyncio.gather(*(ask.future for ask in asks), return_exceptions=True)
            assert await small.read() == ([0, 1] if cls is Small else [0, 1, 2, 3])

    world.run(story())


def test_a_tell_to_nobody_is_a_dead_letter_and_an_ask_an_error(world: World) -> None:
    async def story() -> None:
        a, _, _ = world.hosts
        name = world.name("nobody")
        with pytest.raises(AgentNotFound):
            await a.agents.get(name).note("hello")
        a.agents.get(name).tell.note("hello")
        await until(lambda: a.agents.dead_letters(name))
        (letter,) = a.agents.dead_letters(name)
        assert (letter.target, letter.method, letter.sender) == (name, "note", "host a")
        assert "lives" in letter.why

    world.run(story())


def test_options_are_checked_where_they_are_given(world: World) -> None:
    async def story() -> None:
        proxy = world.hosts[0].agents.get("anybody")
        for wrong in ({"timeout": 0}, {"consistency": "weak"}, {"delivery": "twice"}):
            with pytest.raises(UsageError):
                proxy.options(**wrong)
        name, shop = await start(world, Shop, "b")
        await shop.options(consistency="strong", timeout=5).write("note", "kept")
        assert (await world.hosts[2].agents.get(name).report())["note"] == "kept"

    world.run(story())
