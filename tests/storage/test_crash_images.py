"""Power lost at any moment of any commit: the store opens with the state before or after it, never
a mix.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quorate.chaos.sim.crash_images import (
    CommitDiff,
    CrashImage,
    Moment,
    crash_images,
    record_commits,
    unsynced_meta_image,
)
from quorate.core.errors import CorruptStorage
from quorate.core.storage.folder import DATA_FILE, verify_data_file
from tests.storage.storage_tools import Bench, lmdb_bench

State = dict[tuple[str, bytes], bytes]

IMAGES = 10_000 if os.environ.get("QUORATE_SOAK") == "1" else 1_500
COMMITS = 60


def state_of(bench: Bench) -> State:
    return {
        (table, key): value for table in ("log", "meta") for key, value in bench.engine.scan(table)
    }


def a_transaction(rng: random.Random, number: int) -> list[tuple[str, Any, Any]]:
    """Like a journal's: entries appended, a conflict cut off, the front compacted, and the mark."""
    ops: list[tuple[str, Any, Any]] = []
    for step in range(rng.randrange(1, 12)):
        key = (number * 20 + step).to_bytes(8, "big")
        ops.append(("put", key, rng.randbytes(rng.choice((10, 200, 3000, 9000)))))
    if rng.random() < 0.3:
        ops.append(("cut", ((number - 1) * 20 + 2).to_bytes(8, "big"), None))
        ops.append(("put", (number * 20).to_bytes(8, "big"), b"in its place"))
    if rng.random() < 0.2 and number > 10:
        ops.append(("drop", b"", ((number - 10) * 20).to_bytes(8, "big")))
    ops.append(("mark", b"commit", number.to_bytes(8, "big")))
    return ops


def put_all(bench: Bench, ops: list[tuple[str, Any, Any]]) -> None:
    writer = bench.engine.writer()
    for what, first, second in ops:
        if what == "put":
            writer.put("log", first, second)
        elif what == "mark":
            writer.put("meta", first, second)
        else:
            writer.delete_range("log", first, second)


def a_history(folder: Path, rng: random.Random) -> tuple[list[CommitDiff], list[State]]:
    """What each commit changed in the file, and the states between them (one more than commits)."""
    bench = lmdb_bench(folder)
    states = [state_of(bench)]

    def step(number: int) -> Callable[[], None]:
        def run() -> None:
            put_all(bench, a_transaction(rng, number + 1))
            assert bench.commit() is None
            states.append(state_of(bench))

        return run

    diffs = record_commits(folder / DATA_FILE, [step(number) for number in range(COMMITS)])
    bench.engine.close()
    return diffs, states


def reopened(folder: Path, data: bytes) -> State:
    """What a start finds in this image; also that the store takes writes and fits together."""
    (folder / DATA_FILE).write_bytes(data)
    bench = lmdb_bench(folder)
    found = state_of(bench)
    assert bench.write(after=b"the crash") is None
    assert bench.engine.get("log", b"after") == b"the crash"
    bench.engine.close()
    return found


def verdict(image: CrashImage, found: State, states: list[State]) -> str | None:
    """Why the image breaks the promise, or None."""
    old, new = states[image.commit], states[image.commit + 1]
    if found == new and image.may_hold_new:
        return None
    if found == old and image.may_hold_old:
        return None
    if image.moment is Moment.ACKNOWLEDGED:
        return "an acknowledged transaction is missing"
    return "neither the state before nor the one after"


def test_every_crash_image_opens_with_the_state_before_or_after(tmp_path: Path) -> None:
    rng = random.Random(2026)
    diffs, states = a_history(tmp_path / "db", rng)
    assert max(len(diff.pages) for diff in diffs) > 10
    seen = dict.fromkeys(Moment, 0)
    for number, diff in enumerate(diffs):
        for count, image in enumerate(crash_images(diff, number, IMAGES // COMMITS, rng)):
            found = reopened(tmp_path / "db", image.data)
            assert verdict(image, found, states) is None, (number, image.moment)
            seen[image.moment] += 1
            if count % 20 == 3:
                verify_data_file(tmp_path / "db")
    assert sum(seen.values()) >= 1000
    assert min(seen.values()) >= COMMITS


def test_planted_calling_unsynced_writes_acknowledged_is_caught(tmp_path: Path) -> None:
    """The same images, from a store that acknowledges before the sync: the loss must be seen."""
    rng = random.Random(7)
    diffs, states = a_history(tmp_path / "db", rng)
    caught = 0
    for number, diff in enumerate(diffs[:10]):
        for image in crash_images(diff, number, 6, rng):
            if image.moment is Moment.BEFORE_SYNC:
                claimed = CrashImage(image.data, Moment.ACKNOWLEDGED, number)
                found = reopened(tmp_path / "db", claimed.data)
                why = verdict(claimed, found, states)
                assert why == "an acknowledged transaction is missing"
                caught += 1
    assert caught == 30


def test_planted_a_disk_that_does_not_sync_is_caught(tmp_path: Path) -> None:
    """A meta page ahead of its data: found by the walk of all pages or by the records."""
    rng = random.Random(11)
    diffs, states = a_history(tmp_path / "db", rng)
    caught = 0
    for number, diff in enumerate(diffs):
        data = unsynced_meta_image(diff, rng)
        if data[: len(diff.after)] == diff.after:
            continue
        (tmp_path / "db" / DATA_FILE).write_bytes(data)
        try:
            verify_data_file(tmp_path / "db")
            assert reopened(tmp_path / "db", data) != states[number + 1]
        except CorruptStorage:
            pass
        caught += 1
    assert caught > COMMITS // 2


@pytest.mark.parametrize("seed", range(3))
def test_images_replay_from_their_seed(tmp_path: Path, seed: int) -> None:
    diffs, _ = a_history(tmp_path / "db", random.Random(seed))
    diff = diffs[COMMITS // 2]
    first = [image.data for image in crash_images(diff, 0, 20, random.Random(seed))]
    again = [image.data for image in crash_images(diff, 0, 20, random.Random(seed))]
    assert first == again
