"""What can go wrong, and whether it happened.

The law of this file: three families and no more.

* `UsageError`       your mistake: the call can never succeed as written; nothing was changed.
* `Unavailable`      the world: a network, a disk, a missing majority. `outcome` says whether the
                     update happened.
* `InvariantBroken`  our bug: the host that sees it stops itself rather than go on with a state it
                     cannot trust.

`Refused` errors are answers, not faults: the group decided, and the decision was no (a compare
failed, a name is taken, a lease is gone). They are raised after the group agreed, so nothing was
applied and a retry is safe but pointless.
"""

from __future__ import annotations

from typing import Literal

Outcome = Literal["not_applied", "unknown", "applied"]


class QuorateError(Exception):
    """The root of every error that quorate raises on purpose."""

    outcome: Outcome = "not_applied"
    """Whether the update of the failed call happened: `not_applied` (safe to retry), `unknown`,
    `applied`."""


# --- your mistake ---------------------------------------------------------------------------------


class UsageError(QuorateError, ValueError):
    """The call is wrong as written. The text says what, where and what to do; nothing was
    changed."""


class LimitExceeded(UsageError):
    """A key, value, batch, name or frame is over its limit."""


class TooManySiblings(LimitExceeded):
    """A key holds as many concurrent values as its store allows: read them with `siblings`, write
    one value in their place."""


class WrongType(UsageError):
    """The key holds another type than the call is for: a register is no counter, a set no map."""


class UnknownClass(UsageError):
    """No class of this name is registered where the agent is to run."""


class CircularAsk(UsageError):
    """The asked agent waits for the one that asks, directly or through others: neither would ever
    go on. Ask from a `@shared` method, or `tell`."""


class ForgedToken(UsageError):
    """A session token is truncated, altered, made by another cluster, or of an unknown version."""


class ConfigError(UsageError):
    """A setting is unknown, has the wrong type, or contradicts another."""


class WrongDataFolder(UsageError):
    """The data folder belongs to another host, another cluster, or another file format version."""


# --- an answer that is no -------------------------------------------------------------------------


class Refused(QuorateError):
    """The group decided, and the decision was no. Nothing was applied."""


class NameTaken(Refused):
    """A name is registered already and the conflict policy was `fail`. `holder` is the present
    registration."""

    def __init__(self, text: str, holder: object = None) -> None:
        super().__init__(text)
        self.holder = holder


class Siblings(Refused):
    """A key has several concurrent values and no single one can be told. `values`: all of them, the
    newest first. Read them with `siblings`, write one value in their place."""

    def __init__(self, text: str, values: list[object] | None = None) -> None:
        super().__init__(text)
        self.values = values or []


class NotFound(Refused):
    """No such key, name, lease or member."""


class LeaseExpired(Refused):
    """The lease is gone: it expired, was revoked, or never existed."""


class AgentNotFound(NotFound):
    """No agent of this name lives."""


class OwnerDead(Refused):
    """An owner that was named does not live (any more), so what it is to own was not started."""


class StillHeld(Refused):
    """The agent cannot be taken from its host: the host's lease lives. `holder` is the agent's
    present record."""

    def __init__(self, text: str, holder: object = None) -> None:
        super().__init__(text)
        self.holder = holder


class LockLost(Refused):
    """The lock is no longer ours: its lease expired or could not be renewed in time."""


class Compacted(Refused):
    """History from the asked revision is gone. Read the present state and watch from
    `oldest_revision` on."""

    def __init__(self, text: str, oldest_revision: int = 0) -> None:
        super().__init__(text)
        self.oldest_revision = oldest_revision


class MembershipRefused(Refused):
    """A membership change cannot start now (another one is running, the member is unknown, a
    learner lags)."""


# --- an agent's own error -------------------------------------------------------------------------


class AgentError(QuorateError):
    """A method of an agent raised: its turn was rolled back, nothing of it remains.

    `type`: the exception's qualified name; `text`: its message; `traceback`: where it came from, as
    text."""

    def __init__(self, text: str, *, type: str = "", traceback: str = "") -> None:
        super().__init__(f"{type}: {text}" if type else text)
        self.type = type
        self.text = text
        self.traceback = traceback


# --- the world ------------------------------------------------------------------------------------


class Unavailable(QuorateError):
    """The world is in the way. `outcome` says whether the update happened; `leader` is a hint where
    to try."""

    def __init__(
        self, text: str, *, outcome: Outcome = "not_applied", leader: str | None = None
    ) -> None:
        super().__init__(text)
        self.outcome = outcome
        self.leader = leader


class NotCommitted(Unavailable):
    """Certainly not applied, now or later: retrying is safe."""


class NoLeader(NotCommitted):
    """No leader is known here, so the command never left this host."""


class NotLeader(NotCommitted):
    """This host does not lead; `leader` is a hint."""


class NoQuorum(NotCommitted):
    """This host cannot reach a majority."""


class Partitioned(NotCommitted):
    """This host reaches no majority, and the store is to pause then (`on_partition="pause"`)."""


class StaleReplica(NotCommitted):
    """No host that could be asked has what the read must see (a session's past, a bound on
    staleness); nothing older was served. Try again, or read `level="local"`."""


class Overloaded(NotCommitted):
    """A bounded queue is full. Slow down and retry."""


class MailboxFull(Overloaded):
    """The agent's mailbox holds as many messages as it may; this one was not taken."""


class Moved(NotCommitted):
    """The agent is not where it was called; nothing was done there. `host` and `epoch` say where it
    is, as far as that place knows."""

    def __init__(self, text: str, *, host: str = "", epoch: int = 0) -> None:
        super().__init__(text)
        self.host = host
        self.epoch = epoch


class Fenced(NotCommitted):
    """This activation of an agent is not the present one (any more), or cannot be sure to be; what
    it wanted to do was not done."""


class ClusterAtCapacity(NotCommitted):
    """No host has room for the agent; the text says what was missing where."""


class StartFailed(NotCommitted):
    """The agent could not be brought up: its class, its `on_start` or its `on_activate` failed."""


class StorageFull(NotCommitted):
    """The disk of the host that must write is full; writes resume when space returns."""


class Stopped(NotCommitted):
    """The host is stopped or stopping; the call never started."""


class RemovedFromCluster(NotCommitted):
    """This host is no longer a member of the cluster."""


class Timeout(NotCommitted, TimeoutError):
    """The deadline passed and the call had no effect (a read, or a command that never left this
    host)."""


class OutcomeUnknown(Unavailable, TimeoutError):
    """The deadline passed, or the host stopped, while the command was on its way: it may be
    applied, now or later.

    Retry only with the same request id (the (session, sequence) pair), or read first.
    """

    def __init__(self, text: str, *, leader: str | None = None) -> None:
        super().__init__(text, outcome="unknown", leader=leader)


class SessionExpired(Unavailable):
    """The group forgot the client session (too many newer ones). `outcome` is `unknown` for a
    command sent before."""


class StorageFailed(Unavailable):
    """A write or fsync failed: what is on disk is unknown, so the host stops itself."""


class CorruptStorage(Unavailable):
    """A record on disk does not match its checksum or cannot be read; the host refuses to use
    it."""


# --- our bug --------------------------------------------------------------------------------------


class InvariantBroken(QuorateError):
    """A law of the system does not hold. The host that sees it takes itself out of service."""

    outcome: Outcome = "unknown"
