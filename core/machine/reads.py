"""Everything that can be asked of the machine without changing it.

The law of this file: a read answers from the state at `applied_index`, and costs what it looks at.
Whether that state is fresh enough is not decided here (`core/group` waits for a read point first).
"""

from __future__ import annotations

from quorate.core.machine.agent_reads import AgentReads
from quorate.core.machine.attachments import Attachments
from quorate.core.machine.commands import COMMAND_VERSION
from quorate.core.machine.digest import RollingDigest
from quorate.core.machine.events import EventLog
from quorate.core.machine.kv import KvSpace
from quorate.core.machine.leases import Leases
from quorate.core.machine.limits import READ_RECORDS
from quorate.core.machine.names import Names
from quorate.core.machine.queues import Queue, Queues
from quorate.core.machine.records import (
    ElectionRecord,
    Event,
    KvRecord,
    LeaseRecord,
    LockRecord,
    Registration,
)
from quorate.core.machine.sessions import Sessions
from quorate.core.machine.store import prefix_stop


class MachineReads(AgentReads):
    """The reading half of `Machine`, which sets these up."""

    applied_index: int
    """The last entry applied."""
    applied_term: int
    _attachments: Attachments
    _kv: KvSpace
    _leases: Leases
    _locks: Queues
    _elections: Queues
    _names: Names
    _sessions: Sessions
    _events: EventLog
    _digest: RollingDigest
    _malformed_batches: int

    @property
    def revision(self) -> int:
        """+1 with every command that changed something."""
        return self._fx.revision

    # --- keys and values --------------------------------------------------------------------------

    def kv_get(self, key: str, ns: str = "") -> KvRecord | None:
        return self._kv.record(ns, key)

    def kv_range(
        self,
        *,
        prefix: str | None = None,
        start: str = "",
        stop: str | None = None,
        ns: str = "",
        limit: int = READ_RECORDS,
        reverse: bool = False,
    ) -> list[KvRecord]:
        """Records in key order: those that begin with `prefix`, or those with start <= key < stop
        (None: all).
        """
        if prefix is not None:
            return self._kv.range_prefix(ns, prefix, start, limit, reverse=reverse)
        return self._kv.range(ns, start, stop, limit, reverse=reverse)

    def kv_count(self) -> int:
        """Keys in all namespaces."""
        return self._kv.count

    # --- leases, locks, elections -----------------------------------------------------------------

    def lease(self, lease: int) -> LeaseRecord | None:
        return self._attachments.lease(lease)

    def leases(self, *, after: int = 0, limit: int | None = None) -> list[LeaseRecord]:
        """Leases in the order of their ids, from the first above `after`."""
        return self._attachments.leases(after, limit)

    def lease_attached(self, lease: int, limit: int = READ_RECORDS) -> list[tuple[str, str]]:
        """What dies with the lease: (kind, name), kind one of key, lock, election, name, agent (one
        that it owns); a key as `namespace NUL key`.
        """
        return self._attachments.attached(lease, limit)

    def lock(self, name: str) -> LockRecord | None:
        """Who holds the lock and who waits; None if it is free."""
        queue = self._locks.get(name)
        return None if queue is None else _lock(name, queue)

    def locks(
        self, prefix: str = "", *, limit: int = READ_RECORDS, after: str = ""
    ) -> list[LockRecord]:
        """Held locks with names above `after` that begin with `prefix`, in order."""
        start, stop = _span(prefix, after)
        return [_lock(name, queue) for name, queue in self._locks.scan(start, stop, limit)]

    def election(self, name: str) -> ElectionRecord | None:
        """The leader, its term and value, and the candidates; None if nobody leads."""
        queue = self._elections.get(name)
        return None if queue is None else _election(name, queue)

    def elections(
        self, prefix: str = "", *, limit: int = READ_RECORDS, after: str = ""
    ) -> list[ElectionRecord]:
        """Elections that have a leader, with names above `after` that begin with `prefix`, in
        order.
        """
        start, stop = _span(prefix, after)
        return [_election(name, queue) for name, queue in self._elections.scan(start, stop, limit)]

    # --- names ------------------------------------------------------------------------------------

    def name(self, name: str) -> Registration | None:
        return self._names.get(name)

    def names(
        self,
        prefix: str = "",
        *,
        pattern: str | None = None,
        limit: int = READ_RECORDS,
        after: str = "",
    ) -> list[Registration]:
        """Registrations with names above `after` that begin with `prefix` and match `pattern`
        (`cart:*`, `*user:1*`).
        """
        return self._names.find(prefix, pattern, limit, after)

    def names_count(self, prefix: str = "") -> int:
        """How many names are registered (at once), or how many of them begin with `prefix` (by
        looking).
        """
        return self._names.count_prefix(prefix)

    # --- history, health --------------------------------------------------------------------------

    def read_events(self, from_revision: int, limit: int = READ_RECORDS) -> tuple[list[Event], int]:
        """(events from `from_revision` on, the revision to go on from); whole revisions, so it may
        be a few more than `limit`.

        Raises Compacted, with `oldest_revision`, if history from there on is not complete any more.
        """
        return self._events.read(from_revision, limit)

    @property
    def events_oldest_revision(self) -> int:
        return self._events.oldest_revision

    @property
    def digest(self) -> bytes:
        """The rolling digest at `applied_index`: 16 bytes."""
        return self._digest.value

    def digest_at(self, index: int) -> bytes | None:
        """The digest at one of the last 1024 applied indices; None for another."""
        return self._digest.back(self.applied_index - index)

    def statistics(self) -> dict[str, object]:
        return {
            "applied_index": self.applied_index,
            "applied_term": self.applied_term,
            "revision": self.revision,
            "digest": self._digest.value.hex(),
            "command_version": COMMAND_VERSION,
            "keys": self._kv.count,
            "names": self._names.count,
            "agents": self._agent_rows.count,
            "agents_dying": self._agent_rows.dying,
            "locks": self._locks.count,
            "elections": self._elections.count,
            "leases": self._leases.count,
            "malformed_batches_total": self._malformed_batches,
            **self._sessions.statistics(),
            **self._events.statistics(),
        }


def _lock(name: str, queue: Queue) -> LockRecord:
    holder = queue.holder
    return LockRecord(name, queue.token, holder.lease, holder.owner, tuple(queue.waiters))


def _election(name: str, queue: Queue) -> ElectionRecord:
    holder = queue.holder
    return ElectionRecord(
        name, queue.token, holder.value, holder.lease, holder.owner, tuple(queue.waiters)
    )


def _span(prefix: str, after: str) -> tuple[bytes, bytes | None]:
    start = prefix.encode()
    stop = prefix_stop(start)
    return (max(start, after.encode() + b"\0") if after else start), stop
