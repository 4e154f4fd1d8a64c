"""Queues: each message once, acknowledged ones kept, in order per sender."""

from __future__ import annotations

import pytest

from quorate.chaos.workloads.queue import check_queues
from tests.workloads.written import Pen


def pushed() -> Pen:
    pen = Pen()
    pen.ok("c-1", "push", "q", ["c", 1], 1)
    pen.ok("d-1", "push", "q", ["d", 1], 2)
    pen.lost("c-2", "push", "q", ["c", 2])
    pen.ok("c-3", "push", "q", ["c", 3], 3)
    pen.begin("c-4", "push", "q", ["c", 4])
    pen.recorder.fail("c-4", "refused")
    return pen


@pytest.mark.parametrize(
    ("rows", "kinds"),
    [
        ([["c", 1], ["d", 1], ["c", 3]], set()),
        ([["c", 1], ["d", 1], ["c", 2], ["c", 3]], set()),
        ([["c", 1], ["c", 3]], {"lost-message"}),
        ([["c", 1], ["d", 1], ["c", 3], ["c", 3]], {"handled-twice"}),
        ([["c", 1], ["d", 1], ["c", 3], ["c", 2]], {"out-of-order"}),
        ([["c", 1], ["d", 1], ["c", 3], ["c", 4]], {"phantom-message"}),
        ([["c", 1], ["d", 1], ["c", 3], ["e", 1]], {"phantom-message"}),
        ([["c", 1], ["d", 1], None, ["c", 3]], {"lost-message"}),
    ],
)
def test_what_is_wrong_with_a_queue_is_found(
    rows: list[list[object] | None], kinds: set[str]
) -> None:
    pen = pushed()
    pen.ok("f", "final", "q", None, rows)
    found = check_queues(pen.history())
    assert found.kinds == kinds
    assert found.verdict == ("broken" if kinds else "held")


def test_a_queue_that_was_not_read_is_unknown() -> None:
    assert check_queues(pushed().history()).verdict == "unknown"
