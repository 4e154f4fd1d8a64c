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


class AgentRecord(NamedTuple):
    """An agent that is alive: it lives exactly as long as it has a record."""

    name: str
    epoch: int
    """The revision of the last binding to a place: grows, also over the lives of a name; what it
    does is refused under any other.
    """
    life: int
    """The revision of its start: which life of the name this is."""
    host: str
    """Empty while it has no place."""
    lease: int
    """The lease of that host; 0 while it has no place. It may be over: then nobody runs the
    agent.
    """
    status: str
    """starting (`on_start` is not done), placed, unplaced, failed."""
    kind: str
    spec: bytes
    meta: bytes
    owners: tuple[str, ...]
    """`agent:<name>` or `lease:<id>`, in the order they came."""
    orphan: str
    """What happens when the last owner is gone: stop, continue, or adopt (the owners of the one
    that died own it from then on; if there are none: as stop).
    """
    reminders: int
    """How many it has."""
    revision: int
    """Of its last change."""
    begun: bool = False
    """Whether `on_start` was done in this life: if not, it comes to its next place as starting."""


class Reminder(NamedTuple):
    """What an agent wants to be told of later. It ends with the life of the agent."""

    id: str
    due_ms: int
    """When it is due next, in milliseconds since 1970."""
    period_ms: int
    """0: once."""
    data: bytes


class AgentDown(NamedTuple):
    """News for an agent that watches another one: it died, or did not live."""

    watcher: str
    seq: int
    target: str
    reason: str


class Event(NamedTuple):
    """One change, as watches deliver it. `value` is None for what vanished."""

    revision: int
    kind: str
    """kv.put kv.delete, name.registered name.updated name.removed, lock.granted lock.queued
    lock.left lock.released, election.granted election.queued election.left election.released
    election.proclaimed, lease.granted lease.revoked lease.expired, agent.started agent.moved
    agent.updated agent.stopped, and of an agent whose record did not change: agent.marked
    agent.linked agent.unlinked agent.monitored agent.unmonitored agent.swept
    """
    ns: str
    key: str
    """The key or name; for leases the id in decimal."""
    value: bytes | None
    version: int
    """Of a key its version; of a lock its token, of an election its term, of a name its epoch, of a
    lease its generation, of an agent its epoch.
    """
    lease: int
    info: bytes
    """Of a lock or election the owner, of a name its metadata, of an agent that stopped the reason,
    of one that was linked or monitors the other one's name.
    """
