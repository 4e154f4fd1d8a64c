"""Names: `host.registry`. A name is bound to one location at a time, and every binding has a
higher epoch.

The law of this file: look-ups are answered from this host's memory unless linearizable ones are
asked for; a change is decided by the group. Whoever lost a name cannot remove the winner's
binding, because unregistering names the epoch (T19)."""

from __future__ import annotations

from typing import Any, NamedTuple

from quorate.core import codec
from quorate.core.errors import UsageError
from quorate.core.group.group import Group
from quorate.core.group.kv import Level
from quorate.core.group.leases import Lease, Leases
from quorate.core.group.watch import Watch
from quorate.core.machine import commands, patterns, results
from quorate.core.machine.commands import Policy
from quorate.core.machine.records import Registration

LIST_NAMES_MAX = 10_000


class Name(NamedTuple):
    """A registered name."""

    name: str
    value: Any
    """Where it lives: whatever was registered."""
    meta: Any
    epoch: int
    """Grows with every registration of the name."""
    revision: int
    lease: int
    """What it dies with; 0: it stays until it is unregistered."""
    outcome: str = "registered"
    """Of `register`: registered, existing or replaced."""


def name_of(row: Registration, outcome: str = "registered") -> Name:
    return Name(
        row.name,
        codec.decode_value(row.value),
        codec.decode_value(row.meta) if row.meta else None,
        row.epoch,
        row.revision,
        row.lease,
        outcome,
    )


class Registry:
    """Register, find and watch names. Every method takes `timeout` in seconds and ends by it."""

    def __init__(self, group: Group, leases: Leases) -> None:
        self._group = group
        self._leases = leases

    async def register(
        self,
        name: str,
        value: Any,
        meta: Any = None,
        *,
        on_conflict: Policy = "fail",
        lease: Lease | int | None = None,
        timeout: float | None = None,
    ) -> Name:
        """Bind a name. It dies with `lease`: None is the host's session lease, 0 is for ever.

        `on_conflict`: `fail` raises `NameTaken` (with the holder), `use_existing` returns the
        present binding, `replace` takes the name over with a higher epoch. Raises `LeaseExpired`.
        """
        seconds = self._group.seconds(timeout)
        held = await self._leases.session(timeout=seconds) if lease is None else lease
        encoded = codec.encode_value(value)
        encoded_meta = b"" if meta is None else codec.encode_value(meta)
        command = commands.name_register(
            name, encoded, encoded_meta, self._leases.require(held), on_conflict
        )
        size_bytes = len(name) + len(encoded) + len(encoded_meta) + 16
        _, _, answer = await self._group.propose(command, size_bytes, seconds)
        _, outcome, row = results.raise_for(answer, f"register {name!r}")
        return name_of(Registration(*row), outcome)

    async def unregister(self, name: str, *, epoch: int = 0, timeout: float | None = None) -> bool:
        """Unbind a name; with an epoch, only that binding (`NotFound` if it is a later one).
        Whether it was bound."""
        command = commands.name_unregister(name, epoch)
        _, _, answer = await self._group.propose(command, len(name), timeout)
        return results.raise_for(answer, f"unregister {name!r}")[1] > 0

    async def update_meta(
        self, name: str, meta: Any, *, epoch: int = 0, timeout: float | None = None
    ) -> Name:
        """Change the metadata of a binding. Raises `NotFound`."""
        encoded = b"" if meta is None else codec.encode_value(meta)
        command = commands.name_update_meta(name, encoded, epoch)
        _, _, answer = await self._group.propose(command, len(name) + len(encoded), timeout)
        return name_of(Registration(*results.raise_for(answer, f"name {name!r}")[1]))

    async def whereis(
        self, name: str, *, level: Level = "local", timeout: float | None = None
    ) -> Name | None:
        """The binding of a name, or None. Local by default: at once, possibly a moment behind."""
        machine = await self._group.read_point(level, timeout)
        row = machine.name(name)
        return None if row is None else name_of(row)

    async def list(
        self,
        pattern: str | None = None,
        *,
        prefix: str = "",
        limit: int = 1000,
        after: str = "",
        level: Level = "local",
        timeout: float | None = None,
    ) -> list[Name]:
        """Bindings in name order: those that match `pattern` (`*` is anything) and begin with
        `prefix`; go on `after`."""
        if not 0 < limit <= LIST_NAMES_MAX:
            raise UsageError(f"limit must be 1 to {LIST_NAMES_MAX}, not {limit!r}")
        machine = await self._group.read_point(level, timeout)
        rows = machine.names(prefix, pattern=pattern, limit=limit, after=after)
        return [name_of(row) for row in rows]

    async def find(
        self, text: str, *, limit: int = 1000, level: Level = "local", timeout: float | None = None
    ) -> list[Name]:
        """Bindings whose name contains `text`."""
        if "*" in text:
            raise UsageError(f"{text!r} has a star: use list(pattern) for patterns")
        pattern = patterns.containing(text)
        return await self.list(pattern, limit=limit, level=level, timeout=timeout)

    async def count(
        self, prefix: str = "", *, level: Level = "local", timeout: float | None = None
    ) -> int:
        """How many names are bound (that begin with `prefix`)."""
        machine = await self._group.read_point(level, timeout)
        return machine.names_count(prefix)

    def watch(self, prefix: str = "", *, from_revision: int | None = None) -> Watch:
        """Every registration, change and removal of names that begin with `prefix`: kinds
        registered, updated, removed."""
        return Watch(self._group, prefix, space="name", from_revision=from_revision)
