"""The stores of a real host behind the admin API's port.

The law of this file: it translates and decides nothing. Asking what there is opens nothing: a host
without stores stays without.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from quorate.consistency.store.levels import bounded
from quorate.consistency.store.receipts import Receipt
from quorate.core.errors import NotFound, UsageError
from quorate.hosts.admin.stores_port import StoreEntry, StoreRead, StoreWrite

if TYPE_CHECKING:
    from quorate.consistency.store.session import Session
    from quorate.consistency.store.store import Store
    from quorate.hosts.host import Host

KEYS_COUNTED_MAX = 10_000
CONFLICTS_COUNTED_MAX = 1000
LOSERS_SHOWN_MAX = 64


class StoresOfHost:
    """`StoresPort` over a host."""

    def __init__(self, host: Host) -> None:
        self._host = host

    # --- what is known here -----------------------------------------------------------------------

    def stores(self) -> list[dict[str, Any]]:
        stores = self._host.stores
        if not stores.is_open:
            return []
        agreed = stores.desk.plane.catalog.agreed
        replica = stores.replica
        rows: list[dict[str, Any]] = []
        for name in sorted({*agreed, *replica.stores()}):
            known = agreed.get(name)
            keys = sum(1 for _ in islice(replica.keys(name), KEYS_COUNTED_MAX + 1))
            conflicts = len(replica.conflicts(name, b"", CONFLICTS_COUNTED_MAX + 1))
            rows.append(
                {
                    "name": name,
                    "resolver": None if known is None else known.resolver,
                    "replicas": replica.stores().get(name) if known is None else known.replicas,
                    "keys": min(keys, KEYS_COUNTED_MAX),
                    "keys_more": keys > KEYS_COUNTED_MAX,
                    "conflicts": min(conflicts, CONFLICTS_COUNTED_MAX),
                    "conflicts_more": conflicts > CONFLICTS_COUNTED_MAX,
                }
            )
        return rows

    def stores_health(self) -> dict[str, Any]:
        stores = self._host.stores
        if not stores.is_open:
            return {"open": False}
        replica, mover = stores.replica, stores.mover
        placement = replica.placement
        ring = None if placement is None else placement.ring
        log: Any = replica.log.statistics()
        return {
            "open": True,
            "actor": replica.actor,
            "ring": {
                "epoch": 0 if ring is None else ring.epoch,
                "hosts": [] if ring is None else list(ring.hosts),
                "moving_from": None if ring is None or ring.before is None else list(ring.before),
                "moves": mover.statistics(),
            },
            "log": {name: log[name] for name in ("retained_records", "retained_bytes")},
            "peers": self._host.runtime.beside.replication_lag(),
            "problems": list(stores.problems),
        }

    # --- keys -------------------------------------------------------------------------------------

    def _store(self, name: str) -> Store:
        """A store that exists; asking for one over HTTP makes none."""
        stores = self._host.stores
        known = stores.is_open and (
            name in stores.desk.plane.catalog.agreed or name in stores.replica.stores()
        )
        if not known:
            raise NotFound(f"no store {name!r} is known here")
        return self._host.store(name)

    async def store_keys(
        self, store: str, prefix: str, after: str, limit: int, timeout_s: float
    ) -> list[str]:
        found = self._store(store)
        return await found.keys(prefix, after=after, limit=limit, timeout=timeout_s)

    async def store_get(self, store: str, key: str, how: StoreRead, timeout_s: float) -> StoreEntry:
        found, session = self._store(store), await self._session(how.session)
        level: Any = how.level if how.staleness_ms is None else bounded(ms=how.staleness_ms)
        entry = await found.get_entry(key, level=level, session=session, timeout=timeout_s)
        found_at = entry.version
        version = None if found_at is None else (found_at.actor, found_at.seq, found_at.stamp)
        return StoreEntry(
            entry.key,
            entry.exists,
            entry.value,
            version,
            entry.type,
            entry.level,
            list(entry.siblings),
            entry.host,
            entry.degraded,
            None if session is None else session.token,
        )

    async def store_put(
        self, store: str, key: str, value: Any, how: StoreWrite, timeout_s: float
    ) -> dict[str, Any]:
        found, session = self._store(store), await self._session(how.session)
        if how.version is not None:
            if how.consistency not in (None, "strong"):
                raise UsageError("version= is for strong writes")
            return _plain(
                await found.cas(key, value, version=how.version, session=session, timeout=timeout_s)
            )
        options = _options(how, session, timeout_s)
        return _plain(await found.put(key, value, **options))

    async def store_delete(
        self, store: str, key: str, how: StoreWrite, timeout_s: float
    ) -> dict[str, Any]:
        found, session = self._store(store), await self._session(how.session)
        return _plain(await found.delete(key, **_options(how, session, timeout_s)))

    async def store_promote(self, store: str, key: str, timeout_s: float) -> dict[str, Any]:
        return _plain(await self._store(store).promote(key, timeout=timeout_s))

    async def _session(self, token: bytes | None) -> Session | None:
        if token is None:
            return None
        session = self._host.session(token or None)
        await session.ready()
        return session

    async def store_conflicts(self, store: str, after: bytes, limit: int) -> list[dict[str, Any]]:
        feed = self._store(store).conflicts(after=after, follow=False)
        rows: list[dict[str, Any]] = []
        async for entry in feed:
            rows.append({**entry._asdict(), "losers": entry.losers[:LOSERS_SHOWN_MAX]})
            if len(rows) >= limit:
                break
        return rows

    # --- partitions -------------------------------------------------------------------------------

    def partition_status(self) -> dict[str, Any]:
        return self._host.partition.status().to_json()

    def partition_events(self) -> list[dict[str, Any]]:
        return [event.to_json() for event in self._host.partition.recent()]

    def partition_reports(self) -> list[dict[str, Any]]:
        return self._host.partition.reports()


def _options(how: StoreWrite, session: Session | None, timeout_s: float) -> Any:
    given = {
        "consistency": how.consistency,
        "wait_for": how.wait_for,
        "durable": how.durable,
        "session": session,
        "timeout": timeout_s,
    }
    return {name: value for name, value in given.items() if value is not None}


def _plain(receipt: Receipt) -> dict[str, Any]:
    """A receipt as plain values; `token` is bytes."""
    return {
        "asked": receipt.asked,
        "achieved": receipt.achieved,
        "version": dict(zip(("actor", "seq", "stamp"), receipt.version, strict=True)),
        "term": receipt.term,
        "index": receipt.index,
        "replicas": list(receipt.replicas),
        "durable": receipt.durable,
        "epoch": receipt.epoch,
        "token": receipt.token,
    }
