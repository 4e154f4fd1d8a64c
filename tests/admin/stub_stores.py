"""The stores of the stand-in: two stores, a session counter, a conflict, a cut and a report."""

from __future__ import annotations

from typing import Any

from quorate.core.errors import ForgedToken, NotFound, Refused
from quorate.hosts.admin.stores_port import StoreEntry, StoreRead, StoreWrite

REPORT: dict[str, Any] = {
    "number": 1,
    "host": "a",
    "peers": ["c"],
    "outcome": "complete",
    "why": "",
    "pending": [],
    "healed_at": 1_700_000_000.0,
    "apart_s": 12.5,
    "took_s": 0.25,
    "diverged_keys": 2,
    "keys_not_looked_at": 0,
    "shown_keys": 2,
    "diverged": [
        {
            "store": "carts",
            "key": "ann",
            "resolver": "lww",
            "reason": "concurrent",
            "winner": {"host": "c", "actor": 3, "seq": 9, "at_ms": 5, "value": {"qty": 3}},
            "losers": [{"host": "a", "actor": 1, "seq": 7, "at_ms": 4, "value": b"\x01"}],
        },
        {
            "store": "carts",
            "key": "likes",
            "resolver": "crdt pn_counter",
            "reason": "merged",
            "winner": None,
            "losers": [],
        },
    ],
    "traffic": {
        "c": {
            "keys_sent": 4,
            "keys_received": 5,
            "bytes_sent": 400,
            "bytes_received": 500,
            "exchanges": 1,
        }
    },
}


class StubStores:
    """Satisfies `StoresPort`. `store_error`: raised by the next call."""

    def __init__(self) -> None:
        self.carts: dict[str, Any] = {}
        self.asked_how: list[StoreRead | StoreWrite] = []
        self.store_error: Exception | None = None
        self.sessions = 0

    def stores(self) -> list[dict[str, Any]]:
        return [
            {"name": "carts", "resolver": "lww", "replicas": 3, "keys": len(self.carts)}
            | {"keys_more": False, "conflicts": 1, "conflicts_more": False}
        ]

    def stores_health(self) -> dict[str, Any]:
        return {
            "open": True,
            "actor": 77,
            "ring": {"epoch": 4, "hosts": ["a", "b"], "moving_from": None, "moves": {}},
            "log": {"retained_records": 2, "retained_bytes": 900},
            "peers": {
                "b": {"connected": True, "hints_bytes": 12, "behind_updates": 3, "fresh_age_s": 0.5}
            },
            "problems": ["clock of b is ahead"],
        }

    def _check(self, store: str) -> None:
        if self.store_error is not None:
            raise self.store_error
        if store != "carts":
            raise NotFound(f"no store {store!r} is known here")

    def _token(self, given: bytes | None) -> bytes | None:
        if given is None:
            return None
        if given not in (b"", b"s1", b"s2", b"s3"):
            raise ForgedToken("the session token was altered")
        self.sessions += 1
        return f"s{self.sessions}".encode()

    async def store_keys(
        self, store: str, prefix: str, after: str, limit: int, timeout_s: float
    ) -> list[str]:
        self._check(store)
        return [k for k in sorted(self.carts) if k.startswith(prefix) and k > after][:limit]

    async def store_get(self, store: str, key: str, how: StoreRead, timeout_s: float) -> StoreEntry:
        self._check(store)
        self.asked_how.append(how)
        token = self._token(how.session)
        value = self.carts.get(key)
        return StoreEntry(
            *(key, key in self.carts, value, (7, 1, 5), "register", how.level or "local"),
            siblings=[1, 2] if key == "two" else [],
            host="a",
            session=token,
        )

    async def store_put(
        self, store: str, key: str, value: Any, how: StoreWrite, timeout_s: float
    ) -> dict[str, Any]:
        self._check(store)
        self.asked_how.append(how)
        if how.version == 9:
            raise Refused("the compare failed")
        self.carts[key] = value
        return self._receipt(how)

    async def store_delete(
        self, store: str, key: str, how: StoreWrite, timeout_s: float
    ) -> dict[str, Any]:
        self._check(store)
        self.carts.pop(key, None)
        return self._receipt(how)

    async def store_promote(self, store: str, key: str, timeout_s: float) -> dict[str, Any]:
        self._check(store)
        return self._receipt(StoreWrite("strong")) | {"key": key}

    def _receipt(self, how: StoreWrite) -> dict[str, Any]:
        level = how.consistency or "eventual"
        strong = level == "strong"
        return {
            "asked": level,
            "achieved": level,
            "version": {"actor": 0 if strong else 7, "seq": 1, "stamp": 5},
            "term": 3 if strong else None,
            "index": 11 if strong else None,
            "replicas": ["a"],
            "durable": how.durable is not False,
            "epoch": 4,
            "token": self._token(how.session) or b"receipt",
        }

    async def store_conflicts(self, store: str, after: bytes, limit: int) -> list[dict[str, Any]]:
        self._check(store)
        if after:
            return []
        row = {"position": b"\x00\x01", "store": store, "key": "ann", "resolver": "lww"}
        return [
            {**row, "at_ms": 5, "winner": {"qty": 3}, "losers": [b"\x01"], "reason": "siblings"}
        ]

    def partition_status(self) -> dict[str, Any]:
        return {
            "host": "a",
            "state": "majority_side",
            "reaches_quorum": True,
            "reachable": ["b"],
            "unreachable": ["c"],
            "one_way": {"c": "to"},
            "since": 1_700_000_000.0,
        }

    def partition_events(self) -> list[dict[str, Any]]:
        status = self.partition_status()
        event = {"number": 1, "kind": "partitioned", "peers": ["c"], "at": 1_700_000_000.0}
        return [{**event, "lasted_s": 0.0, "status": status}]

    def partition_reports(self) -> list[dict[str, Any]]:
        return [REPORT, {**REPORT, "number": 0, "diverged": [], "outcome": "interrupted"}]
