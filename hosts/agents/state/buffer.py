"""The writes of one turn, kept until it is committed.

The law of this file: nothing here touches a store. The last write of a key counts; a strong one
takes the place of what the turn wrote locally under the key before it. What the turn wrote, it
reads. The turn is committed once, by the function that was handed in, or rolled back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, NoReturn

from quorate.consistency.replica.states import CrdtState
from quorate.consistency.store.session import Session
from quorate.core.errors import LimitExceeded, UsageError, WrongType
from quorate.hosts.agents.state.drafts import Dots, Draft, charge_bytes
from quorate.hosts.agents.state.options import LEVELS, Asked
from quorate.hosts.agents.state.receipts import TurnReceipt

STRONG_WRITES_MAX: Final = 120
"""Of one turn; the group takes a few more, which are the system's own."""
LOCAL_UPDATES_MAX: Final = 2000
STRONG_BYTES_MAX: Final = 1 << 20
LOCAL_BYTES_MAX: Final = 896 * 1024
"""Of one turn: its local updates are one batch of the replica."""

Commit = Callable[["TurnBuffer", float, list[list[Any]]], Awaitable[TurnReceipt]]


class TurnBuffer:
    """One turn of one agent."""

    strong_bytes = 0
    local_bytes = 0
    op_bytes = 0
    """What the operations on CRDTs are charged."""
    wait_for = 1
    durable = False
    """Whether any local update is to be on disk before the turn is answered."""
    weakest = ""
    done = False
    """Committed or rolled back: nothing is taken any more."""
    sessions: tuple[Session, ...] = ()
    _dots: Dots | None = None
    _undo: list[Callable[[], object]] | None = None

    def __init__(self, commit: Commit, receipt: TurnReceipt, new_dots: Callable[[], Dots]) -> None:
        self._commit = commit
        self._new_dots = new_dots
        self.receipt = receipt
        self.strong: dict[str, bytes | None] = {}
        """Keys are full ones; None deletes."""
        self.puts: dict[str, bytes | None] = {}
        self.drafts: dict[str, Draft] = {}

    @property
    def undo(self) -> list[Callable[[], object]]:
        """What takes back what the turn did to the agent's memory."""
        if self._undo is None:
            self._undo = []
        return self._undo

    @property
    def dots(self) -> Dots:
        """Dots of the activation's own, for this turn."""
        if self._dots is None:
            self._dots = self._new_dots()
        return self._dots

    @property
    def has_local(self) -> bool:
        return bool(self.puts or self.drafts)

    # --- writing ----------------------------------------------------------------------------------

    def put(self, key: str, value: bytes | None, asked: Asked) -> TurnReceipt:
        """Write an encoded value; None deletes. Raises `LimitExceeded`, `WrongType`."""
        if self.done:
            self._refuse(key)
        if key in self.drafts:
            kind = self.drafts[key].kind
            raise WrongType(f"key {key!r:.60} is a {kind} in this turn: use its typed handle")
        size_bytes = len(key) + (0 if value is None else len(value))
        if asked.level == "strong":
            self._admit_strong(key, size_bytes)
            self.strong[key] = value
            self.strong_bytes += size_bytes
            self.puts.pop(key, None)
        else:
            self._admit_local(key not in self.puts, size_bytes)
            self.puts[key] = value
            self.local_bytes += size_bytes
        return self._asked(asked)

    def operate(
        self,
        key: str,
        kind: str,
        op: str,
        args: list[Any],
        state: CrdtState | None,
        asked: Asked,
    ) -> TurnReceipt:
        """One operation on a CRDT that is now in `state`. Raises `UsageError` and its kinds."""
        if self.done:
            self._refuse(key)
        if key in self.puts or self.strong.get(key) is not None:
            raise WrongType(f"key {key!r:.60} holds a plain value in this turn, not a {kind}")
        draft = self.drafts.get(key)
        if draft is None:
            draft = Draft(kind, self.dots)
        elif draft.kind != kind:
            raise WrongType(f"key {key!r:.60} is a {draft.kind} in this turn, not a {kind}")
        size_bytes = charge_bytes(args)
        self._admit_local(not draft.ops, size_bytes)
        draft.add(op, args, state)
        self.local_bytes += size_bytes
        self.op_bytes += size_bytes
        self.drafts[key] = draft
        return self._asked(asked)

    def _refuse(self, key: str) -> NoReturn:
        raise UsageError(f"key {key!r:.60}: the turn is over, or is being committed")

    def _admit_strong(self, key: str, size_bytes: int) -> None:
        if key not in self.strong and len(self.strong) >= STRONG_WRITES_MAX:
            raise LimitExceeded(f"one turn writes at most {STRONG_WRITES_MAX} keys strongly")
        if self.strong_bytes + size_bytes > STRONG_BYTES_MAX:
            raise LimitExceeded(f"one turn writes at most {STRONG_BYTES_MAX} bytes strongly")

    def _admit_local(self, is_new: bool, size_bytes: int) -> None:
        if is_new and len(self.puts) + len(self.drafts) >= LOCAL_UPDATES_MAX:
            raise LimitExceeded(f"one turn writes at most {LOCAL_UPDATES_MAX} keys")
        if self.local_bytes + size_bytes > LOCAL_BYTES_MAX:
            raise LimitExceeded(f"one turn writes at most {LOCAL_BYTES_MAX} bytes")

    def _asked(self, asked: Asked) -> TurnReceipt:
        receipt, level = self.receipt, asked.level
        if level != receipt.asked:
            if LEVELS[level] > LEVELS.get(receipt.asked, 0):
                receipt.asked = level
            if not self.weakest or LEVELS[level] < LEVELS[self.weakest]:
                self.weakest = level
        if level != "strong":
            self.durable = self.durable or asked.durable
            if asked.wait_for > self.wait_for:
                self.wait_for = asked.wait_for
        if asked.session is not None and asked.session not in self.sessions:
            self.sessions = (*self.sessions, asked.session)
        return receipt

    # --- reading what was written -----------------------------------------------------------------

    def shown(self, key: str) -> tuple[bool, bytes | None]:
        """(whether the turn wrote it as a plain value, the value a reader of any level but
        linearizable sees)."""
        if key in self.puts:
            return True, self.puts[key]
        if key in self.strong:
            return True, self.strong[key]
        return False, None

    # --- the end ----------------------------------------------------------------------------------

    async def commit(self, deadline: float, marks: list[list[Any]]) -> TurnReceipt:
        """Make all of it happen, with `marks` in the same strong commit, or nothing. `deadline` in
        monotonic seconds.

        Raises `LimitExceeded` (the agent keeps too much), `Fenced`, `NoQuorum` and their kinds:
        nothing happened; `OutcomeUnknown`: it may have, or may still; the activation finds out
        before it goes on."""
        self.done = True
        return await self._commit(self, deadline, marks)

    def rollback(self) -> None:
        """Nothing of it happens. After a commit that ended in doubt it has no effect on that."""
        self.done = True
        self.strong.clear()
        self.puts.clear()
        self.drafts.clear()
        while self._undo:
            self._undo.pop()()
