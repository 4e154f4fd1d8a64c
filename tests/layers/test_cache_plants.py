"""Caches that are wrong in one place: the story of each promise must notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from quorate.consistency.layers import flights as flights_module
from quorate.consistency.layers.computing import Computing
from quorate.consistency.layers.flights import Flights
from quorate.consistency.layers.index import Index
from quorate.consistency.layers.looking import Looking
from quorate.core.machine import commands
from tests.layers import test_cache as stories
from tests.layers import test_cache_life as lives

Patch = pytest.MonkeyPatch


def always(answer: Any) -> Callable[..., Any]:
    def call(*_: Any) -> Any:
        return answer

    return call


def two_computations(patch: Patch) -> None:
    """A computation begins whatever the group holds."""

    async def take_off(self: Any, key: str, flight: Any, lease: Any, **seen: Any) -> Any:
        encoded = flights_module.encode_flight(flight)
        put = commands.put("?" + key, encoded, lease.id, self._ns)
        return await self._do([], [put], len(encoded))

    patch.setattr(Flights, "take_off", take_off)


def lost_invalidation(patch: Patch) -> None:
    """Only the entry goes; a computation on its way lands."""

    async def invalidate(self: Any, key: str, timeout: float | None) -> Any:
        return await self._do([], [commands.delete("=" + key, self._ns)], 0, timeout)

    patch.setattr(Flights, "invalidate", invalidate)


def served_from_here(patch: Patch) -> None:
    """An invalidation removes nothing: every host looks at what it knows."""

    async def invalidate(self: Any, key: str, timeout: float | None) -> Any:
        return await self._do([], [commands.delete("?" + key, self._ns)], 0, timeout)

    patch.setattr(Flights, "invalidate", invalidate)


def never_handed_over(patch: Patch) -> None:
    def release_soon(self: Any, key: str, flight: Any) -> None:
        return None

    patch.setattr(Flights, "release_soon", release_soon)


def lease_ignored(patch: Patch) -> None:
    """The function goes on though the lease is lost."""

    async def run(self: Any, fn: Any, lease: Any) -> Any:
        return await fn()

    patch.setattr(Computing, "_run", run)


def dependencies_ignored(patch: Patch) -> None:
    patch.setattr(Looking, "is_unmoved", always(True))


def moved_while_computing_ignored(patch: Patch) -> None:
    """What depends on is read when the computation ends instead of when it begins."""
    patch.setattr(flights_module, "_unmoved", always([]))
    patch.setattr(Looking, "is_unmoved", always(True))


def never_too_old(patch: Patch) -> None:
    patch.setattr(Looking, "age_s", always(0.0))


def first_in_first_out(patch: Patch) -> None:
    patch.setattr(Index, "touch", always(None))


Plant = Callable[[Patch], None]
CAUGHT: list[tuple[Plant, Callable[[], None]]] = [
    (two_computations, stories.test_hundred_callers_on_three_hosts_share_one_computation),
    (lost_invalidation, stories.test_a_computation_that_began_before_an_invalidation_is_not_kept),
    (lost_invalidation, stories.test_one_that_waits_through_an_invalidation_computes_itself),
    (served_from_here, stories.test_after_invalidate_returned_no_host_serves_the_old_value),
    (never_handed_over, stories.test_a_caller_that_is_cancelled_hands_over),
    (lease_ignored, stories.test_a_host_that_is_cut_off_is_replaced_and_two_never_compute_at_once),
    (dependencies_ignored, stories.test_a_value_depends_on_keys),
    (moved_while_computing_ignored, stories.test_what_moved_while_it_was_computed_is_not_kept),
    (never_too_old, lives.test_an_old_entry_found_at_the_start_is_not_taken_for_new),
    (first_in_first_out, lives.test_a_full_cache_gives_up_what_nobody_asked_for),
]


@pytest.mark.parametrize(
    ("plant", "story"), CAUGHT, ids=[f"{p.__name__}-{s.__name__[5:30]}" for p, s in CAUGHT]
)
def test_the_story_notices(
    plant: Plant, story: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    story()
    plant(monkeypatch)
    with pytest.raises((AssertionError, Exception)):
        story()
