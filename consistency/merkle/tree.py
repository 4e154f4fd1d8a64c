"""The digest tree of one store: 65 536 bucket digests, and the nodes above them.

The law of this file: a bucket's digest is the XOR of the digests of its keys, so adding, removing
and changing a key is one `toggle` in any order; a node's digest is a hash of its 16 children; a
node above nothing is 0. Equal digests mean equal contents (but for chance, 2**-64 for each
comparison); what differs is found by going down. Nothing here knows keys, states or peers.

    level 0: 1 root | 1: 16 | 2: 256 partitions | 3: 4 096 | 4: 65 536 buckets

A partition is a node of level 2 and, for keeping, one page of 256 bucket digests. A toggle touches
its bucket only; the nodes above are worked out when somebody asks, for changed pages alone. The
form is that of Merkle trees in Dynamo (DeCandia et al., 2007), with the shape fixed.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from quorate.core.errors import UsageError

BUCKETS: Final = 65_536
PAGES: Final = 256
PAGE_BUCKETS: Final = BUCKETS // PAGES
PAGE_BYTES: Final = PAGE_BUCKETS * 8
FAN_OUT: Final = 16
BUCKET_LEVEL: Final = 4
PARTITION_LEVEL: Final = 2
WIDTH: Final = (1, 16, 256, 4_096, BUCKETS)
"""How many nodes each level has."""

ROOTS_KEPT: Final = 64

_SWAP: Final = sys.byteorder == "big"


def key_digest(key: bytes, state: bytes) -> int:
    """The 64-bit digest of one key: BLAKE2b over its length, the key and its canonical state."""
    hasher = blake2b(len(key).to_bytes(4, "little"), digest_size=8)
    hasher.update(key)
    hasher.update(state)
    return int.from_bytes(hasher.digest(), "little")


def pack(digests: Iterable[int]) -> bytes:
    """64-bit digests as bytes, 8 each, little-endian."""
    return _bytes_of(array("Q", digests))


def unpack(data: bytes) -> array[int]:
    """What `pack` made. Raises UsageError when the length is no multiple of 8."""
    if len(data) % 8:
        raise UsageError(f"{len(data)} bytes are not a row of 64-bit digests")
    digests = array("Q")
    digests.frombytes(data)
    if _SWAP:
        digests.byteswap()
    return digests


class BucketTree:
    """See the law above. `toggle` and `load_page` are the only doors that change it."""

    __slots__ = ("_levels", "_roots", "_stale", "_unsaved", "toggles")

    def __init__(self) -> None:
        self._levels = [array("Q", bytes(8 * width)) for width in WIDTH]
        self._stale = bytearray(PAGES)  # pages whose nodes above the buckets are out of date
        self._unsaved = bytearray(PAGES)  # pages changed since they were last taken for keeping
        self._roots: dict[frozenset[int], int] = {}
        """What `root_of` answered since the last change."""
        self.toggles = 0

    # --- changing it ----------------------------------------------------------------------------

    def toggle(self, bucket: int, digest: int) -> None:
        """Add a key's digest that is not in, or take out one that is. `bucket` is 0..65535."""
        self._levels[4][bucket] ^= digest
        page = bucket >> 8
        self._stale[page] = self._unsaved[page] = 1
        self.toggles += 1

    # --- asking it ------------------------------------------------------------------------------

    def root(self) -> int:
        """The digest of everything; 0 when there is nothing."""
        self._freshen()
        return self._levels[0][0]

    def root_of(self, partitions: Iterable[int]) -> int:
        """One digest of these partitions alone, in any order; 0 when there is nothing in them."""
        self._freshen()
        wanted = frozenset(partitions)
        root = self._roots.get(wanted)
        if root is None:
            nodes = self._levels[PARTITION_LEVEL]
            root = _node(array("Q", map(nodes.__getitem__, sorted(wanted))))
            if len(self._roots) >= ROOTS_KEPT:
                self._roots.clear()  # a peer may ask for any set
            self._roots[wanted] = root
        return root

    def level(self, number: int, first: int = 0, count: int | None = None) -> array[int]:
        """The digests of `count` nodes of a level from `first` on: a copy.

        Raises UsageError outside the level.
        """
        if not 0 <= number < len(WIDTH):
            raise UsageError(f"a tree has the levels 0 to {BUCKET_LEVEL}, not {number}")
        end = WIDTH[number] if count is None else first + count
        if not 0 <= first <= end <= WIDTH[number]:
            raise UsageError(f"level {number} has {WIDTH[number]} nodes, not {first} to {end}")
        if number != BUCKET_LEVEL:
            self._freshen()
        return self._levels[number][first:end]

    def bucket(self, bucket: int) -> int:
        """The digest of one bucket; 0 when it holds nothing."""
        return self._levels[BUCKET_LEVEL][bucket]

    def is_empty(self, partition: int) -> bool:
        """Whether no key is in the partition."""
        first = partition * PAGE_BUCKETS
        return not any(self._levels[BUCKET_LEVEL][first : first + PAGE_BUCKETS])

    # --- keeping it -----------------------------------------------------------------------------

    def page(self, page: int) -> bytes:
        """The 256 bucket digests of a page (a partition) for keeping: 2 048 bytes."""
        first = page * PAGE_BUCKETS
        return _bytes_of(self._levels[BUCKET_LEVEL][first : first + PAGE_BUCKETS])

    def load_page(self, page: int, data: bytes) -> None:
        """Put back what `page` gave. It counts as kept. Raises UsageError for anything else."""
        if not 0 <= page < PAGES or len(data) != PAGE_BYTES:
            raise UsageError(f"page {page} of {len(data)} bytes is not a page of bucket digests")
        first = page * PAGE_BUCKETS
        self._levels[BUCKET_LEVEL][first : first + PAGE_BUCKETS] = unpack(data)
        self._stale[page] = 1
        self._unsaved[page] = 0

    def take_unsaved(self) -> list[int]:
        """The pages changed since the last call; hand them to `unsaved_again` if keeping fails."""
        pages = [page for page in range(PAGES) if self._unsaved[page]]
        self._unsaved = bytearray(PAGES)
        return pages

    def unsaved_again(self, pages: Iterable[int]) -> None:
        """These pages could not be kept."""
        for page in pages:
            self._unsaved[page] = 1

    # --- inside ---------------------------------------------------------------------------------

    def _freshen(self) -> None:
        """Work out the nodes above every changed page: at most 4 369 hashes, some 5 ms."""
        if self._stale.find(1) < 0:
            return
        _, upper, partitions, lower, buckets = self._levels
        touched: set[int] = set()
        at = self._stale.find(1)
        while at >= 0:
            for node in range(at * FAN_OUT, (at + 1) * FAN_OUT):
                lower[node] = _node(buckets[node * FAN_OUT : (node + 1) * FAN_OUT])
            partitions[at] = _node(lower[at * FAN_OUT : (at + 1) * FAN_OUT])
            touched.add(at // FAN_OUT)
            at = self._stale.find(1, at + 1)
        for node in touched:
            upper[node] = _node(partitions[node * FAN_OUT : (node + 1) * FAN_OUT])
        self._levels[0][0] = _node(upper)
        self._stale = bytearray(PAGES)
        self._roots.clear()

    def statistics(self) -> dict[str, int]:
        return {
            "toggles": self.toggles,
            "stale_pages": sum(self._stale),
            "unsaved_pages": sum(self._unsaved),
            "used_buckets": BUCKETS - self._levels[BUCKET_LEVEL].count(0),
        }


def _node(children: array[int]) -> int:
    """The digest above these; 0 above nothing."""
    packed = _bytes_of(children)
    if packed.count(0) == len(packed):
        return 0
    return int.from_bytes(blake2b(packed, digest_size=8).digest(), "little")


def _bytes_of(digests: array[int]) -> bytes:
    if _SWAP:
        digests = digests[:]
        digests.byteswap()
    return digests.tobytes()
