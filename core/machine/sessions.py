"""Client sessions: every (session, sequence) has one effect and one result, whatever is sent twice
(S9, T8).

The law of this file:

1. A result is kept until the client's `ack_low` passes it; a sequence below `ack_low` is never
   applied.
2. Everything is bounded: sessions (the least recently used goes), results per session, bytes of
   values in results. A command that does not fit gets a refusal that is kept as its result, so no
   later copy of it is applied; a session that goes on regardless is closed.
3. A session that is gone stays gone. `horizon` is the highest index at which a session that is gone
   was opened. An opening carries an index its host had applied before; a late copy of the opening
   of a gone session carries one below the horizon and is refused, and with it the commands that
   follow it.

Sessions live as objects and reach the store in `save` only, those that changed; a stored one is
decoded when it is first used.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from struct import Struct
from typing import Any, Final

from quorate.core import codec
from quorate.core.machine.limits import (
    SESSION_CARRIED_BYTES_MAX,
    SESSION_RESULTS_MAX,
    SESSIONS_MAX,
)
from quorate.core.machine.results import SESSION_EXPIRED, Result
from quorate.core.machine.store import SESSIONS, Store

_HEADER: Final = Struct(">QQQ")


class Session:
    """One client session. `results`: by sequence, in the order of their application."""

    __slots__ = (
        "ack_low",
        "carried",
        "carried_bytes",
        "dirty",
        "id",
        "last_used",
        "opened_index",
        "results",
    )

    def __init__(self, id_: int, opened_index: int, last_used: int, ack_low: int) -> None:
        self.id = id_
        self.opened_index = opened_index
        self.last_used = last_used
        self.ack_low = ack_low
        self.results: dict[int, Result] = {}
        self.carried: dict[int, int] = {}
        """Bytes by sequence, for the few results that carry values."""
        self.carried_bytes = 0
        self.dirty = True

    def acknowledge(self, ack_low: int) -> None:
        """Forget the results below `ack_low`: constant work per forgotten result."""
        results = self.results
        if ack_low - self.ack_low <= len(results):
            for sequence in range(self.ack_low, ack_low):
                results.pop(sequence, None)
        else:
            self.results = {seq: result for seq, result in results.items() if seq >= ack_low}
        if self.carried:
            self.carried = {seq: n for seq, n in self.carried.items() if seq >= ack_low}
            self.carried_bytes = sum(self.carried.values())
        self.ack_low = ack_low

    def is_full(self) -> bool:
        """No room for another result."""
        return (
            len(self.results) >= SESSION_RESULTS_MAX
            or self.carried_bytes >= SESSION_CARRIED_BYTES_MAX
        )

    def carry(self, sequence: int, size_bytes: int) -> None:
        """The result of `sequence` carries values."""
        self.carried[sequence] = size_bytes
        self.carried_bytes += size_bytes

    def encode(self) -> bytes:
        header = _HEADER.pack(self.opened_index, self.last_used, self.ack_low)
        return header + codec.dumps([self.results, self.carried])


class Gone(dict[int, Result]):
    """The results of a session that is closed: whatever follows in its batch is refused."""

    def get(self, key: int, default: object = None, /) -> Result:  # pyright: ignore[reportIncompatibleMethodOverride]
        return SESSION_EXPIRED


class Sessions:
    """All sessions. `use_ordinal` counts batches and orders sessions by last use;
    `horizon`: law 3.
    """

    __slots__ = ("_all", "_gone", "_store", "_stored", "horizon", "use_ordinal")

    def __init__(self, store: Store, use_ordinal: int, horizon: int) -> None:
        self._store = store
        self.use_ordinal = use_ordinal
        self.horizon = horizon
        self._gone: list[int] = []
        self._stored: dict[int, bytes] = {}
        found: list[Session] = []
        for key, data in store.scan(SESSIONS):
            session = Session(int.from_bytes(key, "big"), *_HEADER.unpack_from(data))
            session.dirty = False
            self._stored[session.id] = data[_HEADER.size :]
            found.append(session)
        found.sort(key=lambda session: session.last_used)
        self._all = OrderedDict((session.id, session) for session in found)

    def __len__(self) -> int:
        return len(self._all)

    def use(self, id_: int, ack_low: int) -> Session | None:
        """The session, marked as used just now, its client's acknowledgement taken in."""
        session = self._all.get(id_)
        if session is None:
            return None
        self.use_ordinal += 1
        session.last_used = self.use_ordinal
        session.dirty = True
        self._all.move_to_end(id_)
        if self._stored:
            self._load(session)
        if ack_low > session.ack_low:
            session.acknowledge(ack_low)
        return session

    def open(self, id_: int, base_index: int, index: int) -> Session | None:
        """A new session, or None if `base_index` is from before one that is gone was opened."""
        if base_index < self.horizon:
            return None
        if len(self._all) >= SESSIONS_MAX:
            self.close(next(iter(self._all)))
        self.use_ordinal += 1
        session = self._all[id_] = Session(id_, index, self.use_ordinal, 0)
        return session

    def close(self, id_: int) -> None:
        session = self._all.pop(id_)
        self._stored.pop(id_, None)
        self._gone.append(id_)
        self.horizon = max(self.horizon, session.opened_index)

    def save(self) -> None:
        """Write what changed. Called just before each flush of the store."""
        for id_ in self._gone:
            if id_ not in self._all:
                self._store.delete(SESSIONS, id_.to_bytes(8, "big"))
        self._gone.clear()
        for session in reversed(self._all.values()):
            if not session.dirty:
                break  # whatever was used since the last save is at the end
            self._store.put(SESSIONS, session.id.to_bytes(8, "big"), session.encode())
            session.dirty = False

    def _load(self, session: Session) -> None:
        data = self._stored.pop(session.id, None)
        if data is not None:
            session.results, session.carried = codec.loads(data)
            session.carried_bytes = sum(session.carried.values())

    def statistics(self) -> dict[str, object]:
        return {
            "sessions": len(self._all),
            "results_kept": sum(len(session.results) for session in self._all.values()),
        }


def when_unknown(
    commands: list[list[Any]], open_now: Callable[[list[Any]], Session | None]
) -> tuple[Session | None, list[tuple[int, Result]], list[list[Any]]]:
    """For a batch of an unknown session: the session its opening makes, refusals of what comes
    before, and the rest.
    """
    refused: list[tuple[int, Result]] = []
    for at, command in enumerate(commands):
        session = open_now(command)
        if session is not None:
            return session, refused, commands[at:]
        refused.append((command[0], SESSION_EXPIRED))
    return None, refused, []
