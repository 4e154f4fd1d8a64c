"""Who may ask, by when an answer comes, and what an error says."""

from __future__ import annotations

import asyncio
import inspect

import aiohttp
import pytest

from quorate.core import errors
from quorate.core.errors import ConfigError, NoQuorum, OutcomeUnknown, QuorateError, Unavailable
from quorate.hosts.admin.gate import is_loopback, without_port
from quorate.hosts.admin.problems import problem, status_of
from quorate.hosts.admin.server import OPERATIONS, start_server
from tests.admin.stub import StubPort, run

TOKEN = "a-token-of-enough-letters"


def test_beyond_loopback_there_is_no_server_without_a_token() -> None:
    with pytest.raises(ConfigError, match="no token"):
        asyncio.run(start_server(StubPort(), "0.0.0.0:0", None))
    with pytest.raises(ConfigError, match="16 printable"):
        asyncio.run(start_server(StubPort(), "127.0.0.1:0", "short"))


def test_a_bad_address_says_what_it_should_look_like() -> None:
    for address in ("7501", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999", ":7501"):
        with pytest.raises(ConfigError, match="host:port"):
            asyncio.run(start_server(StubPort(), address, None))


def test_an_address_in_use_says_so() -> None:
    async def twice() -> None:
        first = await start_server(StubPort(), "127.0.0.1:0", None)
        try:
            with pytest.raises(ConfigError, match="cannot be used"):
                await start_server(StubPort(), first.address, None)
        finally:
            await first.close()

    asyncio.run(twice())


def test_the_token_opens_everything_and_probes_need_none() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}):
            for path in ("/v1/cluster", "/metrics", "/v1/kv/k", "/nowhere"):
                async with http.get(url + path, headers=headers) as answer:
                    assert answer.status == 401, path
                    assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert (await http.get(f"{url}/livez")).status == 200
        assert (await http.get(f"{url}/readyz")).status == 200
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert (await http.get(f"{url}/v1/cluster", headers=right)).status == 200

    run(story, token=TOKEN)


def test_a_browser_page_of_elsewhere_cannot_reach_a_host_on_loopback() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        foreign = {"Origin": "http://example.test"}
        async with http.post(f"{url}/v1/leader:transfer", headers=foreign) as answer:
            assert answer.status == 403
        async with http.get(f"{url}/v1/cluster", headers={"Host": "example.test"}) as answer:
            assert answer.status == 403
        assert port.calls == []

    run(story)


def test_a_host_header_is_read_without_trusting_it() -> None:
    for text in ("127.0.0.1", "127.0.0.1:7501", "localhost:1", "[::1]", "[::1]:7501"):
        assert is_loopback(without_port(text)), text
    for text in ("", "[", "]:1", "127.0.0.1.example.test", "example.test:80", "10.0.0.1", "::1:x"):
        assert not is_loopback(without_port(text)), text


def test_an_error_says_its_outcome_and_where_to_try_next() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        port.error = NoQuorum("2 of 3 are away")
        async with http.put(f"{url}/v1/kv/k", json=1) as answer:
            assert answer.status == 503
            assert answer.headers["Retry-After"] == "1"
            body = await answer.json()
        assert body["outcome"] == "not_applied"
        assert body["leader"] == {"host": "b", "admin": "127.0.0.1:7502"}
        port.error = Unavailable("not a voter yet", outcome="applied")
        async with http.put(f"{url}/v1/kv/k", json=1) as answer:
            assert answer.status == 504
            assert (await answer.json())["outcome"] == "applied"
        port.error, port.leader = OutcomeUnknown("no answer", leader="c"), None
        async with http.put(f"{url}/v1/kv/k", json=1) as answer:
            assert answer.status == 504
            body = await answer.json()
        assert body["outcome"] == "unknown"
        assert body["leader"] == {"host": "c"}

    run(story)


def test_a_host_that_never_answers_does_not_hold_its_caller() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        port.hang = True
        async with http.put(f"{url}/v1/kv/k?timeout=0.05", json=1) as answer:
            assert answer.status == 504
            assert (await answer.json())["outcome"] == "unknown"
        async with http.get(f"{url}/v1/kv/k?timeout=0.05") as answer:
            assert answer.status == 504
            assert (await answer.json())["outcome"] == "not_applied"

    run(story)


def test_an_unexpected_error_tells_no_secrets_and_does_not_claim_to_know() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        port.error = RuntimeError("secret")
        async with http.put(f"{url}/v1/kv/k", json=1) as answer:
            assert answer.status == 500
            body = await answer.json()
        assert body["outcome"] == "unknown"
        assert "secret" not in str(body)

    run(story)


def test_unknown_places_and_methods_are_problems_too() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        async with http.get(f"{url}/v2/x") as answer:
            assert answer.status == 404
            assert answer.content_type == "application/problem+json"
        async with http.post(f"{url}/v1/cluster") as answer:
            assert answer.status == 405
            assert "GET" in answer.headers["Allow"]

    run(story)


def test_every_error_has_a_status_and_keeps_its_outcome() -> None:
    kinds = [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, QuorateError)
    ]
    assert len(kinds) > 20
    for kind in kinds:
        made = kind("text")
        assert 400 <= status_of(made) < 600
        assert problem(made)["outcome"] == made.outcome


def test_the_page_describes_exactly_what_is_served() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        page = await (await http.get(f"{url}/v1/openapi.json")).json()
        described = {
            (method.upper(), path) for path, methods in page["paths"].items() for method in methods
        }
        assert described == {(o.method, o.path.replace("+}", "}")) for o in OPERATIONS}
        identifiers = [m["operationId"] for p in page["paths"].values() for m in p.values()]
        assert len(set(identifiers)) == len(identifiers)
        for path, methods in page["paths"].items():
            for described_method in methods.values():
                named = {p["name"] for p in described_method["parameters"] if p["in"] == "path"}
                assert all(f"{{{name}}}" in path for name in named)
                assert path.count("{") == len(named)

    run(story)
