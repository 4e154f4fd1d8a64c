"""The machine over the state store over LMDB: the same bytes as over dictionaries, also when it is
opened again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from quorate.core import codec
from quorate.core.machine import agent_commands as a
from quorate.core.machine import commands as c
from quorate.core.machine.machine import META_KEY, Machine
from quorate.core.machine.store import AGENT_ROWS, AGENTS, META, TABLES
from quorate.core.storage.lmdb_engine import LmdbEngine
from quorate.core.storage.state_store import StateStore
from tests.machine.agent_workload import random_agent
from tests.machine.harness import World
from tests.machine.properties import Workload, any_command, random_log


class Immediate:
    """A scheduler that waits for nothing."""

    def call_soon(self, callback: Callable[[], object]) -> None:
        callback()


def open_store(path: Path, tables: tuple[str, ...] = TABLES) -> tuple[LmdbEngine, StateStore]:
    engine = LmdbEngine(path, tables=tables, post=None, format_version=1)
    return engine, StateStore(engine, Immediate(), tables=tables)  # type: ignore[arg-type]


@pytest.mark.parametrize("workload", [any_command, random_agent])
def test_state_on_disk_is_the_state_in_memory(tmp_path: Path, workload: Workload) -> None:
    for seed in range(4):
        rng = Random(seed)
        log = random_log(rng, Machine, 60, workload).log
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


def test_a_folder_from_before_agents_opens_and_takes_them(tmp_path: Path) -> None:
    """Its tables are made, and its meta record counts no agents."""
    before = tuple(table for table in TABLES if table not in (AGENTS, AGENT_ROWS))
    memory = World()
    memory.run(c.put("k", b"v"), c.lease_grant(1000, 101))
    tables = memory.image()
    assert tables[AGENTS] == tables[AGENT_ROWS] == {}
    meta = codec.loads(tables[META][META_KEY])
    tables[META][META_KEY] = codec.dumps(
        {key: value for key, value in meta.items() if not key.startswith("agent")}
    )
    engine, store = open_store(tmp_path, before)
    for table in before:
        for key, value in tables[table].items():
            store.put(table, key, value)
    store.flush_blocking()
    engine.close()

    engine, store = open_store(tmp_path)
    machine = Machine(store)
    assert machine.digest == memory.machine.digest and machine.agents_count() == 0
    start = a.agent_start("cart", "K", host="h", lease=101, status="placed")
    batch = memory.batch(start, a.agent_monitor("cart", "nobody"))
    memory.entry(batch)
    machine.apply(2, 1, [batch])
    assert machine.digest == memory.machine.digest
    machine.before_flush()
    store.flush_blocking()
    engine.close()

    engine, store = open_store(tmp_path)
    machine = Machine(store)
    assert machine.agents() == memory.machine.agents() and machine.agents_count() == 1
    assert machine.downs_for("cart") == memory.machine.downs_for("cart") != []
    engine.close()
