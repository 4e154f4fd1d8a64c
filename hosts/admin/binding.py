"""A real host behind the admin API's port, and the word about where each host's admin API is.

The law of this file: it translates and decides nothing. The admin address of every host is a key in
a namespace of its own (`quorate.admin`), written by the host itself when its API starts, so that
any host can name the leader's.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from quorate.core import codec
from quorate.core.errors import QuorateError
from quorate.core.group import txn
from quorate.core.group.kv import Record as KvRecord
from quorate.core.group.kv import record_of
from quorate.core.machine.records import ElectionRecord, LockRecord
from quorate.hosts.admin.agents_binding import AgentsOfHost
from quorate.hosts.admin.port import Change, Compare, Level, Receipt, Record
from quorate.hosts.admin.server import AdminServer, start_server
from quorate.hosts.admin.stores_binding import StoresOfHost

if TYPE_CHECKING:
    from quorate.hosts.host import Host
    from quorate.hosts.members import Role

NAMESPACE = "quorate.admin"
ANNOUNCE_TIMEOUT_S = 5.0
ANNOUNCE_PAUSE_S = 1.0
ASK_MAX_S = 1.0
"""How long another host may take to tell whom it reaches."""
LIST_STEP_RECORDS = 64
LIST_BYTES_MAX = 4 << 20
"""A page of keys ends behind the value that reaches this."""
REACHABILITY = "admin.reachability"


async def start_admin(host: Host, address: str, token: str | None) -> Admin:
    """Serve `host` at `address`. Raises `ConfigError` (see `start_server`)."""
    server = await start_server(HostPort(host), address, token)
    return Admin(host, server)


class Admin:
    """The running admin API of a host; `address` is where it listens."""

    def __init__(self, host: Host, server: AdminServer) -> None:
        self._host = host
        self._server = server
        self.address = server.address
        host.group.requests.handle(
            REACHABILITY, lambda peer, args, reply: reply(host.mesh.reachability())
        )
        self._announcing = asyncio.ensure_future(self._announce())

    async def close(self) -> None:
        """Stop announcing, end open watches, stop listening."""
        self._announcing.cancel()
        await asyncio.gather(self._announcing, return_exceptions=True)
        await self._server.close()

    def statistics(self) -> dict[str, object]:
        return self._server.statistics()

    async def _announce(self) -> None:
        """Tell the group our address, until it knows."""
        kv, host_id = self._host.kv.namespace(NAMESPACE), self._host.id
        if ipaddress.ip_address(self.address.rpartition(":")[0].strip("[]")).is_unspecified:
            return
        while True:
            with suppress(QuorateError):
                known = await kv.get(host_id, timeout=ANNOUNCE_TIMEOUT_S)
                if known != self.address:
                    await kv.put(host_id, self.address, timeout=ANNOUNCE_TIMEOUT_S)
                return
            await asyncio.sleep(ANNOUNCE_PAUSE_S)


class HostPort(StoresOfHost, AgentsOfHost):
    """`AdminPort` over a host."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self.host_id = host.id

    # --- what is known here ----------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """The host's own status, with each member's lag where it is known: on the leader."""
        status = self._host.status()
        for member in status["members"]:
            match = member.get("match_index")
            member["lag"] = None if match is None else max(0, status["last_index"] - match)
        return status

    def statistics(self) -> dict[str, Any]:
        return self._host.statistics()

    def admin_address_of(self, host_id: str) -> str | None:
        row = self._host.machine.kv_get(host_id, NAMESPACE)
        return None if row is None else str(codec.decode_value(row.value))

    async def reachability(self, timeout_s: float) -> dict[str, Any]:
        """{host: {peer: link}}: our own row, and what every other member says of its links."""
        members = self._host.members.list()
        others = [member.id for member in members if member.id != self.host_id]
        rows = await asyncio.gather(
            *(self._row(other, min(timeout_s, ASK_MAX_S)) for other in others)
        )
        return {
            self.host_id: self._host.mesh.reachability(),
            **dict(zip(others, rows, strict=True)),
        }

    async def _row(self, other: str, timeout_s: float) -> Any:
        try:
            return await self._host.group.requests.ask(other, REACHABILITY, [], timeout_s)
        except QuorateError as error:
            return f"unknown: {error}"

    # --- the key-value space ---------------------------------------------------------------------

    async def kv_get(self, key: str, level: Level, timeout_s: float) -> Record | None:
        found = await self._host.kv.get_record(key, level=level, timeout=timeout_s)
        return None if found is None else _record(found)

    async def kv_list(
        self, prefix: str, after: str, limit: int, level: Level, timeout_s: float
    ) -> tuple[list[Record], bool]:
        machine = await self._host.group.read_point(level, timeout_s)
        found, size_bytes, start = list[Record](), 0, after
        while True:  # no await in here: the whole page is of one revision
            rows = machine.kv_range(prefix=prefix, start=start, limit=LIST_STEP_RECORDS)
            for row in rows:
                if row.key <= after:
                    continue
                if len(found) >= limit or size_bytes > LIST_BYTES_MAX:
                    return found, True
                found.append(_record(record_of(row)))
                size_bytes += len(row.value)
            if len(rows) < LIST_STEP_RECORDS:
                return found, False
            start = after = rows[-1].key

    async def kv_put(
        self, key: str, value: Any, compare: Compare, timeout_s: float
    ) -> Receipt | None:
        if compare.empty:
            done = await self._host.kv.put(key, value, timeout=timeout_s)
            return Receipt(done.term, done.index, done.revision)
        return await self._txn(key, compare, txn.put(key, value), timeout_s)

    async def kv_delete(self, key: str, compare: Compare, timeout_s: float) -> Receipt | None:
        if compare.empty:
            done = await self._host.kv.delete(key, timeout=timeout_s)
            return Receipt(done.term, done.index, done.revision)
        return await self._txn(key, compare, txn.delete(key), timeout_s)

    async def _txn(
        self, key: str, compare: Compare, then: txn.Put | txn.Delete, timeout_s: float
    ) -> Receipt | None:
        conditions: list[txn.Compare] = []
        if compare.version is not None:
            conditions.append(txn.version(key) == compare.version)
        if compare.revision is not None:
            conditions.append(txn.revision(key) == compare.revision)
        done = await self._host.kv.txn(txn.If(*conditions), txn.Then(then), timeout=timeout_s)
        if not done.succeeded:
            return None
        return Receipt(done.receipt.term, done.receipt.index, done.receipt.revision)

    async def kv_watch(self, prefix: str, from_revision: int | None) -> AsyncIterator[Change]:
        async for event in self._host.kv.watch(prefix, from_revision=from_revision):
            yield Change(event.kind, event.key, event.value, event.revision, event.version)

    # --- names, locks, elections -----------------------------------------------------------------

    async def names(self, prefix: str, pattern: str | None, limit: int) -> list[dict[str, Any]]:
        found = await self._host.registry.list(pattern, prefix=prefix, limit=limit)
        return [_name(name) for name in found]

    async def name(self, name: str) -> dict[str, Any] | None:
        found = await self._host.registry.whereis(name)
        return None if found is None else _name(found)

    async def locks(self) -> list[dict[str, Any]]:
        return [_lock(lock) for lock in self._host.machine.locks()]

    async def elections(self) -> list[dict[str, Any]]:
        return [_election(election) for election in self._host.machine.elections()]

    # --- the group itself ------------------------------------------------------------------------

    async def members(self) -> list[dict[str, Any]]:
        return list(self.status()["members"])

    async def member_add(
        self, member_id: str, address: str, role: str, timeout_s: float
    ) -> dict[str, Any]:
        await self._host.members.add(member_id, address, role=cast("Role", role), timeout=timeout_s)
        return {"id": member_id, "address": address, "role": role}

    async def member_remove(self, member_id: str, timeout_s: float) -> dict[str, Any]:
        await self._host.members.remove(member_id, timeout=timeout_s)
        with suppress(QuorateError):
            await self._host.kv.namespace(NAMESPACE).delete(member_id, timeout=timeout_s)
        return {"removed": member_id}

    async def transfer(self, to: str | None, timeout_s: float) -> dict[str, Any]:
        return {"leader": await self._host.transfer_leadership(to, timeout=timeout_s)}

    async def snapshots(self) -> list[dict[str, Any]]:
        latest = self._host.replicated.latest()
        if latest is None:
            return []
        about = {"id": latest.id, "index": latest.index, "term": latest.term}
        return [{**about, "size_bytes": latest.size, "sha256": latest.sha256}]

    async def snapshot_create(self, timeout_s: float) -> dict[str, Any]:
        return await self._host.snapshot(timeout=timeout_s)


def _record(found: KvRecord) -> Record:
    return Record(
        found.key,
        found.value,
        found.version,
        found.revision,
        found.created_revision,
        found.lease or None,
    )


def _name(found: Any) -> dict[str, Any]:
    return {
        "name": found.name,
        "value": found.value,
        "meta": found.meta,
        "epoch": found.epoch,
        "lease": found.lease or None,
    }


def _text(owner: bytes) -> object:
    """An owner as it was given: decoded where it is a value, else as bytes."""
    with suppress(QuorateError):
        return codec.decode_value(owner)
    return owner


def _lock(lock: LockRecord) -> dict[str, Any]:
    return {
        "name": lock.name,
        "token": lock.token,
        "owner": _text(lock.owner),
        "lease": lock.lease,
        "waiting": len(lock.waiters),
    }


def _election(election: ElectionRecord) -> dict[str, Any]:
    return {
        "name": election.name,
        "term": election.term,
        "value": _text(election.value) if election.value else None,
        "owner": _text(election.owner),
        "lease": election.lease,
        "candidates": len(election.candidates),
    }
