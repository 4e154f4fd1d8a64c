"""What is measured side by side: quorate and its peers, behind one protocol."""

from __future__ import annotations

from quorate.bench.systems.base import Missing, System
from quorate.bench.systems.etcd import Etcd
from quorate.bench.systems.pysyncobj import PySyncObj, PySyncObjUnbatched
from quorate.bench.systems.raft_group import RaftGroup

SYSTEMS: dict[str, type[System]] = {
    system.name: system for system in (RaftGroup, PySyncObj, PySyncObjUnbatched, Etcd)
}
"""In the order of the report; the first is ours."""

__all__ = ["SYSTEMS", "Etcd", "Missing", "PySyncObj", "PySyncObjUnbatched", "RaftGroup", "System"]
