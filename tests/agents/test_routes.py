"""The order of messages to one agent, while it is somewhere else."""

from __future__ import annotations

from quorate.hosts.agents.mailbox import Message
from quorate.hosts.agents.routes import Hold, Route


def test_a_route_is_quiet_when_everything_has_arrived() -> None:
    route = Route("b", 1)
    assert route.quiet
    route.asks += 1
    assert not route.quiet
    route.on_answered(0)
    assert route.quiet


def test_a_tell_is_known_to_have_arrived_by_the_answer_to_what_came_after_it() -> None:
    route = Route("b", 1)
    route.tells += 1
    assert not route.quiet
    route.asks += 1
    route.on_answered(tells_before=0)  # that ask had been sent before the tell
    assert not route.quiet
    route.asks += 1
    route.on_answered(tells_before=1)
    assert route.quiet


def test_what_came_back_goes_before_what_is_new() -> None:
    hold = Hold()
    first, second, third, ended = (Message("tell", name) for name in ("1", "2", "3", "x"))
    ended.ended = True
    hold.fresh.append(third)
    hold.returned.extend((first, ended, second))
    assert [message.method for message in hold.take()] == ["1", "2", "3"]
    assert len(hold) == 0
