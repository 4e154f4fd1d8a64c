"""A stand-in for a host behind the admin API: a dictionary with revisions, and faults set by
hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp

from quorate.core.errors import Compacted, NotFound
from quorate.hosts.admin.port import Change, Compare, Level, Receipt, Record
from quorate.hosts.admin.server import start_server
from tests.admin.stub_stores import StubStores


class StubPort(StubStores):
    """Satisfies `AdminPort`. Set `error` and every order raises it; set `hang` and every order
    waits for ever."""

    host_id = "a"

    def __init__(self) -> None:
        super().__init__()
        self.records: dict[str, Record] = {}
        self.history: list[Change] = []
        self.revision = 0
        self.oldest_revision = 1
        self.error: Exception | None = None
        self.hang = False
        self.leader: str | None = "b"
        self.status_more: dict[str, Any] = {}
        self.changed = asyncio.Event()
        self.calls: list[tuple[Any, ...]] = []

    def status(self) -> dict[str, Any]:
        return {
            "host": "a",
            "role": "follower",
            "leader": self.leader,
            "term": 3,
            "commit_index": 10,
            "applied_index": 10,
            "last_index": 11,
            "members": [
                {"id": "a", "address": "127.0.0.1:1", "role": "voter", "match_index": 11, "lag": 0},
                {"id": "b", "address": "127.0.0.1:2", "role": "voter", "match_index": 9, "lag": 2},
            ],
            **self.status_more,
        }

    def statistics(self) -> dict[str, Any]:
        return {
            "wire": {"peers": {"b": {"frames_total": 7, "rtt_ms": 0.5, "state": "up"}}},
            "proposer": {"applied_total": 5, "waiting": 2},
        }

    def admin_address_of(self, host_id: str) -> str | None:
        return {"b": "127.0.0.1:7502"}.get(host_id)

    async def reachability(self, timeout_s: float) -> dict[str, Any]:
        return {"a": {"b": {"connected": True, "rtt_ms": 0.2}}, "b": "unknown: no answer"}

    async def _ordered(self, *call: Any) -> None:
        self.calls.append(call)
        if self.error is not None:
            raise self.error
        if self.hang:
            await asyncio.Event().wait()

    async def kv_get(self, key: str, level: Level, timeout_s: float) -> Record | None:
        await self._ordered("kv_get", key, level, timeout_s)
        return self.records.get(key)

    async def kv_list(
        self, prefix: str, after: str, limit: int, level: Level, timeout_s: float
    ) -> tuple[list[Record], bool]:
        await self._ordered("kv_list", prefix, limit, level, timeout_s)
        found = [r for k, r in sorted(self.records.items()) if k.startswith(prefix) and k > after]
        return found[:limit], len(found) > limit

    def _holds(self, key: str, compare: Compare) -> bool:
        record = self.records.get(key)
        version, revision = (record.version, record.revision) if record else (0, 0)
        return compare.version in (None, version) and compare.revision in (None, revision)

    async def kv_put(
        self, key: str, value: Any, compare: Compare, timeout_s: float
    ) -> Receipt | None:
        await self._ordered("kv_put", key, value, compare, timeout_s)
        if not self._holds(key, compare):
            return None
        self.revision += 1
        before = self.records.get(key)
        version = before.version + 1 if before else 1
        self.records[key] = Record(key, value, version, self.revision)
        return self._changed(Change("put", key, value, self.revision, version))

    async def kv_delete(self, key: str, compare: Compare, timeout_s: float) -> Receipt | None:
        await self._ordered("kv_delete", key, compare, timeout_s)
        if not self._holds(key, compare):
            return None
        if self.records.pop(key, None) is not None:
            self.revision += 1
            self._changed(Change("delete", key, None, self.revision))
        return Receipt(3, 10 + self.revision, self.revision)

    def _changed(self, change: Change) -> Receipt:
        self.history.append(change)
        self.changed.set()
        self.changed = asyncio.Event()
        return Receipt(3, 10 + self.revision, self.revision)

    async def kv_watch(self, prefix: str, from_revision: int | None) -> AsyncIterator[Change]:
        start = self.revision + 1 if from_revision is None else from_revision
        if start < self.oldest_revision:
            raise Compacted("history is gone", self.oldest_revision)
        seen = 0
        while True:
            changed = self.changed
            for change in self.history[seen:]:
                if change.revision >= start and change.key.startswith(prefix):
                    yield change
            seen = len(self.history)
            await changed.wait()

    async def names(self, prefix: str, pattern: str | None, limit: int) -> list[dict[str, Any]]:
        self.calls.append(("names", prefix, pattern, limit))
        return [{"name": "cart:7", "value": b"\x01"}, {"name": "cart:8", "value": None}][:limit]

    async def name(self, name: str) -> dict[str, Any] | None:
        return {"name": name, "value": 1} if name == "cart/7" else None

    async def locks(self) -> list[dict[str, Any]]:
        return [{"name": "rebuild", "token": 5}]

    async def elections(self) -> list[dict[str, Any]]:
        return [{"name": "cron", "term": 2}]

    async def members(self) -> list[dict[str, Any]]:
        return list(self.status()["members"])

    async def member_add(
        self, member_id: str, address: str, role: str, timeout_s: float
    ) -> dict[str, Any]:
        await self._ordered("member_add", member_id, address, role)
        return {"id": member_id, "address": address, "role": role}

    async def member_remove(self, member_id: str, timeout_s: float) -> dict[str, Any]:
        await self._ordered("member_remove", member_id)
        if member_id == "nobody":
            raise NotFound("no member 'nobody'")
        return {"removed": member_id}

    async def transfer(self, to: str | None, timeout_s: float) -> dict[str, Any]:
        await self._ordered("transfer", to)
        return {"leader": to or "c"}

    async def snapshots(self) -> list[dict[str, Any]]:
        return [{"index": 9, "bytes": 100}]

    async def snapshot_create(self, timeout_s: float) -> dict[str, Any]:
        await self._ordered("snapshot_create")
        return {"index": 10, "bytes": 120}


Story = Callable[[StubPort, aiohttp.ClientSession, str], Awaitable[None]]


def run(story: Story, *, token: str | None = None, port: StubPort | None = None) -> None:
    """Tell `story(port, client, base_url)` against a served stub, and end within ten seconds."""

    async def told() -> None:
        stub = port or StubPort()
        server = await start_server(stub, "127.0.0.1:0", token)
        try:
            async with asyncio.timeout(10), aiohttp.ClientSession() as client:
                await story(stub, client, f"http://{server.address}")
        finally:
            await server.close()

    asyncio.run(told())
