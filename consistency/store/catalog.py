"""What every store is, as the group keeps it: one record for each, written once.

The law of this file: the first host that names a store decides, by a compare-and-set; who then says
otherwise gets a `ConfigError`. A host that cannot reach the group goes on with what it was told,
and finds out when the group answers. A merge function is code and does not travel: the record
says that there is one, and a host without it keeps siblings.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from quorate.consistency.replica.definitions import RESOLVERS, StoreDef
from quorate.core.errors import ConfigError, Refused
from quorate.core.group.group import Group
from quorate.core.group.kv import KV, record_of

NAMESPACE = "quorate"
KEY_PREFIX = "store/"


class Catalog:
    """`define(definition)` hands a definition to the replica. `kv`: the namespace `quorate`."""

    def __init__(self, group: Group, kv: KV, define: Callable[[StoreDef], None]) -> None:
        self._group = group
        self._kv = kv
        self._define = define
        self.agreed: dict[str, StoreDef] = {}
        """By name, what the group has said; merge functions are this host's own."""

    def peek(self, name: str) -> StoreDef | None:
        """What this host's copy of the group's state says."""
        row = self._group.machine.kv_get(KEY_PREFIX + name, NAMESPACE)
        return None if row is None else _definition(name, record_of(row).value)

    def look(self, merges: Callable[[str], Any]) -> list[StoreDef]:
        """Take in what other hosts defined; returns what is new. `merges(name)`: this host's merge
        function, if it has one. Raises `ConfigError` if this host went on with something else."""
        fresh: list[StoreDef] = []
        rows = self._group.machine.kv_range(prefix=KEY_PREFIX, ns=NAMESPACE, limit=10_000)
        for row in rows:
            name = row.key.removeprefix(KEY_PREFIX)
            if name not in self.agreed:
                definition = _definition(name, record_of(row).value)
                if definition is not None:
                    self.take(definition._replace(merge=merges(name)))
                    fresh.append(self.agreed[name])
        return fresh

    def take(self, definition: StoreDef) -> None:
        """The group has said so. Raises `ConfigError`."""
        self._define(definition)
        self.agreed[definition.name] = definition

    def compare(self, wanted: StoreDef, agreed: StoreDef) -> None:
        """Raises `ConfigError` if a store is called something else than it is."""
        for field in ("resolver", "replicas"):
            mine, theirs = getattr(wanted, field), getattr(agreed, field)
            if mine != theirs:
                raise ConfigError(
                    f"store {wanted.name!r} was defined with {field}={theirs!r}, here it is asked "
                    f"for with {field}={mine!r}: a store's {field} is decided once"
                )

    async def agree(self, wanted: StoreDef, timeout_s: float) -> None:
        """Have the group know the store. Raises `ConfigError`, and `Unavailable` when the group
        cannot be asked."""
        known = self.agreed.get(wanted.name) or self.peek(wanted.name)
        if known is None:
            record = {"resolver": wanted.resolver, "replicas": wanted.replicas}
            try:
                await self._kv.cas(KEY_PREFIX + wanted.name, record, version=0, timeout=timeout_s)
                known = wanted
            except Refused:
                value = await self._kv.get(KEY_PREFIX + wanted.name, timeout=timeout_s)
                known = _definition(wanted.name, value) or wanted
        self.compare(wanted, known)
        self.take(known._replace(merge=wanted.merge))


def _definition(name: str, value: Any) -> StoreDef | None:
    """None for a record that says nothing this version understands."""
    record = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    resolver, replicas = record.get("resolver"), record.get("replicas")
    if resolver not in RESOLVERS or type(replicas) is not int or replicas < 1:
        return None
    return StoreDef(name, resolver, None, replicas)
