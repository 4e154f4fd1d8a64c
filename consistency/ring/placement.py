"""Where a key lives: from store and key to a point, a bucket, a partition, and its owners.

The law of this file: placement is a pure function of the ring record and of bytes. Every host that
holds the same ring gives the same answer, on every machine, in every process and for ever: the
hashes are CRC-32 and BLAKE2b, never Python's own (T22). Nothing here knows who is alive.

Owners are the first `replicas` hosts of the partition's rendezvous ranking (Thaler and Ravishankar,
1998): a host that joins or leaves moves only what it gains or loses itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple, cast
from zlib import crc32

from quorate.consistency.merkle.tree import PAGES
from quorate.core.errors import UsageError

PARTITIONS = PAGES
TOGETHER = "quorate."
"""Stores of the system itself begin with it; see `point`."""
HOSTS_MAX_HOSTS = 64
HOST_ID_MAX_BYTES = 255
EPOCH_MAX_RINGS = 1 << 53
RINGS_KEPT = 64
"""Of how many rings the ranking is remembered in a process."""


def lives_together(store: str) -> bool:
    """Whether the keys of this store live together by what is before their first slash."""
    return store.startswith(TOGETHER)


def point(store: str, key: bytes) -> int:
    """The 32-bit point of a key: CRC-32 of its bytes, begun with the CRC-32 of the store's name.
    In the system's own stores only what is before the first slash counts: what belongs to one agent
    has one bucket, so the same owners, who get what one turn wrote in one batch."""
    if store.startswith(TOGETHER):
        key = key.partition(b"/")[0]
    return crc32(key, crc32(store.encode()))


def partition_of(at: int) -> int:
    """The partition (0..255) of a point: its first 8 bits."""
    return at >> 24


def bucket_of(at: int) -> int:
    """The bucket (0..65535) of a point: its first 16 bits. A partition is 256 buckets in a row."""
    return at >> 16


# --- the ring -------------------------------------------------------------------------------------


class Ring(NamedTuple):
    """The hosts that own data, sorted; `before` is the ring that keys still move away from."""

    epoch: int
    hosts: tuple[str, ...]
    before: tuple[str, ...] | None = None

    @classmethod
    def of(cls, epoch: int, hosts: Iterable[str], before: Iterable[str] | None = None) -> Ring:
        """A ring of these hosts in any order. Raises UsageError where `from_plain` would."""
        return cls.from_plain(
            {
                "epoch": epoch,
                "hosts": list(hosts),
                "before": None if before is None else list(before),
            }
        )

    def to_plain(self) -> dict[str, Any]:
        """The record as kept in the strong plane: {"epoch", "hosts", "before"}."""
        before = None if self.before is None else list(self.before)
        return {"epoch": self.epoch, "hosts": list(self.hosts), "before": before}

    @classmethod
    def from_plain(cls, plain: Any) -> Ring:
        """Read a record. Raises UsageError, saying what is wrong; never trusts types or sizes."""
        if not isinstance(plain, dict):
            raise UsageError(f"a ring is a map, not {type(plain).__name__}")
        record = cast("dict[object, object]", plain)
        if set(record) != {"epoch", "hosts", "before"}:
            raise UsageError("a ring has exactly the fields epoch, hosts and before")
        epoch = record["epoch"]
        if type(epoch) is not int or not 0 <= epoch <= EPOCH_MAX_RINGS:
            raise UsageError("a ring's epoch is an integer from 0 to 2**53")
        before = record["before"]
        return cls(
            epoch,
            _hosts(record["hosts"], "hosts"),
            None if before is None else _hosts(before, "before"),
        )


def _hosts(value: object, field: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise UsageError(f"a ring's {field} is a list of host ids")
    rows = cast("Sequence[object]", value)
    if len(rows) > HOSTS_MAX_HOSTS:
        raise UsageError(f"a ring's {field} names {len(rows)} hosts; {HOSTS_MAX_HOSTS} at most")
    hosts: set[str] = set()
    for row in rows:
        if not isinstance(row, str) or not row or not _encodable(row):
            raise UsageError(f"a ring's {field} holds something that is not a host id")
        hosts.add(row)
    if len(hosts) != len(rows):
        raise UsageError(f"a ring's {field} names a host twice")
    return tuple(sorted(hosts))


def _encodable(host: str) -> bool:
    try:
        return len(host.encode()) <= HOST_ID_MAX_BYTES
    except UnicodeEncodeError:
        return False


# --- the ranking ----------------------------------------------------------------------------------


@lru_cache(maxsize=4 * HOSTS_MAX_HOSTS)
def weights(host: str) -> tuple[int, ...]:
    """The weight of a host in each of the 256 partitions: 64 bits of BLAKE2b each."""
    name = host.encode()
    return tuple(
        int.from_bytes(blake2b(name + b"\0" + bytes((partition,)), digest_size=8).digest(), "big")
        for partition in range(PARTITIONS)
    )


def ranking(hosts: Iterable[str], partition: int) -> tuple[str, ...]:
    """All hosts by falling weight in the partition; equal weights by host id."""
    return tuple(sorted(hosts, key=lambda host: (-weights(host)[partition], host)))


def owners(ring: Ring, partition: int, replicas: int) -> tuple[str, ...]:
    """The hosts that own the partition under the ring's present hosts, first in rank first."""
    return ranking(ring.hosts, partition)[:replicas]


