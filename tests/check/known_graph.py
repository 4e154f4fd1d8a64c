"""Small histories of append-only lists with transactions, whose verdicts are known.

The law of this file: data. `r` steps are given with what they saw.
"""

from __future__ import annotations

from tests.check.tell import broken, did, failed, held, lost, txn, unknown

ADYA = "Adya, Weak Consistency, 1999"
ELLE = "Kingsbury & Alvaro, Elle, 2020"
TIDB = "Elle 2020, section 7: TiDB, lost update"
FAUNA = "Elle 2020, section 7: FaunaDB, internal inconsistency"
LONG_FORK = "Jepsen, long fork"
OURS = "ours"


def app(key: str, element: object) -> list[object]:
    return ["append", key, element]


def r(key: str, *seen: object) -> list[object]:
    return ["r", key, list(seen)]


# fmt: off
CASES = [
    held("append", "appends and reads, one after the other", ELLE, txn("a", 0, 1, app("x", 1)),
         txn("b", 2, 3, r("x", 1), app("x", 2)), txn("a", 4, 5, r("x", 1, 2))),
    held("append", "single appends and reads", OURS, did("a", 0, 1, "append", 1),
         did("b", 0.5, 3, "append", 2), did("c", 4, 5, "read", None, [2, 1])),
    held("append", "two transactions side by side", ELLE, txn("a", 0, 9, app("x", 1), r("y")),
         txn("b", 1, 8, app("y", 1), r("x", 1)), txn("c", 10, 11, r("x", 1), r("y", 1))),
    held("append", "an unknown append is seen", ELLE, lost("a", 0, "txn", [app("x", 1)]),
         txn("b", 1, 2, r("x")), txn("b", 3, 4, r("x", 1))),
    held("append", "an unknown append is never seen", ELLE, lost("a", 0, "txn", [app("x", 1)]),
         txn("b", 1, 2, r("x")), txn("b", 3, 4, r("x"))),
    held("append", "a transaction sees what it appended", OURS, txn("a", 0, 1, app("x", 1)),
         txn("b", 2, 3, r("x", 1), app("x", 2), r("x", 1, 2))),
    held("append", "read, then append what nobody reads later", OURS,
         txn("a", 0, 1, r("x"), app("x", 1)), txn("b", 2, 3, app("y", 1))),
    broken("append", "G0", "writes interleave (dirty write)", ADYA,
           txn("a", 0, 9, app("x", 1), app("y", 1)), txn("b", 1, 8, app("x", 2), app("y", 2)),
           txn("c", 10, 11, r("x", 1, 2), r("y", 2, 1))),
    broken("append", "G1a", "a read of what failed (aborted read)", ADYA,
           failed("a", 0, 1, "txn", [app("x", 1)], key=None), txn("b", 2, 3, r("x", 1))),
    broken("append", "G1b", "a read of the middle (intermediate read)", ADYA,
           txn("a", 0, 9, app("x", 1), app("x", 2)), txn("b", 1, 8, r("x", 1)),
           txn("c", 10, 11, r("x", 1, 2))),
    broken("append", "G1c", "each sees the other (circular information flow)", ADYA,
           txn("a", 0, 9, app("x", 1), r("y", 1)), txn("b", 1, 8, app("y", 1), r("x", 1))),
    broken("append", "G-single", "old x, new y (read skew)", ADYA,
           txn("a", 0, 1, app("x", 1), app("y", 1)), txn("b", 2, 9, app("x", 2), app("y", 2)),
           txn("c", 3, 8, r("x", 1), r("y", 1, 2)), txn("d", 10, 11, r("x", 1, 2))),
    broken("append", "G-single", "the later append never saw the earlier (lost update)", TIDB,
           txn("z", 0, 1, app("34", 2), app("34", 1)),
           txn("a", 2, 9, r("34", 2, 1), app("36", 5), app("34", 4)), txn("b", 3, 8, app("34", 5)),
           txn("c", 10, 11, r("34", 2, 1, 5, 4))),
    broken("append", "G2", "each misses what the other wrote (write skew)", ADYA,
           txn("a", 0, 9, r("x"), app("y", 1)), txn("b", 1, 8, r("y"), app("x", 1)),
           txn("c", 10, 11, r("x", 1), r("y", 1))),
    broken("append", "G2", "two readers see two writes in two orders", LONG_FORK,
           txn("a", 0, 9, app("x", 1)), txn("b", 0.5, 9.5, app("y", 1)),
           txn("c", 1, 8, r("x", 1), r("y")), txn("d", 2, 7, r("x"), r("y", 1))),
    broken("append", "G-single-realtime", "a stale read", ELLE, txn("a", 0, 1, app("x", 1)),
           txn("b", 2, 3, r("x")), txn("c", 4, 5, r("x", 1))),
    broken("append", "G-single-realtime", "a stale read of another key", ELLE,
           txn("a", 0, 1, app("x", 1)), txn("a", 2, 3, app("y", 1)),
           txn("b", 4, 5, r("y", 1), r("x")), txn("c", 6, 7, r("x", 1))),
    broken("append", "G0-realtime", "appended in front of what had ended", ELLE,
           txn("a", 0, 1, app("x", 1)), txn("b", 2, 3, app("x", 2)), txn("c", 4, 5, r("x", 2, 1))),
    broken("append", "G1c-realtime", "seen before it began", ELLE, txn("b", 0, 1, r("x", 1)),
           txn("a", 2, 3, app("x", 1))),
    broken("append", "lost-element", "acknowledged and gone", ELLE, txn("a", 0, 1, app("x", 1)),
           txn("b", 2, 3, app("x", 2)), txn("c", 4, 5, r("x", 2)), txn("c", 6, 7, r("x", 2))),
    broken("append", "duplicate-element", "applied twice", ELLE, txn("a", 0, 1, app("x", 1)),
           txn("b", 2, 3, r("x", 1, 1))),
    broken("append", "phantom-element", "an element nobody appended", ELLE,
           txn("a", 0, 1, app("x", 1)), txn("b", 2, 3, r("x", 1, 7))),
    broken("append", "incompatible-order", "two orders of one list", ELLE,
           txn("a", 0, 9, app("x", 1)), txn("b", 1, 8, app("x", 2)), txn("c", 10, 11, r("x", 1, 2)),
           txn("d", 12, 13, r("x", 2, 1))),
    broken("append", "internal", "its own append is missing", FAUNA,
           txn("a", 0, 1, app("0", 6), r("0"))),
    unknown("append", "nothing happened", OURS),
]
# fmt: on
