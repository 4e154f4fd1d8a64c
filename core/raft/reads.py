"""ReadIndex: linearizable reads without the log (Ongaro's dissertation, section 6.4). Pure.

The law: a read that arrives now is answered with the commit index of now, and only after a majority
confirmed, in answer to a message sent after its arrival, that it still follows this leader in this
term. One round serves every read that waits for it.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any

ReadDone = Callable[[int | None], None]
"""Called with the read point, or None when the leadership was lost before it was confirmed."""


class ReadRounds:
    """The leader's reads that wait for confirmation."""

    def __init__(self) -> None:
        self.round = 0
        self._gathering: list[ReadDone] = []
        self._waiting: deque[tuple[int, int, list[ReadDone]]] = deque()

    def ask(self, done: ReadDone) -> None:
        """A read arrived; it joins the next round."""
        self._gathering.append(done)

    @property
    def gathering(self) -> bool:
        return bool(self._gathering)

    @property
    def waiting(self) -> bool:
        return bool(self._waiting)

    def start_round(self, commit_index: int) -> int:
        """Start a round for everything gathered; its number must leave with every message from now
        on."""
        self.round += 1
        self._waiting.append((self.round, commit_index, self._gathering))
        self._gathering = []
        return self.round

    def confirm(self, confirmed_round: int) -> list[tuple[int, list[ReadDone]]]:
        """A majority confirmed rounds up to `confirmed_round`: (read point, reads) to answer."""
        answered: list[tuple[int, list[ReadDone]]] = []
        while self._waiting and self._waiting[0][0] <= confirmed_round:
            _, index, reads = self._waiting.popleft()
            answered.append((index, reads))
        return answered

    def abandon(self) -> list[ReadDone]:
        """The leadership is gone: every read to be told so."""
        lost = [done for _, _, reads in self._waiting for done in reads] + self._gathering
        self._waiting.clear()
        self._gathering = []
        return lost


class ReadPoints:
    """Confirmed reads that wait until this host has applied their read point."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, int, Callable[..., Any]]] = []
        self._order = count()

    def wait(self, index: int, done: Callable[..., Any]) -> None:
        heapq.heappush(self._waiting, (index, next(self._order), done))

    def reached(self, applied_index: int) -> list[Callable[..., Any]]:
        """The reads whose point is applied, oldest point first; they wait no longer."""
        ready: list[Callable[..., Any]] = []
        while self._waiting and self._waiting[0][0] <= applied_index:
            ready.append(heapq.heappop(self._waiting)[2])
        return ready

    def __len__(self) -> int:
        return len(self._waiting)
