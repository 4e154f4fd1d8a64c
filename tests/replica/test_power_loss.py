"""Power lost at any moment of any commit, over real LMDB files: a replica reopens with every update
it acknowledged, whether the log's commit or the states' was cut.

The images come from `chaos/sim/crash_images.py`: what the order of LMDB's writes allows a disk to
keep of one commit.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quorate.chaos.sim.crash_images import Moment, crash_images, record_commits
from quorate.consistency.replica.definitions import ReplicaConfig, StoreDef
from quorate.consistency.replica.hooks import ReplicaHooks
from quorate.consistency.replica.replica import LOG_TABLES, STATE_TABLES, StoreReplica
from quorate.core import codec
from quorate.core.clock import SystemClock
from quorate.core.errors import CorruptStorage
from quorate.core.storage.folder import DATA_FILE
from quorate.core.storage.lmdb_engine import LmdbEngine
from quorate.core.storage.state_store import StateStore
from tests.replica.replica_tools import value_of
from tests.storage.storage_tools import ThreadInbox

TURNS = 40
IMAGES_PER_COMMIT = 80 if os.environ.get("QUORATE_SOAK") == "1" else 8
Values = dict[str, Any]


class Owner(ThreadInbox):
    """The owning thread; what is planned for later never comes: commits happen by request."""

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Any:
        return self

    def cancel(self) -> None:
        """Timers are never started."""


class Durable(ReplicaHooks):
    seq = 0

    def on_durable(self, seq: int) -> None:
        self.seq = seq


class Opened:
    """A replica on real files."""

    def __init__(self, folder: Path, config: ReplicaConfig | None = None) -> None:
        self.owner = owner = Owner()
        self.log = LmdbEngine(folder / "log", tables=LOG_TABLES, post=owner.post, format_version=1)
        self.state = LmdbEngine(
            folder / "state", tables=STATE_TABLES, post=owner.post, format_version=1
        )
        self.hooks = Durable()
        self.replica = StoreReplica(
            host_id="a",
            log=self.log,
            state=StateStore(self.state, owner, tables=STATE_TABLES),
            send=lambda peer, parts, bulk: False,
            clock=SystemClock(),
            scheduler=owner,
            rng=random.Random(3),
            hooks=self.hooks,
            config=config,
        )
        self.replica.define(StoreDef("s"))

    def values(self) -> Values:
        return {key: value_of(self.replica.read("s", key)) for key in self.replica.keys("s")}

    def close(self) -> None:
        self.replica.stop()
        self.log.close()
        self.state.close()


def some_updates(opened: Opened, rng: random.Random) -> None:
    """One turn of a busy host, until its disk has it."""
    replica = opened.replica
    for _ in range(rng.randrange(1, 8)):
        key = f"k{rng.randrange(25)}"
        gone = rng.random() < 0.2
        replica.put("s", key, None if gone else codec.encode_value(rng.randbytes(200)))
        replica.operate("s", "count", "pn_counter", "increment", [1])
    opened.owner.run_until(lambda: opened.hooks.seq >= replica.head)


def flush(opened: Opened) -> None:
    told: list[Exception | None] = []
    opened.replica.flush(told.append)
    opened.owner.run_until(lambda: bool(told))
    assert told == [None]


def found_in(folder: Path) -> Values:
    opened = Opened(folder)
    found = opened.values()
    opened.close()
    return found


def test_every_acknowledged_update_is_in_the_log(tmp_path: Path) -> None:
    rng = random.Random(11)
    folder = tmp_path / "host"
    opened = Opened(folder)
    seen = [opened.values()]

    def step() -> None:
        some_updates(opened, rng)
        seen.append(opened.values())

    diffs = record_commits(folder / "log" / DATA_FILE, [step] * TURNS)
    opened.close()
    images = 0
    for number, diff in enumerate(diffs):
        for image in crash_images(diff, number, IMAGES_PER_COMMIT, rng):
            shutil.rmtree(folder / "state")  # nothing was flushed: the log alone must do
            (folder / "log" / DATA_FILE).write_bytes(image.data)
            found = found_in(folder)
            old, new = seen[image.commit], seen[image.commit + 1]
            allowed = (found == new and image.may_hold_new) or (found == old and image.may_hold_old)
            assert allowed, (number, image.moment)
            images += 1
    assert images >= TURNS * IMAGES_PER_COMMIT / 2


def test_states_cut_off_in_a_flush_are_made_whole_by_the_log(tmp_path: Path) -> None:
    rng = random.Random(12)
    folder = tmp_path / "host"
    opened = Opened(folder)
    copies: list[Path] = []
    seen: list[Values] = []

    def step() -> None:
        some_updates(opened, rng)
        flush(opened)
        copies.append(tmp_path / f"log{len(copies)}")
        shutil.copytree(folder / "log", copies[-1])
        seen.append(opened.values())

    diffs = record_commits(folder / "state" / DATA_FILE, [step] * (TURNS // 2))
    opened.close()
    for number, diff in enumerate(diffs):
        for image in crash_images(diff, number, IMAGES_PER_COMMIT, rng):
            shutil.rmtree(folder / "log")
            shutil.copytree(copies[image.commit], folder / "log")
            (folder / "log" / "LOCK").unlink(missing_ok=True)
            (folder / "state" / DATA_FILE).write_bytes(image.data)
            assert found_in(folder) == seen[image.commit], (number, image.moment)


def test_an_acknowledgement_before_the_sync_is_caught(tmp_path: Path) -> None:
    """The planted fault: the same images, with the claim that the commit was over."""
    rng = random.Random(13)
    folder = tmp_path / "host"
    opened = Opened(folder)
    seen = [opened.values()]

    def step() -> None:
        some_updates(opened, rng)
        seen.append(opened.values())

    diffs = record_commits(folder / "log" / DATA_FILE, [step] * 5)
    opened.close()
    caught = 0
    for number, diff in enumerate(diffs):
        for image in crash_images(diff, number, 5, rng):
            if image.moment is Moment.BEFORE_SYNC:
                shutil.rmtree(folder / "state")
                (folder / "log" / DATA_FILE).write_bytes(image.data)
                caught += found_in(folder) != seen[image.commit + 1]
    assert caught >= 5


@pytest.mark.parametrize("damage", ["state", "log"])
def test_a_damaged_record_is_an_error_not_a_value(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "host"
    opened = Opened(folder)
    opened.replica.put("s", "k", codec.encode_value("x" * 3000))
    opened.owner.run_until(lambda: opened.hooks.seq >= 1)
    if damage == "state":
        flush(opened)
    opened.close()
    path = folder / damage / DATA_FILE
    data = bytearray(path.read_bytes())
    at = data.index(b"x" * 100)
    while (at := data.find(b"x" * 100, at)) >= 0:
        data[at + 50] ^= 1
        at += 3000
    path.write_bytes(bytes(data))
    with pytest.raises(CorruptStorage):
        found_in(folder)
