"""Many callers, invalidations, cuts, cancellations and elections, from seeds: what a cache promises
holds in each."""

from __future__ import annotations

import asyncio
import os
import random
from typing import Any

import pytest

from quorate.consistency.layers.cached import Cache
from quorate.consistency.layers.flights import Flights
from quorate.core.errors import QuorateError
from quorate.core.machine import commands
from tests.layers.world import World, begin, told

SEEDS = 400 if os.environ.get("QUORATE_SOAK") else 30
STEPS = 80
ON_ITS_WAY_S = 0.05
KEYS: tuple[str, ...] = ("k", "l")


async def pause(seconds: float) -> None:
    """So much virtual time; may be cancelled."""
    loop = asyncio.get_running_loop()
    passed: asyncio.Future[None] = loop.create_future()
    loop.call_later(seconds, lambda: passed.done() or passed.set_result(None))
    await passed


class Shop:
    """What is cached: a price that moves. Watches over every promise."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self.world = world
        self.rng = rng
        self.price = dict.fromkeys(KEYS, 0)
        self.surely = dict.fromkeys(KEYS, 0)
        """What a call that begins now must at least be told: of invalidations that returned."""
        self.disturbed_until = dict.fromkeys(KEYS, -1.0)
        """An invalidation may have been applied until then: what began before may still run beside
        what begins after it."""
        self.changing = dict.fromkeys(KEYS, 0)
        self.running: dict[str, list[float]] = {key: [] for key in KEYS}
        """When the computations that run began."""
        self.broken: list[str] = []
        self.answers = 0

    async def compute(self, key: str) -> int:
        now = asyncio.get_running_loop().time()
        for other in self.running[key]:
            if self.disturbed_until[key] < other - ON_ITS_WAY_S and not self.changing[key]:
                self.broken.append(f"{key}: two computations at once")
        self.running[key].append(now)
        try:
            price = self.price[key]
            await pause(self.rng.uniform(0.0, 0.3))
            return price
        finally:
            self.running[key].remove(now)

    async def ask(self, cache: Cache, key: str) -> None:
        least = self.surely[key]
        timeout = self.rng.uniform(0.2, 5.0)
        try:
            got = await cache.get_or_compute(key, lambda: self.compute(key), timeout=timeout)
        except QuorateError:
            return
        self.answers += 1
        if got < least:
            self.broken.append(f"{key}: {got} though {least} was invalidated before")

    async def change(self, cache: Cache, key: str) -> None:
        self.price[key] += 1
        price = self.price[key]
        now = asyncio.get_running_loop().time
        self.changing[key] += 1
        calm_s = 0.0
        try:
            await cache.invalidate(key, timeout=1.0)
        except (QuorateError, asyncio.CancelledError):
            calm_s = 2.0  # it may be applied yet
            return
        finally:
            self.changing[key] -= 1
            self.disturbed_until[key] = max(self.disturbed_until[key], now() + calm_s)
        self.surely[key] = max(self.surely[key], price)


async def one_life(world: World, seed: int) -> Shop:
    rng = random.Random(seed)
    caches = world.open(lease_s=1.5, ttl=rng.choice((1.0, 60.0)), entries_max=rng.choice((1, 10)))
    shop = Shop(world, rng)
    calls: list[asyncio.Task[Any]] = []
    cut: str | None = None
    for _ in range(STEPS):
        await world.mini.pass_time(rng.uniform(0.0, 0.2))
        cache, key, step = rng.choice(caches), rng.choice(KEYS), rng.random()
        if step < 0.6:
            calls.append(begin(shop.ask(cache, key)))
        elif step < 0.8:
            calls.append(begin(shop.change(cache, key)))
        elif step < 0.9:
            if calls:
                rng.choice(calls).cancel()
        elif cut is not None:
            world.mini.heal(cut)
            cut = None
        elif step < 0.95:
            cut = rng.choice("bc")
            world.mini.cut(cut)
        else:
            world.mini.lead("a")
    if cut is not None:
        world.mini.heal(cut)
    await asyncio.gather(*calls, return_exceptions=True)
    await world.mini.pass_time(5.0)
    for cache in caches:
        await shop.ask(cache, "k")
    return shop


def lives(seeds: range) -> tuple[int, list[str]]:
    """(answers given, promises broken) over these seeds."""
    answers, broken = 0, list[str]()
    for seed in seeds:

        async def story(world: World, seed: int = seed) -> None:
            nonlocal answers
            shop = await one_life(world, seed)
            answers += shop.answers
            broken.extend(f"seed {seed}: {text}" for text in shop.broken)

        told(story)
    return answers, broken


def test_the_promises_hold_in_every_life() -> None:
    answers, broken = lives(range(SEEDS))
    assert broken == []
    assert answers > SEEDS * 10, "there must have been something to break"


def lost_invalidation(patch: pytest.MonkeyPatch) -> None:
    async def invalidate(self: Any, key: str, timeout: float | None) -> Any:
        return await self._do([], [commands.delete("=" + key, self._ns)], 0, timeout)

    patch.setattr(Flights, "invalidate", invalidate)


def read_from_here(patch: pytest.MonkeyPatch) -> None:
    honest = Cache._get  # pyright: ignore[reportPrivateUsage]

    async def get(self: Any, key: str, fn: Any, plan: Any, level: str, seconds: float) -> Any:
        return await honest(self, key, fn, plan, "local", seconds)

    patch.setattr(Cache, "_get", get)


def two_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Cache, "_is_orphan", lambda self, flight: True)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]


@pytest.mark.parametrize("plant", [lost_invalidation, read_from_here, two_at_once])
def test_a_planted_fault_is_found(plant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    _, broken = lives(range(15))
    assert broken
