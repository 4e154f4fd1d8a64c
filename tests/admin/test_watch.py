"""A watch over HTTP: in order, resumable to the event, never a silent gap."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from quorate.core.errors import UsageError
from quorate.hosts.admin.port import Change
from quorate.hosts.admin.watch import event_text, resume_point
from tests.admin.stub import StubPort, run


async def take(answer: aiohttp.ClientResponse, events: int) -> list[dict[str, Any]]:
    """The next `events` events as {id, event, data}."""
    taken: list[dict[str, Any]] = []
    fields: dict[str, Any] = {}
    while len(taken) < events:
        line = (await answer.content.readline()).decode().rstrip("\n")
        if line.startswith(":"):
            continue
        if line:
            name, _, text = line.partition(": ")
            fields[name] = json.loads(text) if name == "data" else text
        elif fields:
            taken.append(fields)
            fields = {}
    return taken


def test_changes_arrive_in_order_from_the_asked_revision() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        for number in range(3):
            await http.put(f"{url}/v1/kv/u/{number}", json=number)
        await http.put(f"{url}/v1/kv/other", json=0)
        async with http.get(f"{url}/v1/watch?prefix=u/&from_revision=2") as answer:
            assert answer.content_type == "text/event-stream"
            assert [e["data"]["key"] for e in await take(answer, 2)] == ["u/1", "u/2"]
            await http.delete(f"{url}/v1/kv/u/0")
            (gone,) = await take(answer, 1)
            assert (gone["event"], gone["id"]) == ("delete", "5.1")
            assert "value" not in gone["data"]

    run(story)


def test_a_client_that_comes_back_goes_on_behind_its_last_event() -> None:
    """Revision 1 changes three keys; the connection broke after the second of them."""

    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        port.history = [Change("put", f"k{n}", n, 1) for n in range(3)]
        port.history.append(Change("put", "k9", 9, 2))
        port.revision = 2
        async with http.get(f"{url}/v1/watch?from_revision=1") as answer:
            assert [e["id"] for e in await take(answer, 2)] == ["1.1", "1.2"]
        headers = {"Last-Event-ID": "1.2"}
        async with http.get(f"{url}/v1/watch?from_revision=1", headers=headers) as answer:
            assert [e["id"] for e in await take(answer, 2)] == ["1.3", "2.1"]

    run(story)


def test_history_that_is_gone_ends_the_stream_with_a_problem() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        port.oldest_revision = 5
        async with http.get(f"{url}/v1/watch?from_revision=2") as answer:
            (event,) = await take(answer, 1)
            assert event["event"] == "problem"
            assert event["data"]["type"] == "urn:quorate:problem:compacted"
            assert event["data"]["oldest_revision"] == 5
            assert await answer.content.read() == b""

    run(story)


def test_a_watch_that_is_open_does_not_hold_the_host_when_it_stops() -> None:
    opened: list[aiohttp.ClientResponse] = []

    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        opened.append(await http.get(f"{url}/v1/watch"))

    run(story)
    assert opened


def test_an_event_is_written_in_the_server_sent_format() -> None:
    text = event_text(Change("put", "k", {"a": b"\x01"}, 7, 2), 1)
    assert text == (
        "id: 7.1\nevent: put\n"
        'data: {"key": "k", "revision": 7, "value": {"a": {"$bytes": "AQ=="}}, "version": 2}\n\n'
    )


def test_a_resume_point_is_read_or_refused() -> None:
    assert resume_point(None, None) == (None, 0)
    assert resume_point(None, 7) == (7, 0)
    assert resume_point("9.2", 7) == (9, 2)
    for wrong in ("9", "9.", ".2", "x.1", "9.2.1", "1" * 50 + ".1"):
        with pytest.raises(UsageError):
            resume_point(wrong, None)
