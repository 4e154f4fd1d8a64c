"""What is measured side by side: quorate and its peers, behind one protocol."""

from __future__ import annotations

from quorate.bench.systems.agent_group import AgentGroup
from quorate.bench.systems.agent_system import AgentSystem
from quorate.bench.systems.base import Missing, System
from quorate.bench.systems.casty import Casty
from quorate.bench.systems.etcd import Etcd
from quorate.bench.systems.etcd_python import EtcdPython
from quorate.bench.systems.pysyncobj import PySyncObj, PySyncObjUnbatched
from quorate.bench.systems.raft_group import RaftGroup
from quorate.bench.systems.ray import Ray
from quorate.bench.systems.redis import Redis, RedisWait

SYSTEMS: dict[str, type[System]] = {
    system.name: system
    for system in (RaftGroup, PySyncObj, PySyncObjUnbatched, Etcd, EtcdPython, Redis, RedisWait)
}
"""In the order of the report; the first is ours."""

AGENT_SYSTEMS: dict[str, type[AgentSystem]] = {
    system.name: system for system in (AgentGroup, Casty, Ray)
}
"""The same for agents."""

NAMES: tuple[str, ...] = tuple(dict.fromkeys((*SYSTEMS, *AGENT_SYSTEMS)))

__all__ = [
    "AGENT_SYSTEMS",
    "NAMES",
    "SYSTEMS",
    "AgentGroup",
    "AgentSystem",
    "Casty",
    "Etcd",
    "EtcdPython",
    "Missing",
    "PySyncObj",
    "PySyncObjUnbatched",
    "RaftGroup",
    "Ray",
    "Redis",
    "RedisWait",
    "System",
]
