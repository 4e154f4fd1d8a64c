"""What agents are told of their surroundings: one value, made by a host or by the simulator.

The law of this file: names only. Nothing here acts; whatever has to do with agents takes time,
chance, links and the group from this value and from nowhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from quorate.consistency.layers.cached import Cache
from quorate.consistency.store.desk import Desk
from quorate.core.group.group import Group
from quorate.core.wire.limits import Lane
from quorate.hosts.agents.placement.probe import Reading


class Send(Protocol):
    """Hands a message to a peer; False when it certainly did not leave."""

    def __call__(self, peer: str, message: dict[str, Any], lane: Lane, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """How a host runs agents. Times in seconds."""

    lease_s: float = 1.5
    """The lease under which a host runs agents: so long after a crash may others take over."""
    timeout_s: float = 5.0
    """The deadline of a call that names none."""
    labels: dict[str, str] = field(default_factory=dict[str, str])
    capacity: dict[str, float] = field(default_factory=dict[str, float])
    """What there is to give out, by name (memory_mb, cpu, slots, ...); memory_mb and cpu are
    measured where they are not named."""
    calls_pending_max: int = 65_536
    """Questions of this host that may wait for an answer at once."""
    dead_letters_max: int = 1000
    parked_messages_max: int = 4096
    """Messages that wait for an agent whose mailbox is full, per agent."""
    drain_timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class AgentWorld:
    """See the law above. All time is `group.clock`, all chance `group.rng`."""

    host_id: str
    cluster: str
    group: Group
    loop: asyncio.AbstractEventLoop
    send: Send
    is_up: Callable[[str], bool]
    """Whether a peer can be sent something."""
    rtt_s: Callable[[str], float | None]
    members: Callable[[], tuple[str, ...]]
    """The ids of all members, this host included."""
    desk: Callable[[], Desk]
    """The stores of this host, opened now if they were not."""
    cut_off: Callable[[], bool]
    """Whether this host reaches no majority."""
    on_problem: Callable[[str], None]
    cache: Callable[[str], Cache] | None = None
    """A cache of the cluster by its name; None where there are none."""
    probe: Callable[[], Reading] | None = None
    """Measures this machine; None: nothing is measured (the simulator)."""
    settings: AgentSettings = AgentSettings()
