"""The strong plane of the stores: records of the group with a stamp, one namespace for each store.

The law of this file: a write is a command of the group, atomic and linearizable; a compare names
the version that was read. `peek` reads this host's copy without asking anybody, for the levels
that allow it. What the value's bytes mean is not known here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from quorate.core.errors import NotCommitted, Refused
from quorate.core.group.group import Group
from quorate.core.machine import commands, results
from quorate.core.machine.stamped import read_stamped

NAMESPACE_PREFIX = "s:"
BACKOFF_FIRST_S = 0.002
BACKOFF_MAX_S = 0.1
NEVER_WRITTEN = 0

Change = Callable[[bytes | None], bytes | None]
"""From the present value (None: there is none) to the next (None: delete)."""


class StrongRecord(NamedTuple):
    """A key in the strong plane."""

    stamp: int
    value: bytes | None
    """None: it was deleted."""
    version: int
    """How many strong writes the key has seen; what a compare names."""


ABSENT = StrongRecord(0, None, NEVER_WRITTEN)
"""The record of a key that was never written strongly."""


class StrongWrite(NamedTuple):
    """Where a strong write was applied."""

    term: int
    index: int  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleMethodOverride]
    version: int
    stamp: int


class StrongPlane:
    """The strong records of all stores, seen from one host.

    `new_stamp(floor)`: the host's hybrid clock. `timeout_s` are seconds from now; every call ends
    by then. Raises `Unavailable` with its outcome when the world is in the way."""

    def __init__(self, group: Group, new_stamp: Callable[[int], int]) -> None:
        self._group = group
        self._new_stamp = new_stamp
        self._populated: set[str] = set()
        self._empty_at: dict[str, int] = {}
        self._counts = dict.fromkeys(("writes", "conflicts", "reads"), 0)

    # --- reading ----------------------------------------------------------------------------------

    @property
    def applied_index(self) -> int:
        """Everything up to here is in this host's copy."""
        return self._group.machine.applied_index

    def has_any(self, store: str) -> bool:
        """Whether the store has a strong record here. Cheap: looked up at most once for every
        change of the machine, and never again once there is one."""
        if store in self._populated:
            return True
        machine = self._group.machine
        revision = machine.revision
        if self._empty_at.get(store) == revision:
            return False
        if machine.kv_range(ns=NAMESPACE_PREFIX + store, limit=1):
            self._populated.add(store)
            return True
        self._empty_at[store] = revision
        return False

    def peek(self, store: str, key: str) -> StrongRecord:
        """The record as this host has it, at once; `ABSENT` when there is none."""
        row = self._group.machine.kv_get(key, NAMESPACE_PREFIX + store)
        return ABSENT if row is None else StrongRecord(*read_stamped(row.value), row.version)

    async def read(self, store: str, key: str, timeout_s: float) -> StrongRecord:
        """The record, linearizable: it holds every write acknowledged before the call."""
        self._counts["reads"] += 1
        await self._group.read_point("linearizable", timeout_s)
        return self.peek(store, key)

    def keys(self, store: str, prefix: str, after: str, limit: int) -> list[str]:
        """Keys that begin with `prefix` and are above `after`, in order, deleted ones left out."""
        found: list[str] = []
        start = after + "\0" if after else prefix
        ns = NAMESPACE_PREFIX + store
        while len(found) < limit:
            page = self._group.machine.kv_range(start=max(start, prefix), ns=ns, limit=256)
            for row in page:
                if not row.key.startswith(prefix):
                    return found
                if len(found) < limit and read_stamped(row.value)[1] is not None:
                    found.append(row.key)
            if len(page) < 256:
                return found
            start = page[-1].key + "\0"
        return found

    # --- writing ----------------------------------------------------------------------------------

    async def put(
        self,
        store: str,
        key: str,
        value: bytes | None,
        *,
        floor: int = 0,
        version: int = -1,
        timeout_s: float,
    ) -> StrongWrite:
        """Write a value (None: delete), with a stamp above `floor`; with a version >= 0 only if
        the key has exactly this one. Raises `Refused` if it has not."""
        write, answer = await self._try(store, key, value, floor, version, timeout_s)
        if write is None:
            results.raise_for(answer, f"store {store!r}, key {key!r}")
            raise Refused(f"store {store!r}, key {key!r}: refused: {answer!r}")
        return write

    async def cas(
        self,
        store: str,
        key: str,
        value: bytes | None,
        *,
        version: int,
        floor: int,
        timeout_s: float,
    ) -> StrongWrite:
        """Write only if the key has this version. Version 0 also stands for "does not exist": a
        deleted key has a version and no value. Raises `Refused`."""
        if version == NEVER_WRITTEN:
            until = self._group.clock.monotonic() + timeout_s
            present = await self.read(store, key, timeout_s)
            timeout_s = max(0.0, until - self._group.clock.monotonic())
            if present.value is None:
                version = present.version
        return await self.put(store, key, value, floor=floor, version=version, timeout_s=timeout_s)

    async def update(
        self,
        store: str,
        key: str,
        change: Change,
        *,
        floor: Callable[[], int] = lambda: 0,
        timeout_s: float,
    ) -> StrongWrite:
        """Read, change, write if nobody else wrote meanwhile; again until the deadline.

        The first try trusts this host's copy: the compare finds out if it is old. Raises
        `NotCommitted` when others were always faster, and what `change` raises."""
        clock = self._group.clock
        until = clock.monotonic() + timeout_s
        record, tries = self.peek(store, key), 0
        while True:
            value = change(record.value)
            left = until - clock.monotonic()
            write, answer = await self._try(
                store, key, value, floor(), record.version, max(left, 0)
            )
            if write is not None:
                return write
            if results.failure_code(answer) != "compare_failed":
                results.raise_for(answer, f"store {store!r}, key {key!r}")
            self._counts["conflicts"] += 1
            if tries:
                await self._pause(tries, until - clock.monotonic())
            tries += 1
            left = until - clock.monotonic()
            if left <= 0:
                raise NotCommitted(
                    f"store {store!r}, key {key!r}: others wrote first {tries} times until the "
                    "deadline; nothing was changed"
                )
            record = await self.read(store, key, left)

    async def _try(
        self, store: str, key: str, value: bytes | None, floor: int, version: int, timeout_s: float
    ) -> tuple[StrongWrite | None, Any]:
        """One command: the write, or None and the machine's answer."""
        command = commands.put_stamped(
            key, value, self._new_stamp(floor), NAMESPACE_PREFIX + store, version=version
        )
        self._counts["writes"] += 1
        size_bytes = len(key) + len(store) + (0 if value is None else len(value)) + 32
        index, term, answer = await self._group.propose(command, size_bytes, timeout_s)
        if results.is_failed(answer):
            return None, answer
        return StrongWrite(term, index, answer[1], answer[2]), answer

    async def _pause(self, tries: int, left_s: float) -> None:
        """Back off before another try, each a different while."""
        longest_s = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** min(tries, 10))
        await asyncio.sleep(max(0.0, min(left_s, longest_s * (0.5 + self._group.rng.random() / 2))))

    def statistics(self) -> dict[str, object]:
        return {f"{name}_total": count for name, count in self._counts.items()}
