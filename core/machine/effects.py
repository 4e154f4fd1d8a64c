"""The one door through which commands change anything: store writes, the revision, and the events
of the entry.

The law of this file: every write of a command goes through `put` and `delete` here, so that the
digest sees it; bookkeeping that may differ between hosts (flush times, event retention) goes to the
store directly. Events are kept as flat runs of `EVENT_FIELDS` values, which encode in half the time
of nested ones.
"""

from __future__ import annotations

from typing import Any, Final

from quorate.core.machine.records import AgentDown, AgentRecord
from quorate.core.machine.store import TABLES, Store

EVENT_FIELDS: Final = 8
CLOSED: Final = -1

_PUT_TAGS: Final = {table: b"+" + table.encode() for table in TABLES}
_DELETE_TAGS: Final = {table: b"-" + table.encode() for table in TABLES}

LeaseChange = tuple[int, int, int]
"""(lease, ttl_ms, generation); ttl_ms 0 means that the lease is gone."""

AgentChange = tuple[str, AgentRecord | None, str]
"""(name, its record now, why); why: started, moved, updated, or stopped with a blank and the
reason."""


class Effects:
    """What the commands of the present entry have done so far."""

    __slots__ = (
        "_delete",
        "_put",
        "agent_changes",
        "agent_downs",
        "carried_bytes",
        "events",
        "get",
        "index",
        "lease_changes",
        "parts",
        "revision",
        "scan",
        "session",
        "term",
    )

    def __init__(self, store: Store, revision: int) -> None:
        self.get = store.get
        self.scan = store.scan
        self._put = store.put
        self._delete = store.delete
        self.revision = revision
        """+1 with every command that changes something."""
        self.index = 0
        """The entry being applied, and its term."""
        self.term = 0
        self.session = 0
        """The session whose command is being applied."""
        self.carried_bytes = 0
        """Bytes of values in the present command's answer, for the session's limit; or `CLOSED`."""
        self.parts: list[bytes] = []
        """Tag, key, value of every write, for the digest."""
        self.events: list[Any] = []
        self.lease_changes: list[LeaseChange] = []
        self.agent_changes: list[AgentChange] = []
        self.agent_downs: list[AgentDown] = []

    def begin(self, index: int, term: int) -> None:
        """A new entry."""
        self.index = index
        self.term = term
        self.parts = []
        self.events = []
        self.lease_changes = []
        self.agent_changes = []
        self.agent_downs = []

    def put(self, table: str, key: bytes, value: bytes) -> None:
        self._put(table, key, value)
        self.parts += (_PUT_TAGS[table], key, value)

    def delete(self, table: str, key: bytes) -> None:
        self._delete(table, key)
        self.parts += (_DELETE_TAGS[table], key)

    def next_revision(self) -> int:
        self.revision += 1
        return self.revision

    def event(
        self,
        kind: str,
        key: str,
        value: bytes | None,
        version: int,
        lease: int,
        info: bytes = b"",
    ) -> None:
        """A change of the present revision outside the key-value space (which appends by itself,
        being hot).
        """
        self.events += (self.revision, kind, "", key, value, version, lease, info)
