"""The side of an exchange that answers. It keeps nothing between two requests.

The law of this file: each request is answered from the present data alone, with one bounded
message, so an exchange can be broken off and begun anew at any point and at any cost to the asker
only. What is pushed is answered when it is durable; so many pushes of a peer may wait for that, and
no more. A malformed request changes nothing and is raised to the caller.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable
from typing import Any

from quorate.consistency.merkle import messages
from quorate.consistency.merkle.ports import Absorbed, Data, Message
from quorate.consistency.merkle.steps import (
    LISTED_BUCKETS_MAX,
    LOWER_LEVEL,
    STATES_BYTES_MAX,
    Round,
    exported,
)
from quorate.consistency.merkle.tree import (
    BUCKET_LEVEL,
    BUCKETS,
    FAN_OUT,
    PAGE_BUCKETS,
    PAGES,
    PARTITION_LEVEL,
    pack,
)
from quorate.core.codec import Malformed

Reply = Callable[[dict[str, Any]], None]


class Answering:
    """See the law above."""

    def __init__(self, data: Data, *, pushes_max: int) -> None:
        self._data = data
        self._view = Round(data, ())
        self._pushes_max = pushes_max
        self._waiting: Counter[str] = Counter()
        self.answered = self.busy = self.keys_sent = self.keys_received = 0

    def on_request(self, peer: str, request: Message, reply: Reply) -> None:
        """Answer by `reply(body)`, now or when durable. Raises UsageError for what is malformed."""
        what = request.get("o")
        if what == "roots":
            reply(self._roots(request))
        elif what == "nodes":
            reply(self._nodes(request))
        elif what == "list":
            self._reply_states(self._list(request), reply)
        elif what == "pull":
            self._reply_states(self._pull(request), reply)
        elif what == "sync":
            self._data.barrier(lambda: reply({}))
        elif what == "push":
            self._push(peer, request, reply)
        else:
            raise Malformed(f"an exchange message asks for {str(what)[:40]!r}, which nobody knows")
        self.answered += 1

    def _reply_states(self, body: dict[str, Any], reply: Reply) -> None:
        """States leave a host once they are on its disk: a crash could give the dots in them to
        other updates."""
        if body["states"]:
            self._data.barrier(lambda: reply(body))
        else:
            reply(body)

    def _roots(self, request: Message) -> dict[str, Any]:
        partitions = messages.partitions_of(request, "parts")
        roots: dict[str, Any] = messages.map_of(request, "roots", int)
        # First all that counts as applied gets into the trees, then they are looked at.
        self._data.settle()
        nodes: dict[str, bytes] = {}
        for store, theirs in roots.items():
            tree = self._view.tree(store)
            if tree.root_of(partitions) != theirs:
                level = tree.level(PARTITION_LEVEL)
                nodes[store] = pack(level[partition] for partition in partitions)
        others = {name: n for name, n in self._data.stores().items() if name not in roots}
        return {
            "actors": list(self._data.own_actors),
            "applied": dict(self._data.applied),
            "nodes": nodes,
            "others": others,
        }

    def _nodes(self, request: Message) -> dict[str, Any]:
        store = messages.text_of(request, "store")
        partitions = messages.shorts_of(request, "at", PAGES)
        if len(partitions) > messages.PARTITIONS_PER_STEP:
            raise Malformed("an exchange message asks for too many partitions at once")
        theirs = messages.digests_of(request, "own", len(partitions) * FAN_OUT)
        tree = self._view.tree(store)
        lower = tree.level(LOWER_LEVEL)
        at: list[int] = []
        own = array("Q")
        for place, partition in enumerate(partitions):
            for child in range(FAN_OUT):
                node = partition * FAN_OUT + child
                if lower[node] != theirs[place * FAN_OUT + child]:
                    at.append(node)
                    own += tree.level(BUCKET_LEVEL, node * FAN_OUT, FAN_OUT)
        return {"at": messages.pack_shorts(at), "own": pack(own)}

    def _list(self, request: Message) -> dict[str, Any]:
        store = messages.text_of(request, "store")
        buckets = messages.shorts_of(request, "at", BUCKETS)
        if len(buckets) > LISTED_BUCKETS_MAX:
            raise Malformed("an exchange message lists too many buckets at once")
        counts = messages.counts_of(request, "counts", len(buckets))
        theirs = messages.digests_of(request, "own", sum(counts))
        after = messages.key_of(request, "after")
        answer = _Answer(self._data, store)
        place = upto = 0
        for bucket, count in zip(buckets, counts, strict=True):
            listed = set(theirs[place : place + count])
            place += count
            if not answer.take(self._view.bucket(store, bucket), listed, after):
                break
            after = None
            upto += 1
        self.keys_sent += len(answer.states)
        return {
            "states": answer.states,
            "upto": upto,
            "after": answer.after,
            "want": pack(answer.want),
            "left": answer.left,
        }

    def _pull(self, request: Message) -> dict[str, Any]:
        store = messages.text_of(request, "store")
        partitions = messages.partitions_of(request, "parts")
        first = messages.number_of(request, "first", BUCKETS - 1)
        after = messages.key_of(request, "after")
        answer = _Answer(self._data, store)
        tree, ended = self._view.tree(store), BUCKETS
        for partition in partitions:
            begin = partition * PAGE_BUCKETS
            for bucket in range(max(begin, first), begin + PAGE_BUCKETS):
                if not tree.bucket(bucket):
                    continue
                since = after if bucket == first else None
                if not answer.take(self._view.bucket(store, bucket), set(), since):
                    ended = bucket
                    break
            if ended < BUCKETS:
                break
        self.keys_sent += len(answer.states)
        return {
            "states": answer.states,
            "next": ended,
            "after": answer.after,
            "left": answer.left,
        }

    def _push(self, peer: str, request: Message, reply: Reply) -> None:
        store = messages.text_of(request, "store")
        entries = messages.entries_of(request, store)
        cut = messages.vector_of(request, "cut")
        entries += [[store, key, ["gone", cut]] for key in messages.texts_of(request, "gone")]
        if self._waiting[peer] >= self._pushes_max:
            self.busy += 1
            reply({"busy": True})
            return

        def absorbed(result: Absorbed) -> None:
            self._waiting[peer] -= 1
            gone = [key for _, key in result.gone]
            body: dict[str, Any] = {"gone": gone, "cut": dict(result.cut) if gone else {}}
            reply(body if result.failed is None else {**body, "failed": result.failed})

        self._waiting[peer] += 1
        try:
            self._data.absorb(entries, absorbed)
        except BaseException:
            self._waiting[peer] -= 1
            raise
        self.keys_received += len(entries)


class _Answer:
    """The answer to one `list` request as it fills up."""

    def __init__(self, data: Data, store: str) -> None:
        self._data, self._store = data, store
        self._size = 0
        self.states: list[list[Any]] = []
        self.want: list[int] = []
        self.after: str | None = None
        """The last key looked at in the bucket that did not fit whole."""
        self.left = 0

    def take(self, rows: list[tuple[str, int]], listed: set[int], after: str | None) -> bool:
        """The states of a bucket that are not listed; False when they do not all fit.

        In order of the keys: a key that changes between two requests keeps its place.
        """
        self.after = after
        for key, digest in sorted(rows):
            if digest in listed or (after is not None and key <= after):
                continue
            data = exported(self._data, self._store, key)
            if data is not None and len(data) > messages.STATE_BYTES_MAX:
                self.left += 1
            elif data is not None:
                if self.states and self._size + len(key) + len(data) > STATES_BYTES_MAX:
                    return False
                self._size += len(key) + len(data)
                self.states.append([key, data])
            self.after = key
        self.after = None
        self.want += listed.difference(digest for _, digest in rows)
        return True
