"""The classes a simulated host of agents is built of. The law: the defaults are the product's own;
a plant replaces one of them by a subclass (see plants.py), and the product has no switch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from quorate.chaos.agents.door import AgentDoor
from quorate.chaos.stores.door import Door
from quorate.chaos.stores.parts import Parts
from quorate.core.machine.machine import Machine
from quorate.hosts.agents.engine import AgentEngine
from quorate.hosts.agents.world import AgentWorld


def exchanged(*changes: tuple[Any, str, Any]) -> Callable[[AgentWorld], Any]:
    """Makes the product's agents with some names of its modules standing for something else while
    they are built: (module, name, what)."""

    def make(world: AgentWorld) -> Any:
        before = [(module, name, getattr(module, name)) for module, name, _ in changes]
        try:
            for module, name, instead in changes:
                setattr(module, name, instead)
            return AgentEngine(world)
        finally:
            for module, name, own in before:
                setattr(module, name, own)

    return make


@dataclass(frozen=True, slots=True)
class AgentParts(Parts):
    """What to build hosts of."""

    door_class: type[Door] = AgentDoor
    make_engine: Callable[[AgentWorld], Any] = AgentEngine
    machine_class: Callable[..., Machine] = Machine
