"""Which hosts run agents: what they said of themselves, as this host's copy of the group has it.

The law of this file: a host is in the roster while the lease that it runs agents under lives; its
row is on that lease and goes with it. Read from memory, never from the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, cast

from quorate.core import codec
from quorate.core.errors import UsageError
from quorate.core.group.group import Group

NAMESPACE: Final = "quorate"
PREFIX: Final = "host/"
HOSTS_MAX: Final = 1000


class HostRow(NamedTuple):
    """A host that runs agents."""

    id: str
    lease: int
    run: int
    """Another number in each life of its process."""
    labels: dict[str, str]
    capacity: dict[str, float]
    classes: dict[str, int]
    """Kind -> version of what it can run."""
    draining: bool


def row_value(row: HostRow) -> bytes:
    """The row as the group keeps it."""
    return codec.encode_value(row._asdict())


def read_row(data: bytes) -> HostRow | None:
    """A row from the group; None if it cannot be read (a newer version wrote it)."""
    try:
        plain: Any = codec.decode_value(data)
    except UsageError:
        return None
    if not isinstance(plain, dict):
        return None
    known = cast("dict[str, Any]", plain)
    if not set(HostRow._fields) <= set(known):
        return None
    return HostRow(**{name: known[name] for name in HostRow._fields})


class Roster:
    """Looks at the rows again when told that they may have changed."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._rows: dict[str, HostRow] = {}
        self._alive: dict[int, str] = {}
        self._looked_at = -1
        self.changes = 0
        """How often the rows became other ones."""

    def look(self) -> bool:
        """Read the rows; whether they became other ones."""
        machine = self._group.machine
        if machine.revision == self._looked_at:
            return False
        self._looked_at = machine.revision
        rows: dict[str, HostRow] = {}
        for record in machine.kv_range(prefix=PREFIX, ns=NAMESPACE, limit=HOSTS_MAX):
            row = read_row(record.value)
            if row is not None:
                rows[row.id] = row
        if rows == self._rows:
            return False
        self._rows = rows
        self._alive = {row.lease: row.id for row in rows.values()}
        self.changes += 1
        return True

    def on_leases_gone(self, leases: list[int]) -> None:
        """These leases ended: their hosts run nothing any more."""
        for lease in leases:
            host = self._alive.pop(lease, None)
            if host is not None:
                self._rows.pop(host, None)
                self.changes += 1

    def is_alive(self, lease: int) -> bool:
        """Whether a host runs agents under this lease, as far as is known here."""
        return lease in self._alive

    @property
    def rows(self) -> Mapping[str, HostRow]:
        """Every host that runs agents, by id."""
        return self._rows

    def get(self, host: str) -> HostRow | None:
        return self._rows.get(host)
