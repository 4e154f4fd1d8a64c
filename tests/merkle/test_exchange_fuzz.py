"""Whatever a peer sends, an exchange answers, ignores or refuses; nothing else ever comes out."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.core.errors import UsageError
from tests.merkle.world import Pair

SOAK = bool(os.environ.get("QUORATE_SOAK"))
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.binary(max_size=40)
    | st.text(max_size=5)
    | st.sampled_from([bytes(32), b"\xff" * 32, bytes(128), b"\x01\x00", bytes(4), "s", "key-1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3) | st.integers(0, 9), inner, max_size=3)
    ),
    max_leaves=6,
)
GOOD: dict[str, Any] = {
    "parts": b"\xff" * 32,
    "roots": {"s": 7},
    "store": "s",
    "after": None,
    "first": 0,
    "states": [],
    "gone": [],
    "cut": {},
    "applied": {},
    "nodes": {},
    "others": {},
    "actors": [1],
    "upto": 0,
    "want": b"",
    "left": 0,
    "next": 65_536,
}
AT = {
    "nodes": {"at": b"\x01\x00", "own": bytes(128)},
    "list": {"at": b"\x01\x00", "counts": b"\x01\x00\x00\x00", "own": bytes(8)},
}
NAMES = st.sampled_from([*sorted(GOOD), "at", "own", "counts"])
KINDS = ("roots", "nodes", "list", "pull", "push", "sync", "answer", "dance")


@settings(max_examples=2_000 if SOAK else 80, deadline=None, derandomize=not SOAK)
@given(st.sampled_from(KINDS), st.dictionaries(NAMES, PLAIN, max_size=3))
def test_requests_with_wrong_parts_are_refused_or_answered(
    kind: str, wrong: dict[str, Any]
) -> None:
    pair = Pair()
    pair.a.put("s", "key-1", 1)
    message = {
        "type": "st",
        "k": "ae",
        "s": 1,
        "n": 1,
        "o": kind,
        **GOOD,
        **AT.get(kind, {}),
        **wrong,
    }
    try:
        pair.exchanges["a"].on_message("b", message)
    except UsageError:
        assert pair.exchanges["a"].statistics()["malformed"] == 1
    else:
        pair.queue.run_until(1)


@settings(max_examples=500 if SOAK else 25, deadline=None, derandomize=not SOAK)
@given(st.lists(st.dictionaries(NAMES, PLAIN, min_size=1, max_size=2)))
def test_answers_with_wrong_parts_end_the_exchange_at_worst(
    wrong: list[dict[str, Any]],
) -> None:
    pair = Pair()
    pair.a.put("s", "key-1", 1)
    pair.b.put("s", "key-2", 2)
    receive = pair.network.receive["a"]
    left = iter(wrong)

    def spoiled(peer: str, message: dict[str, Any]) -> None:
        with suppress(UsageError):
            receive(peer, {**message, **next(left, {})})

    pair.network.receive["a"] = spoiled
    report = pair.sync()
    assert report.complete or report.why
