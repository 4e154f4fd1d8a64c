"""The machine over the state store over LMDB: the same bytes as over dictionaries, also when it is
opened again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

from quorate.core.machine.machine import Machine
from quorate.core.machine.store import TABLES
from quorate.core.storage.lmdb_engine import LmdbEngine
from quorate.core.storage.state_store import StateStore
from tests.machine.harness import World
from tests.machine.properties import random_log


class Immediate:
    """A scheduler that waits for nothing."""

    def call_soon(self, callback: Callable[[], object]) -> None:
        callback()


def open_store(path: Path) -> tuple[LmdbEngine, StateStore]:
    engine = LmdbEngine(path, tables=TABLES, post=None, format_version=1)
    return engine, StateStore(engine, Immediate(), tables=TABLES)  # type: ignore[arg-type]


def test_state_on_disk_is_the_state_in_memory(tmp_path: Path) -> None:
    for seed in range(4):
        rng = Random(seed)
        log = random_log(rng, Machine, entries=60).log
        memory = World()
        engine, store = open_store(tmp_path / str(seed))
        machine = Machine(store)
        for index, batches in enumerate(log, 1):
            answers = memory.entry(*batches)
            assert [answer for _, _, answer in machine.apply(index, 1, batches)] == answers
            if rng.random() < 0.2:
                machine.before_flush()
                store.flush_blocking()
            if rng.random() < 0.1:  # killed: whatever was not flushed is applied again
                engine.close()
                engine, store = open_store(tmp_path / str(seed))
                machine = Machine(store)
                for again in range(machine.applied_index + 1, index + 1):
                    machine.apply(again, 1, log[again - 1])
            assert machine.digest == memory.machine.digest
        machine.before_flush()
        store.flush_blocking()
        image = memory.image()
        assert {table: dict(engine.scan(table)) for table in TABLES} == image
        engine.close()
