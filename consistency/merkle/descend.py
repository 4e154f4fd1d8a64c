"""The steps that find what differs: from the roots of stores down to buckets.

The law of this file: where one side has nothing it goes no further down; digests are for where both
have something.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Any

from quorate.consistency.merkle import messages
from quorate.consistency.merkle.ports import Message
from quorate.consistency.merkle.steps import LOWER_LEVEL, Next, Round, Step, Stop
from quorate.consistency.merkle.transfer import ListStep, PullStep, SendStep
from quorate.consistency.merkle.tree import (
    BUCKET_LEVEL,
    BUCKETS,
    FAN_OUT,
    PAGE_BUCKETS,
    PARTITION_LEVEL,
    pack,
)
from quorate.core.codec import Malformed


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
        others = messages.map_of(answer, "others", int, messages.OTHERS_MAX_STORES)
        if not set(nodes) <= set(self._stores):
            raise Malformed("an answer names a store that was not asked for")
        before = whole.applied
        whole.actors = messages.actors_of(answer, "actors")
        # The earliest answer counts: what it covers was there before anything was compared.
        whole.applied = applied if before is None else _meet(before, applied)
        steps: list[Step] = []
        for store in nodes:
            whole.stores_differing += 1
            theirs = messages.digests_of(nodes, store, len(whole.partitions))
            steps += self._differing(whole, store, theirs)
        new = [name for name in others if name not in whole.others and name not in self._stores]
        whole.others.update((name, others[name]) for name in new)
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
            steps.append(PullStep(store, pull))
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


def _buckets(partitions: Iterable[int]) -> array[int]:
    buckets = array("H")
    for partition in partitions:
        buckets.extend(range(partition * PAGE_BUCKETS, (partition + 1) * PAGE_BUCKETS))
    return buckets


def _meet(one: dict[int, int], other: dict[int, int]) -> dict[int, int]:
    return {actor: min(seq, other[actor]) for actor, seq in one.items() if actor in other}
