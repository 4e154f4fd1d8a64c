"""How agents are stored: a record per living name, and rows that belong to a life or to a lease.

The law of this file: whatever hangs on an agent is stored under its life, never under its name, so
a later life of the name cannot see it. A row `life, tag, rest` is counted in the life's `#` row,
except its reminders, which the record counts. Placed agents have a row under their lease, which may
be over (0: those without a place), and a lease's rows are counted too: nothing here looks at all
agents. Writing only; what it means is decided elsewhere.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from quorate.core import codec
from quorate.core.machine.effects import Effects
from quorate.core.machine.limits import AGENT_FENCES_KEPT, AGENT_ROWS_MAX
from quorate.core.machine.records import AgentRecord, Reminder
from quorate.core.machine.store import AGENT_ROWS, AGENTS

CHILD: Final = b"c"
"""An agent this one owns: its name -> its life."""
DOWN: Final = b"d"
"""News of a death: seq -> [target, reason]."""
LINK: Final = b"l"
"""A linked agent, on both sides: its name -> its life."""
WATCHER: Final = b"m"
"""Who watches this agent: its name -> its life."""
REMINDER: Final = b"r"
"""id -> [due_ms, period_ms, data]"""
WATCHED: Final = b"w"
"""Whom this agent watches: its name -> its life."""
_COUNT: Final = b"#"

_LIFE: Final = Struct(">cQc")
_LEASE: Final = Struct(">cQ")
_WAITING: Final = Struct(">cQI")
_OF_LIFE: Final = b"k"
_PLACED: Final = b"p"
_PLACED_COUNT: Final = b"n"
_DYING: Final = b"q"
_PRESENT: Final = b"\x01"

STATUSES: Final = ("starting", "placed", "unplaced", "failed")
ORPHANS: Final = ("stop", "continue", "adopt")
_STATUS_AT: Final = {status: at for at, status in enumerate(STATUSES)}
_ORPHAN_AT: Final = {orphan: at << 2 for at, orphan in enumerate(ORPHANS)}
_BEGUN: Final = 1 << 4
HEADER: Final = Struct(">QQQQIB")
"""epoch, life, lease, revision, reminders, flags: what the fence needs, before the rest."""


def encode(record: AgentRecord) -> bytes:
    flags = _STATUS_AT[record.status] | _ORPHAN_AT[record.orphan] | (_BEGUN if record.begun else 0)
    return HEADER.pack(
        record.epoch, record.life, record.lease, record.revision, record.reminders, flags
    ) + codec.dumps([record.host, record.kind, record.spec, record.meta, record.owners])


def decode(name: str, data: bytes) -> AgentRecord:
    epoch, life, lease, revision, reminders, flags = HEADER.unpack_from(data)
    host, kind, spec, meta, owners = codec.loads(data[HEADER.size :])
    return AgentRecord(
        *(name, epoch, life, host, lease, STATUSES[flags & 3], kind, spec, meta, tuple(owners)),
        *(ORPHANS[flags >> 2 & 3], reminders, revision, flags & _BEGUN > 0),
    )


Fence = tuple[int, int, int, int, int, int]
"""What `HEADER` holds."""


def number(value: int) -> bytes:
    return value.to_bytes(8, "big")


class AgentRows:
    """Records and rows. What the fence needs of a record is kept in memory for those that commit.

    `count`: agents alive; `downs`: news of deaths ever given; `dying`: lives
    that were decided to end and wait for a sweep.
    """

    __slots__ = ("_fences", "_fx", "_get", "count", "downs", "dying")

    def __init__(self, fx: Effects, count: int, downs: int, dying: int) -> None:
        self._fx = fx
        self._get = fx.get
        self._fences: dict[str, Fence] = {}
        self.count = count
        self.downs = downs
        self.dying = dying

    # --- records ----------------------------------------------------------------------------------

    def get(self, name: str) -> AgentRecord | None:
        data = self._get(AGENTS, name.encode())
        return None if data is None else decode(name, data)

    def life_of(self, name: str) -> int:
        """The present life of a name; 0 if it is not alive."""
        fence = self._fences.get(name)
        if fence is not None:
            return fence[1]
        data = self._get(AGENTS, name.encode())
        return 0 if data is None else HEADER.unpack_from(data)[1]

    def fence(self, name: str) -> Fence | None:
        """(epoch, life, lease, revision, reminders, flags) of the record; kept from then on."""
        fence = self._fences.get(name)
        if fence is not None:
            return fence
        data = self._get(AGENTS, name.encode())
        if data is None:
            return None
        if len(self._fences) >= AGENT_FENCES_KEPT:
            self._fences.clear()
        fence = self._fences[name] = HEADER.unpack_from(data)
        return fence

    def put(self, record: AgentRecord, why: str) -> None:
        """Write a record that is new or changed at the present revision; tell it as an event."""
        fx = self._fx
        self._fences.pop(record.name, None)
        fx.put(AGENTS, record.name.encode(), encode(record))
        fx.agent_changes.append((record.name, record, why))
        host = codec.dumps(record.host)
        fx.event(f"agent.{why}", record.name, host, record.epoch, record.lease)

    def create(self, record: AgentRecord) -> None:
        self.count += 1
        self.place(record.name.encode(), None, record.lease)
        self.put(record, "started")

    def erase(self, record: AgentRecord, reason: str) -> None:
        fx = self._fx
        key = record.name.encode()
        self.count -= 1
        self._fences.pop(record.name, None)
        self.place(key, record.lease, None)
        fx.delete(AGENTS, key)
        fx.agent_changes.append((record.name, None, f"stopped {reason}"))
        fx.event("agent.stopped", record.name, None, record.epoch, record.lease, reason.encode())

    # --- where agents are placed ------------------------------------------------------------------

    def place(self, name: bytes, old_lease: int | None, lease: int | None) -> None:
        """From under one lease (0: without a place, None: from nowhere) to another."""
        if old_lease == lease:
            return
        if old_lease is not None:
            self._fx.delete(AGENT_ROWS, _LEASE.pack(_PLACED, old_lease) + name)
            self._count(_LEASE.pack(_PLACED_COUNT, old_lease), -1)
        if lease is not None:
            self._fx.put(AGENT_ROWS, _LEASE.pack(_PLACED, lease) + name, _PRESENT)
            self._count(_LEASE.pack(_PLACED_COUNT, lease), 1)

    def placed(self, lease: int, after: str, limit: int) -> list[str]:
        """Names above `after` that are placed on the lease (0: that have no place), in order."""
        start = _LEASE.pack(_PLACED, lease)
        low = start + after.encode() + b"\0" if after else start
        rows = self._fx.scan(AGENT_ROWS, low, _LEASE.pack(_PLACED, lease + 1), limit=limit)
        return [key[len(start) :].decode() for key, _ in rows]

    def placed_counts(self) -> list[tuple[int, int]]:
        """(lease, how many agents are placed on it), for leases that have any."""
        start = _LEASE.pack(_PLACED_COUNT, 1)
        rows = self._fx.scan(AGENT_ROWS, start, bytes((_PLACED_COUNT[0] + 1,)))
        return [(int.from_bytes(key[1:], "big"), int.from_bytes(data, "big")) for key, data in rows]

    def placed_count(self, lease: int) -> int:
        data = self._get(AGENT_ROWS, _LEASE.pack(_PLACED_COUNT, lease))
        return 0 if data is None else int.from_bytes(data, "big")

    # --- rows of a life ---------------------------------------------------------------------------

    def room(self, life: int) -> int:
        """How much more can hang on the life."""
        data = self._get(AGENT_ROWS, _LIFE.pack(_OF_LIFE, life, _COUNT))
        return AGENT_ROWS_MAX - (0 if data is None else int.from_bytes(data, "big"))

    def row(self, life: int, tag: bytes, rest: bytes) -> bytes | None:
        return self._get(AGENT_ROWS, _LIFE.pack(_OF_LIFE, life, tag) + rest)

    def add(self, life: int, tag: bytes, rest: bytes, value: bytes) -> bool:
        """Whether the row is new. Whoever adds has asked for `room` first."""
        key = _LIFE.pack(_OF_LIFE, life, tag) + rest
        if self._get(AGENT_ROWS, key) is not None:
            return False
        self._fx.put(AGENT_ROWS, key, value)
        self._count(_LIFE.pack(_OF_LIFE, life, _COUNT), 1)
        return True

    def remove(self, life: int, tag: bytes, rest: bytes) -> bool:
        """Whether the row was there."""
        key = _LIFE.pack(_OF_LIFE, life, tag) + rest
        if self._get(AGENT_ROWS, key) is None:
            return False
        self._fx.delete(AGENT_ROWS, key)
        self._count(_LIFE.pack(_OF_LIFE, life, _COUNT), -1)
        return True

    def put_reminder(self, life: int, id_: str, value: bytes | None) -> None:
        """None removes it. The record's count is the caller's."""
        key = _LIFE.pack(_OF_LIFE, life, REMINDER) + id_.encode()
        if value is None:
            self._fx.delete(AGENT_ROWS, key)
        else:
            self._fx.put(AGENT_ROWS, key, value)

    def reminders(self, life: int) -> list[Reminder]:
        found = self.rows(life, REMINDER, b"", None)
        return [Reminder(rest.decode(), *codec.loads(data)) for rest, data in found]

    def rows(
        self, life: int, tag: bytes, after: bytes, limit: int | None
    ) -> list[tuple[bytes, bytes]]:
        """(rest, value) of the life's rows with this tag, above `after`, in order."""
        start = _LIFE.pack(_OF_LIFE, life, tag)
        low = start + after + b"\0" if after else start
        stop = _LIFE.pack(_OF_LIFE, life, bytes((tag[0] + 1,)))
        rows = self._fx.scan(AGENT_ROWS, low, stop, limit=limit)
        return [(key[len(start) :], data) for key, data in rows]

    def take_all(self, life: int, reminders: int) -> list[tuple[bytes, bytes, bytes]]:
        """Removes all rows of the life, which has so many reminders; returns (tag, rest, value) of
        each, in order. Most lives have none, and are not looked through.
        """
        if not reminders and self.room(life) == AGENT_ROWS_MAX:
            return []
        start = _LEASE.pack(_OF_LIFE, life)
        rows = self._fx.scan(AGENT_ROWS, start, _LEASE.pack(_OF_LIFE, life + 1))
        for key, _ in rows:
            self._fx.delete(AGENT_ROWS, key)
        return [(key[9:10], key[10:], data) for key, data in rows]

    def _count(self, key: bytes, change: int) -> None:
        data = self._get(AGENT_ROWS, key)
        count = change if data is None else int.from_bytes(data, "big") + change
        if count:
            self._fx.put(AGENT_ROWS, key, number(count))
        else:
            self._fx.delete(AGENT_ROWS, key)

    # --- lives that wait for a sweep --------------------------------------------------------------

    def put_dying(self, at: int, name: str, life: int, reason: str) -> None:
        """`at`: its place among those of the present revision."""
        self.dying += 1
        key = _WAITING.pack(_DYING, self._fx.revision, at)
        self._fx.put(AGENT_ROWS, key, codec.dumps([name, life, reason]))

    def take_dying(self, limit: int) -> list[tuple[str, int, str]]:
        """(name, life, reason) of the first of them, which wait no longer."""
        rows = self._fx.scan(AGENT_ROWS, _DYING, bytes((_DYING[0] + 1,)), limit=limit)
        for key, _ in rows:
            self._fx.delete(AGENT_ROWS, key)
        self.dying -= len(rows)
        return [tuple(codec.loads(data)) for _, data in rows]
