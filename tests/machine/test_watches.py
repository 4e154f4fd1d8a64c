"""What watches read: filters, the ring and the store giving the same, and processes with other hash
seeds.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from quorate.core.errors import Compacted
from quorate.core.machine import commands as c
from quorate.core.machine import events
from quorate.core.machine.records import Event
from quorate.core.machine.watches import WatchFilter
from tests.machine.harness import World


def event(kind: str, key: str, ns: str = "") -> Event:
    return Event(1, kind, ns, key, b"", 1, 0, b"")


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        (WatchFilter(), [True, True, False]),
        (WatchFilter(None), [True, True, True]),
        (WatchFilter("name"), [False, False, True]),
        (WatchFilter(ns=""), [True, False, False]),
        (WatchFilter(prefix="users/"), [True, False, False]),
        (WatchFilter(key="carts/1"), [False, True, False]),
        (WatchFilter(None, pattern="*/1"), [True, True, False]),
    ],
)
def test_filters(wanted: WatchFilter, matches: list[bool]) -> None:
    some = [
        event("kv.put", "users/1"),
        event("kv.delete", "carts/1", "n"),
        event("name.removed", "cart:1"),
    ]
    assert [wanted.matches(one) for one in some] == matches


def test_live_watchers_do_not_touch_the_store() -> None:
    world = World()
    world.run(*[c.put("k", b"v")] * 50)
    world.store.scan = None  # type: ignore[assignment, method-assign]
    assert len(world.machine.read_events(1)[0]) == 50
    assert world.machine.read_events(51) == ([], 51)
    assert world.machine.read_events(99) == ([], 99)


def test_memory_and_store_tell_the_same_story(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "EVENTS_RING_EVENTS", 10)
    world = World()
    for at in range(30):
        world.run(c.put(f"k{at}", b"v"), c.txn([], [c.put("x", b""), c.put("y", b"")]))
    assert world.machine.statistics()["events_in_memory"] <= 20
    whole, _ = world.machine.read_events(1, 1000)
    assert [one.revision for one in whole if one.key != "y"] == list(range(1, 61))
    for start in range(1, 61):
        found, following = world.machine.read_events(start, 4)
        assert found == [one for one in whole if start <= one.revision < following]
        assert len(found) <= 5


def test_compacted_says_from_where_to_go_on() -> None:
    world = World(events_keep_revisions=100)
    for _ in range(3):
        world.run(*[c.put("k", b"v")] * 600)
    with pytest.raises(Compacted, match="read the present state") as caught:
        world.machine.read_events(1)
    assert caught.value.oldest_revision == 924
    assert world.machine.read_events(924, 1)[0][0].revision == 924


SCRIPT = """
from random import Random
from quorate.core.machine.machine import Machine
from tests.machine.properties import random_log
for seed in range(6):
    world = random_log(Random(seed), Machine)
    world.image()
    print(world.machine.digest.hex(), sorted(world.store.tables["meta"].items()))
"""


def test_the_hash_seed_of_the_process_changes_nothing() -> None:
    root = Path(__file__).parents[2]
    outputs = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            cwd=root,
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "77")
    }
    assert len(outputs) == 1
    assert len(outputs.pop().splitlines()) == 6


def test_history_in_memory_and_its_pages_are_bounded_in_bytes() -> None:
    world = World()
    for at in range(60):
        world.run(c.put(f"k{at}", bytes(1 << 20)))
    kept = world.machine.statistics()["events_in_memory_bytes"]
    assert isinstance(kept, int) and kept <= 34 << 20
    at, pages, found = 1, 0, 0
    while at < 61:
        page, at = world.machine.read_events(at, 1000)
        assert len(page) <= 4
        pages, found = pages + 1, found + len(page)
    assert found == 60
