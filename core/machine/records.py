"""What reads return: plain named tuples.

The law of this file: values without behaviour; bytes stay bytes, the machine never looks into them.
"""

from __future__ import annotations

from typing import NamedTuple


class KvRecord(NamedTuple):
    """A key and its encoded value."""

    key: str
    value: bytes
    create_revision: int
    mod_revision: int
    version: int
    """1 when created, +1 with every write; 0 is used for a key that does not exist."""
    lease: int
    """The lease it dies with, or 0."""


class LeaseRecord(NamedTuple):
    """A lease. The time left is known to the leader only (`lease_clock.py`)."""

    id: int
    ttl_ms: int
    generation: int
    """The revision of its grant: an expiry proposed for an earlier lease of the same id does not
    hit this one.
    """
    attached: int
    """How many keys, names, locks and elections die with it."""


class Claimant(NamedTuple):
    """Who holds or waits: a lease, who on that lease, and the value it proclaims (elections)."""

    lease: int
    owner: bytes
    value: bytes


class LockRecord(NamedTuple):
    """A lock that is held, and who waits, first come first."""

    name: str
    token: int
    """The fencing token: the revision of the grant. It only grows and is never given twice for one
    lock.
    """
    lease: int
    owner: bytes
    waiters: tuple[Claimant, ...]


class ElectionRecord(NamedTuple):
    """An election that has a leader, and the other candidates in order."""

    name: str
    term: int
    """The revision at which this leader was elected: only grows."""
    value: bytes
    lease: int
    owner: bytes
    candidates: tuple[Claimant, ...]


class Registration(NamedTuple):
    """A registered name."""

    name: str
    epoch: int
    """The revision at which this registration was made: a later one of the same name has a higher
    epoch.
    """
    revision: int
    """The revision of its last change (metadata)."""
    value: bytes
    meta: bytes
    lease: int


class Event(NamedTuple):
    """One change, as watches deliver it. `value` is None for what vanished."""

    revision: int
    kind: str
    """kv.put kv.delete, name.registered name.updated name.removed, lock.granted lock.queued
    lock.left lock.released, election.granted election.queued election.left election.released
    election.proclaimed, lease.granted lease.revoked lease.expired
    """
    ns: str
    key: str
    """The key or name; for leases the id in decimal."""
    value: bytes | None
    version: int
    """Of a key its version; of a lock its token, of an election its term, of a name its epoch, of a
    lease its generation.
    """
    lease: int
    info: bytes
    """Of a lock or election the owner, of a name its metadata."""
