"""The steps that carry what differs: states, both ways, and word of what is dead.

The law of this file: states come first, are merged and made durable here, and only then this side
sends what the other still lacks; so a state that turned out older never travels.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from quorate.consistency.merkle import messages
from quorate.consistency.merkle.ports import Absorbed, Message
from quorate.consistency.merkle.steps import (
    BUCKET_KEYS_MAX,
    LISTED_BUCKETS_MAX,
    LISTING_BYTES_MAX,
    STATES_BYTES_MAX,
    Next,
    Round,
    Step,
    Stop,
    exported,
)
from quorate.consistency.merkle.tree import BUCKETS, pack
from quorate.core.codec import Malformed


class ListStep:
    """Ask for the states that we lack in these buckets, and hear which of ours are lacking."""

    what = "list"

    def __init__(self, store: str, buckets: Sequence[int], *, after: str | None = None) -> None:
        self._store = store
        self._buckets = buckets
        self._after = after
        self._taken: list[int] = []
        self._keys: dict[int, str] = {}

    def request(self, whole: Round) -> tuple[dict[str, Any] | None, Step | None]:
        counts: list[int] = []
        own = array("Q")
        self._taken, self._keys = [], {}
        for bucket in self._buckets[:LISTED_BUCKETS_MAX]:
            if 8 * len(own) > LISTING_BYTES_MAX:
                break
            rows = whole.bucket(self._store, bucket)[:BUCKET_KEYS_MAX]
            own.extend(digest for _, digest in rows)
            self._keys.update((digest, key) for key, digest in rows)
            counts.append(len(rows))
            self._taken.append(bucket)
        beyond = self._buckets[len(self._taken) :]
        rest = ListStep(self._store, beyond) if beyond else None
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
            steps.append(ListStep(self._store, self._taken[upto:], after=after))

        def absorbed() -> None:
            same = {e[1] for e in entries if whole.data.export(self._store, e[1]) == e[2]}
            lacking = [key for key in wanted if key not in same]
            if lacking:
                steps.append(SendStep(self._store, keys=lacking))
            then(steps)

        _absorb(whole, self._store, entries, steps, absorbed, stop)


class PullStep:
    """Ask for everything in partitions of which nothing is here."""

    what = "pull"

    def __init__(
        self, store: str, partitions: Sequence[int], first: int = 0, after: str | None = None
    ) -> None:
        self._store = store
        self._partitions = partitions[: messages.PARTITIONS_PER_PULL]
        self._rest = partitions[messages.PARTITIONS_PER_PULL :]
        self._first, self._after = first, after

    def request(self, whole: Round) -> tuple[dict[str, Any] | None, Step | None]:
        body = {
            "store": self._store,
            "parts": messages.bitmap(self._partitions),
            "first": self._first,
            "after": self._after,
        }
        return body, PullStep(self._store, self._rest) if self._rest else None

    def on_answer(self, whole: Round, answer: Message, then: Next, stop: Stop) -> None:
        entries = messages.entries_of(answer, self._store)
        next_one = messages.number_of(answer, "next", BUCKETS)
        after = messages.key_of(answer, "after")
        whole.keys_too_large += messages.number_of(answer, "left")
        if next_one < self._first or (next_one < BUCKETS and not entries):
            raise Malformed("an answer gets nowhere")
        steps: list[Step] = []
        if next_one < BUCKETS:
            steps.append(PullStep(self._store, self._partitions, next_one, after))
        _absorb(whole, self._store, entries, steps, lambda: then(steps), stop)


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


class SyncStep:
    """The last step: what was found equal is in memory on both sides, and must be on both disks
    before anybody lets go of it."""

    what = "sync"

    def request(self, whole: Round) -> tuple[dict[str, Any] | None, Step | None]:
        return {}, None

    def on_answer(self, whole: Round, answer: Message, then: Next, stop: Stop) -> None:
        whole.data.barrier(lambda: then([]))


def _absorb(
    whole: Round,
    store: str,
    entries: list[list[Any]],
    steps: list[Step],
    then: Callable[[], None],
    stop: Stop,
) -> None:
    """Take states that came, `then` when they are durable; what is dead here is told."""

    def absorbed(result: Absorbed) -> None:
        if result.failed is not None:
            stop(result.failed)
            return
        whole.keys_changed += result.changed
        dead = [key for _, key in result.gone]
        if dead:
            steps.append(GoneStep(store, dead, result.cut))
        then()

    whole.keys_received += len(entries)
    if entries:
        whole.data.absorb(entries, absorbed)
    else:
        then()
