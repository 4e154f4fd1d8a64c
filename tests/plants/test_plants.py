"""Every plant of the live laboratory can be put in, leaves a host that starts and works alone, and
can be taken out again without a trace.

That each is found is shown by runs of the laboratory: chaos/plants/README.md.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from quorate.chaos.plants import catalogue
from quorate.chaos.plants.catalogue import CHANGES, PLANTS, apply, plant_of
from quorate.chaos.plants.plant import Change, own_of
from quorate.core.errors import UsageError
from quorate.hosts.host import Host

START_S = 10.0
QUICK = {"heartbeat_s": 0.03, "election_min_s": 0.2, "election_max_s": 0.3}
"""A group of one need not wait for anybody."""


def _has(change: Change) -> bool:
    return hasattr(change.owner, change.name)


@pytest.mark.parametrize("name", sorted(PLANTS))
def test_a_plant_changes_the_product_and_nothing_stays(name: str) -> None:
    plant = PLANTS[name]
    assert plant.changes
    assert all(_has(change) for change in plant.changes), "the product has no such name any more"
    before = [own_of(owner, at) for owner, at, _ in plant.changes]
    take_out = plant.put_in()
    try:
        for change, own in zip(plant.changes, before, strict=True):
            assert getattr(change.owner, change.name) is not own
            if inspect.isclass(change.instead) and inspect.isclass(own):
                assert issubclass(change.instead, own), "a plant is a subclass of what it replaces"
                assert _overrides(change.instead, own)
    finally:
        take_out()
    assert [own_of(owner, at) for owner, at, _ in plant.changes] == before


def _overrides(made: type, own: type) -> bool:
    """Some class between the two defines a method that the product's class has (or an
    attribute)."""
    between = made.__mro__[: made.__mro__.index(own)]
    return any(
        name in dir(own) and name not in ("__module__", "__doc__", "__slots__", "__qualname__")
        for cls in between
        for name in vars(cls)
    )


@pytest.mark.parametrize("name", sorted(PLANTS))
def test_a_host_starts_with_it(name: str, tmp_path: Path) -> None:
    plant = PLANTS[name]
    take_out = plant.put_in()
    try:
        asyncio.run(_work(tmp_path, plant.settings))
    finally:
        take_out()


async def _work(folder: Path, settings: Mapping[str, Any]) -> None:
    more = {**QUICK, **settings, "session_lease_s": 2.0, "agent_lease_s": 2.0}
    async with Host("a", data=folder / "a", listen="127.0.0.1:0", **more) as host:
        await host.ready(START_S)
        await host.kv.put("x", 1)
        assert await host.kv.get("x") == 1


def test_the_catalogue_is_complete() -> None:
    assert len(PLANTS) >= 20
    assert set(CHANGES) == set(PLANTS)
    for plant in PLANTS.values():
        assert plant.does and plant.nemesis and plant.finds, plant.name
        assert plant.workload, plant.name


def test_an_unknown_plant_is_named() -> None:
    with pytest.raises(UsageError, match="choose one of acknowledges-before-fsync"):
        plant_of("nothing-of-the-kind")
    assert catalogue.plant is apply
