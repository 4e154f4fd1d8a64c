"""The checkers, each against a history with one planted violation, and against an honest one."""

from __future__ import annotations

from quorate.chaos.sim import checks
from quorate.chaos.sim.history import Effect, History, Kind, Op


class Story:
    """Writes a history as it might have been."""

    def __init__(self) -> None:
        self.history = History()
        self._revision = 0

    def _op(self, kind: Kind, key: str, value: str | None, called: float, ended: float) -> Op:
        op = Op(len(self.history.ops) + 1, "a", kind, key, value, called, deadline=called + 5)
        op.returned, op.outcome = ended, "ok"
        return self.history.invoke(op)

    def write(self, key: str, value: str, index: int, called: float, ended: float) -> Op:
        self._revision += 1
        op = self._op("add" if key.startswith("w/") else "set", key, value, called, ended)
        op.index, op.revision = index, self._revision
        self.history.effects[op.id] = Effect(op, index, self._revision, 1, wrote=True)
        return op

    def read(self, key: str, value: str | None, index: int, called: float, ended: float) -> Op:
        op = self._op("read", key, value, called, ended)
        op.index = index
        return op

    def cas(self, key: str, expected: str | None, value: str, index: int, at: float) -> Op:
        op = self.write(key, value, index, at, at + 0.5)
        op.kind, op.expected = "cas", expected
        return op


def honest() -> Story:
    story = Story()
    story.write("w/1", "one", 2, 0.0, 1.0)
    story.write("r0", "first", 3, 1.0, 2.0)
    story.read("r0", "first", 3, 2.5, 3.0)
    story.cas("r0", "first", "second", 5, 4.0)
    story.read("r0", "second", 5, 5.0, 6.0)
    story.read("r1", None, 5, 5.0, 6.0)
    return story


STATE = {"w/1": ("one", 1, 1), "r0": ("second", 2, 3)}


def test_an_honest_history_holds() -> None:
    assert checks.judge(honest().history, {"a": STATE, "b": STATE}) == []


def test_a_lost_write_is_caught() -> None:
    found = checks.judge(honest().history, {"a": STATE, "b": {"r0": ("second", 2, 3)}})
    assert found == ["acknowledged write w/1 is lost on b"]


def test_a_double_apply_is_caught() -> None:
    twice = {**STATE, "w/1": ("one", 2, 1)}
    assert checks.judge(honest().history, {"a": STATE, "b": twice}) == [
        "w/1 was applied 2 times on b"
    ]


def test_a_write_that_moved_is_caught() -> None:
    moved = {**STATE, "w/1": ("one", 1, 7)}
    assert "differs on a" in checks.judge(honest().history, {"a": moved})[0]


def test_a_stale_read_is_caught_by_witness_replay_and_black_box() -> None:
    story = honest()
    story.read("r0", "first", 4, 7.0, 8.0)
    assert len(checks.out_of_order(story.history)) == 1
    assert checks.wrong_answers(story.history) == []  # the log agrees: it was so at index 4
    assert "stale read" in checks.stale_reads(story.history.ops)[0]


def test_a_stale_read_that_lies_about_its_index_is_caught() -> None:
    story = honest()
    story.read("r0", "first", 9, 7.0, 8.0)
    assert checks.out_of_order(story.history) == []
    assert "saw first, not second" in checks.wrong_answers(story.history)[0]
    assert "stale read" in checks.stale_reads(story.history.ops)[0]


def test_a_read_of_nothing_after_a_write_is_caught() -> None:
    story = honest()
    story.read("r0", None, 9, 7.0, 8.0)
    assert "saw nothing" in checks.stale_reads(story.history.ops)[0]


def test_a_read_from_the_future_and_of_nobodys_value_are_caught() -> None:
    story = honest()
    story.read("r0", "nobody's", 5, 6.0, 7.0)
    story.read("r0", "later", 5, 6.0, 7.0)
    story.write("r0", "later", 9, 8.0, 9.0)
    texts = checks.stale_reads(story.history.ops)
    assert "nobody wrote" in texts[0] and "before it was written" in texts[1]


def test_a_write_ordered_before_what_had_ended_is_caught() -> None:
    story = honest()
    late = story.write("r1", "x", 9, 10.0, 11.0)
    story.history.effects[late.id].index = late.index = 4
    assert len(checks.out_of_order(story.history)) == 1


def test_a_compare_that_lied_is_caught() -> None:
    story = honest()
    story.cas("r0", "first", "third", 9, 7.0)
    assert "expected first and found second" in checks.wrong_answers(story.history)[0]


def test_a_refusal_that_was_applied_is_caught() -> None:
    story = honest()
    story.write("w/2", "two", 9, 7.0, 8.0).outcome = "no"
    assert "certainly not applied" in checks.refused_yet_applied(story.history)[0]


def test_a_call_past_its_deadline_is_caught() -> None:
    story = honest()
    op = story.read("r1", None, 9, 7.0, 8.0)
    op.returned = op.deadline + 2.0
    assert "2.00 s after its deadline" in checks.late_calls(story.history.ops, 0.5)[0]


def test_two_effects_of_one_command_are_caught() -> None:
    history = History()
    op = history.invoke(Op(1, "a", "set", "r0", "x", 0.0))
    history.names[(5, 1)] = op
    assert history.applied(7, 5, 1, [3, 1]) is None
    assert history.applied(9, 5, 1, [3, 1]) is None  # the same answer, from the session's memory
    assert "two effects" in (history.applied(11, 5, 1, [4, 2]) or "")


def test_unknown_writes_may_take_effect_late() -> None:
    story = honest()
    slow = story.write("r0", "slow", 9, 6.0, 7.0)
    slow.outcome = "unknown"
    story.read("r0", "second", 6, 8.0, 9.0)
    story.read("r0", "slow", 9, 10.0, 11.0)
    assert checks.judge(story.history, {"a": {**STATE, "r0": ("slow", 3, 4)}}) == []
