"""Faults put in on purpose: each is found by the story that holds without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from quorate.hosts.agents.agent import Agent
from quorate.hosts.agents.kin.downs import Downs
from quorate.hosts.agents.kin.exits import NOT_FOUND, Exits, Monitor
from quorate.hosts.agents.kin.kin import Kin
from quorate.hosts.agents.kin.owner_leases import OwnerLeases
from quorate.hosts.agents.lasting.table import Errand
from quorate.hosts.agents.turns import current_turn
from tests.agents_kin import test_downs, test_owners, world


class NeverAcknowledges(Downs):
    """Delivered twice."""

    async def _run(self, errand: Errand, agent: Agent) -> None:
        await super()._run(errand, agent)
        turn = current_turn.get()
        assert turn is not None
        turn.marks.clear()


class AcknowledgesWhateverHappens(Downs):
    """A handler that raises has heard it."""

    async def _run(self, errand: Errand, agent: Agent) -> None:
        try:
            await super()._run(errand, agent)
        except ValueError:
            return


class OnlyWhatIsNew(Downs):
    """Never delivered: what the former host did not deliver is forgotten."""

    def on_applied(self, changes: Any, downs: Any) -> None:
        super().on_applied([], downs)


class OwnersLiveForEver(OwnerLeases):
    """An owner that dies while the agent is being started is not noticed."""

    def _check(self, owner: Any) -> None:
        return None

    def _follow(self, owner: Any) -> None:
        return None


class KeepsTheLease(OwnerLeases):
    """The end of an owner is told to nobody."""

    async def _end(self, owner: Any) -> None:
        self._held.pop(owner, None)


class AnswersFromMemory(Exits):
    """Who is not known here does not live."""

    async def find(self, monitor: Monitor) -> None:
        monitor.end(NOT_FOUND)


class HearsOfNoReplacement(Exits):
    """Another life of the name is taken for the same."""

    def on_applied(self, changes: Any) -> None:
        last = {name: (name, record, why) for name, record, why in changes}
        super().on_applied(list(last.values()))


def with_part(**parts: Any) -> type[Kin]:
    class Planted(Kin):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            agents: Any = args[0]
            for name, part in parts.items():
                made = part(agents, self._place) if name == "downs" else part(agents)
                setattr(self, name, made)

    return Planted


PLANTS: dict[str, tuple[Any, type[Kin], Callable[[], None]]] = {
    what: (module, with_part(**{part: fault}), story)
    for what, module, part, fault, story in (
        (
            "down delivered twice",
            test_downs,
            "downs",
            NeverAcknowledges,
            test_downs.test_a_death_is_heard_once_with_its_reason_and_acknowledged,
        ),
        (
            "down lost by a crash of the handler",
            test_downs,
            "downs",
            AcknowledgesWhateverHappens,
            test_downs.test_a_handler_that_raises_hears_it_again,
        ),
        (
            "down never delivered after a failover",
            test_downs,
            "downs",
            OnlyWhatIsNew,
            test_downs.test_news_that_nobody_took_follow_the_watcher_to_its_next_host,
        ),
        (
            "owner death during start ignored",
            test_owners,
            "leases",
            OwnersLiveForEver,
            test_owners.test_an_owner_that_dies_while_the_agent_is_being_started,
        ),
        (
            "the end of a session ends nothing",
            test_owners,
            "leases",
            KeepsTheLease,
            test_owners.test_a_session_owns_from_its_first_agent_until_it_is_closed,
        ),
        (
            "a monitor that believes its own memory",
            test_downs,
            "exits",
            AnswersFromMemory,
            test_downs.test_one_that_this_host_has_not_heard_of_yet_is_asked_for,
        ),
        (
            "a monitor that takes the next life for the same",
            test_downs,
            "exits",
            HearsOfNoReplacement,
            test_downs.test_the_next_life_of_the_name_is_another_one,
        ),
    )
}


@pytest.mark.parametrize("what", PLANTS)
def test_the_fault_is_found(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, kin, story = PLANTS[what]
    test_downs.heard.clear()
    test_downs.failing.clear()
    monkeypatch.setattr(module, "told", lambda tell: world.told(tell, kin))
    with pytest.raises(AssertionError):
        story()
