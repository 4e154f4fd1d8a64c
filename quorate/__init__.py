"""quorate: a cluster in a Python package. These are the public names.

The heavy parts (hosts, LMDB, the Raft engine) are loaded when a name that needs them is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quorate.consistency.events.event import VersionConflict
    from quorate.consistency.events.log import EventLog
    from quorate.consistency.layers.cached import Cache
    from quorate.consistency.layers.records import ComputationFailed
    from quorate.consistency.store.conflicts import ConflictEntry
    from quorate.consistency.store.levels import Bounded, bounded
    from quorate.consistency.store.merging import semantic_merge
    from quorate.consistency.store.receipts import Entry, StoreReceipt, Version
    from quorate.consistency.store.session import Session
    from quorate.consistency.store.store import Store
    from quorate.core.errors import (
        AgentError,
        AgentNotFound,
        CircularAsk,
        ClusterAtCapacity,
        Compacted,
        ConfigError,
        CorruptStorage,
        Fenced,
        ForgedToken,
        InvariantBroken,
        LeaseExpired,
        LimitExceeded,
        LockLost,
        MailboxFull,
        MembershipRefused,
        Moved,
        NameTaken,
        NoLeader,
        NoQuorum,
        NotCommitted,
        NotFound,
        NotLeader,
        OutcomeUnknown,
        Overloaded,
        OwnerDead,
        Partitioned,
        QuorateError,
        Refused,
        RemovedFromCluster,
        SessionExpired,
        Siblings,
        StaleReplica,
        StartFailed,
        StillHeld,
        Stopped,
        StorageFailed,
        StorageFull,
        Timeout,
        TooManySiblings,
        Unavailable,
        UnknownClass,
        UsageError,
        WrongDataFolder,
        WrongType,
    )
    from quorate.core.group.elections import Election, Leader, Leadership
    from quorate.core.group.kv import KV, Deleted, Receipt, Record, TxnResult
    from quorate.core.group.leases import Lease
    from quorate.core.group.locks import Lock
    from quorate.core.group.registry import Name, Registry
    from quorate.core.group.txn import (
        Else,
        If,
        Then,
        created,
        delete,
        exists,
        get,
        put,
        revision,
        value,
        version,
    )
    from quorate.core.group.watch import Event, Watch
    from quorate.hosts.agents.agent import Agent, shared
    from quorate.hosts.agents.directory import Location
    from quorate.hosts.cluster import Cluster
    from quorate.hosts.config import Settings, TlsFiles
    from quorate.hosts.host import Host

_HOMES = {
    "quorate.consistency.events.event": ("VersionConflict",),
    "quorate.consistency.events.log": ("EventLog",),
    "quorate.consistency.layers.cached": ("Cache",),
    "quorate.consistency.layers.records": ("ComputationFailed",),
    "quorate.consistency.store.conflicts": ("ConflictEntry",),
    "quorate.consistency.store.levels": ("Bounded", "bounded"),
    "quorate.consistency.store.merging": ("semantic_merge",),
    "quorate.consistency.store.receipts": ("Entry", "StoreReceipt", "Version"),
    "quorate.consistency.store.session": ("Session",),
    "quorate.consistency.store.store": ("Store",),
    "quorate.core.errors": (
        "AgentError",
        "AgentNotFound",
        "CircularAsk",
        "ClusterAtCapacity",
        "Compacted",
        "ConfigError",
        "CorruptStorage",
        "Fenced",
        "ForgedToken",
        "InvariantBroken",
        "LeaseExpired",
        "LimitExceeded",
        "LockLost",
        "MailboxFull",
        "MembershipRefused",
        "Moved",
        "NameTaken",
        "NoLeader",
        "NoQuorum",
        "NotCommitted",
        "NotFound",
        "NotLeader",
        "OutcomeUnknown",
        "Overloaded",
        "OwnerDead",
        "Partitioned",
        "QuorateError",
        "Refused",
        "RemovedFromCluster",
        "SessionExpired",
        "Siblings",
        "StaleReplica",
        "StartFailed",
        "StillHeld",
        "Stopped",
        "StorageFailed",
        "StorageFull",
        "Timeout",
        "TooManySiblings",
        "Unavailable",
        "UnknownClass",
        "UsageError",
        "WrongDataFolder",
        "WrongType",
    ),
    "quorate.core.group.elections": ("Election", "Leader", "Leadership"),
    "quorate.core.group.kv": ("KV", "Deleted", "Receipt", "Record", "TxnResult"),
    "quorate.core.group.leases": ("Lease",),
    "quorate.core.group.locks": ("Lock",),
    "quorate.core.group.registry": ("Name", "Registry"),
    "quorate.core.group.txn": (
        "Else",
        "If",
        "Then",
        "created",
        "delete",
        "exists",
        "get",
        "put",
        "revision",
        "value",
        "version",
    ),
    "quorate.core.group.watch": ("Event", "Watch"),
    "quorate.hosts.agents.agent": ("Agent", "shared"),
    "quorate.hosts.agents.directory": ("Location",),
    "quorate.hosts.cluster": ("Cluster",),
    "quorate.hosts.config": ("Settings", "TlsFiles"),
    "quorate.hosts.host": ("Host",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__version__ = "0.1.0"

__all__ = [
    "KV",
    "Agent",
    "AgentError",
    "AgentNotFound",
    "Bounded",
    "Cache",
    "CircularAsk",
    "Cluster",
    "ClusterAtCapacity",
    "Compacted",
    "ComputationFailed",
    "ConfigError",
    "ConflictEntry",
    "CorruptStorage",
    "Deleted",
    "Election",
    "Else",
    "Entry",
    "Event",
    "EventLog",
    "Fenced",
    "ForgedToken",
    "Host",
    "If",
    "InvariantBroken",
    "Leader",
    "Leadership",
    "Lease",
    "LeaseExpired",
    "LimitExceeded",
    "Location",
    "Lock",
    "LockLost",
    "MailboxFull",
    "MembershipRefused",
    "Moved",
    "Name",
    "NameTaken",
    "NoLeader",
    "NoQuorum",
    "NotCommitted",
    "NotFound",
    "NotLeader",
    "OutcomeUnknown",
    "Overloaded",
    "OwnerDead",
    "Partitioned",
    "QuorateError",
    "Receipt",
    "Record",
    "Refused",
    "Registry",
    "RemovedFromCluster",
    "Session",
    "SessionExpired",
    "Settings",
    "Siblings",
    "StaleReplica",
    "StartFailed",
    "StillHeld",
    "Stopped",
    "StorageFailed",
    "StorageFull",
    "Store",
    "StoreReceipt",
    "Then",
    "Timeout",
    "TlsFiles",
    "TooManySiblings",
    "TxnResult",
    "Unavailable",
    "UnknownClass",
    "UsageError",
    "Version",
    "VersionConflict",
    "Watch",
    "WrongDataFolder",
    "WrongType",
    "__version__",
    "bounded",
    "created",
    "delete",
    "exists",
    "get",
    "put",
    "revision",
    "semantic_merge",
    "shared",
    "value",
    "version",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'quorate' has no attribute {name!r}")
    found = getattr(import_module(home), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
