"""A flush settles in slices; whoever looks in between sees all that changed."""

from __future__ import annotations

from pathlib import Path

from quorate.consistency.replica.definitions import ReplicaConfig
from quorate.core import codec
from tests.replica.test_power_loss import Opened, found_in

KEYS = 2 * ReplicaConfig().flush_slice_keys + 50


def in_a_flush(folder: Path) -> tuple[Opened, list[Exception | None]]:
    """A replica whose flush has settled its first slice."""
    opened = Opened(folder)
    for number in range(KEYS):
        opened.replica.put("s", f"k{number}", codec.encode_value(number))
    opened.owner.run_until(lambda: opened.hooks.seq >= opened.replica.head)
    told: list[Exception | None] = []
    opened.replica.flush(told.append)
    assert not told
    return opened, told


def test_the_tree_is_in_step_while_a_flush_runs(tmp_path: Path) -> None:
    """An exchange compares it and then believes that it has all that the other side has."""
    opened, told = in_a_flush(tmp_path)
    opened.replica.settle()
    found = opened.replica.tree("s").root()
    opened.owner.run_until(lambda: bool(told))
    opened.replica.settle()
    assert told == [None] and opened.replica.tree("s").root() == found
    opened.close()


def test_a_host_that_stops_in_a_flush_keeps_what_the_flush_had_not_come_to(tmp_path: Path) -> None:
    opened, _ = in_a_flush(tmp_path)
    opened.replica.close_cleanly()
    opened.close()
    assert found_in(tmp_path) == {f"k{number}": number for number in range(KEYS)}
