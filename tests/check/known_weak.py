"""Small histories of sessions, bounded reads, sets, counters, replicated data and locks whose
verdicts are known.

The law of this file: data. `dot` names an update, `versions` says what was seen.
"""

from __future__ import annotations

from typing import Any

from tests.check.tell import Told, broken, did, failed, held, lost, read, unknown, write

TERRY = "Terry et al., Session Guarantees for Weakly Consistent Replicated Data, 1994"
DYNAMO = "DeCandia et al., Dynamo, 2007"
KLEPPMANN = "Kleppmann, How to do distributed locking, 2016"
SHAPIRO = "Shapiro et al., A Comprehensive Study of CRDTs, 2011"
ELASTIC = "Jepsen: Elasticsearch, 2014"
RIAK = "Jepsen: Riak, 2013"
TERRY_2013 = "Terry, Replicated Data Consistency Explained Through Baseball, 2013"
OURS = "ours"


def put(s: str, start: float, end: float, value: Any, actor: int, seq: int, **more: Any) -> Told:
    """A write of a session, named by its dot."""
    return did(s, start, end, "write", value, session=s, dot=(actor, seq), **more)


def saw(
    s: str,
    start: float,
    end: float,
    value: Any,
    versions: dict[Any, int] | None = None,
    **more: Any,
) -> Told:
    return read(s, start, end, value, session=s, versions=versions, **more)


