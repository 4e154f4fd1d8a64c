"""What a power loss may leave of an LMDB file: every image that the order of its writes allows, by
chance.

The law of this file: bytes in, bytes out; the handed-in generator decides; it knows LMDB's commit
order and nothing of what the records mean.

One commit of LMDB 0.9 (source: `mdb_txn_commit`):

1. data pages are written, in any order as far as the disk is concerned;
2. fdatasync;
3. one meta page (page 0 or 1, in turn) is written and synced; its payload lies in one sector.

So before 2 any subset of the changed data pages, each possibly torn at sectors, goes with the old
meta pages; after 2 all data goes with the old or the new meta page. A commit is acknowledged after
3: then exactly the new file is left.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

SECTOR_BYTES = 512
META_PAGES = 2


class Moment(Enum):
    """When the power went, within one commit."""

    BEFORE_SYNC = "before the data was synced"
    SYNCED = "data synced, meta page not written"
    META_WRITTEN = "meta page written, nobody told"
    ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True, slots=True)
class CrashImage:
    """One possible file after the crash, and what may be found in it."""

    data: bytes
    moment: Moment
    commit: int
    """The number of the commit that was cut, from 0."""

    @property
    def may_hold_old(self) -> bool:
        return self.moment is not Moment.ACKNOWLEDGED and self.moment is not Moment.META_WRITTEN

    @property
    def may_hold_new(self) -> bool:
        return self.moment in (Moment.META_WRITTEN, Moment.ACKNOWLEDGED)


@dataclass(frozen=True, slots=True)
class CommitDiff:
    """What one commit changed in the file. `pages`: page number -> new page, without the meta
    pages.
    """

    before: bytes
    after: bytes
    page_bytes: int
    pages: dict[int, bytes]


def diff_of(before: bytes, after: bytes, page_bytes: int = 4096) -> CommitDiff:
    """The commit that led from one file to the other."""
    count = (len(after) + page_bytes - 1) // page_bytes
    pages: dict[int, bytes] = {}
    for number in range(META_PAGES, count):
        span = slice(number * page_bytes, (number + 1) * page_bytes)
        if before[span] != after[span]:
            pages[number] = after[span]
    return CommitDiff(before, after, page_bytes, pages)


def crash_images(
    diff: CommitDiff, commit: int, count: int, rng: random.Random
) -> Iterator[CrashImage]:
    """`count` images of one commit: the three sure ones, then subsets of its unsynced pages."""
    everything = _with_pages(diff, diff.pages)
    yield CrashImage(_with_meta(diff, everything, diff.before), Moment.SYNCED, commit)
    yield CrashImage(diff.after, Moment.META_WRITTEN, commit)
    yield CrashImage(diff.after, Moment.ACKNOWLEDGED, commit)
    for _ in range(count - 3):
        chance = rng.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        left: dict[int, bytes] = {}
        for number, page in diff.pages.items():
            if rng.random() < chance:
                left[number] = page
            elif rng.random() < 0.3:
                left[number] = _torn(diff, number, page, rng)
        data = _with_meta(diff, _with_pages(diff, left), diff.before)
        yield CrashImage(data, Moment.BEFORE_SYNC, commit)


def unsynced_meta_image(diff: CommitDiff, rng: random.Random) -> bytes:
    """A planted fault: the meta page reached the disk although some data page did not (a disk
    without sync).
    """
    kept = {number: page for number, page in diff.pages.items() if rng.random() < 0.5}
    return _with_meta(diff, _with_pages(diff, kept), diff.after)


def record_commits(
    file: Path, steps: list[Callable[[], None]], page_bytes: int = 4096
) -> list[CommitDiff]:
    """Runs each step, one synced commit, and gives what it changed in the file."""
    diffs: list[CommitDiff] = []
    before = file.read_bytes()
    for step in steps:
        step()
        after = file.read_bytes()
        diffs.append(diff_of(before, after, page_bytes))
        before = after
    return diffs


def _with_pages(diff: CommitDiff, pages: dict[int, bytes]) -> bytes:
    """The old file with some new pages; it is as long as the last page that reached it needs."""
    data = bytearray(diff.before)
    for number, page in pages.items():
        end = number * diff.page_bytes + len(page)
        if len(data) < end:
            data += bytes(end - len(data))
        data[number * diff.page_bytes : end] = page
    return bytes(data)


def _with_meta(diff: CommitDiff, data: bytes, source: bytes) -> bytes:
    head = META_PAGES * diff.page_bytes
    return source[:head] + data[head:]


def _torn(diff: CommitDiff, number: int, page: bytes, rng: random.Random) -> bytes:
    """Some sectors new, the others old (or zero where the file was shorter)."""
    start = number * diff.page_bytes
    old = diff.before[start : start + len(page)].ljust(len(page), b"\0")
    return b"".join(
        (page if rng.random() < 0.5 else old)[at : at + SECTOR_BYTES]
        for at in range(0, len(page), SECTOR_BYTES)
    )