def destinations(ring: Ring, partition: int, replicas: int) -> tuple[str, ...]:
    """Whom an update goes to: the owners, and while keys move also the owners under `before`."""
    now = owners(ring, partition, replicas)
    if ring.before is None:
        return now
    then = ranking(ring.before, partition)[:replicas]
    return now + tuple(host for host in then if host not in now)


# --- looked up ------------------------------------------------------------------------------------


class _Table(NamedTuple):
    """For one number of replicas, by partition."""

    owners: tuple[tuple[str, ...], ...]
    former: tuple[tuple[str, ...], ...]
    destinations: tuple[tuple[str, ...], ...]


@lru_cache(maxsize=RINGS_KEPT)
def _rankings(hosts: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """The ranking in every partition."""
    return tuple(ranking(hosts, partition) for partition in range(PARTITIONS))


@lru_cache(maxsize=RINGS_KEPT)
def _table(hosts: tuple[str, ...], before: tuple[str, ...] | None, replicas: int) -> _Table:
    now = tuple(ranked[:replicas] for ranked in _rankings(hosts))
    then = now if before is None else tuple(r[:replicas] for r in _rankings(before))
    both = tuple(
        a + tuple(host for host in b if host not in a) for a, b in zip(now, then, strict=True)
    )
    return _Table(now, then, both)


class Placement:
    """All answers of one ring, worked out once: every look-up is O(1). Immutable from outside."""

    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        self._tables: dict[int, _Table] = {}
        self._sets: dict[tuple[str, ...], frozenset[int]] = {}

    def owners(self, partition: int, replicas: int) -> tuple[str, ...]:
        """The owners under the present hosts."""
        return self._table(replicas).owners[partition]

    def former(self, partition: int, replicas: int) -> tuple[str, ...]:
        """The owners under `before`; the present ones on a stable ring."""
        return self._table(replicas).former[partition]

    def destinations(self, partition: int, replicas: int) -> tuple[str, ...]:
        """The owners, then those under `before` that are not among them."""
        return self._table(replicas).destinations[partition]

    def owned(self, host: str, replicas: int) -> frozenset[int]:
        """The partitions that `host` owns."""
        table = self._table(replicas).owners
        return self._where(("owned", host, str(replicas)), lambda p: host in table[p])

    def held(self, host: str, replicas: int) -> frozenset[int]:
        """The partitions whose updates go to `host`: owned now, or under `before`."""
        table = self._table(replicas).destinations
        return self._where(("held", host, str(replicas)), lambda p: host in table[p])

    def gained(self, host: str, replicas: int) -> frozenset[int]:
        """The partitions that `host` owns and did not own under `before`."""
        table = self._table(replicas)
        return self._where(
            ("gained", host, str(replicas)),
            lambda p: host in table.owners[p] and host not in table.former[p],
        )

    def shared(self, one: str, other: str, replicas: int) -> frozenset[int]:
        """The partitions whose updates go to both hosts."""
        table = self._table(replicas).destinations
        return self._where(
            ("shared", one, other, str(replicas)), lambda p: one in table[p] and other in table[p]
        )

    def _where(self, name: tuple[str, ...], holds: Callable[[int], bool]) -> frozenset[int]:
        found = self._sets.get(name)
        if found is None:
            found = self._sets[name] = frozenset(p for p in range(PARTITIONS) if holds(p))
        return found

    def _table(self, replicas: int) -> _Table:
        table = self._tables.get(replicas)
        if table is None:
            ring = self.ring
            table = self._tables[replicas] = _table(ring.hosts, ring.before, replicas)
        return table
