"""The policies of agents in a partition, as decisions. Pure.

The law of this file: who may act, and in which way, follows from the policy, from whether this host
reaches a majority, and from whom it reaches; nothing is looked up or changed here.

    policy           on the side without a majority
    pause_minority   no turn begins; who asks gets `Partitioned`
    degraded         answers from what it has, marked; writes nothing
    split_brain      goes on with eventual and CRDT state, marked; nothing strong; both sides meet
                     after the heal and a report says so
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

POLICIES: Final = ("pause_minority", "degraded", "split_brain")


def policy_of(own: str, of_class: str) -> str:
    """The agent's own policy, or the one of its class."""
    return own or of_class


def goes_on(policy: str) -> bool:
    """Whether the agent answers on a host that reaches no majority."""
    return policy != "pause_minority"


def may_write(policy: str) -> bool:
    """Whether what it writes there (eventual, CRDT) is kept."""
    return policy == "split_brain"


def stand_in(name: str, bound_to: str, reached: Iterable[str]) -> str | None:
    """The one host of a part without a majority that answers for an agent: the one it is bound to,
    if that is in the part, else one that all hosts of the part agree on; None if nobody can.
    `reached`: hosts of the part that can run it, this one included if it can."""
    able = sorted(set(reached))
    if bound_to in able:
        return bound_to
    return max(able, key=lambda host: _weight(name, host), default=None)


def _weight(name: str, host: str) -> bytes:
    return hashlib.blake2b(f"{name}\0{host}".encode(), digest_size=8).digest()
