"""Messages that no honest member sends (HAZARDS S12), as they would arrive behind the wire's
handshake: from a host that is no member, or malformed from one that is.

The law: a stranger answers and claims, it does not lead: the wire's allow-list keeps strangers from
speaking as leaders, and tests/contracts looks at that.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quorate.chaos.sim.host import SimHost

STRANGER_ID = "x"


def forged_messages(
    rng: random.Random, host: SimHost, hosts: Sequence[SimHost]
) -> list[tuple[str, dict[str, Any]]]:
    """(peer, message) pairs to hand to `host`."""
    term = host.term
    ack: dict[str, Any] = {
        "type": "append_ack",
        "term": term,
        "ok": True,
        "match": host.journal.last_index,
        "verified": host.journal.last_index,
        "rejected": 0,
        "hint": 0,
        "read": 1 << 40,
    }
    claims: list[dict[str, Any]] = [
        ack,
        {"type": "vote_reply", "term": term, "ok": True},
        {"type": "vote_reply", "term": term + 1, "ok": True},
        {
            "type": "pre_vote_reply",
            "term": term,
            "round": rng.randint(1, 4),
            "ok": True,
        },
        {"type": "timeout_now", "term": term},
        {"type": "removed", "term": term, "index": 1 << 40},
    ]
    member = rng.choice([other.id for other in hosts if other is not host])
    append: dict[str, Any] = {
        "type": "append",
        "term": term,
        "prev": host.journal.last_index,
        "prev_term": host.journal.last_term,
        "entries": [],
        "commit": 1 << 50,
        "read": 0,
        "notice": False,
    }
    nonsense: list[dict[str, Any]] = [
        {},
        {"type": "append"},
        {"type": ["append"]},
        {"type": "vote", "term": "9", "last": 1, "last_term": 1, "round": 1, "transfer": False},
        {**append, "entries": [[1, 2, 3]]},
        {**append, "entries": [[host.journal.last_index + 9, term, b"\x00"]]},
        {**append, "term": -1},
        {**append, "term": 1 << 70},
        {"type": "vote_reply", "term": term, "ok": 1},
        {**ack, "match": None},
        {"type": "snapshot", "term": term, "snapshot": b"", "offset": 0, "data": b""},
        {"type": "snapshot_ack", "term": term},
        {"type": "submit", "id": None, "batch": b""},
        {"type": "submit", "id": 1, "batch": "text"},
    ]
    forged = [(STRANGER_ID, message) for message in rng.sample(claims, 3)]
    return forged + [(member, message) for message in rng.sample(nonsense, 4)]
