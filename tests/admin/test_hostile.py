"""Requests that no honest client sends: each gets a refusal, none a server error, and the next
client is served."""

from __future__ import annotations

import asyncio
import random

import aiohttp

from tests.admin.stub import StubPort, run

HONEST = b"PUT /v1/kv/k?timeout=1 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\n\r\n1"
HOSTILE = [
    b"GET /v1/cluster HTTP/1.1\r\nHost: [\r\n\r\n",
    b"GET /v1/cluster HTTP/1.1\r\nHost: \r\n\r\n",
    b"GET /v1/cluster HTTP/1.1\r\nHost: 127.0.0.1.example.test\r\n\r\n",
    b"GET /v1/cluster HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://[\r\n\r\n",
    b"GET /v1/cluster HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: null\r\n\r\n",
    b"GET /v1/kv/%ff%fe HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /v1/kv/%00 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /v1/kv/../../livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /v1/kv/k?timeout=1e309 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /v1/kv/k?timeout=%ff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /v1/kv?limit=" + b"9" * 5000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /v1/kv?limit=%c2%b2 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /v1/watch HTTP/1.1\r\nHost: 127.0.0.1\r\nLast-Event-ID: " + b"9" * 9000 + b".1\r\n\r\n",
    b"GET /v1/watch?from_revision=-1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"PUT /v1/kv/k HTTP/1.1\r\nHost: 127.0.0.1\r\nIf-Match: \xff\r\nContent-Length: 1\r\n\r\n1",
    b"PUT /v1/kv/k HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\n1",
    b"PUT /v1/kv/k HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n1",
    b"PUT /v1/kv/k HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n\xff\xfe",
    b"POST /v1/members HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\n\r\nnull",
    b'POST /v1/leader:transfer HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{"to":[]}',
    b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"CONNECT example.test:80 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET http://example.test/v1/cluster HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\x00" * 100_000,
]


async def status_of(address: str, raw: bytes) -> int | None:
    """The status of the answer to `raw`; None when the server closed or waits for more."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(raw)
        writer.write_eof()
        line = await asyncio.wait_for(reader.readline(), 3)
        return int(line.split()[1]) if line.startswith(b"HTTP/") else None
    except (ConnectionError, TimeoutError):
        return None
    finally:
        writer.close()


def test_hostile_requests_are_refused_and_change_nothing() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        address = url.removeprefix("http://")
        for raw in HOSTILE:
            status = await status_of(address, raw)
            assert status is None or 200 <= status < 500, (status, raw[:80])
        assert port.records == {}
        assert (await http.get(f"{url}/v1/cluster")).status == 200

    run(story)


def test_mutated_requests_never_hit_an_unexpected_error() -> None:
    rng = random.Random(7)

    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        address = url.removeprefix("http://")
        for _ in range(300):
            raw = bytearray(rng.choice([HONEST, *HOSTILE[:20]])[:400])
            for _ in range(rng.randint(1, 4)):
                raw[rng.randrange(len(raw))] = rng.randrange(256)
            status = await status_of(address, bytes(raw))
            assert status != 500, bytes(raw)
        assert (await http.get(f"{url}/v1/cluster")).status == 200

    run(story)
