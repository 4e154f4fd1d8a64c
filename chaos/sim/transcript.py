"""What happened, as lines; their running hash, by which two runs are compared; and the last of them
for the story of a failure.

The law: a line is a function of the seed and nothing else: no addresses, no real time, no order of
sets.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable

LAST_LINES_MAX = 60


class Transcript:
    """Append-only. `echo` gets every line as it is written."""

    def __init__(
        self, now: Callable[[], float], echo: Callable[[str], object] | None = None
    ) -> None:
        self._now = now
        self._echo = echo
        self._hash = hashlib.blake2b(digest_size=16)
        self._last: deque[str] = deque(maxlen=LAST_LINES_MAX)
        self.lines = 0

    def note(self, *words: object) -> None:
        """A thing worth telling: fault, role, finding."""
        line = f"{self._now():9.4f} " + " ".join(map(str, words))
        self._take(line)
        self._last.append(line)

    def trace(self, *words: object) -> None:
        """A small thing: hashed, and told only in a full transcript."""
        self._take(f"{self._now():9.4f} " + " ".join(map(str, words)))

    def _take(self, line: str) -> None:
        self.lines += 1
        self._hash.update(line.encode() + b"\n")
        if self._echo is not None:
            self._echo(line)

    @property
    def hash(self) -> str:
        """32 hex digits over all lines so far."""
        return self._hash.copy().hexdigest()

    def last(self) -> list[str]:
        """The last noted lines, oldest first."""
        return list(self._last)
