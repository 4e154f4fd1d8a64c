"""The key states of every store of one host: in memory while they change, on disk after a flush,
with the Merkle tree in step.

The law of this file: memory is the truth, the disk follows. A flush writes whole states, later than
the log record of every update in them is allowed to be trimmed and never the other way round; it is
all or none, and joining is idempotent, so what the log repeats after a crash changes nothing.

On disk a state's key is store number (2 bytes), bucket (2 bytes), the key's UTF-8; its value the
8-byte digest and the state's canonical CBOR.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import cast

from quorate.consistency.merkle.tree import BucketTree, key_digest
from quorate.consistency.replica.definitions import StoreDef, check_key, check_store_name
from quorate.consistency.replica.states import KeyState, RegisterState, state_on_disk
from quorate.consistency.ring.placement import bucket_of, point
from quorate.core import codec
from quorate.core.errors import CorruptStorage, LimitExceeded
from quorate.core.storage.state_store import StateStore

KEYS, META, CONFLICTS, MERKLE, DEAD = "keys", "meta", "conflicts", "merkle", "dead"
STATE_TABLES = (KEYS, META, CONFLICTS, MERKLE, DEAD)
STORES_MAX = 65_000
POINTS_MAX = 400_000
FORGET_RATIO = 1.05
"""Reads let states go when there are so many times more than shall be kept: some at a time."""


class StoreShelf:
    """One store's states on one host."""

    def __init__(self, number: int, definition: StoreDef, disk: StateStore, clean_max: int) -> None:
        self.number = number
        self.definition = definition
        self.defined = False
        self.disk = disk
        self.clean_max = clean_max
        """Clean states kept in memory."""
        self.prefix = number.to_bytes(2, "big")
        self.states: dict[str, KeyState] = {}
        self.dirty: dict[str, None] = {}
        self.flushing: dict[str, None] = {}
        """Changed before the flush that runs, and not settled yet."""
        self.tree = BucketTree()
        self.candidates: set[str] = set()
        """Keys in which something may be collected one day."""
        self._points: dict[str, int] = {}
        for row_key, page in disk.scan(MERKLE, self.prefix, self._end()):
            self.tree.load_page(row_key[2], page)
        self.candidates.update(
            key[4:].decode() for key, _ in disk.scan(DEAD, self.prefix, self._end())
        )

    def define(self, definition: StoreDef) -> None:
        """What was kept before anybody said what the store is, is resolved when it is touched."""
        self.definition, self.defined = definition, True
        for key, state in self.states.items():
            self._resolve(key, state)

    def _resolve(self, key: str, state: KeyState) -> None:
        if (
            self.defined
            and self.definition.resolver == "lww"
            and isinstance(state, RegisterState)
            and len(state.entries) > 1
        ):
            state.reduce()
            self.dirty[key] = None

    def _end(self) -> bytes:
        return (self.number + 1).to_bytes(2, "big")

    def point(self, key: str) -> int:
        """The key's 32-bit point, remembered."""
        found = self._points.get(key)
        if found is None:
            if len(self._points) >= POINTS_MAX:
                self._points.clear()
            found = point(self.definition.name, check_key(key).encode())
            self._points[key] = found
        return found

    def row_key(self, key: str) -> bytes:
        return self.prefix + bucket_of(self.point(key)).to_bytes(2, "big") + key.encode()

    def load(self, key: str) -> KeyState | None:
        """The newest state of a key, or None. Raises `CorruptStorage`."""
        state = self.states.get(key)
        if state is None:
            if not self.tree.bucket(bucket_of(self.point(key))):
                return None  # no key of its bucket is on disk: a new key costs no look-up
            value = self.disk.get(KEYS, self.row_key(key))
            if value is None:
                return None
            state = self.states[key] = self._decode(key, value)
            self._resolve(key, state)
            if len(self.states) > self.clean_max * FORGET_RATIO:
                self.forget_clean()
        return state

    def _decode(self, key: str, value: bytes) -> KeyState:
        try:
            state = state_on_disk(codec.loads(memoryview(value)[8:], depth_max=40))
        except (codec.Malformed, TypeError, ValueError) as error:
            raise CorruptStorage(
                f"store {self.definition.name!r}, key {key!r}: the state on disk cannot be read: "
                f"{error}"
            ) from error
        state.digest = int.from_bytes(value[:8], "big")
        return state

    def add(self, key: str, state: KeyState) -> None:
        """A state that was not there."""
        self.states[key] = state
        self.dirty[key] = None

    def settle(self, keys: list[str]) -> None:
        """Hand these changed states to the disk's overlay, with digest and tree in step."""
        disk, tree = self.disk, self.tree
        for key in keys:
            state = self.states.get(key)
            if state is None:
                continue
            row_key = self.row_key(key)
            essence, body = state.encode()
            digest = key_digest(row_key[4:], essence)
            if digest != state.digest:
                bucket = int.from_bytes(row_key[2:4], "big")
                if state.digest is not None:
                    tree.toggle(bucket, state.digest)
                tree.toggle(bucket, digest)
                state.digest = digest
            disk.put(KEYS, row_key, digest.to_bytes(8, "big") + body)
            if is_collectable(state) != (key in self.candidates):
                self._mark(key, row_key)

    def _mark(self, key: str, row_key: bytes) -> None:
        """Add or remove a candidate."""
        if key in self.candidates:
            self.candidates.discard(key)
            self.disk.delete(DEAD, row_key)
        else:
            self.candidates.add(key)
            self.disk.put(DEAD, row_key, b"\1")

    def not_collectable(self, key: str) -> None:
        """Everything that could be collected in the key was."""
        if key in self.candidates:
            self._mark(key, self.row_key(key))

    def begin_flush(self) -> None:
        """What is dirty now is to be settled by this flush, in slices."""
        self.flushing.update(self.dirty)
        self.dirty.clear()

    def settle_some(self, keys_max: int) -> int:
        """Settle a slice of the flush; how many keys that were."""
        keys = list(islice(self.flushing, keys_max))
        for key in keys:
            del self.flushing[key]
        self.settle(keys)
        return len(keys)

    def settle_all(self) -> None:
        """Whatever changed, also what a flush has not come to yet: the tree is in step then."""
        self.begin_flush()
        self.settle_some(len(self.flushing))

    def remove(self, key: str) -> None:
        """The key is gone: collected, or moved away."""
        state = self.load(key)
        row_key = self.row_key(key)
        if state is not None and state.digest is not None:
            self.tree.toggle(int.from_bytes(row_key[2:4], "big"), state.digest)
            self.disk.delete(KEYS, row_key)
        self.states.pop(key, None)
        self.dirty.pop(key, None)
        self.flushing.pop(key, None)
        if key in self.candidates:
            self._mark(key, row_key)

    def save_pages(self) -> None:
        """Hand the changed pages of the tree to the disk's overlay."""
        for page in self.tree.take_unsaved():
            self.disk.put(MERKLE, self.prefix + bytes((page,)), self.tree.page(page))

    def forget_clean(self) -> None:
        """Let clean states go from memory, the oldest first."""
        over = len(self.states) - self.clean_max
        if over > 0:
            dirty, flushing = self.dirty, self.flushing
            clean = (key for key in self.states if key not in dirty and key not in flushing)
            for key in list(islice(clean, over)):
                del self.states[key]

    def bucket(self, bucket: int) -> list[tuple[str, int]]:
        """The keys of a bucket with their digests, by key, as `settle_all` left them."""
        start = self.prefix + bucket.to_bytes(2, "big")
        end = (int.from_bytes(start, "big") + 1).to_bytes(4, "big")
        return [
            (row_key[4:].decode(), int.from_bytes(value[:8], "big"))
            for row_key, value in self.disk.scan(KEYS, start, end)
        ]

    def keys(self, partition: int | None = None) -> Iterator[str]:
        """Every key, in the order of buckets; with `partition`, only its keys. Settles first."""
        self.settle_all()
        start, stop = self.prefix, self._end()
        if partition is not None:
            start = self.prefix + bytes((partition,))
            stop = (int.from_bytes(start, "big") + 1).to_bytes(3, "big")
        while rows := self.disk.scan(KEYS, start, stop, limit=512):
            for row_key, _ in rows:
                yield row_key[4:].decode()
            start = rows[-1][0] + b"\0"

    def keys_under(self, prefix: str, after: str = "", limit: int = 512) -> list[str]:
        """The first keys that begin with `prefix` and come after `after`, in order: of a store
        whose keys live together, by a prefix that says where. Settles first."""
        self.settle_all()
        start = self.row_key(prefix)
        low = max(start, start[:4] + after.encode() + b"\0") if after else start
        rows = self.disk.scan(KEYS, low, start + b"\xff", limit=limit)
        return [row_key[4:].decode() for row_key, _ in rows]


