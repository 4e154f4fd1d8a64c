"""Stores over HTTP: levels, receipts, sessions, conflicts; cuts and heals."""

from __future__ import annotations

import aiohttp

from quorate.core.errors import NoQuorum, OutcomeUnknown, StaleReplica
from quorate.hosts.admin.metrics import flatten
from quorate.hosts.admin.stores import text_of
from quorate.hosts.admin.stores_port import StoreRead, StoreWrite
from tests.admin.stub import StubPort, run

CARTS = "/v1/stores/carts"


def test_stores_are_listed_with_their_ring_and_their_lag() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        body = await (await http.get(f"{url}/v1/stores")).json()
        assert [store["name"] for store in body["stores"]] == ["carts"]
        assert body["ring"]["epoch"] == 4
        assert body["peers"]["b"]["behind_updates"] == 3
        assert body["log"]["retained_bytes"] == 900

    run(story)


def test_a_key_is_written_read_and_deleted_at_a_level_with_receipts() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        key = f"{url}{CARTS}/keys/ann/1"
        async with http.put(f"{key}?consistency=strong", json={"qty": 2}) as answer:
            receipt = await answer.json()
            assert (receipt["achieved"], receipt["term"], receipt["index"]) == ("strong", 3, 11)
            assert answer.headers["Session-Token"] == text_of(b"receipt")
        await http.put(f"{key}?wait_for=2&durable=true", json={"qty": 3})
        assert port.asked_how[-1] == StoreWrite(None, 2, True)
        async with http.get(f"{key}?level=linearizable") as answer:
            body = await answer.json()
            assert (body["value"], body["level"], body["host"]) == ({"qty": 3}, "linearizable", "a")
            assert body["version"]["actor"] == 7
            assert "Session-Token" not in answer.headers
        await http.get(f"{key}?staleness_ms=200")
        assert port.asked_how[-1] == StoreRead(None, 200)
        assert (await http.delete(key)).status == 200
        assert (await http.get(key)).status == 404

    run(story)


def test_a_session_travels_in_a_header() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        key = f"{url}{CARTS}/keys/ann"
        first = await http.put(key, json=1, headers={"Session-Token": ""})
        token = first.headers["Session-Token"]
        assert token == text_of(b"s1")
        second = await http.get(f"{key}?level=session", headers={"Session-Token": token})
        assert second.headers["Session-Token"] == text_of(b"s2")
        assert port.asked_how[-1] == StoreRead("session", None, b"s1")
        forged = await http.get(key, headers={"Session-Token": text_of(b"forged")})
        assert forged.status == 400
        assert (await forged.json())["type"] == "urn:quorate:problem:forged-token"
        assert (await http.get(key, headers={"Session-Token": "x"})).status == 400

    run(story)


def test_keys_are_listed_in_pages() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        for name in ("b", "a1", "a2", "a3"):
            await http.put(f"{url}{CARTS}/keys/{name}", json=1)
        page = await (await http.get(f"{url}{CARTS}/keys?prefix=a&limit=2")).json()
        assert page == {"keys": ["a1", "a2"], "more": True}
        rest = await (await http.get(f"{url}{CARTS}/keys?prefix=a&after=a2")).json()
        assert rest == {"keys": ["a3"], "more": False}

    run(story)


def test_the_feed_of_conflicts_is_read_in_pages() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        page = await (await http.get(f"{url}{CARTS}/conflicts?limit=5")).json()
        (row,) = page["conflicts"]
        assert (row["key"], row["winner"]) == ("ann", {"qty": 3})
        assert row["losers"] == [{"$bytes": "AQ=="}]
        again = await (await http.get(f"{url}{CARTS}/conflicts?after={page['next']}")).json()
        assert again == {"conflicts": [], "next": page["next"]}

    run(story)


def test_promote_writes_strongly() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        answer = await http.post(f"{url}{CARTS}/promote", json={"key": "ann"})
        assert (await answer.json())["achieved"] == "strong"
        assert (await http.post(f"{url}{CARTS}/promote", json={})).status == 400

    run(story)


def test_wrong_words_reach_no_store() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        key = f"{url}{CARTS}/keys/ann"
        for query in ("level=strong", "level=local&staleness_ms=5", "staleness_ms=0", "lvl=local"):
            assert (await http.get(f"{key}?{query}")).status == 400, query
        for query in ("consistency=linearizable", "wait_for=0", "durable=maybe", "level=local"):
            assert (await http.put(f"{key}?{query}", json=1)).status == 400, query
        assert (await http.put(key, data="not json")).status == 400
        assert (await http.get(f"{url}{CARTS}/conflicts?after=%21")).status in (200, 400)
        assert port.asked_how == []
        assert port.carts == {}
        assert (await http.get(f"{url}/v1/stores/nope/keys/a")).status == 404

    run(story)


def test_what_a_level_cannot_do_now_says_so() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        key = f"{url}{CARTS}/keys/ann"
        for error, status, outcome in (
            (NoQuorum("2 of 3 are away"), 503, "not_applied"),
            (StaleReplica("nobody has it"), 503, "not_applied"),
            (OutcomeUnknown("wait_for was not reached"), 504, "unknown"),
        ):
            port.store_error = error
            async with http.put(key, json=1) as answer:
                assert (answer.status, (await answer.json())["outcome"]) == (status, outcome)

    run(story)


def test_cuts_and_heals_are_shown() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        body = await (await http.get(f"{url}/v1/partition")).json()
        assert (body["state"], body["unreachable"]) == ("majority_side", ["c"])
        assert body["events"][0]["kind"] == "partitioned"
        newest = await (await http.get(f"{url}/v1/partition/reports?limit=1")).json()
        (report,) = newest["reports"]
        assert [row["key"] for row in report["diverged"]] == ["ann", "likes"]
        assert report["diverged"][0]["losers"][0]["value"] == {"$bytes": "AQ=="}

    run(story)


def test_every_operation_is_described() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        page = await (await http.get(f"{url}/v1/openapi.json")).json()
        for path in ("/v1/stores", f"{CARTS}/keys/{{key}}", "/v1/partition/reports"):
            assert path.replace("carts", "{store}") in page["paths"]

    run(story)


def test_metrics_label_caches_and_leave_vectors_out() -> None:
    statistics = {
        "caches": {"prices": {"hits_total": 3}},
        "stores": {"replica": {"actor": 77, "applied": {"77": 9}, "written": 4}},
        "replication": {"peers": {"b": {"hints_bytes": 12, "fresh_age_s": None}}},
        "partition": {"reaches_quorum": True},
    }
    assert list(flatten("quorate", statistics)) == [
        ("quorate_caches_hits_total", (("cache", "prices"),), 3.0),
        ("quorate_stores_replica_written", (), 4.0),
        ("quorate_replication_peers_hints_bytes", (("peer", "b"),), 12.0),
        ("quorate_partition_reaches_quorum", (), 1.0),
    ]
