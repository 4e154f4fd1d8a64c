"""What people type at once stays readable: no run is torn apart by another."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from quorate.consistency.crdt import decode, new, sequences
from quorate.consistency.crdt.base import Crdt
from quorate.consistency.crdt.limits import PATH_LEVELS_MAX
from quorate.consistency.crdt.places import LEVEL
from quorate.core.codec import dumps, loads
from quorate.core.errors import LimitExceeded, UsageError
from tests.crdt.planted import scattered

RUNS = st.tuples(st.integers(1, 6), st.booleans(), st.booleans())


def type_run(crdt: Crdt, at: int, name: str, actor: int, run: tuple[int, bool, bool]) -> None:
    """Type `count` items at a spot: forwards or backwards, one by one or at once."""
    count, backwards, at_once = run
    items = [f"{name}{step}" for step in range(count)]
    seq = max(crdt.context.high(actor), 10)
    if at_once:
        crdt.operate("insert", [at, items], actor, seq + count, 0)
        return
    for step, item in enumerate(items):
        seq += 2
        spot = at if backwards else at + step
        crdt.operate("insert", [spot, [item]], actor, seq, 0)


def check_no_interleaving(shared: int, gap: int, runs: list[tuple[int, bool, bool]]) -> None:
    """Everybody types at the same gap of the same text, apart; then they meet."""
    base = new("sequence")
    for step in range(shared):
        base.operate("append", [f".{step}"], 1 + step % 3, base.context.high(1 + step % 3) + 1, 0)
    hosts: list[Crdt] = []
    for at, run in enumerate(runs):
        host = decode(base.wire())
        type_run(host, gap % (shared + 1), "abc"[at], 1 + at, run)
        hosts.append(host)
    for one in hosts:
        for two in hosts:
            one.merge(decode(loads(dumps(two.wire()))))
    assert len({dumps(host.wire()) for host in hosts}) == 1
    shown = [item[0] for item in hosts[0].value()]
    squeezed = [c for at, c in enumerate(shown) if c != "." and shown[at - 1 : at] != [c]]
    assert len(squeezed) == len(set(squeezed)), "".join(shown)


def everywhere() -> Callable[[], None]:
    """The law at many gaps, for many runs."""
    given_runs = given(st.integers(0, 4), st.integers(0, 4), st.lists(RUNS, min_size=2, max_size=3))
    how = settings(max_examples=200, deadline=None, derandomize=True, phases=[Phase.generate])
    return how(given_runs(check_no_interleaving))


def test_concurrent_runs_do_not_interleave() -> None:
    everywhere()()


def test_places_that_are_dealt_out_one_by_one_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequences, "between", scattered)
    with pytest.raises(AssertionError):
        everywhere()()


def test_hosts_that_append_in_turn_nest_nothing() -> None:
    crdt = new("sequence")
    for seq in range(1, 301):
        crdt.operate("append", [seq], 1 + seq % 3, seq, 0)
    assert crdt.value() == list(range(1, 301))
    assert max(len(place) for place in crdt.order) == LEVEL  # type: ignore[attr-defined]


def test_the_same_spot_again_and_again_nests_slowly_and_ends_in_an_error() -> None:
    crdt, seq = new("sequence"), 0
    crdt.operate("insert", [0, [0, 0]], 1, 2, 0)
    with pytest.raises(LimitExceeded, match="levels deep"):
        for seq in range(3, 20_000):
            size = len(crdt.order)  # type: ignore[attr-defined]
            crdt.operate("insert", [size // 2, [seq]], 1 + seq % 2, seq, 0)
            if seq % 64 == 0:
                crdt.operate("delete", [0, size // 4 + 1], 3, seq, 0)
                crdt.operate("delete", [size // 2, size // 4], 3, seq + 1, 0)
    assert seq > 10 * PATH_LEVELS_MAX


@pytest.mark.parametrize(
    ("op", "args"),
    [
        ("insert", [3, ["x"]]),
        ("insert", [-1, ["x"]]),
        ("insert", [True, ["x"]]),
        ("insert", [0, []]),
        ("insert", [0, "text"]),
        ("insert", [0, ["x", object()]]),
        ("insert", [0, [0] * 10_001]),
        ("insert", [0, ["x" * 70_000]]),
        ("append", []),
        ("delete", [2]),
        ("delete", [0, 3]),
        ("delete", [0, 0]),
        ("delete", [0, 1.0]),
        ("set", [2, "x"]),
        ("set", [0, object()]),
        ("sort", []),
    ],
)
def test_a_wrong_edit_changes_nothing(op: str, args: list[object]) -> None:
    crdt = new("sequence")
    crdt.operate("insert", [0, ["a", "b"]], 1, 5, 0)
    before = dumps(crdt.wire())
    with pytest.raises(UsageError):
        crdt.operate(op, args, 1, 30_000, 0)
    assert dumps(crdt.wire()) == before
