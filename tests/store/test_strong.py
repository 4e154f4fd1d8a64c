"""The strong plane alone: compare, retry, deadline, the cheap look whether there is anything."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from quorate import NotCommitted, Refused
from quorate.consistency.strong import ABSENT, StrongPlane
from quorate.core.machine.results import failed
from tests.store.conftest import World


def plane_of(world: World) -> tuple[StrongPlane, str]:
    return world.hosts[0].stores.desk.plane.strong, world.name()


def test_it_is_known_cheaply_that_a_store_has_no_record(world: World) -> None:
    async def story() -> None:
        strong, name = plane_of(world)
        assert not strong.has_any(name)
        assert strong.peek(name, "k") == ABSENT
        write = await strong.put(name, "k", b"1", floor=77, timeout_s=5)
        assert write.stamp > 77
        assert strong.has_any(name)
        assert not strong.has_any(name + "2"), "a name that only begins alike"
        assert strong.peek(name, "k")[1:] == (b"1", 1)
        assert strong.keys(name, "", "", 10) == ["k"]
        await strong.put(name, "k", None, timeout_s=5)
        assert strong.keys(name, "", "", 10) == []
        assert strong.has_any(name), "a tombstone is a record"

    world.run(story())


def test_an_update_sees_every_other_and_loses_none(world: World) -> None:
    async def story() -> None:
        strong, name = plane_of(world)

        def more(value: bytes | None) -> bytes:
            return b"%d" % (int(value or b"0") + 1)

        await asyncio.gather(
            *(strong.update(name, "n", more, timeout_s=10) for _ in range(20)),
        )
        record = await strong.read(name, "n", 5)
        assert (record.value, record.version) == (b"20", 20)

    world.run(story())


def test_who_is_always_late_ends_by_the_deadline(world: World) -> None:
    async def story() -> None:
        strong, name = plane_of(world)
        seen: list[bytes | None] = []

        class Busy(StrongPlane):
            async def _try(self, *args: Any) -> Any:
                return None, failed("compare_failed", [7, 7])

        busy = Busy(world.hosts[0].group, lambda floor: floor + 1)

        def note(value: bytes | None) -> bytes:
            seen.append(value)
            return b"x"

        started = world.loop.time()
        with pytest.raises(NotCommitted, match="others wrote first"):
            await busy.update(name, "k", note, timeout_s=0.2)
        assert 0.15 < world.loop.time() - started < 1.0
        assert len(seen) > 2, "it tried again, after pauses"
        assert strong.peek(name, "k") == ABSENT

        def fails(value: bytes | None) -> bytes:
            raise RuntimeError("of the program")

        with pytest.raises(RuntimeError, match="of the program"):
            await strong.update(name, "k", fails, timeout_s=1)

    world.run(story())


def test_version_zero_means_that_there_is_nothing(world: World) -> None:
    async def story() -> None:
        strong, name = plane_of(world)
        first = await strong.cas(name, "k", b"1", version=0, floor=0, timeout_s=5)
        assert first.version == 1
        with pytest.raises(Refused):
            await strong.cas(name, "k", b"2", version=0, floor=0, timeout_s=5)
        await strong.put(name, "k", None, timeout_s=5)
        again = await strong.cas(name, "k", b"3", version=0, floor=first.stamp, timeout_s=5)
        assert again.version == 3
        assert again.stamp > first.stamp

    world.run(story())