# fmt: off
SESSIONS = [
    held("session", "a new password works everywhere", TERRY, put("s", 0, 1, "new", 1, 5),
         saw("s", 2, 3, "new", {1: 5}, host="b")),
    broken("session", "read-your-writes", "the new password is not known over there", TERRY,
           put("s", 0, 1, "new", 1, 5), saw("s", 2, 3, "old", {1: 4}, host="b")),
    held("session", "another session may be behind", TERRY, put("s", 0, 1, "new", 1, 5),
         saw("t", 2, 3, "old", {1: 4})),
    broken("session", "monotonic-reads", "an appointment comes and goes", TERRY,
           saw("s", 0, 1, "meeting", {1: 5}), saw("s", 2, 3, None, {})),
    broken("session", "monotonic-reads", "vectors that nobody ordered", OURS,
           saw("s", 0, 1, "a", {1: 5}), saw("s", 2, 3, "b", {2: 7})),
    held("session", "each sees more", TERRY, saw("s", 0, 1, "a", {1: 5}),
         saw("s", 2, 3, "b", {1: 5, 2: 7})),
    broken("session", "monotonic-writes", "the second save without the first", TERRY,
           put("s", 0, 1, "v1", 1, 5), put("s", 2, 3, "v2", 2, 7), saw("t", 4, 5, "v2", {2: 7})),
    broken("session", "monotonic-writes", "the library is older than the program that needs it",
           TERRY, put("s", 0, 1, "lib", 1, 5, key="lib"), put("s", 2, 3, "prog", 1, 6, key="prog"),
           saw("t", 4, 5, "prog", {1: 6}, key="prog"), saw("t", 6, 7, None, {}, key="lib")),
    broken("session", "monotonic-writes", "a write where the first has not arrived", TERRY,
           put("s", 0, 1, "v1", 1, 5), put("s", 2, 3, "v2", 2, 7, versions={2: 7})),
    broken("session", "writes-follow-reads", "the answer without the question", TERRY,
           put("s", 0, 1, "question", 1, 5, key="q"), saw("t", 2, 3, "question", {1: 5}, key="q"),
           put("t", 4, 5, "answer", 2, 7, key="a"), saw("u", 6, 7, "answer", {2: 7}, key="a"),
           saw("u", 8, 9, None, {}, key="q")),
    held("session", "the answer and then the question", TERRY,
         put("s", 0, 1, "question", 1, 5, key="q"), saw("t", 2, 3, "question", {1: 5}, key="q"),
         put("t", 4, 5, "answer", 2, 7, key="a"), saw("u", 6, 7, "answer", {2: 7}, key="a"),
         saw("u", 8, 9, "question", {1: 5}, key="q")),
    held("session", "who did not read the answer may lack the question", TERRY,
         put("s", 0, 1, "question", 1, 5, key="q"), saw("t", 2, 3, "question", {1: 5}, key="q"),
         put("t", 4, 5, "answer", 2, 7, key="a"), saw("u", 6, 7, None, {}, key="q")),
    broken("session", "writes-follow-reads", "an edit of what this host has not seen", TERRY,
           saw("s", 0, 1, "text", {1: 5}), put("s", 2, 3, "edit", 2, 7, versions={2: 7})),
    broken("session", "read-your-writes", "fail-over to a lagging replica (T36)", OURS,
           put("s", 0, 1, "a", 1, 5, host="a"), saw("s", 2, 3, "a", {1: 5}, host="a"),
           put("s", 4, 5, "b", 1, 6, host="a"), saw("s", 6, 7, "a", {1: 5}, host="b")),
    held("session", "a stale replica says so", OURS, put("s", 0, 1, "a", 1, 5),
         failed("s", 2, 3, "read", session="s"), saw("s", 4, 5, "a", {1: 5})),
    held("session", "an unknown write is not promised", OURS,
         lost("s", 0, "write", "a", session="s", dot=(1, 5)), saw("s2", 2, 3, None, {})),
    broken("session", "monotonic-reads", "told by values and their writes alone", OURS,
           did("w", 0, 1, "write", "a", versions={1: 1}),
           did("w", 2, 3, "write", "b", versions={1: 2}), saw("s", 4, 5, "b"), saw("s", 6, 7, "a")),
    broken("session", "monotonic-reads", "told by the order of one writer", OURS,
           did("w", 0, 1, "write", "a"), did("w", 2, 3, "write", "b"), saw("s", 4, 5, "b"),
           saw("s", 6, 7, "a")),
    broken("session", "read-your-writes", "told by the indices of the log", OURS,
           write("s", 0, 1, "a", session="s", witness=(1, 10)),
           read("s", 2, 3, None, session="s", witness=(1, 9))),
    held("session", "a concurrent write that lost is not owed", TERRY,
         saw("s", 0, 1, "y", {1: 5, 2: 7}, shown={2: 7}), saw("s", 2, 3, "y", {2: 7})),
    broken("session", "monotonic-reads", "what was shown is owed", TERRY,
           saw("s", 0, 1, "y", {1: 5, 2: 7}, shown={2: 7}), saw("s", 2, 3, "x", {1: 5})),
    held("session", "an eventual read in a session promises nothing", OURS,
         put("s", 0, 1, "a", 1, 5), saw("s", 2, 3, None, {}, level="eventual")),
    held("session", "what was acknowledged beside the read is not owed", TERRY,
         put("s", 0, 5, "a", 1, 5), did("s2", 1, 6, "read", None, None, session="s", versions={})),
    held("session", "a value brings what its write had seen", OURS,
         did("w", 0, 1, "write", "b", dot=(2, 7), versions={1: 5, 2: 7}),
         saw("s", 2, 3, "a", {1: 5}), saw("s", 4, 5, "b")),
    unknown("session", "nobody said what was seen", OURS, did("w", 0, 1, "write", "a"),
            did("v", 0.5, 1.5, "write", "b"), saw("s", 2, 3, "b")),
]
# fmt: on


def near(start: float, value: Any, versions: dict[Any, int], **bound: Any) -> Told:
    """A bounded read. Seconds."""
    return did(
        "r", start, start + 0.001, "read", bound or None, value, versions=versions, level="bounded"
    )


W1 = did("w", 0.0, 0.010, "write", "a", dot=(1, 1))
W2 = did("w", 0.020, 0.030, "write", "b", dot=(1, 2))
W3 = did("w", 0.040, 0.050, "write", "c", dot=(1, 3))

