"""The record that lives outside the hosts finds what a cluster could do wrong, and nothing else."""

from __future__ import annotations

from typing import Any

from quorate.hosts.demo import lines
from quorate.hosts.demo.record import Copy, Ledger, Ranges


def ledger(*acked: list[Any], unknown: tuple[list[Any], ...] = ()) -> Ledger:
    made = Ledger()
    made.on_acks({"acked": list(acked), "unknown": list(unknown), "refused": 0})
    return made


def copy(writer: str, *items: tuple[int, int, str]) -> Copy:
    made = Copy()
    made.add(writer, items)
    return made


def whole(writer: str, count: int) -> Copy:
    return copy(writer, *((n, 1, f"{writer}:{n}") for n in range(count)))


def test_a_copy_that_holds_everything_once_is_held() -> None:
    verdict = ledger(["a.1.0", 0, 9]).verify("b", whole("a.1.0", 10))
    assert verdict.held
    assert verdict.checked == 10


def test_a_missing_acknowledged_write_is_lost() -> None:
    verdict = ledger(["a.1.0", 0, 9]).verify("b", whole("a.1.0", 9))
    assert (verdict.lost, verdict.duplicated) == (1, 0)
    assert "a.1.0:9 is missing" in verdict.examples[0]


def test_a_copy_that_knows_nothing_of_a_writer_lost_all_of_it() -> None:
    assert ledger(["a.1.0", 0, 9]).verify("b", Copy()).lost == 10


def test_a_key_of_version_two_was_applied_twice() -> None:
    held = copy("a.1.0", (0, 2, "a.1.0:0"))
    assert ledger(["a.1.0", 0, 0]).verify("b", held).duplicated == 1


def test_an_unknown_write_may_be_there_or_not_but_not_twice() -> None:
    known = ledger(["a.1.0", 0, 0], unknown=(["a.1.0", 1],))
    assert known.verify("b", whole("a.1.0", 1)).held
    assert known.verify("b", whole("a.1.0", 2)).held
    twice = copy("a.1.0", (0, 1, "a.1.0:0"), (1, 2, "a.1.0:1"))
    assert known.verify("b", twice).duplicated == 1


def test_another_writes_value_under_a_key_is_wrong() -> None:
    verdict = ledger(["a.1.0", 0, 0]).verify("b", copy("a.1.0", (0, 1, "a.1.0:7")))
    assert verdict.wrong == 1
    assert not verdict.held


def test_a_counter_lies_between_acknowledged_and_attempted() -> None:
    known = ledger(["a.1.0.c", 0, 4])  # attempts 1..5 acknowledged

    def verdict(version: int, attempt: int) -> tuple[int, int]:
        made = Copy(counters={"a.1.0.c": (version, attempt)})
        found = known.verify("b", made)
        return found.lost, found.duplicated

    assert verdict(5, 5) == (0, 0)
    assert verdict(6, 6) == (
        0,
        0,
    )  # one more was applied and its acknowledgement died with the host
    assert verdict(4, 6)[0] == 1
    assert verdict(6, 5)[1] == 1
    assert verdict(0, 0)[0] == 5


def test_ranges_merge_what_follows_and_keep_gaps() -> None:
    ranges = Ranges()
    for first, last in ((0, 3), (4, 4), (6, 7)):
        ranges.add(first, last)
    assert ranges.pairs == [[0, 4], [6, 7]]
    assert (list(ranges), len(ranges), ranges.last) == ([0, 1, 2, 3, 4, 6, 7], 7, 7)


def test_a_line_cut_off_by_a_kill_is_dropped_and_a_whole_one_is_read() -> None:
    line = lines.encode("acks", acked=[["a", 0, 1]])
    assert lines.decode(line) == {"k": "acks", "acked": [["a", 0, 1]]}
    assert lines.decode(line[:-5]) is None
    assert lines.decode(b"7\n") is None


def test_a_key_is_found_under_its_thousand() -> None:
    for n in (0, 999, 1000, 123_456):
        key = lines.key_of("a.1.0", n)
        assert key.startswith(lines.prefix_of("a.1.0", n // 1000))
        assert lines.n_of(key) == n


def test_a_value_carries_the_id_of_its_write() -> None:
    value = lines.value_of("a.1.0", 7, 100)
    assert len(value) == 100
    assert lines.id_of(value) == "a.1.0:7"
