"""Questions between hosts: one answer or one error, by the deadline, whatever the peer does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from quorate.bench.virtual_loop import LoopClock
from quorate.chaos.sim.events import EventQueue, Life
from quorate.core.errors import (
    NotCommitted,
    OutcomeUnknown,
    Stopped,
    Unavailable,
    UsageError,
)
from quorate.core.group import requests
from quorate.core.group.deadlines import Deadlines
from quorate.core.group.requests import Requests
from tests.group.virtual import run_virtual


class Pair:
    """Hosts a and b with a wire between them that can be cut."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        clock = LoopClock(self.loop)
        self.up = True
        self.swallow = False
        self.hosts = {
            name: Requests(
                host_id=name,
                send=self._sender(name),
                clock=clock,
                deadlines=Deadlines(clock, self.loop),
                make_future=self.loop.create_future,
            )
            for name in "ab"
        }
        self.a, self.b = self.hosts["a"], self.hosts["b"]

    def _sender(self, sender: str) -> Any:
        def send(peer: str, message: dict[str, Any]) -> bool:
            if self.up and not self.swallow:
                self.loop.call_soon(self.hosts[peer].on_message, sender, message)
            return self.up

        return send


def test_a_question_is_answered_by_the_peer_or_by_this_host() -> None:
    async def story() -> None:
        pair = Pair()
        for host in (pair.a, pair.b):
            host.handle("double", lambda peer, args, reply: reply(2 * args[0]))
        assert await pair.a.ask("b", "double", [21], 1.0) == 42
        assert await pair.a.ask("a", "double", [4], 1.0) == 8

    run_virtual(story())


def test_errors_cross_the_wire_with_their_meaning() -> None:
    async def story() -> None:
        pair = Pair()
        pair.b.handle("no", lambda peer, args, reply: reply(NotCommitted("not now")))
        pair.b.handle("broken", lambda peer, args, reply: reply(args[7]))
        with pytest.raises(NotCommitted, match="not now"):
            await pair.a.ask("b", "no", [], 1.0)
        with pytest.raises(UsageError, match="malformed"):
            await pair.a.ask("b", "broken", [], 1.0)
        with pytest.raises(UsageError, match="no method"):
            await pair.a.ask("b", "unheard", [], 1.0)

    run_virtual(story())


def test_silence_a_broken_link_and_no_link_end_the_question() -> None:
    async def story() -> None:
        pair = Pair()
        pair.swallow = True
        with pytest.raises(OutcomeUnknown):
            await pair.a.ask("b", "x", [], 0.5)
        waiting = asyncio.ensure_future(pair.a.ask("b", "x", [], 50))
        await asyncio.sleep(0)
        pair.a.on_peer_down("b")
        with pytest.raises(OutcomeUnknown, match="broke"):
            await waiting
        pair.up = False
        with pytest.raises(Unavailable) as caught:
            await pair.a.ask("b", "x", [], 0.5)
        assert caught.value.outcome == "not_applied"
        assert pair.a.statistics()["pending"] == 0

    run_virtual(story())


def test_a_late_second_or_foreign_answer_is_ignored() -> None:
    async def story() -> None:
        pair = Pair()
        replies: list[Any] = []
        pair.b.handle("later", lambda peer, args, reply: replies.append(reply))
        asked = asyncio.ensure_future(pair.a.ask("b", "later", [], 5))
        for _ in range(3):
            await asyncio.sleep(0)
        pair.a.on_message("c", {"type": "res", "id": 1, "ok": "forged"})
        assert not asked.done()
        replies[0]("yes")
        replies[0]("again")
        assert await asked == "yes"

    run_virtual(story())


def test_a_handler_that_never_answers_is_forgotten_at_the_deadline() -> None:
    async def story() -> None:
        pair = Pair()
        pair.b.handle("never", lambda peer, args, reply: None)
        for _ in range(3):
            with pytest.raises(OutcomeUnknown):
                await pair.a.ask("b", "never", [], 0.1)
        passed = pair.loop.create_future()
        pair.loop.call_later(0.2, passed.set_result, None)
        await passed
        assert pair.b._answering == {"a": 0}

    run_virtual(story())


def test_malformed_questions_change_nothing() -> None:
    async def story() -> None:
        pair = Pair()
        for message in (
            {"type": "req"},
            {"type": "req", "id": "1", "method": "m", "args": [], "deadline_ms": 1},
            {"type": "req", "id": 1, "method": "m", "args": {}, "deadline_ms": 1},
            {"type": "req", "id": 1, "method": 3, "args": [], "deadline_ms": 1},
            {"type": "res", "id": [1]},
            {"type": "res"},
        ):
            assert pair.a.on_message("b", message)
        assert not pair.a.on_message("b", {"type": "append_entries"})
        assert pair.a.statistics()["handled_total"] == 0

    run_virtual(story())


def test_questions_of_one_peer_are_bounded_and_stopping_ends_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(requests, "ANSWERING_REQUESTS_MAX", 3)

    async def story() -> None:
        pair = Pair()
        pair.b.handle("never", lambda peer, args, reply: None)
        asked = [asyncio.ensure_future(pair.a.ask("b", "never", [], 50)) for _ in range(4)]
        for _ in range(4):
            await asyncio.sleep(0)
        assert isinstance(asked[3].exception(), NotCommitted), "overloaded, definitely not done"
        pair.a.stop()
        done = await asyncio.gather(*asked[:3], return_exceptions=True)
        assert all(isinstance(error, OutcomeUnknown) for error in done)
        with pytest.raises(Stopped):
            await pair.a.ask("b", "never", [], 1)

    run_virtual(story())


def test_a_late_copy_of_a_question_is_not_carried_out_again() -> None:
    """A connection that broke may give up what it held long after the new one carried on (S2)."""
    done: list[list[object]] = []
    queue = EventQueue()
    life = Life(queue, clock_rate=1.0, clock_offset_s=0.0)
    requests = Requests(
        host_id="a",
        send=lambda peer, message: True,
        clock=life,
        deadlines=Deadlines(life, life),
        make_future=lambda: None,  # pyright: ignore[reportArgumentType]
    )
    requests.handle("add", lambda peer, args, reply: done.append(args))

    def ask(run: int, id_: int, peer: str = "b") -> None:
        message = {"type": "req", "id": id_, "run": run, "method": "add", "args": [run, id_]}
        requests.on_message(peer, {**message, "deadline_ms": 100})

    for run, id_ in ((1, 1), (1, 2), (1, 1), (1, 2), (2, 1), (1, 3), (2, 2), (2, 2)):
        ask(run, id_)
    ask(1, 1, "c")
    assert done == [[1, 1], [1, 2], [2, 1], [2, 2], [1, 1]]
    assert requests.statistics()["repeated_total"] == 4
