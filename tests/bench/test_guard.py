"""The judge of the guard, and that what it counts has no chance in it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from quorate.bench import guard
from quorate.bench.guard_count import Steps
from quorate.bench.guard_ratios import work_in_c

STEPS = "steps of the interpreter, 64 at once"
FRAMES = "frames, 64 at once"
RATIO = "processor time beside py-lmdb"
EXPECTED = {STEPS: 3000.0, FRAMES: 0.0625, RATIO: 90.0}


def verdicts(**changed: float) -> dict[str, str]:
    names = {"steps": STEPS, "frames": FRAMES, "ratio": RATIO}
    found = EXPECTED | {names[key]: value for key, value in changed.items()}
    return {one.name: one.verdict for one in guard.judge(EXPECTED, found)}


def test_what_is_as_expected_holds_and_so_does_less() -> None:
    assert set(verdicts().values()) == {"held"}
    assert set(verdicts(steps=1500.0, ratio=50.0).values()) == {"held"}


def test_a_fifth_more_is_caught_and_only_where_it_is() -> None:
    assert verdicts(steps=3600.0) == {STEPS: "broken", FRAMES: "held", RATIO: "held"}
    assert verdicts(frames=0.075)[FRAMES] == "broken"
    assert verdicts(ratio=108.0)[RATIO] == "broken"


def test_counts_are_held_to_less_than_what_has_noise() -> None:
    assert verdicts(steps=3080.0)[STEPS] == "held"
    assert verdicts(steps=3100.0)[STEPS] == "broken"
    assert verdicts(frames=0.064)[FRAMES] == "broken"
    assert verdicts(ratio=100.0)[RATIO] == "held"


def test_one_without_the_other_is_unknown_and_unknown_is_no_pass() -> None:
    findings = guard.judge(EXPECTED, {STEPS: 3000.0, "tasks, 1 at once": 1.0})
    found = {one.name: one.verdict for one in findings}
    assert found == {
        STEPS: "held",
        FRAMES: "unknown",
        RATIO: "unknown",
        "tasks, 1 at once": "unknown",
    }
    assert guard.exit_code(findings) == 3
    assert guard.exit_code([]) == 3
    assert guard.exit_code(guard.judge(EXPECTED, EXPECTED)) == 0
    assert guard.exit_code(guard.judge(EXPECTED, {STEPS: 9000.0})) == 1
    assert "unknown" in "\n".join(guard.lines(findings))
    assert all(math.isnan(one.change_percent) for one in findings[1:])


def test_a_ratio_over_its_limit_is_measured_again_and_the_least_counts() -> None:
    noisy = iter([{RATIO: 130.0}, {RATIO: 95.0}])
    assert guard.least(lambda: next(noisy), {RATIO: 90.0}) == {RATIO: 95.0}
    assert next(noisy, None) is None
    slow = iter([{RATIO: 130.0}, {RATIO: 120.0}, {RATIO: 125.0}, {RATIO: 1.0}])
    assert guard.least(lambda: next(slow), {RATIO: 90.0}) == {RATIO: 120.0}


def test_a_file_renewed_for_one_python_keeps_those_of_others() -> None:
    before = {"schema": guard.SCHEMA, "counts": {"CPython 3.11": {STEPS: 1.0}}, "ratios": {}}
    after = json.loads(guard.renewed(before, "CPython 3.12", {STEPS: 2.0}, {RATIO: 3.0}))
    assert after["counts"] == {"CPython 3.11": {STEPS: 1.0}, "CPython 3.12": {STEPS: 2.0}}
    assert after["ratios"] == {RATIO: 3.0}


@pytest.mark.parametrize("text", ["no json", "[]", '{"schema": "quorate-guard/0"}'])
def test_a_file_of_another_kind_is_refused(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "guard.json"
    path.write_text(text)
    assert guard.main(["--expected", str(path)]) == 2
    assert "--renew" in capsys.readouterr().err


def test_the_file_in_the_repository_names_every_figure() -> None:
    expected = guard.read(guard.EXPECTED)
    for counts in expected["counts"].values():
        assert STEPS in counts
        assert counts["tasks, 64 at once"] == 1.0
    assert len(expected["ratios"]) == 2


def test_steps_are_counted_alike_each_time_and_a_plant_adds_what_it_says() -> None:
    burn = guard.spin(600.0)
    counts: list[int] = []
    with Steps():
        burn()
    for _ in range(2):
        with Steps() as steps:
            burn()
        counts.append(steps.steps)
    assert counts[0] == counts[1]
    assert 600 <= counts[0] <= 620


def test_work_in_c_is_no_step() -> None:
    work = work_in_c(0.001)
    with Steps() as steps:
        work()
    assert steps.steps < 20