# fmt: off
STALENESS = [
    held("staleness", "old, within the bound", TERRY_2013, W1, W2, near(0.1, "a", {1: 1}),
         bound_ms=100.0),
    broken("staleness", "too-old", "older than the bound", TERRY_2013, W1, W2,
           near(0.2, "a", {1: 1}), bound_ms=100.0),
    held("staleness", "the clock's error is forgiven", OURS, W1, W2, near(0.2, "a", {1: 1}),
         bound_ms=100.0, clock_error_ms=80.0),
    held("staleness", "an error is never stale (T38)", OURS, W1, W2,
         did("r", 0.2, 0.3, "read", None, type="fail", level="bounded"), near(0.4, "b", {1: 2}),
         bound_ms=100.0),
    held("staleness", "two versions behind, two allowed", OURS, W1, W2, W3, near(0.1, "a", {1: 1}),
         bound_versions=2),
    broken("staleness", "too-many-versions", "two versions behind, one allowed", OURS, W1, W2, W3,
           near(0.1, "a", {1: 1}), bound_versions=1),
    broken("staleness", "too-old", "a read brings its own bound", OURS, W1,
           near(0.2, None, {}, ms=100)),
    held("staleness", "what was not acknowledged is not owed", OURS, W1,
         lost("v", 0.02, "write", "z", dot=(2, 1)), near(0.5, "a", {1: 1}), bound_ms=10.0),
    broken("staleness", "too-old", "one of two writers is cut off", OURS, W1,
           did("v", 0.02, 0.03, "write", "z", dot=(2, 1)), near(0.5, "a", {1: 1}), bound_ms=10.0),
]
# fmt: on

# fmt: off
SETS = [
    held("set", "all there", OURS, did("a", 0, 1, "add", 1), did("b", 0.5, 2, "add", 2),
         did("c", 3, 4, "read", None, [2, 1])),
    held("set", "an unknown add may be there", ELASTIC, did("a", 0, 1, "add", 1),
         lost("b", 0.5, "add", 2), did("c", 3, 4, "final", None, [1, 2])),
    held("set", "an unknown add may not be there", ELASTIC, did("a", 0, 1, "add", 1),
         lost("b", 0.5, "add", 2), did("c", 3, 4, "final", None, [1])),
    held("set", "an early read may lag", OURS, did("a", 0, 1, "add", 1),
         did("c", 2, 3, "read", None, []), did("a", 4, 5, "add", 2),
         did("c", 6, 7, "final", None, [1, 2])),
    broken("set", "lost-element", "acknowledged inserts vanish", ELASTIC, did("a", 0, 1, "add", 1),
           did("a", 2, 3, "add", 2), did("c", 4, 5, "final", None, [2])),
    broken("set", "lost-element", "a strong read lags", OURS, did("a", 0, 1, "add", 1),
           did("c", 2, 3, "read", None, [], level="strong"), did("a", 4, 5, "add", 2),
           did("c", 6, 7, "final", None, [1, 2])),
    broken("set", "duplicate-element", "a retry counts twice (T8)", OURS, did("a", 0, 1, "add", 1),
           did("c", 2, 3, "final", None, [1, 1])),
    broken("set", "phantom-element", "nobody added it", OURS, did("a", 0, 1, "add", 1),
           did("c", 2, 3, "final", None, [1, 9])),
    broken("set", "failed-yet-applied", "failed, and there (T35)", OURS,
           failed("a", 0, 1, "add", 1), did("c", 2, 3, "final", None, [1])),
    unknown("set", "nothing was read in the end", OURS, did("c", 0, 1, "read", None, []),
            did("a", 2, 3, "add", 1)),
]
# fmt: on

