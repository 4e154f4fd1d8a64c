"""The key-value resource: read, write, compare, list."""

from __future__ import annotations

import aiohttp

from quorate.core.errors import LimitExceeded
from tests.admin.stub import StubPort, run


def test_a_value_is_written_read_and_deleted() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        async with http.put(f"{url}/v1/kv/users/ann", json={"age": 3}) as answer:
            assert answer.status == 200
            written = await answer.json()
            assert written == {"key": "users/ann", "revision": 1, "term": 3, "index": 11}
            assert answer.headers["ETag"] == '"1"'
        async with http.get(f"{url}/v1/kv/users/ann") as answer:
            read = await answer.json()
            assert read["value"] == {"age": 3}
            assert (read["version"], read["level"], read["host"]) == (1, "linearizable", "a")
        async with http.delete(f"{url}/v1/kv/users/ann") as answer:
            assert answer.status == 200
        async with http.get(f"{url}/v1/kv/users/ann?level=local") as answer:
            assert answer.status == 404
            assert (await answer.json())["type"] == "urn:quorate:problem:not-found"

    run(story)


def test_bytes_go_in_raw_or_written_as_base64() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        raw = {"Content-Type": "application/octet-stream"}
        await http.put(f"{url}/v1/kv/raw", data=b"\x00\xff", headers=raw)
        await http.put(f"{url}/v1/kv/written", json={"$bytes": "AP8="})
        assert port.records["raw"].value == port.records["written"].value == b"\x00\xff"

    run(story)


def test_a_write_can_demand_what_it_read() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        created = await http.put(f"{url}/v1/kv/k", json=1, headers={"If-None-Match": "*"})
        assert created.status == 200
        async with http.put(f"{url}/v1/kv/k", json=2, headers={"If-None-Match": "*"}) as answer:
            assert answer.status == 412
            problem = await answer.json()
            assert problem["outcome"] == "not_applied"
            assert problem["present"]["value"] == 1
            assert "wanted version 0, found version 1, revision 1" in problem["detail"]
        etag = created.headers["ETag"]
        assert (await http.put(f"{url}/v1/kv/k", json=2, headers={"If-Match": etag})).status == 200
        assert (await http.put(f"{url}/v1/kv/k", json=3, headers={"If-Match": etag})).status == 412
        assert (await http.put(f"{url}/v1/kv/k?version=2", json=3)).status == 200
        assert (await http.delete(f"{url}/v1/kv/k?revision=1")).status == 412
        assert port.records["k"].value == 3

    run(story)


def test_a_list_is_cut_at_its_limit_and_says_so() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        for key in ("u/1", "u/2", "u/3", "v/1"):
            await http.put(f"{url}/v1/kv/{key}", json=key)
        page = await (await http.get(f"{url}/v1/kv?prefix=u/&limit=2")).json()
        assert [record["key"] for record in page["records"]] == ["u/1", "u/2"]
        assert page["more"] is True
        page = await (await http.get(f"{url}/v1/kv?prefix=u/&limit=2&after=u/2")).json()
        assert [record["key"] for record in page["records"]] == ["u/3"]
        assert page["more"] is False
        page = await (await http.get(f"{url}/v1/kv?prefix=v/")).json()
        assert [record["key"] for record in page["records"]] == ["v/1"]
        assert page["more"] is False

    run(story)


def test_the_deadline_of_the_caller_reaches_the_host() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        await http.put(f"{url}/v1/kv/k?timeout=1.5", json=1)
        await http.get(f"{url}/v1/kv/k", headers={"Request-Timeout": "2"})
        await http.get(f"{url}/v1/kv/k")
        assert [call[-1] for call in port.calls] == [1.5, 2.0, 5.0]

    run(story)


def test_wrong_requests_are_told_what_is_wrong_and_change_nothing() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        for path, word in (
            ("/v1/kv/k?versoin=1", "versoin"),
            ("/v1/kv/k?version=-1", "version"),
            ("/v1/kv/k?timeout=0", "timeout"),
            ("/v1/kv/k?timeout=inf", "timeout"),
            ("/v1/kv/k?timeout=nan", "timeout"),
            ("/v1/kv/k?timeout=soon", "timeout"),
        ):
            async with http.put(url + path, json=1) as answer:
                assert answer.status == 400, path
                assert answer.content_type == "application/problem+json"
                assert word in (await answer.json())["detail"]
        assert (await http.put(f"{url}/v1/kv/k", data="{")).status == 400
        assert (await http.put(f"{url}/v1/kv/k", data="")).status == 400
        assert (await http.put(f"{url}/v1/kv/k", json=1, headers={"If-Match": "x"})).status == 400
        assert (await http.get(f"{url}/v1/kv/k?level=strong")).status == 400
        assert port.records == {}

    run(story)


def test_a_body_over_the_limit_is_refused() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        async with http.put(f"{url}/v1/kv/k", data=b"1" * (5 << 20)) as answer:
            assert answer.status == 413
            assert (await answer.json())["type"] == "urn:quorate:problem:limit-exceeded"
        port.error = LimitExceeded("the key is 2000 bytes, 1024 at most")
        async with http.put(f"{url}/v1/kv/k", json=1) as answer:
            assert answer.status == 413
            assert "1024 at most" in (await answer.json())["detail"]

    run(story)