def is_collectable(state: KeyState) -> bool:
    """Whether something in it may be collected one day: a tombstone, or a CRDT's."""
    if isinstance(state, RegisterState):
        return any(entry.value is None for entry in state.entries) or not state.entries
    return state.is_dead


class Shelf:
    """All stores of one host. `clean_max`: see `StoreShelf`."""

    def __init__(self, disk: StateStore, clean_max: int) -> None:
        self.disk = disk
        self._clean_max = clean_max
        self.stores: dict[str, StoreShelf] = {}
        for key, value in disk.scan(META, b"store/", b"store0"):
            name = key[6:].decode()
            number = cast(int, codec.loads(value))
            self.stores[name] = StoreShelf(
                number, StoreDef(name, "siblings"), disk, clean_max
            )  # until somebody says what it is, everything is kept

    def store(self, name: str) -> StoreShelf:
        """The shelf of a store; made when it is first heard of."""
        shelf = self.stores.get(name)
        if shelf is None:
            check_store_name(name)
            if len(self.stores) >= STORES_MAX:
                raise LimitExceeded(f"{STORES_MAX} stores are the most that a host keeps")
            number = 1 + max((s.number for s in self.stores.values()), default=0)
            self.disk.put(META, b"store/" + name.encode(), codec.dumps(number))
            definition = StoreDef(name, "siblings")
            shelf = StoreShelf(number, definition, self.disk, self._clean_max)
            self.stores[name] = shelf
        return shelf

    @property
    def dirty_keys(self) -> int:
        return sum(len(shelf.dirty) for shelf in self.stores.values())