# fmt: off
COUNTERS = [
    held("counter", "the sum", OURS, did("a", 0, 1, "increment", 2), did("b", 0.5, 2, "decrement"),
         did("c", 3, 4, "final", None, 1)),
    held("counter", "an unknown increment may count", RIAK, did("a", 0, 1, "increment", 2),
         lost("b", 0, "increment", 3), did("c", 3, 4, "final", None, 5)),
    broken("counter", "lost-update", "an acknowledged increment is lost", RIAK,
           did("a", 0, 1, "increment"), did("b", 0.5, 2, "increment"),
           did("c", 3, 4, "final", None, 1)),
    broken("counter", "phantom-count", "one increment counts twice", OURS,
           did("a", 0, 1, "increment"), did("c", 3, 4, "final", None, 2)),
    broken("counter", "phantom-count", "an unknown 3 cannot count as 1", OURS,
           did("a", 0, 1, "increment", 2), lost("b", 0, "increment", 3),
           did("c", 3, 4, "final", None, 3)),
    broken("counter", "phantom-count", "a failed increment counts", OURS,
           failed("a", 0, 1, "increment"), did("c", 3, 4, "final", None, 1)),
    held("counter", "acknowledged beside the final read", OURS, did("a", 1, 4, "increment"),
         did("c", 0, 5, "final", None, 0)),
    broken("counter", "lost-update", "a strong read lags", OURS, did("a", 0, 1, "increment"),
           did("c", 2, 3, "read", None, 0, level="linearizable"), did("c", 4, 5, "final", None, 1)),
]
# fmt: on


def at(host: str, time: float, result: Any, f: str = "final", **more: Any) -> Told:
    """What one replica shows in the end."""
    return did(f"{f} {host} {time}", time, time + 0.5, f, None, result, host=host, **more)


