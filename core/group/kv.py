"""The key-value space as it is called: keys are strings, values anything CBOR can hold.

The law of this file: a value is encoded once, where it is handed in, and decoded once, where it is
read; every answer of a write says where it was applied. Keys live in a namespace ("" unless
`namespace` was called); nothing here keeps state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from quorate.core import codec
from quorate.core.errors import UsageError
from quorate.core.group import txn as dsl
from quorate.core.group.group import Group
from quorate.core.group.watch import Watch
from quorate.core.machine import commands, results
from quorate.core.machine.records import KvRecord

Level = Literal["linearizable", "local"]
RANGE_KEYS_MAX = 10_000


class Receipt(NamedTuple):
    """Where a write was applied. `revision` grows by one with every change of the whole store."""

    term: int
    index: int  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleMethodOverride]
    revision: int
    level: str = "strong"


class Record(NamedTuple):
    """A key with its decoded value."""

    key: str
    value: Any
    version: int
    """1 when created, one more with every write."""
    revision: int
    """Of the last write."""
    created_revision: int
    lease: int


class Deleted(NamedTuple):
    """The receipt of a delete; `deleted` counts the keys that existed."""

    term: int
    index: int  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleMethodOverride]
    revision: int
    deleted: int
    level: str = "strong"


class TxnResult(NamedTuple):
    """The outcome of a transaction."""

    succeeded: bool
    """Whether `Then` was done (else `Else` was)."""
    results: list[Any]
    """One per operation: put -> its version, delete -> whether the key existed, get -> `Record` or
    None."""
    receipt: Receipt


def record_of(row: KvRecord) -> Record:
    return Record(
        row.key,
        codec.decode_value(row.value),
        row.version,
        row.mod_revision,
        row.create_revision,
        row.lease,
    )


def _row(key: str, row: list[Any]) -> KvRecord:
    """A record as a transaction answers it: [value, create, mod, version, lease]."""
    return KvRecord(key, *row)


class KV:
    """`host.kv`. Every method takes `timeout` in seconds (None: the host's default) and ends by
    it.

    All raise `UsageError` for what can never work, `Unavailable` with its `outcome` when the world
    is in the way."""

    def __init__(self, group: Group, namespace: str = "") -> None:
        self._group = group
        self._ns = namespace

    def namespace(self, name: str) -> KV:
        """The same calls on keys of another namespace."""
        return KV(self._group, name)

    # --- writes ----------------------------------------------------------------------------------

    async def put(
        self, key: str, value: Any, *, lease: int = 0, timeout: float | None = None
    ) -> Receipt:
        """Write a value; with a lease, the key dies with it. Raises `LeaseExpired`."""
        encoded = codec.encode_value(value)
        index, term, answer = await self._group.propose(
            commands.put(key, encoded, lease, self._ns), len(encoded) + len(key), timeout
        )
        if answer[0] == results.FAILED:
            results.raise_for(answer, f"put {key!r}")
        return Receipt(term, index, answer[0])

    async def delete(
        self, key: str, *, version: int | None = None, timeout: float | None = None
    ) -> Deleted:
        """Delete a key; with `version`, only if it has exactly that one (otherwise `Refused` is
        raised)."""
        command = commands.delete(key, self._ns, version=-1 if version is None else version)
        index, term, answer = await self._group.propose(command, len(key), timeout)
        results.raise_for(answer, f"delete {key!r}")
        return Deleted(term, index, answer[0], int(answer[1] > 0))

    async def delete_prefix(self, prefix: str, *, timeout: float | None = None) -> Deleted:
        """Delete all keys that begin with `prefix`, in steps; other writes may come in between."""
        deleted = 0
        while True:
            index, term, answer = await self._group.propose(
                commands.delete_prefix(prefix, self._ns), len(prefix), timeout
            )
            results.raise_for(answer, f"delete {prefix!r}*")
            deleted += answer[1]
            if not answer[2]:
                return Deleted(term, index, answer[0], deleted)

    async def cas(
        self,
        key: str,
        value: Any,
        *,
        version: int | None = None,
        revision: int | None = None,
        expected: Any = ...,
        lease: int = 0,
        timeout: float | None = None,
    ) -> Receipt:
        """Write only if the key has this `version`, or `revision`, or `expected` value; 0 (None):
        does not exist.

        Raises `Refused` if it has not; nothing is written then.
        """
        given = [version is not None, revision is not None, expected is not ...]
        if sum(given) != 1:
            raise UsageError("cas needs exactly one of version=, revision=, expected=")
        compare = (
            dsl.version(key) == version
            if given[0]
            else dsl.revision(key) == revision
            if given[1]
            else dsl.value(key) == expected
        )
        encoded = codec.encode_value(value)
        command = commands.compare_and_set(
            key,
            encoded,
            target=compare.target,
            operator=compare.operator,
            operand=compare.operand,
            lease=lease,
            ns=self._ns,
        )
        index, term, answer = await self._group.propose(command, len(encoded) + len(key), timeout)
        results.raise_for(answer, f"compare and set {key!r}")
        return Receipt(term, index, answer[0])

    async def txn(
        self, *parts: dsl.If | dsl.Then | dsl.Else, timeout: float | None = None
    ) -> TxnResult:
        """Compare, then write or read at one revision: `txn(If(...), Then(...), Else(...))`."""
        command, then, otherwise = dsl.transaction(self._ns, parts)
        size_bytes = sum(
            len(part.encoded) if isinstance(part, dsl.Put) else 64 for part in (*then, *otherwise)
        ) + 64 * len(command[1])
        index, term, answer = await self._group.propose(command, size_bytes, timeout)
        results.raise_for(answer, "transaction")
        return self._txn_result(Receipt(term, index, answer[0]), answer, then, otherwise)

    def _txn_result(
        self, receipt: Receipt, answer: list[Any], then: Sequence[Any], otherwise: Sequence[Any]
    ) -> TxnResult:
        succeeded = bool(answer[1])
        found: list[Any] = []
        for part, row in zip(then if succeeded else otherwise, answer[2], strict=True):
            if isinstance(part, dsl.Get):
                results.raise_for(row, f"transaction: get {part.key!r}")
                found.append(None if row is None else record_of(_row(part.key, row)))
            else:
                found.append(row[0] if isinstance(part, dsl.Put) else row[0] > 0)
        return TxnResult(succeeded, found, receipt)

    # --- reads -----------------------------------------------------------------------------------

    async def get(
        self,
        key: str,
        *,
        level: Level = "linearizable",
        default: Any = None,
        timeout: float | None = None,
    ) -> Any:
        """The value, or `default`. `level="local"` reads what this host has, at once and possibly
        stale."""
        machine = await self._group.read_point(level, timeout)
        row = machine.kv_get(key, self._ns)
        return default if row is None else codec.decode_value(row.value)

    async def get_record(
        self, key: str, *, level: Level = "linearizable", timeout: float | None = None
    ) -> Record | None:
        """The key with its version and revisions, or None."""
        machine = await self._group.read_point(level, timeout)
        row = machine.kv_get(key, self._ns)
        return None if row is None else record_of(row)

    async def range(
        self,
        prefix: str = "",
        *,
        limit: int = 1000,
        level: Level = "linearizable",
        timeout: float | None = None,
    ) -> list[Record]:
        """The first `limit` keys that begin with `prefix`, in key order, all at one revision."""
        if not 0 < limit <= RANGE_KEYS_MAX:
            raise UsageError(f"limit must be 1 to {RANGE_KEYS_MAX}, not {limit!r}")
        machine = await self._group.read_point(level, timeout)
        return [record_of(row) for row in machine.kv_range(prefix=prefix, ns=self._ns, limit=limit)]

    def watch(self, prefix: str = "", *, from_revision: int | None = None) -> Watch:
        """Every change of keys that begin with `prefix`, in order, from a revision on (None: from
        now on).

        An async iterator of `Event`; see `Watch`.
        """
        return Watch(self._group, prefix, namespace=self._ns, from_revision=from_revision)
