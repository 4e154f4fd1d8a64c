"""A host as placement sees it, and how much it should be given.

The law of this file: values, made by whoever looks and changed by nobody. What is not known counts
as rather busy, never as idle: a host that says nothing gets little. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from types import MappingProxyType
from typing import Final, NamedTuple

CPU_SHARE: Final = 0.4
MEMORY_SHARE: Final = 0.4
NETWORK_SHARE: Final = 0.2
RTT_FULL_S: Final = 0.1
"""A round trip of so long counts as the whole share of the network."""
STALE_S: Final = 5.0
"""A load that was told so long ago is not known any more."""
UNKNOWN_PRESSURE: Final = 0.625
WEIGHT_STEPS: Final = 16
"""Weights are so many sixteenths: two hosts that heard nearly the same figures choose alike."""
WEIGHT_MIN_STEPS: Final = 2
OVERLOADED_CPU: Final = 0.9
OVERLOADED_MEMORY: Final = 0.95
OVERLOADED_LAG_S: Final = 0.25

_NOTHING: Final[Mapping[str, float]] = MappingProxyType({})


class Load(NamedTuple):
    """What a host measured of itself, smoothed."""

    cpu: float = 0.0
    """0 to 1: of the machine, or of the one core that its loop has, whichever is busier."""
    memory: float = 0.0
    """0 to 1: of the machine."""
    lag_s: float = 0.0
    """By how much its loop is late."""
    age_s: float = 0.0
    """How long ago it was told."""

    @property
    def known(self) -> bool:
        return self.age_s < STALE_S


@dataclass(frozen=True, slots=True)
class HostView:
    """One host that runs agents. What is placed on it is counted apart (`counts.Counts`)."""

    id: str
    lease: int
    """Under which it runs agents now."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    capacity: Mapping[str, float] = field(default_factory=dict[str, float])
    """What it has to give out; memory_mb, cpu and slots that are not named here are unbounded,
    anything else that is not named it does not have."""
    classes: Mapping[str, int] = field(default_factory=dict[str, int])
    """Kind -> version of what it can run."""
    load: Load | None = None
    draining: bool = False
    reachable: bool = True
    """From where the choice is made."""
    rtt_s: float | None = None

    @property
    def is_known(self) -> bool:
        return self.load is not None and self.load.known

    @property
    def pressure(self) -> float:
        """0 (idle) to 1: how busy it is, from measured CPU, memory and round trip."""
        load = self.load
        if load is None or not load.known:
            return UNKNOWN_PRESSURE
        network = 0.0 if self.rtt_s is None else min(1.0, self.rtt_s / RTT_FULL_S)
        return CPU_SHARE * load.cpu + MEMORY_SHARE * load.memory + NETWORK_SHARE * network

    @property
    def overloaded(self) -> bool:
        """Whether it can hardly do what it has to do already, as far as it is known."""
        load = self.load
        if load is None or not load.known:
            return False
        return (
            load.cpu >= OVERLOADED_CPU
            or load.memory >= OVERLOADED_MEMORY
            or load.lag_s >= OVERLOADED_LAG_S
        )

    @property
    def weight(self) -> float:
        """Its share of new agents beside that of others: 2/16 to 1."""
        if self.overloaded:
            return WEIGHT_MIN_STEPS / WEIGHT_STEPS
        steps = round((1.0 - self.pressure) * WEIGHT_STEPS)
        return min(WEIGHT_STEPS, max(WEIGHT_MIN_STEPS, steps)) / WEIGHT_STEPS


def point(text: str) -> int:
    """64 bits of a name, the same on every machine, in every process and for ever (T22)."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
