"""What the admin API can ask of a host, as values and one protocol; `binding.py` puts a real host
behind it.

The law of this file: nothing of HTTP and nothing of the host's insides. Whatever is not here, the
admin API cannot touch, and a stand-in for tests is one small class.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from quorate.hosts.admin.agents_port import AgentsPort
from quorate.hosts.admin.stores_port import StoresPort

Level = Literal["linearizable", "local"]


@dataclass(frozen=True, slots=True)
class Record:
    """A key as it stands. `version` counts its writes since it was created, `revision` is the last
    one's."""

    key: str
    value: Any
    version: int
    revision: int
    created_revision: int | None = None
    lease: int | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where a write was applied."""

    term: int
    index: int
    revision: int


@dataclass(frozen=True, slots=True)
class Compare:
    """What must hold for a write to happen; empty: anything. `version=0` or `revision=0`: the key
    must not exist."""

    version: int | None = None
    revision: int | None = None

    @property
    def empty(self) -> bool:
        return self.version is None and self.revision is None


@dataclass(frozen=True, slots=True)
class Change:
    """One event of a watch. `kind` is `put` or `delete`; a deleted key has no value."""

    kind: str
    key: str
    value: Any
    revision: int
    version: int | None = None


class AdminPort(StoresPort, AgentsPort, Protocol):
    """The questions and orders of the admin API. Orders raise the errors of `core.errors`;
    `timeout_s` is a deadline."""

    @property
    def host_id(self) -> str: ...

    # what is known here, without asking anybody
    def status(self) -> dict[str, Any]:
        """{host, role, leader, term, commit_index, applied_index, last_index, members: [...],
        ready, ...}"""
        ...

    def statistics(self) -> dict[str, Any]: ...
    def admin_address_of(self, host_id: str) -> str | None: ...
    async def reachability(self, timeout_s: float) -> dict[str, Any]: ...

    # the key-value space
    async def kv_get(self, key: str, level: Level, timeout_s: float) -> Record | None: ...
    async def kv_list(
        self, prefix: str, after: str, limit: int, level: Level, timeout_s: float
    ) -> tuple[list[Record], bool]:
        """Keys behind `after` that begin with `prefix`, in order, and whether there are more. A
        page ends at `limit` keys or at a bound of bytes, whichever comes first."""
        ...

    async def kv_put(
        self, key: str, value: Any, compare: Compare, timeout_s: float
    ) -> Receipt | None:
        """None: the compare failed, nothing was written."""
        ...

    async def kv_delete(self, key: str, compare: Compare, timeout_s: float) -> Receipt | None: ...
    def kv_watch(self, prefix: str, from_revision: int | None) -> AsyncIterator[Change]: ...

    # what else is replicated
    async def names(self, prefix: str, pattern: str | None, limit: int) -> list[dict[str, Any]]: ...
    async def name(self, name: str) -> dict[str, Any] | None: ...
    async def locks(self) -> list[dict[str, Any]]: ...
    async def elections(self) -> list[dict[str, Any]]: ...

    # the group itself
    async def members(self) -> list[dict[str, Any]]: ...
    async def member_add(
        self, member_id: str, address: str, role: str, timeout_s: float
    ) -> dict[str, Any]: ...
    async def member_remove(self, member_id: str, timeout_s: float) -> dict[str, Any]: ...
    async def transfer(self, to: str | None, timeout_s: float) -> dict[str, Any]: ...
    async def snapshots(self) -> list[dict[str, Any]]: ...
    async def snapshot_create(self, timeout_s: float) -> dict[str, Any]: ...
