"""All plants by name, with what finds them.

The law of this file: a table, and `apply` for a worker process. What a plant exchanges is written
in the module of its kind; where it is looked for, and by which words it is known, is written here.
"""

from __future__ import annotations

from typing import Any

from quorate.chaos.plants import acting, applying, holding, keeping, leading, merging
from quorate.chaos.plants.plant import Change, Plant
from quorate.core.errors import UsageError

CHANGES: dict[str, tuple[Change, ...]] = {
    **leading.CHANGES,
    **keeping.CHANGES,
    **applying.CHANGES,
    **holding.CHANGES,
    **merging.CHANGES,
    **acting.CHANGES,
}
PATIENT: dict[str, Any] = {"digest_interval_s": 3600.0}
"""Hosts do not compare their states: what a plant does is to be seen from outside."""
HOLDING = "quorate.chaos.plants.probes:HoldingWorkload"
COUNTING = "quorate.chaos.plants.probes:CountingWorkload"
TELLERS = "quorate.chaos.plants.probes:TellersWorkload"
REMOVING = "quorate.chaos.plants.probes:RemovingWorkload"
STALE = ("not-linearizable", "stale-read")
CONFLICT = "conflicts with committed"
"""What a host says when it stops itself over a log that is not its own."""
TOGETHER: dict[str, Any] = {"election_min_s": 0.4, "election_max_s": 0.45}
"""Hosts stand at nearly the same moment."""
LOST = (*STALE, "lost-write", "phantom-read")


def _plant(
    name: str,
    does: str,
    workload: str,
    nemesis: str,
    finds: tuple[str, ...],
    settings: dict[str, Any] | None = None,
) -> Plant:
    return Plant(name, does, workload, nemesis, finds, CHANGES[name], settings or {})


