"""Mixed levels, leased keys and availability: small judges of their own."""

from __future__ import annotations

from quorate.chaos.workloads.availability import check_deadlines
from quorate.chaos.workloads.leases import check_leased
from quorate.chaos.workloads.mixed import MixedWorkload, check_shown
from tests.workloads.written import Pen


def mixed() -> Pen:
    pen = Pen()
    pen.ok("a", "write", "m", "s1", level="strong")
    pen.ok("b", "write", "m", "e1", level="eventual")
    pen.ok("b", "read", "m", None, "s1", level="linearizable")
    pen.ok("a", "read", "m", None, "e1", level="local")
    pen.lost("b", "write", "m", "e2", level="eventual")
    return pen


def test_a_clean_mix_holds() -> None:
    pen = mixed()
    for host in "ab":
        pen.ok(host, "final", "m", None, "e2", host=host, level="local")
    assert [verdict.verdict for verdict in MixedWorkload().check(pen.history())] == ["held"] * 2


def test_a_strong_read_of_an_eventual_value_is_found() -> None:
    pen = mixed()
    pen.ok("b", "read", "m", None, "e1", level="linearizable")
    assert MixedWorkload().check(pen.history())[0].verdict == "broken"


def test_a_value_that_nobody_wrote_is_found() -> None:
    pen = mixed()
    pen.ok("a", "read", "m", None, "?", level="local")
    assert check_shown(pen.history()).kinds == {"phantom-value"}


def test_hosts_that_do_not_agree_and_values_that_are_gone_are_found() -> None:
    pen = mixed()
    pen.ok("a", "final", "m", None, "e1", host="a", level="local")
    pen.ok("b", "final", "m", None, None, host="b", level="local")
    assert check_shown(pen.history()).kinds == {"diverged", "lost-update"}


def test_a_key_and_its_lease_live_and_die_together() -> None:
    pen = Pen()
    pen.ok("a", "hold", "k")
    pen.ok("a", "look", "k", None, [True, True])
    pen.ok("a", "look", "k", None, [False, False])  # the lease was lost: nothing is promised
    pen.ok("a", "revoke", "k")
    pen.ok("a", "gone", "k", None, True)
    assert check_leased(pen.history()).verdict == "held"
    pen.ok("a", "gone", "k", None, False)
    assert check_leased(pen.history()).kinds == {"outlived-its-lease"}


def test_a_key_that_dies_before_its_lease_is_found() -> None:
    pen = Pen()
    pen.ok("a", "hold", "k")
    pen.ok("a", "look", "k", None, [False, True])
    assert check_leased(pen.history()).kinds == {"died-early"}


def call(pen: Pen, client: str, f: str, seconds: float, beat: str = "") -> None:
    """A call that takes so long; meanwhile `beat`, another client of the host, is heard."""
    pen.begin(client, f, "k")
    for _ in range(round(seconds * 10)):
        pen.wait(0.1)
        if beat:
            pen.ok(beat, "read", "k")
    pen.end(client)


def test_a_call_past_its_deadline_is_found_unless_its_host_stood_still() -> None:
    pen = Pen()
    call(pen, "a.1/1", "write", 4.0)  # nobody was heard: a host that stood still
    call(pen, "a.1/1", "write", 1.0, beat="a.1/0")
    pen.ok("a.1/1", "final", "strong")
    assert check_deadlines(pen.history(), 2.5).verdict == "held"
    call(pen, "a.1/1", "write", 4.0, beat="a.1/0")
    assert check_deadlines(pen.history(), 2.5).kinds == {"past-its-deadline"}


def test_a_host_that_does_not_serve_after_the_heal_is_found() -> None:
    pen = Pen()
    pen.lost("a.1/f", "final", "strong", host="a")
    assert check_deadlines(pen.history(), 2.5).kinds == {"no-service"}
