"""The digest tree: what it must show, and what it must not depend on."""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.consistency.merkle.tree import (
    BUCKETS,
    PAGE_BYTES,
    WIDTH,
    BucketTree,
    key_digest,
    pack,
    unpack,
)
from quorate.core.errors import UsageError

SOAK = bool(os.environ.get("QUORATE_SOAK"))
TOGGLES = st.lists(st.tuples(st.integers(0, BUCKETS - 1), st.integers(1, 2**64 - 1)), max_size=40)


def tree_of(toggles: list[tuple[int, int]]) -> BucketTree:
    tree = BucketTree()
    for bucket, digest in toggles:
        tree.toggle(bucket, digest)
    return tree


@settings(max_examples=300 if SOAK else 40, deadline=None, derandomize=not SOAK)
@given(TOGGLES, st.randoms(use_true_random=False), st.data())
def test_the_order_of_changes_and_the_moments_of_looking_do_not_matter(
    toggles: list[tuple[int, int]], rng: random.Random, data: st.DataObject
) -> None:
    looked_at = BucketTree()
    for bucket, digest in toggles:
        looked_at.toggle(bucket, digest)
        if data.draw(st.booleans()):
            looked_at.root()
    shuffled = list(toggles)
    rng.shuffle(shuffled)
    other = tree_of(shuffled)
    for level in range(len(WIDTH)):
        assert looked_at.level(level) == other.level(level)


@settings(max_examples=300 if SOAK else 40, deadline=None, derandomize=not SOAK)
@given(TOGGLES)
def test_what_is_added_and_taken_out_again_leaves_nothing(toggles: list[tuple[int, int]]) -> None:
    tree = tree_of(toggles + toggles)
    assert tree.root() == 0 and not any(tree.level(4))
    assert all(tree.is_empty(partition) for partition in range(256))


def test_a_change_shows_on_its_own_path_and_nowhere_else() -> None:
    rng = random.Random(7)
    tree = tree_of([(rng.randrange(BUCKETS), rng.getrandbits(64)) for _ in range(5_000)])
    before = [tree.level(level) for level in range(5)]
    tree.toggle(0xABCD, 99)
    for level in range(5):
        changed = [
            at
            for at, (x, y) in enumerate(zip(before[level], tree.level(level), strict=True))
            if x != y
        ]
        assert changed == [0xABCD >> 4 * (4 - level)]


def test_a_subset_of_partitions_has_a_digest_of_its_own() -> None:
    one, other = tree_of([(0x0101, 5), (0x7000, 6)]), tree_of([(0x0101, 5)])
    assert one.root() != other.root()
    assert one.root_of([1, 2, 3]) == other.root_of((3, 2, 1)) != 0
    assert one.root_of([0x70]) != 0 == other.root_of([0x70])


def test_two_keys_that_swap_buckets_do_not_cancel_out() -> None:
    assert tree_of([(1, 5), (2, 6)]).root() != tree_of([(1, 6), (2, 5)]).root()


def test_pages_are_kept_when_changed_and_come_back_equal() -> None:
    tree = tree_of([(0x0102, 5), (0x01FF, 6), (0xFF00, 7)])
    assert tree.take_unsaved() == [1, 0xFF]
    assert tree.take_unsaved() == []
    tree.toggle(0x0203, 8)
    tree.unsaved_again([0xFF])
    assert tree.take_unsaved() == [2, 0xFF]
    again = BucketTree()
    for page in range(256):
        data = tree.page(page)
        assert len(data) == PAGE_BYTES
        again.load_page(page, data)
    assert again.root() == tree.root() and again.take_unsaved() == []


@pytest.mark.parametrize(("page", "data"), [(256, bytes(PAGE_BYTES)), (0, bytes(8)), (-1, b"")])
def test_a_page_that_is_none_is_refused(page: int, data: bytes) -> None:
    with pytest.raises(UsageError):
        BucketTree().load_page(page, data)


@pytest.mark.parametrize(("level", "first", "count"), [(5, 0, 1), (2, 250, 7), (1, -1, 2)])
def test_nodes_outside_the_tree_are_refused(level: int, first: int, count: int) -> None:
    with pytest.raises(UsageError):
        BucketTree().level(level, first, count)


def test_digests_are_the_same_on_every_machine() -> None:
    assert key_digest(b"ann", b"\x01\x02") == 3646377507784423396
    assert key_digest(b"a", b"bc") != key_digest(b"ab", b"c")
    assert pack([1, 2**63]) == bytes([1] + 14 * [0] + [128])
    assert unpack(pack([3, 4])).tolist() == [3, 4]
    assert tree_of([(0, 1), (65_535, 2)]).root() == 15327116501064470332
    with pytest.raises(UsageError):
        unpack(b"1234567")
