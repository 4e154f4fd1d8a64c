"""What the machine needs of a store: ordered tables of bytes. Protocol and table names only.

The law of this file: reads see every earlier write at once, scans give key order, and nothing else
is known of the store.
"""

from __future__ import annotations

from typing import Final, Protocol

KV: Final = "kv"
LEASES: Final = "leases"
ATTACHED: Final = "attached"
LOCKS: Final = "locks"
ELECTIONS: Final = "elections"
NAMES: Final = "names"
SESSIONS: Final = "sessions"
EVENTS: Final = "events"
META: Final = "meta"
AGENTS: Final = "agents"
AGENT_ROWS: Final = "agent_rows"

TABLES: Final = (
    *(KV, LEASES, ATTACHED, LOCKS, ELECTIONS, NAMES, SESSIONS, EVENTS, META),
    *(AGENTS, AGENT_ROWS),
)
"""The tables a store for the machine must have."""


class Store(Protocol):
    """The state store as the machine sees it."""

    def get(self, table: str, key: bytes, /) -> bytes | None: ...

    def put(self, table: str, key: bytes, value: bytes, /) -> None: ...

    def delete(self, table: str, key: bytes, /) -> None: ...

    def scan(
        self,
        table: str,
        start: bytes = b"",
        stop: bytes | None = None,
        *,
        reverse: bool = False,
        limit: int | None = None,
    ) -> list[tuple[bytes, bytes]]:
        """Records with start <= key < stop in key order (reversed: from the last), at
        most `limit`.
        """
        ...


def prefix_stop(prefix: bytes) -> bytes | None:
    """The first key after all keys that begin with `prefix`; None when there is none (all 0xff, or
    empty).
    """
    stripped = prefix.rstrip(b"\xff")
    if not stripped:
        return None
    return stripped[:-1] + bytes((stripped[-1] + 1,))
