"""The steps of an exchange, on the side that asks: one request and its answer each.

The law of this file: a step makes one bounded request and turns its answer into further steps. It
keeps no more than its own listing, plans nothing and sends nothing. Whatever changes meanwhile is
sound: what was here at the start is compared later, and later states contain earlier ones.

    RootsStep -> NodesStep -> ListStep (both have something) -> SendStep (what the other lacks)
             \\-> ListStep with nothing listed (we have nothing)  \\-> GoneStep (what is dead here)
             \\-> SendStep (the other has nothing)
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from quorate.consistency.merkle import messages
from quorate.consistency.merkle.ports import Absorbed, Data, Message
from quorate.consistency.merkle.tree import (
    BUCKET_LEVEL,
    BUCKETS,
    FAN_OUT,
    PAGE_BUCKETS,
    PARTITION_LEVEL,
    BucketTree,
    pack,
)
from quorate.core import codec
from quorate.core.codec import Malformed

STATES_BYTES_MAX = 224 << 10
"""States in one message, so that all of it stays under 256 KiB (a state may be longer alone)."""
LISTING_BYTES_MAX = 64 << 10
LISTED_BUCKETS_MAX = 256
BUCKET_KEYS_MAX = 24_000
"""Digests listed of one bucket; beyond, the other side sends some states that we have."""
LOWER_LEVEL = 3
_NOTHING = BucketTree()


@dataclass(slots=True)
class Round:
    """What all steps of one exchange share: the data, what to compare, what came of it."""

    data: Data
    partitions: tuple[int, ...]
    follow_others: bool = False
    """Also compare stores that only the peer knows."""
    actor: int = 0
    applied: dict[int, int] | None = None
    others: set[str] = field(default_factory=set[str])
    keys_sent: int = 0
    keys_received: int = 0
    keys_changed: int = 0
    keys_gone: int = 0
    keys_too_large: int = 0
    buckets_differing: int = 0
    stores_differing: int = 0

    def tree(self, store: str) -> BucketTree:
        return self.data.tree(store) if store in self.data.stores() else _NOTHING

    def bucket(self, store: str, bucket: int) -> list[tuple[str, int]]:
        return self.data.bucket(store, bucket) if store in self.data.stores() else []


Next = Callable[["list[Step]"], None]
Stop = Callable[[str], None]


class Step(Protocol):
    """One request and its answer."""

    what: str

    def request(self, whole: Round) -> tuple[dict[str, Any] | None, Step | None]:
        """The body of the request, and the step that does what did not fit. No body: no need."""
        ...

    def on_answer(self, whole: Round, answer: Message, then: Next, stop: Stop) -> None:
        """Calls `then(steps)` once the answer is used up, or `stop(why)`. Raises Malformed."""
        ...


class RootsStep:
    """Which stores differ, and in which partitions."""

    what = "roots"

    def __init__(self, stores: Sequence[str]) -> None:
        self._stores = list(stores[: messages.STORES_MAX_STORES])
        self._rest = list(stores[messages.STORES_MAX_STORES :])

    def request(self, whole: Round) -> tuple[dict[str, Any] | None, Step | None]:
        roots = {name: whole.tree(name).root_of(whole.partitions) for name in self._stores}
        rest = RootsStep(self._rest) if self._rest else None
        return {"parts": messages.bitmap(whole.partitions), "roots": roots}, rest

    def on_answer(self, whole: Round, answer: Message, then: Next, stop: Stop) -> None:
        applied = messages.vector_of(answer, "applied")
        nodes = messages.map_of(answer, "nodes", bytes)
        others = messages.texts_of(answer, "others")
        if not set(nodes) <= set(self._stores):
            raise Malformed("an answer names a store that was not asked for")
        before = whole.applied
        whole.actor = messages.number_of(answer, "actor")
        # The earliest answer counts: what it covers was there before anything was compared.
        whole.applied = applied if before is None else _meet(before, applied)
        steps: list[Step] = []
        for store in nodes:
            whole.stores_differing += 1
            theirs = messages.digests_of(nodes, store, len(whole.partitions))
            steps += self._differing(whole, store, theirs)
        new = [name for name in others if name not in whole.others and name not in self._stores]
        whole.others.update(new)
        if new and whole.follow_others:
            steps.append(RootsStep(new))
        then(steps)

    @staticmethod
    def _differing(whole: Round, store: str, theirs: array[int]) -> list[Step]:
        ours = whole.tree(store).level(PARTITION_LEVEL)
        descend: list[int] = []
        pull: list[int] = []
        push: list[int] = []
        for partition, their in zip(whole.partitions, theirs, strict=True):
            if ours[partition] != their:
                kind = pull if not ours[partition] else push if not their else descend
                kind.append(partition)
        steps: list[Step] = []
        if descend:
            steps.append(NodesStep(store, descend))
        if pull:
            steps.append(ListStep(store, _buckets(pull), listed=False))
        if push:
            steps.append(SendStep(store, buckets=_buckets(push)))
        return steps


class NodesStep:
    """Which buckets of these partitions differ: two levels in one round trip."""

    what = "nodes"

    def __init__(self, store: str, partitions: list[int]) -> None:
        self._store = store
        self._partitions = partitions[: messages.PARTITIONS_PER_STEP]
        self._rest = partitions[messages.PARTITIONS_PER_STEP :]

    def request(self, whole: Round) -> tuple[dict[str, Any] | None, Step | None]:
        lower = whole.tree(self._store).level(LOWER_LEVEL)
        own = array("Q")
        for partition in self._partitions:
            own += lower[partition * FAN_OUT : (partition + 1) * FAN_OUT]
        at = messages.pack_shorts(self._partitions)
        rest = NodesStep(self._store, self._rest) if self._rest else None
        return {"store": self._store, "at": at, "own": pack(own)}, rest

    def on_answer(self, whole: Round, answer: Message, then: Next, stop: Stop) -> None:
        at = messages.shorts_of(answer, "at", BUCKETS // FAN_OUT)
        theirs = messages.digests_of(answer, "own", len(at) * FAN_OUT)
        asked = set(self._partitions)
        if any(node // FAN_OUT not in asked for node in at):
            raise Malformed("an answer names nodes that were not asked for")
        tree = whole.tree(self._store)
        listed: list[int] = []
        push: list[int] = []
        for place, node in enumerate(at):
            ours = tree.level(BUCKET_LEVEL, node * FAN_OUT, FAN_OUT)
            for child in range(FAN_OUT):
                their = theirs[place * FAN_OUT + child]
                if ours[child] != their:
                    (listed if their else push).append(node * FAN_OUT + child)
        whole.buckets_differing += len(listed) + len(push)
        steps: list[Step] = []
        if listed:
            steps.append(ListStep(self._store, listed))
        if push:
            steps.append(SendStep(self._store, buckets=push))
        then(steps)


class ListStep:
    """Ask for the states that we lack in these buckets, and hear which of ours are lacking."""

    what = "list"

    def __init__(
        self, store: str, buckets: Sequence[int], *, after: str | None = None, listed: bool = True
    ) -> None:
        self._store = store
        self._buckets = buckets
        self._after = after
        self._listed = listed
        self._taken: list[int] = []
        self._keys: dict[int, str] = {}

    def request(self, whole: Round) -> tuple[dict[str, Any] | None, Step | None]:
        counts: list[int] = []
        own = array("Q")
        self._taken, self._keys = [], {}
        for bucket in self._buckets[:LISTED_BUCKETS_MAX]:
            if 8 * len(own) > LISTING_BYTES_MAX:
                break
            rows = whole.bucket(self._store, bucket)[:BUCKET_KEYS_MAX] if self._listed else ()
            own.extend(digest for _, digest in rows)
            self._keys.update((digest, key) for key, digest in rows)
            counts.append(len(rows))
            self._taken.append(bucket)
        beyond = self._buckets[len(self._taken) :]
        rest = ListStep(self._store, beyond, listed=self._listed) if beyond else None
        body = {
            "store": self._store,
            "at": messages.pack_shorts(self._taken),
            "counts": messages.pack_counts(counts),
            "own": pack(own),
            "after": self._after,
        }
        return body, rest

    def on_answer(self, whole: Round, answer: Message, then: Next, stop: Stop) -> None:
        entries = messages.entries_of(answer, self._store)
        upto = messages.number_of(answer, "upto", len(self._taken))
        after = messages.key_of(answer, "after")
        want = messages.digests_of(answer, "want")
        whole.keys_too_large += messages.number_of(answer, "left")
        wanted = [self._keys[digest] for digest in want if digest in self._keys]
        if len(wanted) != len(want) or (not upto and after is None and not entries):
            raise Malformed("an answer wants what was not listed, or gets nowhere")
        steps: list[Step] = []
        if upto < len(self._taken):
            more = self._taken[upto:]
            steps.append(ListStep(self._store, more, after=after, listed=self._listed))
        whole.keys_received += len(entries)

        def absorbed(result: Absorbed) -> None:
            if result.failed is not None:
                stop(result.failed)
                return
            whole.keys_changed += result.changed
            dead = [key for _, key in result.gone]
            if dead:
                steps.append(GoneStep(self._store, dead, result.cut))
            same = {e[1] for e in entries if whole.data.export(self._store, e[1]) == e[2]}
            lacking = [key for key in wanted if key not in same]
            if lacking:
                steps.append(SendStep(self._store, keys=lacking))
            then(steps)

        if entries:
            whole.data.absorb(entries, absorbed)
        else:
            absorbed(Absorbed())


class SendStep:
    """Give the other side these keys, or everything in these buckets."""

    what = "push"

    def __init__(
        self, store: str, *, keys: Iterable[str] = (), buckets: Sequence[int] = ()
    ) -> None:
        self._store = store
        self._keys = deque(keys)
        self._buckets = deque(buckets)
        self._count = 0

    def request(self, whole: Round) -> tuple[dict[str, Any] | None, Step | None]:
        states: list[list[Any]] = []
        size = 0
        while size < STATES_BYTES_MAX and (self._keys or self._buckets):
            if not self._keys:
                self._keys.extend(k for k, _ in whole.bucket(self._store, self._buckets.popleft()))
                continue
            key = self._keys[0]
            data = exported(whole.data, self._store, key)
            if data is not None and len(data) > messages.STATE_BYTES_MAX:
                whole.keys_too_large += 1
            elif data is not None:
                size += len(key) + len(data)
                if states and size > STATES_BYTES_MAX:
                    break
                states.append([key, data])
            self._keys.popleft()
        rest = None
        if self._keys or self._buckets:
            rest = SendStep(self._store, keys=self._keys, buckets=self._buckets)
        self._count = len(states)
        if not states:
            return None, rest
        return {"store": self._store, "states": states, "gone": [], "cut": {}}, rest

    def on_answer(self, whole: Round, answer: Message, then: Next, stop: Stop) -> None:
        dead = messages.texts_of(answer, "gone")
        cut = messages.vector_of(answer, "cut")
        if answer.get("failed") is not None:
            stop(messages.text_of(answer, "failed"))
            return
        whole.keys_sent += self._count
        if not dead:
            then([])
            return
        whole.keys_gone += len(dead)

        def buried(result: Absorbed) -> None:
            stop(result.failed) if result.failed is not None else then([])

        whole.data.absorb([[self._store, key, ["gone", cut]] for key in dead], buried)


class GoneStep:
    """Tell the other side that these keys of its own are dead: deleted and collected here."""

    what = "push"

    def __init__(self, store: str, keys: Sequence[str], cut: Any) -> None:
        self._store, self._keys, self._cut = store, list(keys), dict(cut)

    def request(self, whole: Round) -> tuple[dict[str, Any] | None, Step | None]:
        body = {"store": self._store, "states": [], "gone": self._keys, "cut": self._cut}
        return body, None

    def on_answer(self, whole: Round, answer: Message, then: Next, stop: Stop) -> None:
        if answer.get("failed") is not None:
            stop(messages.text_of(answer, "failed"))
            return
        whole.keys_gone += len(self._keys)
        then([])


def exported(data: Data, store: str, key: str) -> bytes | None:
    """The bytes of a key's state; None when there is no such key (any more)."""
    state = data.export(store, key)
    return None if state is None else codec.dumps(state)


def _buckets(partitions: Iterable[int]) -> array[int]:
    buckets = array("H")
    for partition in partitions:
        buckets.extend(range(partition * PAGE_BUCKETS, (partition + 1) * PAGE_BUCKETS))
    return buckets


def _meet(one: dict[int, int], other: dict[int, int]) -> dict[int, int]:
    return {actor: min(seq, other[actor]) for actor, seq in one.items() if actor in other}
