"""The registry: a name is bound to at most one location at a time.

The law of this file: a registration's epoch is the revision at which it was made, so a later one
has a higher epoch. Whoever lost a name cannot erase the winner's registration: unregistering may
name an epoch, and a lease takes with it only what still hangs on it (T19). An unregistered name is
free at once (T18).
"""

from __future__ import annotations

from typing import Any

from quorate.core import codec
from quorate.core.machine import attachments as attached
from quorate.core.machine.attachments import Attachments
from quorate.core.machine.effects import Effects
from quorate.core.machine.limits import NAMES_PAGE_RECORDS
from quorate.core.machine.patterns import Pattern
from quorate.core.machine.records import Registration
from quorate.core.machine.results import LEASE_EXPIRED, LEASE_FULL, NOT_FOUND, Result, failed
from quorate.core.machine.store import NAMES, prefix_stop


class Names:
    """All registrations. `count`: how many there are."""

    __slots__ = ("_attachments", "_fx", "count")

    def __init__(self, fx: Effects, attachments: Attachments, count: int) -> None:
        self._fx = fx
        self._attachments = attachments
        self.count = count

    # --- commands ---------------------------------------------------------------------------------

    def register(self, command: list[Any]) -> Result:
        """[revision, "registered" | "existing" | "replaced", registration], or name_taken with the
        registration
        """
        _, _, name, value, meta, lease, policy = command
        fx = self._fx
        present = self.get(name)
        if present is not None and policy != "replace":
            if policy == "use_existing":
                return [fx.revision, "existing", self._answer(present)]
            return failed("name_taken", self._answer(present))
        if lease:
            room = self._attachments.room(lease)
            if room is None:
                return LEASE_EXPIRED
            if room < 1:
                return LEASE_FULL
        revision = fx.next_revision()
        key = name.encode()
        self._attachments.move(0 if present is None else present.lease, lease, attached.NAME, key)
        registration = Registration(name, revision, revision, value, meta, lease)
        self._put(registration)
        fx.event("name.registered", name, value, revision, lease, meta)
        if present is not None:
            return [revision, "replaced", self._answer(registration)]
        self.count += 1
        return [revision, "registered", self._answer(registration)]

    def unregister(self, command: list[Any]) -> Result:
        """[revision, epoch it had]; a name that is not registered is a success with epoch 0"""
        _, _, name, epoch = command
        fx = self._fx
        present = self.get(name)
        if present is None:
            return [fx.revision, 0]
        if epoch and present.epoch != epoch:
            return failed("stale_epoch", self._answer(present))
        revision = fx.next_revision()
        if present.lease:
            self._attachments.detach(present.lease, attached.NAME, name.encode())
        self._erase(present)
        return [revision, present.epoch]

    def update_meta(self, command: list[Any]) -> Result:
        """[revision, registration]"""
        _, _, name, meta, epoch = command
        fx = self._fx
        present = self.get(name)
        if present is None:
            return NOT_FOUND
        if epoch and present.epoch != epoch:
            return failed("stale_epoch", self._answer(present))
        revision = fx.next_revision()
        changed = present._replace(meta=meta, revision=revision)
        self._put(changed)
        fx.event("name.updated", name, changed.value, changed.epoch, changed.lease, meta)
        return [revision, self._answer(changed)]

    def on_lease_gone(self, lease: int, key: bytes) -> None:
        present = self.get(key.decode())
        if present is not None and present.lease == lease:
            self._erase(present)

    def _answer(self, registration: Registration) -> list[Any]:
        self._fx.carried_bytes = len(registration.value) + len(registration.meta)
        return list(registration)

    def _put(self, registration: Registration) -> None:
        self._fx.put(NAMES, registration.name.encode(), codec.dumps(registration[1:]))

    def _erase(self, present: Registration) -> None:
        self._fx.delete(NAMES, present.name.encode())
        self.count -= 1
        self._fx.event(
            "name.removed", present.name, None, present.epoch, present.lease, present.meta
        )

    # --- reads ------------------------------------------------------------------------------------

    def get(self, name: str) -> Registration | None:
        data = self._fx.get(NAMES, name.encode())
        return None if data is None else Registration(name, *codec.loads(data))

    def find(self, prefix: str, pattern: str | None, limit: int, after: str) -> list[Registration]:
        """Registrations with names above `after` that begin with `prefix` and match `pattern`, in
        order.
        """
        found: list[Registration] = []
        matcher = Pattern(pattern) if pattern is not None else None
        literal = prefix
        if matcher is not None and matcher.literal_prefix.startswith(prefix):
            literal = matcher.literal_prefix
        start = literal.encode()
        stop = prefix_stop(start)
        if after:
            start = max(start, after.encode() + b"\0")
        while len(found) < limit:
            page = self._fx.scan(NAMES, start, stop, limit=NAMES_PAGE_RECORDS)
            for key, data in page:
                name = key.decode()
                if name.startswith(prefix) and (matcher is None or matcher.matches(name)):
                    found.append(Registration(name, *codec.loads(data)))
            if len(page) < NAMES_PAGE_RECORDS:
                break
            start = page[-1][0] + b"\0"
        return found[:limit]

    def count_prefix(self, prefix: str) -> int:
        """How many names begin with `prefix`: looks at each of them, unless it is empty."""
        if not prefix:
            return self.count
        start = prefix.encode()
        stop = prefix_stop(start)
        count = 0
        while True:
            page = self._fx.scan(NAMES, start, stop, limit=NAMES_PAGE_RECORDS)
            count += len(page)
            if len(page) < NAMES_PAGE_RECORDS:
                return count
            start = page[-1][0] + b"\0"
