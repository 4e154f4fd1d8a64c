"""The scene of the levels: one key, written at every level while a minority is cut off, then the
heal and what it had to reconcile.

The law of this file: three real processes, whose links are cut in the relays between them; it
orders, waits and writes down. What it may conclude is in `level_record.py`, what a person sees in
`level_view.py`.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from pathlib import Path
from typing import Any

from quorate.core.errors import InvariantBroken, Timeout
from quorate.core.wire.ports import free_addresses
from quorate.hosts.demo.relay import Links
from quorate.hosts.demo.workers import WorkerProcess, start_worker

HOSTS: tuple[str, ...] = ("a", "b", "c")
MAJORITY, MINORITY = ("a", "b"), ("c",)
WRITERS: tuple[str, ...] = ("a", "c")
"""One on either side."""
WRITE_LEVELS = ("strong", "session", "eventual", "crdt")
READ_LEVELS = ("linearizable", "bounded", "session", "other session", "local", "crdt")
LIKES = {"a": 3, "b": 0, "c": 2}
START_S, CALL_S, READ_S, NOTICE_S, HEAL_S = 20.0, 2.0, 1.0, 15.0, 20.0
POLL_S = 0.02


class Scene:
    """The hosts of the scene. Use it as `async with Scene(folder) as scene`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._addresses = dict(zip(HOSTS, free_addresses(len(HOSTS)), strict=True))
        self._links = Links(self._addresses)
        self._processes: dict[str, WorkerProcess] = {}
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._ready = {host: asyncio.Event() for host in HOSTS}
        self._numbers = iter(range(1, 1 << 62))
        self._errors: list[str] = []
        self._reports: dict[str, int] = {}
        """By host, the number of its newest report before the heal."""

    async def __aenter__(self) -> Scene:
        self._folder.mkdir(parents=True, exist_ok=True)
        await self._links.start()
        secret = secrets.token_hex(16)
        try:
            for host in HOSTS:
                await self._start(host, secret)
            await asyncio.gather(
                *(self.ask(host, "ready", START_S + 5, within_s=START_S) for host in HOSTS)
            )
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _start(self, host: str, secret: str) -> None:
        settings = {
            "host": {
                "host_id": host,
                "data": str(self._folder / host),
                "listen": self._addresses[host],
                "peers": self._addresses,
                "dial": self._links.dial(host),
                "secret": secret,
            }
        }
        self._processes[host] = await start_worker(
            settings,
            self._on_event,
            log=self._folder / f"{host}.log",
            module="quorate.hosts.demo.level_worker",
        )

    async def __aexit__(self, *error: object) -> None:
        self._links.heal()
        await asyncio.gather(
            *(process.stop() for process in self._processes.values()), return_exceptions=True
        )
        await self._links.close()

    def _on_event(self, host: str, event: dict[str, Any]) -> None:
        if event["k"] == "ready":
            self._ready[host].set()
        elif event["k"] == "error":
            self._errors.append(f"host {host}: {event['text']}")
            self._ready[host].set()
        elif event["k"] == "answer":
            waiting = self._waiting.pop(event["id"], None)
            if waiting is not None and not waiting.done():
                waiting.set_result(event)

    async def ask(self, host: str, do: str, timeout_s: float, **fields: Any) -> dict[str, Any]:
        """Order a host to do something; its answer. Raises `Timeout`, `InvariantBroken`."""
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout_s):
                await self._ready[host].wait()
                if self._errors:
                    raise InvariantBroken("; ".join(self._errors))
                self._processes[host].order(do, id=number, **fields)
                return await answer
        except TimeoutError:
            raise Timeout(f"host {host} did not answer {do!r} within {timeout_s:g} s") from None
        finally:
            self._waiting.pop(number, None)

    async def all(self, do: str, timeout_s: float, **fields: Any) -> dict[str, dict[str, Any]]:
        """The same of every host, at the same time."""
        rows = await asyncio.gather(*(self.ask(host, do, timeout_s, **fields) for host in HOSTS))
        return dict(zip(HOSTS, rows, strict=True))

    # --- the acts ---------------------------------------------------------------------------------

    async def begin(self) -> None:
        """The key is there, everywhere."""
        await self._write("a", "strong", "before the cut")
        until = time.monotonic() + START_S
        while {r.get("value") for r in (await self._local()).values()} != {"before the cut"}:
            if time.monotonic() > until:
                raise Timeout("the first write did not reach every host")
            await asyncio.sleep(POLL_S)

    async def cut(self) -> dict[str, Any]:
        """Cut the minority off, silently; wait until both sides know."""
        began = time.monotonic()
        self._links.cut(MINORITY)
        seen = await asyncio.gather(
            *(
                self.ask(host, "noticed", NOTICE_S, gone=MAJORITY if host in MINORITY else MINORITY)
                for host in HOSTS
            )
        )
        took_ms = round((time.monotonic() - began) * 1000)
        states = {host: row.get("state") for host, row in zip(HOSTS, seen, strict=True)}
        self._reports = {host: row["report"] for host, row in zip(HOSTS, seen, strict=True)}
        return {"ms": took_ms, "states": states}

    async def writes(self) -> list[dict[str, Any]]:
        """The key at every level, on either side; a session reads its own write at once."""
        rows: list[dict[str, Any]] = []
        for level in WRITE_LEVELS:
            for host in WRITERS:
                value = LIKES[host] if level == "crdt" else f"{level} at {host}"
                row = await self._write(host, level, value)
                if level == "session" and row["ok"]:
                    read = await self.ask(host, "read", CALL_S * 2, level="session", within_s=1.0)
                    row["read_back"] = read.get("value")
                rows.append({"level": level, "host": host, "side": side_of(host), **row})
        return rows

    async def _write(self, host: str, level: str, value: Any) -> dict[str, Any]:
        row = await self.ask(
            host, "write", CALL_S * 4, level=level, value=value, by=value, within_s=CALL_S
        )
        return {"value": value, **_plain(row)}

    async def reads(self) -> list[dict[str, Any]]:
        """The key at every level, on either side, all at the same time."""
        tokens = {host: (await self.ask(host, "token", CALL_S))["token"] for host in WRITERS}
        other = dict(zip(WRITERS, reversed(WRITERS), strict=True))

        async def one(level: str, host: str) -> dict[str, Any]:
            named = {"level": "session", "token": tokens[other[host]]}
            fields: dict[str, Any] = named if level == "other session" else {"level": level}
            row = await self.ask(host, "read", CALL_S * 4, within_s=READ_S, **fields)
            return {"level": level, "host": host, "side": side_of(host), **_plain(row)}

        return list(
            await asyncio.gather(*(one(level, host) for level in READ_LEVELS for host in WRITERS))
        )

    async def heal(self) -> dict[str, Any]:
        """Open the links; wait until all hosts show the same, and for the reports."""
        began = time.monotonic()
        self._links.heal()
        likes = sum(LIKES.values())
        while True:
            local, counts = await asyncio.gather(self._local(), self._read_all("crdt"))
            values = {row.get("value") for row in local.values()}
            if len(values) == 1 and {row.get("value") for row in counts.values()} == {likes}:
                break
            if time.monotonic() > began + HEAL_S:
                raise Timeout(f"the hosts still differ {HEAL_S:g} s after the heal: {local}")
            await asyncio.sleep(POLL_S)
        same_ms = round((time.monotonic() - began) * 1000)
        reports = await asyncio.gather(
            *(self.ask(host, "report", HEAL_S, after=self._reports[host]) for host in HOSTS)
        )
        return {
            "same_ms": same_ms,
            "reported_ms": round((time.monotonic() - began) * 1000),
            "local": {host: row.get("value") for host, row in local.items()},
            "likes": {host: row.get("value") for host, row in counts.items()},
            "linearizable": await self._values("linearizable"),
            "reports": {host: row["report"] for host, row in zip(HOSTS, reports, strict=True)},
        }

    async def promote(self) -> dict[str, Any]:
        """Write the local value strongly; then every level shows it."""
        row = await self.ask("b", "promote", CALL_S * 4, within_s=CALL_S * 2)
        return {**_plain(row), "linearizable": await self._values("linearizable")}

    async def _local(self) -> dict[str, dict[str, Any]]:
        return await self._read_all("local")

    async def _read_all(self, level: str) -> dict[str, dict[str, Any]]:
        return await self.all("read", CALL_S * 4, level=level, within_s=CALL_S)

    async def _values(self, level: str) -> dict[str, Any]:
        rows = await self._read_all(level)
        return {host: row.get("value", row.get("error")) for host, row in rows.items()}


def side_of(host: str) -> str:
    return "minority" if host in MINORITY else "majority"


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("k", "id")}