_ALL = (
    _plant(
        "deposed-leader-reads",
        "a leader answers reads without asking a majority, and never gives up leading",
        "register",
        "isolate-leader",
        STALE,
    ),
    _plant(
        "reads-what-is-here",
        "every host answers linearizable reads from what it has applied",
        "register",
        "slow",
        STALE,
    ),
    _plant(
        "commits-alone",
        "the leader commits what is on its own disk alone",
        "register",
        "isolate-leader",
        (*LOST, CONFLICT),
    ),
    _plant(
        "forgets-the-vote",
        "a host votes for two candidates in one term",
        "register",
        "slow+isolate-leader",
        (*LOST, "two leaders", "both lead"),
        TOGETHER,
    ),
    _plant(
        "acknowledges-before-fsync",
        "the journal tells that entries are on disk up to half a second before they are",
        "register",
        "restart-all",
        LOST,
    ),
    _plant(
        "sessions-forgotten",
        "the machine does not remember which commands it has done",
        COUNTING,
        "transfer",
        ("done-twice",),
    ),
    _plant(
        "sessions-not-saved",
        "the table of client sessions is not part of the saved state",
        "register",
        "kill",
        LOST,
        PATIENT,
    ),
    _plant(
        "cas-does-not-compare",
        "compare-and-set writes whatever is there",
        "register",
        "none",
        STALE,
    ),
    _plant(
        "transactions-do-not-compare",
        "a transaction takes its first branch whatever its compares say",
        "append",
        "none",
        ("lost-element", "lost-append", "G", "incompatible-order"),
    ),
    _plant(
        "transactions-in-halves",
        "all writes of a transaction but the first are made four transactions later",
        "append",
        "none",
        ("lost-element", "lost-append", "G", "incompatible-order", "internal"),
    ),
    _plant(
        "lock-without-fencing",
        "every grant of a lock has the same token",
        "locks",
        "none",
        ("token",),
    ),
    _plant(
        "lock-granted-twice",
        "a lock that is held is granted to the next one as well, under the same token",
        "locks",
        "none",
        ("token", "two"),
    ),
    _plant(
        "lease-kept-beyond-its-end",
        "a holder believes in its lease until the group tells it otherwise",
        HOLDING,
        "isolate",
        ("two-holders",),
    ),
    _plant(
        "lease-ended-early",
        "the leader ends leases before their time",
        HOLDING,
        "isolate",
        ("two-holders",),
    ),
    _plant(
        "epoch-not-raised",
        "every binding of a name has the same epoch",
        "names",
        "none",
        ("token", "two-bindings", "epoch"),
    ),
    _plant(
        "session-token-ignored",
        "a host shows a session what it has, whatever the session has seen",
        "sessions",
        "halves",
        ("read-your-writes", "monotonic-reads"),
    ),
    _plant(
        "session-token-not-forwarded",
        "a read that is handed on to an owner does not carry the session's past",
        "sessions",
        "halves",
        ("read-your-writes", "monotonic-reads"),
    ),
    _plant(
        "bounded-without-a-bound",
        "a bounded read is answered however old it is",
        "staleness",
        "halves",
        ("too-old", "too-far-behind", "behind"),
    ),
    _plant(
        "hint-dropped",
        "what a host did not hear while it was away is taken for heard, and it minds no gap",
        "sessions",
        "halves",
        ("diverged", "lost", "read-your-writes", "monotonic-reads"),
    ),
    _plant(
        "updates-skipped",
        "of every twenty messages of updates one is empty, and nobody minds the gap",
        "sessions",
        "none",
        ("diverged", "lost", "read-your-writes", "monotonic-reads"),
    ),
    _plant(
        "store-acknowledges-before-fsync",
        "a store's update is acknowledged up to half a second before it is on disk",
        "crdts",
        "restart-all",
        ("lost",),
    ),
    _plant(
        "folder-dropped-at-start",
        "a host that starts again begins with an empty folder, and votes",
        "register",
        "restart-all",
        LOST,
    ),
    _plant(
        "stores-dropped-at-start",
        "a host that starts again has dropped its stores",
        "crdts",
        "restart-all",
        ("lost",),
    ),
    _plant(
        "tombstone-collected-early",
        "a removal is forgotten before every owner has it",
        REMOVING,
        "halves",
        ("resurrected", "diverged"),
    ),
    _plant(
        "counter-merged-by-max",
        "of two versions of what an actor counted the larger one is taken",
        "crdts",
        "none",
        ("diverged", "lost", "counter"),
    ),
    _plant(
        "agents-lease-ignored",
        "a host acts for its agents after its lease is over",
        TELLERS,
        "pause",
        ("lost-turn", "stale-turn"),
    ),
    _plant(
        "agent-epoch-not-checked",
        "nor does the group look at the epoch of what such a host commits",
        TELLERS,
        "pause",
        ("lost-turn", "stale-turn"),
    ),
    _plant(
        "agent-messages-sent-again",
        "what may have been handled is sent once more when a link breaks",
        "queue",
        "reset",
        ("handled-twice", "phantom-message"),
    ),
    _plant(
        "agent-messages-heard-twice",
        "messages are sent twice now and then, and nobody notices",
        "queue",
        "none",
        ("handled-twice",),
    ),
    _plant(
        "agent-order-not-kept",
        "a message now and then leaves after later ones, and is taken all the same",
        "queue",
        "none",
        ("out-of-order",),
    ),
    _plant(
        "mailbox-handed-on-twice",
        "what was not begun goes to an agent's new place twice",
        "queue",
        "agent-moves",
        ("handled-twice",),
    ),
    _plant(
        "move-does-not-flush",
        "messages take the way to an agent's new place before the old one is empty",
        "queue",
        "agent-moves",
        ("out-of-order",),
    ),
)
PLANTS: dict[str, Plant] = {plant.name: plant for plant in _ALL}


def plant_of(name: str) -> Plant:
    """The plant of that name. Raises `UsageError`."""
    found = PLANTS.get(name)
    if found is None:
        raise UsageError(f"there is no plant {name!r}: choose one of {', '.join(sorted(PLANTS))}")
    return found


def apply(name: str) -> None:
    """Plant it in this process, for good; before a `Host` is built. Raises `UsageError`."""
    plant_of(name).put_in()


plant = apply
