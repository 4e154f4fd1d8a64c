"""Agents, hosts and leases over HTTP, and the same through the command: on a real host."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from quorate.hosts.cli.client import AdminClient, Problem
from quorate.hosts.cli.main import _command  # pyright: ignore[reportPrivateUsage]
from quorate.hosts.cli.parser import build
from quorate.hosts.pytest_plugin import RunningCluster
from tests.agents.people import Scribe, Shop, Starts

ALL = pytest.mark.quorate(agents=[Shop, Scribe, Starts], admin="127.0.0.1:0")


def client_of(cluster: RunningCluster) -> AdminClient:
    address = cluster.hosts["a"].admin_address
    assert address is not None
    return AdminClient(address, None, 5.0)


@ALL
def test_a_life_over_http(quorate_cluster: RunningCluster) -> None:
    async def story() -> None:
        async with client_of(quorate_cluster) as client:
            name = "shop:ann/7"
            path = f"/v1/agents/{quote(name, safe='')}"
            order = {"class": "people.Shop", "name": name, "meta": {"city": "Bern"}}
            made = await client.ask("POST", "/v1/agents", body=order)
            assert (made["name"], made["host"], made["status"]) == (name, "a", "placed")
            sold = await client.ask("POST", f"{path}/call", body={"method": "sell", "args": [3]})
            assert sold == {"answer": 3}
            note = {"method": "write", "kwargs": {"key": "note", "value": "b"}, "tell": True}
            assert (await client.ask("POST", f"{path}/call", body=note)) == {"answer": None}
            state = await client.ask("GET", f"{path}/state")
            assert state["keys"] == {"note": "b", "sold": 3} and not state["more"]
            shown = await client.ask("GET", path)
            assert (shown["status"], shown["host"], shown["kind"]) == ("active", "a", "people.Shop")
            assert (await client.ask("GET", f"{path}/mailbox"))["mailbox"] == 0
            listed = await client.ask("GET", "/v1/agents", query={"pattern": "shop:*"})
            assert [one["name"] for one in listed["agents"]] == [name]
            assert listed["agents"][0]["meta"] == {"city": "Bern"} and not listed["more"]
            classes = await client.ask("GET", "/v1/agent-classes")
            assert classes["classes"]["people.Shop"] == {"a": 1}
            await client.ask("DELETE", path, query={"reason": "closed"})
            log = (await client.ask("GET", f"{path}/log"))["log"]
            assert [row["what"] for row in log][:1] == ["started"]
            assert (log[-1]["what"], log[-1]["why"]) == ("stopped", "closed")
            with pytest.raises(Problem) as gone:
                await client.ask("DELETE", path)
            assert gone.value.body["status"] == 404

    quorate_cluster.run(story())


@ALL
def test_pages_and_filters(quorate_cluster: RunningCluster) -> None:
    async def story() -> None:
        async with client_of(quorate_cluster) as client:
            agents = quorate_cluster.hosts["a"].agents
            await asyncio.gather(*(agents.start(Scribe, f"s:{at:02}") for at in range(12)))
            await agents.start(Shop, "shop")
            seen: list[str] = []
            query: dict[str, Any] = {"kind": "people.Scribe", "limit": 5}
            while True:
                page = await client.ask("GET", "/v1/agents", query=query)
                seen += [one["name"] for one in page["agents"]]
                if not page["more"]:
                    break
                query["after"] = seen[-1]
            assert seen == [f"s:{at:02}" for at in range(12)]
            order = {"text": "s:*", "reason": "over"}
            assert await client.ask("POST", "/v1/agents:stop-matching", body=order) == {
                "stopped": 12
            }

    quorate_cluster.run(story())


@ALL
def test_a_client_owns_agents_by_a_lease(quorate_cluster: RunningCluster) -> None:
    async def story() -> None:
        async with client_of(quorate_cluster) as client:
            agents = quorate_cluster.hosts["a"].agents
            lease = (await client.ask("POST", "/v1/leases", body={"ttl": 30}))["lease"]
            order = {"class": "people.Shop", "name": "mine", "owners": [{"lease": lease}]}
            await client.ask("POST", "/v1/agents", body=order)
            await client.ask("POST", f"/v1/leases/{lease}/keepalive")
            ended = agents.monitor("mine")
            await client.ask("DELETE", f"/v1/leases/{lease}")
            assert "ended" in await ended
            with pytest.raises(Problem) as gone:
                await client.ask("POST", f"/v1/leases/{lease}/keepalive")
            assert gone.value.body["status"] == 404

    quorate_cluster.run(story())


@pytest.mark.quorate(hosts=2, agents=[Shop])
def test_hosts_are_drained_and_labelled(quorate_cluster: RunningCluster) -> None:
    async def story() -> None:
        a, _ = quorate_cluster.hosts.values()
        await a.agents.start(Shop, "shop", hints={"host": "b"})
        await a.agents.set_labels({"disk": "fast"}, "b")
        assert await a.agents.drain("b") == 1
        place = a.agents.look("shop")
        assert place is not None and place.host == "a"
        await a.agents.undrain("b")
        assert {"disk": "fast"} in [row["labels"] for row in a.agents.hosts()]
        await a.agents.start(Shop, "needy", needs={"disk": "fast"})
        place = a.agents.look("needy")
        assert place is not None and place.host == "b"

    quorate_cluster.run(story())


@ALL
@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/agents", {"name": "x"}, 400),
        ("POST", "/v1/agents", {"class": "no:Class", "name": "x"}, 400),
        ("POST", "/v1/agents", {"class": "people.Shop", "name": "x", "colour": 1}, 400),
        ("POST", "/v1/agents", {"class": "people.Shop", "name": "x", "owners": [7]}, 400),
        ("POST", "/v1/agents", {"class": "people.Shop", "name": "x", "owners": ["nobody"]}, 409),
        ("POST", "/v1/agents/nobody/call", {"method": "sell"}, 404),
        ("POST", "/v1/agents/nobody/call", {}, 400),
        ("POST", "/v1/agents/nobody/move", {"to": "b"}, 404),
        ("GET", "/v1/agents/nobody", None, 404),
        ("GET", "/v1/agents?colour=red", None, 400),
        ("POST", "/v1/hosts/zz/drain", {}, 404),
        ("GET", "/v1/hosts/zz", None, 404),
        ("PUT", "/v1/hosts/a/labels", {"x": 7}, 400),
        ("PUT", "/v1/hosts/a/capacity", {"slots": -1}, 400),
        ("POST", "/v1/leases", {"ttl": -1}, 400),
        ("POST", "/v1/leases/x/keepalive", None, 400),
    ],
)
def test_what_is_wrong_is_said(
    quorate_cluster: RunningCluster, method: str, path: str, body: Any, status: int
) -> None:
    async def story() -> None:
        address = quorate_cluster.hosts["a"].admin_address
        async with (
            aiohttp.ClientSession() as http,
            http.request(method, f"http://{address}{path}", json=body) as answer,
        ):
            told = await answer.json()
            assert (answer.status, bool(told["detail"])) == (status, True), told

    quorate_cluster.run(story())


@ALL
def test_the_command_does_the_same(
    quorate_cluster: RunningCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    admin = quorate_cluster.hosts["a"].admin_address
    assert admin is not None

    def quorate(*words: str) -> str:
        args = build().parse_args([*words, "--admin", admin])
        assert quorate_cluster.run(_command(args)) == 0
        return capsys.readouterr().out

    assert "shop:1 runs on a" in quorate("agent", "start", "people.Shop", "shop:1")
    assert quorate("agent", "call", "shop:1", "sell", "4").strip() == "4"
    assert quorate("agent", "tell", "shop:1", "look").strip() == "sent"
    assert "people.Shop" in quorate("agent", "list")
    assert json.loads(quorate("agent", "get", "shop:1", "--json"))["status"] == "active"
    assert "sold" in quorate("agent", "state", "shop:1")
    assert "queued" in quorate("agent", "mailbox", "shop:1")
    assert "started" in quorate("agent", "log", "shop:1")
    assert "people.Shop" in quorate("agent", "classes")
    assert "no dead letters" in quorate("agent", "dead-letters")
    assert "a" in quorate("hosts", "list")
    assert quorate("hosts", "labels", "a", "zone=north").split() == ["zone", "north"]
    assert "shop:1 is stopped" in quorate("agent", "stop", "shop:1")
    assert "0 agents moved" in quorate("host", "drain", "a")
