"""Power lost at any moment of any flush, over real LMDB files: the journal and the machine reopen
with everything acknowledged.

The images come from `chaos/sim/crash_images.py`: what the order of LMDB's writes allows a disk to
keep of one commit.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quorate.chaos.sim.crash_images import CrashImage, Moment, crash_images, record_commits
from quorate.core import codec
from quorate.core.machine import commands
from quorate.core.machine.machine import Machine
from quorate.core.machine.store import TABLES as MACHINE_TABLES
from quorate.core.raft.entries import pack_batches
from quorate.core.raft.journal import TABLES, Journal
from quorate.core.storage.folder import DATA_FILE
from quorate.core.storage.lmdb_engine import LmdbEngine
from quorate.core.storage.state_store import StateStore
from tests.storage.storage_tools import ThreadInbox

FLUSHES = 45
IMAGES_PER_FLUSH = 140 if os.environ.get("QUORATE_SOAK") == "1" else 14
Seen = Any


class Opened:
    """One engine on a folder, with the thread that owns it."""

    def __init__(self, folder: Path, tables: tuple[str, ...]) -> None:
        self.inbox = ThreadInbox()
        self.engine = LmdbEngine(folder, tables=tables, post=self.inbox.post, format_version=1)

    def wait(self, start: Callable[[Callable[[Exception | None], None]], object]) -> None:
        told: list[Exception | None] = []
        start(told.append)
        self.inbox.run_until(lambda: bool(told))
        assert told == [None]


# --- the journal ---------------------------------------------------------------------------------


def journal_view(journal: Journal) -> Seen:
    """All that a member promised others: its entries, its term and its vote."""
    first, last = journal.base_index + 1, journal.last_index
    entries = journal.entries(first, last) if first <= last else []
    return (journal.base_index, entries, journal.getCurrentTerm(), journal.getVotedForNodeId())


def change(journal: Journal, rng: random.Random, term: int) -> None:
    """One turn's worth of changes, the way the engine makes them."""
    journal.setCurrentTerm(term, rng.choice(["a", "b", None]))
    commit = journal.getRaftCommitIndex()
    if journal.last_index > commit + 2 and rng.random() < 0.3:
        journal.truncate_from(rng.randrange(commit + 1, journal.last_index + 1))
    for _ in range(rng.randrange(1, 6)):
        command = pack_batches([rng.randbytes(rng.choice((20, 300, 5000)))])
        journal.add(command, journal.last_index + 1, term)
    if rng.random() < 0.5:
        journal.setRaftCommitIndex(rng.randrange(commit, journal.durable_last + 1))
    if rng.random() < 0.2:
        journal.compact_to(min(journal.getRaftCommitIndex(), journal.durable_last))


def journal_history(folder: Path, rng: random.Random) -> tuple[list[Any], list[Seen]]:
    opened = Opened(folder, TABLES)
    journal = Journal(opened.engine, cache_bytes_max=1000)
    seen = [journal_view(journal)]

    def step(number: int) -> Callable[[], None]:
        def run() -> None:
            change(journal, rng, 1 + number // 5)
            opened.wait(journal.flush)
            seen.append(journal_view(journal))

        return run

    diffs = record_commits(folder / DATA_FILE, [step(n) for n in range(FLUSHES)])
    opened.engine.close()
    return diffs, seen


def journal_found(folder: Path) -> Seen:
    opened = Opened(folder, TABLES)
    found = journal_view(Journal(opened.engine))
    opened.engine.close()
    return found


# --- the machine ---------------------------------------------------------------------------------


def machine_view(machine: Machine) -> Seen:
    keys = [(record.key, record.value, record.version) for record in machine.kv_range(prefix="")]
    return (machine.applied_index, machine.revision, machine.digest, keys)


def machine_history(folder: Path, rng: random.Random) -> tuple[list[Any], list[Seen]]:
    opened = Opened(folder, MACHINE_TABLES)
    store = StateStore(opened.engine, opened.inbox, tables=MACHINE_TABLES)  # pyright: ignore[reportArgumentType]
    machine = Machine(store)
    seen = [machine_view(machine)]
    sequence = 0

    def batch() -> bytes:
        nonlocal sequence
        rows: list[Any] = []
        for _ in range(rng.randrange(1, 20)):
            sequence += 1
            key = f"key/{rng.randrange(60)}"
            command = (
                commands.put(key, rng.randbytes(100))
                if rng.random() < 0.8
                else commands.delete(key)
            )
            rows.append(
                (sequence, *command) if sequence > 1 else (sequence, *commands.open_session(0))
            )
        return commands.encode_batch(9, sequence, rows)

    def step(_: int) -> Callable[[], None]:
        def run() -> None:
            for _ in range(rng.randrange(1, 4)):
                machine.apply(machine.applied_index + 1, 1, [batch()])
            machine.before_flush()
            opened.wait(store.flush)
            seen.append(machine_view(machine))

        return run

    diffs = record_commits(folder / DATA_FILE, [step(n) for n in range(FLUSHES)])
    opened.engine.close()
    return diffs, seen


def machine_found(folder: Path) -> Seen:
    opened = Opened(folder, MACHINE_TABLES)
    store = StateStore(opened.engine, opened.inbox, tables=MACHINE_TABLES)  # pyright: ignore[reportArgumentType]
    found = machine_view(Machine(store))
    opened.engine.close()
    return found


# --- the promise ---------------------------------------------------------------------------------


def broken_by(image: CrashImage, found: Seen, seen: list[Seen]) -> str | None:
    """Why what was found breaks the promise; None when it keeps it."""
    old, new = seen[image.commit], seen[image.commit + 1]
    if (found == new and image.may_hold_new) or (found == old and image.may_hold_old):
        return None
    return f"{image.moment.value}: neither what was acknowledged before nor what was being written"


@pytest.mark.parametrize(
    ("history", "found_in"),
    [(journal_history, journal_found), (machine_history, machine_found)],
    ids=["journal", "machine"],
)
def test_nothing_acknowledged_is_missing_after_a_power_loss(
    tmp_path: Path, history: Any, found_in: Callable[[Path], Seen]
):
    rng = random.Random(17)
    folder = tmp_path / "store"
    diffs, seen = history(folder, rng)
    assert len({codec.dumps(repr(view)) for view in seen}) == FLUSHES + 1, (
        "every flush changed something"
    )
    images = 0
    for number, diff in enumerate(diffs):
        for image in crash_images(diff, number, IMAGES_PER_FLUSH, rng):
            (folder / DATA_FILE).write_bytes(image.data)
            assert broken_by(image, found_in(folder), seen) is None, (number, image.moment)
            images += 1
    assert images >= 600  # twice: over a thousand together


def test_a_journal_that_acknowledges_before_the_sync_is_caught(tmp_path: Path):
    """The planted fault: the same images, with the claim that the flush was over."""
    rng = random.Random(5)
    folder = tmp_path / "store"
    diffs, seen = journal_history(folder, rng)
    caught = 0
    for number, diff in enumerate(diffs[:10]):
        for image in crash_images(diff, number, 5, rng):
            if image.moment is Moment.BEFORE_SYNC:
                (folder / DATA_FILE).write_bytes(image.data)
                claimed = CrashImage(image.data, Moment.ACKNOWLEDGED, number)
                caught += broken_by(claimed, journal_found(folder), seen) is not None
    assert caught == 20
