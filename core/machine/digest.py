"""One number for all history: equal digests at equal index mean equal effects and results so far
(T11).

The law of this file: digest(i) = blake2b-128(digest(i-1), index, term, lengths of the parts,
parts). The lengths keep two different lists of parts from looking alike. Parts are what the entry
wrote and answered, nothing that hosts may do differently.
"""

from __future__ import annotations

from collections import deque
from hashlib import blake2b
from struct import Struct, pack
from typing import Final

from quorate.core.machine.limits import DIGESTS_KEPT_ENTRIES

DIGEST_BYTES: Final = 16
_HEAD: Final = Struct("<16sQQI")
NOTHING: Final = bytes(DIGEST_BYTES)


class RollingDigest:
    """The digest at the last applied index, and at those before it."""

    __slots__ = ("_kept", "value")

    def __init__(self, value: bytes, kept: bytes) -> None:
        self.value = value
        at = range(0, len(kept), DIGEST_BYTES)
        digests = (kept[start : start + DIGEST_BYTES] for start in at)
        self._kept = deque(digests, maxlen=DIGESTS_KEPT_ENTRIES)

    def update(self, index: int, term: int, parts: list[bytes]) -> None:
        count = len(parts)
        head = _HEAD.pack(self.value, index, term, count)
        lengths = pack(f"<{count}I", *map(len, parts))
        data = b"".join((head, lengths, *parts))
        self.value = blake2b(data, digest_size=DIGEST_BYTES).digest()
        self._kept.append(self.value)

    def back(self, entries: int) -> bytes | None:
        """The digest that many entries ago, if it is remembered."""
        if not 0 <= entries < len(self._kept):
            return None
        return self._kept[-1 - entries]

    def encode(self) -> bytes:
        return b"".join(self._kept)