# fmt: off
REPLICATED = [
    held("crdt", "all replicas agree", SHAPIRO, did("a", 0, 1, "add", 1),
         did("b", 0.5, 2, "add", 2), at("a", 5, [1, 2]), at("b", 6, [2, 1])),
    broken("crdt", "diverged", "two replicas differ", SHAPIRO, did("a", 0, 1, "update", 1),
           at("a", 5, "p"), at("b", 6, "q")),
    broken("crdt", "diverged", "two digests differ", OURS, did("a", 0, 1, "add", 1),
           at("a", 5, [1]), at("b", 6, [1]), at("a", 7, "d1", "digest"),
           at("b", 8, "d2", "digest")),
    broken("crdt", "diverged", "sequences in two orders", OURS, did("a", 0, 1, "insert", 1),
           did("b", 0.5, 2, "insert", 2), at("a", 5, [1, 2]), at("b", 6, [2, 1])),
    broken("crdt", "lost-update", "an acknowledged add is gone", RIAK, did("a", 0, 1, "add", 1),
           at("a", 5, []), at("b", 6, [])),
    held("crdt", "a remove beside an add: the add may win", SHAPIRO, did("a", 0, 9, "add", 1),
         did("b", 1, 8, "remove", 1), at("a", 10, [1]), at("b", 11, [1])),
    held("crdt", "a remove beside an add: it may be gone", SHAPIRO, did("a", 0, 9, "add", 1),
         did("b", 1, 8, "remove", 1), at("a", 10, []), at("b", 11, [])),
    broken("crdt", "resurrected-element", "a deleted item is in the cart again", DYNAMO,
           did("a", 0, 1, "add", "book", host="a"), did("a", 2, 3, "remove", "book", host="a"),
           at("a", 5, ["book"]), at("b", 6, ["book"])),
    broken("crdt", "resurrected-element", "removed after it was read there (T40)", SHAPIRO,
           did("a", 0, 1, "add", "e", host="a"), did("b", 2, 3, "read", None, ["e"], host="b"),
           did("b", 4, 5, "remove", "e", host="b"), at("a", 8, ["e"]), at("b", 9, ["e"])),
    held("crdt", "removed where the add was not known", SHAPIRO,
         did("a", 0, 1, "add", "e", host="a"), did("b", 2, 3, "remove", "e", host="b"),
         at("a", 8, ["e"]), at("b", 9, ["e"])),
    broken("crdt", "resurrected-element", "every add is in the context of a remove", SHAPIRO,
           did("a", 0, 1, "add", "e", dot=(1, 1)), did("b", 2, 3, "add", "e", dot=(2, 1)),
           did("c", 4, 5, "remove", "e", dot=(3, 1), versions={1: 1, 2: 1, 3: 1}),
           at("a", 8, ["e"]), at("b", 9, ["e"])),
    broken("crdt", "lost-update", "one add is not in the context of the remove (add wins)", SHAPIRO,
           did("a", 0, 1, "add", "e", dot=(1, 1)), did("b", 2, 3, "add", "e", dot=(2, 1)),
           did("c", 4, 5, "remove", "e", dot=(3, 1), versions={1: 1, 3: 1}), at("a", 8, []),
           at("b", 9, [])),
    held("crdt", "added again after a remove", SHAPIRO, did("a", 0, 1, "add", "e", host="a"),
         did("a", 2, 3, "remove", "e", host="a"), did("a", 4, 5, "add", "e", host="a"),
         at("a", 8, ["e"]), at("b", 9, ["e"])),
    broken("crdt", "resurrected-element", "a 2P-set never takes back", SHAPIRO,
           did("a", 0, 1, "add", "e", host="a"), did("a", 2, 3, "remove", "e", host="a"),
           did("a", 4, 5, "add", "e", host="a"), at("a", 8, ["e"]), remove_wins=True),
    broken("crdt", "phantom-element", "nobody added it", OURS, did("a", 0, 1, "add", 1),
           at("a", 5, [1, 7]), at("b", 6, [1, 7])),
    broken("crdt", "duplicate-element", "a sequence shows an element twice", OURS,
           did("a", 0, 1, "insert", 1), at("a", 5, [1, 1])),
    held("crdt", "a counter with an unknown increment", RIAK, did("a", 0, 1, "increment", 2),
         lost("b", 0, "increment", 1), at("a", 5, 3), at("b", 6, 3)),
    broken("crdt", "lost-update", "a counter lost an increment", RIAK,
           did("a", 0, 1, "increment", 2), at("a", 5, 0), at("b", 6, 0)),
    broken("crdt", "superseded-write", "the older of two writes wins", DYNAMO,
           did("a", 0, 1, "write", "v1", dot=(1, 1), versions={1: 1}),
           did("a", 2, 3, "write", "v2", dot=(1, 2), versions={1: 2}), at("a", 5, "v1"),
           at("b", 6, "v1")),
    broken("crdt", "phantom-value", "the end shows what nobody wrote", OURS,
           did("a", 0, 1, "write", "v1"), at("a", 5, "v9")),
    held("crdt", "siblings stand beside each other", DYNAMO,
         did("a", 0, 1, "assign", "v1", dot=(1, 1), versions={1: 1}),
         did("b", 0, 1, "assign", "v2", dot=(2, 1), versions={2: 1}), at("a", 5, ["v1", "v2"]),
         at("b", 6, ["v2", "v1"])),
    broken("crdt", "lost-update", "a sibling is dropped", DYNAMO,
           did("a", 0, 1, "assign", "v1", dot=(1, 1), versions={1: 1}),
           did("b", 0, 1, "assign", "v2", dot=(2, 1), versions={2: 1}), at("a", 5, ["v1"]),
           at("b", 6, ["v1"])),
    held("crdt", "a sibling may be replaced by what is unknown", DYNAMO,
         did("a", 0, 1, "assign", "v1", dot=(1, 1), versions={1: 1}),
         lost("b", 2, "assign", "v2"), at("a", 5, ["v2"]), at("b", 6, ["v2"])),
    held("crdt", "what was replaced is no conflict (T49)", OURS,
         did("a", 0, 1, "write", "v1", dot=(1, 1), versions={1: 1}),
         did("b", 2, 3, "write", "v2", dot=(2, 1), versions={1: 1, 2: 1}),
         at("a", 5, "v2"), at("b", 6, "v2"), at("a", 7, [], "conflicts")),
    held("crdt", "a write that an unknown one may have replaced is no conflict", OURS,
         did("a", 0, 1, "write", "v1", dot=(1, 1), versions={1: 1}), lost("b", 2, "write", "v2"),
         at("a", 5, "v2"), at("b", 6, "v2"), at("a", 7, [], "conflicts")),
    held("crdt", "the loser is in the feed (T49)", OURS,
         did("a", 0, 1, "write", "v1", dot=(1, 1), versions={1: 1}),
         did("b", 0, 1, "write", "v2", dot=(2, 1), versions={2: 1}), at("a", 5, "v2"),
         at("b", 6, "v2"), at("a", 7, ["v1"], "conflicts")),
    broken("crdt", "missing-conflict", "the loser is in no feed (T49)", OURS,
           did("a", 0, 1, "write", "v1", dot=(1, 1), versions={1: 1}),
           did("b", 0, 1, "write", "v2", dot=(2, 1), versions={2: 1}), at("a", 5, "v2"),
           at("b", 6, "v2"), at("a", 7, [], "conflicts")),
    unknown("crdt", "somebody looked before it was over", OURS, did("a", 0, 1, "add", 1),
            at("a", 2, [1]), at("b", 3, []), did("a", 4, 5, "add", 2), at("a", 6, [1, 2])),
    unknown("crdt", "nobody looked in the end", OURS, did("a", 0, 1, "add", 1)),
]
# fmt: on


