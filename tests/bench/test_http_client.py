"""Loads over HTTP: what the dialects say, and what the client makes of a server of a few lines."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from quorate.bench.peers import http_load
from quorate.bench.peers.dialects import DIALECTS

ORDER = {"in_flight": 4, "keys": 8, "value_bytes": 16, "warmup_s": 0.0, "seconds": 0.05}


class FakeServer:
    """Answers both dialects from a dict; with `refuses` 503 to everything."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.refuses = refuses
        self.data: dict[str, bytes] = {}
        self.connections = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while line := await reader.readline():
                method, path, _ = line.decode().split()
                size = 0
                while (header := await reader.readline()) != b"\r\n":
                    name, _, text = header.decode().partition(":")
                    size = int(text) if name.lower() == "content-length" else size
                status, body = self.answer(method, path, await reader.readexactly(size))
                head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(head.encode() + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        if self.refuses:
            return 503, b'{"title": "no quorum"}'
        if path == "/v3/maintenance/status":
            return 200, b'{"header": {"member_id": "7"}, "leader": "7"}'
        if path.startswith("/v3"):
            fields = json.loads(body)
            key = base64.b64decode(fields["key"]).decode()
            if path == "/v3/kv/put":
                self.data[key] = base64.b64decode(fields["value"])
                return 200, b"{}"
            found = self.data.get(key)
            rows = [] if found is None else [{"value": base64.b64encode(found).decode()}]
            return 200, json.dumps({"kvs": rows} if rows else {}).encode()
        key = path.removeprefix("/v1/kv/")
        if method == "PUT":
            self.data[key] = body
            return 200, b"{}"
        if key not in self.data:
            return 404, b'{"title": "NotFound"}'
        value = {"$bytes": base64.b64encode(self.data[key]).decode()}
        return 200, json.dumps({"key": key, "value": value}).encode()


@asynccontextmanager
async def serving(fake: FakeServer) -> AsyncGenerator[FakeServer]:
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    fake.url = f"http://{host}:{port}"
    async with server:
        yield fake


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_what_a_dialect_writes_it_reads(name: str) -> None:
    fake, dialect = FakeServer(), DIALECTS[name]
    put, get = dialect.put("bench/1", b"\x00\xff"), dialect.get("bench/1")
    assert fake.answer(put.method, put.path, put.body or b"")[0] == 200
    status, body = fake.answer(get.method, get.path, get.body or b"")
    assert (status, dialect.value(body)) == (200, b"\x00\xff")


def test_an_absent_key_at_the_gateway_is_no_value() -> None:
    with pytest.raises(LookupError):
        DIALECTS["gateway"].value(b'{"header": {}}')


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_a_load_keeps_its_connections_and_reads_what_it_wrote(name: str) -> None:
    async def story() -> None:
        async with serving(FakeServer()) as fake, http_load.session(4) as http:
            order = {**ORDER, "dialect": name, "urls": [fake.url]}
            put = http_load.operation({**order, "op": "put"}, http)
            await asyncio.gather(*map(put, range(32)))
            assert len(fake.data) == 8
            assert fake.connections <= 4
            get = http_load.operation({**order, "op": "get"}, http)
            found = await asyncio.gather(*map(get, range(8)))
            assert set(found) == set(fake.data.values())

    asyncio.run(story())


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_reading_nothing_is_an_error_and_no_fast_success(name: str) -> None:
    async def story() -> None:
        async with serving(FakeServer()) as fake:
            order = {**ORDER, "op": "get", "dialect": name, "urls": [fake.url]}
            done = await http_load.load(order)
            assert done["ops"] == 0
            assert done["errors"] >= 4

    asyncio.run(story())


def test_a_refusal_is_an_error_with_what_was_said() -> None:
    async def story() -> None:
        async with serving(FakeServer(refuses=True)) as fake:
            order = {**ORDER, "op": "put", "dialect": "admin", "urls": [fake.url]}
            done = await http_load.load(order)
            assert done["ops"] == 0
            assert "503" in done["error"]
            assert "no quorum" in done["error"]

    asyncio.run(story())


def test_a_post_answers_its_json() -> None:
    async def story() -> None:
        async with serving(FakeServer()) as fake:
            order: dict[str, Any] = {"url": fake.url, "path": "/v3/maintenance/status", "body": {}}
            assert (await http_load.post(order))["leader"] == "7"

    asyncio.run(story())
