"""Stamped records: along the writes of a key stamps only grow, and a delete leaves its stamp."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from quorate.core import codec
from quorate.core.errors import LimitExceeded, Refused, UsageError
from quorate.core.machine import commands as c
from quorate.core.machine import limits, results
from quorate.core.machine.machine import Machine
from quorate.core.machine.results import Result
from quorate.core.machine.stamped import Stamped, read_stamped
from tests.machine.harness import World

NS = "s:carts"


def record(world: World, key: str = "k") -> tuple[int, bytes | None]:
    row = world.machine.kv_get(key, NS)
    assert row is not None
    return read_stamped(row.value)


def test_the_stamp_is_the_proposers_unless_the_record_is_younger() -> None:
    world = World()
    assert world.do(c.put_stamped("k", b"1", 50, NS)) == [1, 1, 50]
    assert world.do(c.put_stamped("k", b"2", 90, NS)) == [2, 2, 90]
    assert world.do(c.put_stamped("k", b"3", 20, NS)) == [3, 3, 91], "a clock that lags goes on"
    assert world.do(c.put_stamped("k", b"4", 91, NS)) == [4, 4, 92]
    assert record(world) == (92, b"4")


def test_a_delete_leaves_a_tombstone_that_has_a_version() -> None:
    world = World()
    world.run(c.put_stamped("k", b"1", 50, NS))
    assert world.do(c.put_stamped("k", None, 10, NS)) == [2, 2, 51]
    assert record(world) == (51, None)
    assert world.do(c.put_stamped("k", b"2", 10, NS, version=2)) == [3, 3, 52]


def test_compare_and_set_goes_by_the_version() -> None:
    world = World()
    assert world.do(c.put_stamped("k", b"1", 5, NS, version=0)) == [1, 1, 5]
    refused = world.do(c.put_stamped("k", b"2", 9, NS, version=0))
    assert refused == ["failed", "compare_failed", [1, 1]]
    with pytest.raises(Refused, match="version 1 of revision 1"):
        results.raise_for(refused)
    assert world.do(c.put_stamped("new", b"2", 9, NS, version=3))[2] == [0, 0]
    assert record(world) == (5, b"1")
    assert world.machine.revision == 1


@pytest.mark.parametrize(
    "data", [b"", b"\xff", codec.dumps(7), codec.dumps([1]), codec.dumps([-1, b""])]
)
def test_a_record_of_another_command_counts_as_older_than_all(data: bytes) -> None:
    world = World()
    world.run(c.put("k", data, ns=NS))
    assert world.do(c.put_stamped("k", b"1", 0, NS)) == [2, 2, 1]


def test_what_is_wrong_is_said_before_proposing() -> None:
    with pytest.raises(LimitExceeded, match="1048577 bytes"):
        c.validate(c.put_stamped("k", bytes(limits.VALUE_BYTES_MAX + 1), 1, NS))
    with pytest.raises(LimitExceeded, match="stamp"):
        c.validate(c.put_stamped("k", b"", limits.STAMPS_MAX + 1, NS))
    with pytest.raises(UsageError, match="stamp must be an int"):
        c.validate(c.put_stamped("k", b"", True, NS))
    with pytest.raises(UsageError, match="value must be bytes"):
        c.validate(c.put_stamped("k", "text", 1, NS))  # type: ignore[arg-type]
    world = World()
    assert world.do(c.put_stamped("k", b"", -1, NS)) == results.MALFORMED


class TakesAnyStamp(Stamped):
    """Planted: the proposer's stamp is kept though the record is younger."""

    def put(self, command: list[Any]) -> Result:
        _, _, ns, key, value, stamp, _ = command
        revision = self._fx.next_revision()
        version = self._kv.write(revision, ns, key, codec.dumps([stamp, value]), 0)
        return [revision, version, stamp]


class Planted(Machine):
    def _build(self, meta: dict[str, Any]) -> None:
        super()._build(meta)
        self._handlers[c.ops.PUT_STAMPED] = TakesAnyStamp(self._fx, self._kv).put


def stamps_grow(machine_class: type[Machine]) -> bool:
    world, rng, last = World(machine_class), Random(3), 0
    for _ in range(50):
        value = rng.choice((None, b"v"))
        stamp = world.do(c.put_stamped("k", value, rng.randrange(1000), NS))[2]
        if stamp <= last or record(world)[0] != stamp:
            return False
        last = stamp
    return True


def test_stamps_only_grow_and_the_test_would_tell() -> None:
    assert stamps_grow(Machine)
    assert not stamps_grow(Planted)