def grant(client: str, start: float, end: float, token: int | None) -> Told:
    return did(client, start, end, "acquire", None, token)


def effect(client: str, start: float, end: float, token: int, **more: Any) -> Told:
    return did(client, start, end, "effect", token, **more)


# fmt: off
LOCKS = [
    held("locks", "one after the other", KLEPPMANN, grant("1", 0, 1, 33), effect("1", 2, 3, 33),
         did("1", 4, 5, "release", 33), grant("2", 6, 7, 34), effect("2", 8, 9, 34)),
    held("locks", "the paused holder is fenced", KLEPPMANN, grant("1", 0, 1, 33),
         grant("2", 2, 3, 34), effect("2", 4, 5, 34), failed("1", 6, 7, "effect", 33)),
    broken("locks", "fenced-effect-accepted", "the paused holder writes (T43)", KLEPPMANN,
           grant("1", 0, 1, 33), grant("2", 2, 3, 34), effect("2", 4, 5, 34),
           effect("1", 6, 7, 33)),
    broken("locks", "non-monotonic-token", "a later grant has a lower token", KLEPPMANN,
           grant("1", 0, 1, 34), grant("2", 2, 3, 33)),
    broken("locks", "duplicate-token", "two have one token", KLEPPMANN, grant("1", 0, 5, 33),
           grant("2", 1, 4, 33)),
    broken("locks", "fenced-effect-accepted", "out of order in the resource's own log", OURS,
           grant("1", 0, 1, 33), grant("2", 2, 3, 34), effect("1", 4, 9, 33, witness=(1, 8)),
           effect("2", 5, 8, 34, witness=(1, 7))),
    broken("locks", "phantom-token", "a token nobody was granted", OURS, grant("1", 0, 1, 33),
           effect("2", 2, 3, 35)),
    held("locks", "the answer to a grant was lost", OURS, lost("1", 0, "acquire"),
         effect("2", 2, 3, 33)),
    held("locks", "not granted is no token", OURS, grant("1", 0, 1, 33), grant("2", 2, 3, None)),
]
# fmt: on

CASES = [*SESSIONS, *STALENESS, *SETS, *COUNTERS, *REPLICATED, *LOCKS]
