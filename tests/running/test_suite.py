"""The matrix, with runs that only pretend."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from pathlib import Path

import pytest

from quorate.chaos.running.ending import body_of
from quorate.chaos.running.options import RunOptions, RunResult, Word
from quorate.chaos.running.progress import Progress, Say
from quorate.chaos.running.suite import Outcome, Suite, cells, seed_of
from quorate.consistency.check.verdict import Anomaly, Verdict
from quorate.core.errors import UsageError

WORKLOADS, NEMESES = ["register", "names"], ["halves", "pause"]


async def pretend(options: RunOptions, _: Say) -> Outcome:
    await asyncio.sleep(0)
    if options.workload == "names" and options.nemesis == "pause":
        return Outcome("broken", 900, ("stale-binding: epoch 3 after 4",))
    return Outcome("held", 1000)


async def better(*_: object) -> Outcome:
    return Outcome("held", 1100)


def left_by(options: RunOptions, word: Word, name: str, *, interrupted: bool = False) -> None:
    """A folder of a run that was."""
    anomalies = [Anomaly("stale-binding", "epoch 3 after 4")] if word == "broken" else []
    verdict = Verdict("broken" if anomalies else "held", "m", 10, anomalies)
    folder = Path(options.folder) / name
    folder.mkdir(parents=True)
    result = RunResult(word, [verdict], 500, 200.0, 1, folder, [], interrupted)
    (folder / "run.json").write_text(json.dumps(body_of(options, result, {})))


@pytest.mark.parametrize("jobs", [1, 3, 9])
def test_the_table_has_every_cell_and_says_what_failed_and_how_to_repeat_it(
    tmp_path: Path, jobs: int
) -> None:
    wanted = cells(RunOptions(seed=3), WORKLOADS, NEMESES)
    page = tmp_path / "there" / "RESULTS.md"
    suite = Suite(wanted, pretend, page=page, command="quorate chaos suite", jobs=jobs)
    done = asyncio.run(suite.go())
    assert [cell.options for cell in done] == wanted
    text = page.read_text()
    assert "3 of 4 runs held, 3900 acknowledged operations" in text
    assert "| halves | held 1000 | held 1000 |" in text
    assert "| pause | held 1000 | **BROKEN** 900 |" in text
    assert "* names x pause: stale-binding: epoch 3 after 4" in text
    assert f"--nemesis pause --hosts 3 --seconds 20 --seed {seed_of(3, 'names', 'pause')}" in text
    assert "again" not in text


@pytest.mark.parametrize("jobs", [0, -1, 65])
def test_so_many_jobs_cannot_be(tmp_path: Path, jobs: int) -> None:
    with pytest.raises(UsageError, match="jobs"):
        Suite([], pretend, page=tmp_path / "page", command="", jobs=jobs)


def test_jobs_run_at_the_same_time_and_never_more(tmp_path: Path) -> None:
    running, most = 0, 0

    async def slow(*_: object) -> Outcome:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _turn in range(5):
            await asyncio.sleep(0)
        running -= 1
        return Outcome("held", 1)

    wanted = cells(RunOptions(), [*WORKLOADS, "sets", "locks"], NEMESES)
    suite = Suite(wanted, slow, page=tmp_path / "page.md", command="", jobs=3)
    assert len(asyncio.run(suite.go())) == 8 and most == 3


def test_what_has_held_is_not_run_again_and_what_had_not_is_told(tmp_path: Path) -> None:
    wanted = cells(RunOptions(seed=3, folder=tmp_path), WORKLOADS, NEMESES)
    (halves, _), (pause, broken) = wanted[:2], wanted[2:]
    left_by(halves, "held", "20260101-0")
    left_by(pause, "held", "20260101-1", interrupted=True)
    left_by(broken, "broken", "20260101-2")
    left_by(broken, "invalid", "20260101-3")
    left_by(dataclasses.replace(wanted[1], seconds=8.0), "held", "20260101-4")
    (tmp_path / "latest").symlink_to("20260101-2")
    (tmp_path / "20260101-5").mkdir()
    (tmp_path / "20260101-5" / "run.json").write_text("{")
    page = tmp_path / "RESULTS.md"
    said: list[str] = []
    suite = Suite(wanted, better, page=page, command="c", resume=True, say=said.append)
    asyncio.run(suite.go())
    assert said[0] == "--- 1 cells have held, 3 are left"
    text = page.read_text()
    assert "| halves | held 500 | held 1100 |" in text
    assert "| pause | held 1100 | held 1100 |" in text
    assert "* names x pause: **BROKEN** 500, stale-binding: epoch 3 after 4" in text
    assert "* names x pause: **invalid** 500, invalid" in text
    assert "register x" not in text and text.count("BROKEN") == 1
    again = Suite(wanted, pretend, page=page, command="c")
    asyncio.run(again.go())
    assert "| halves | held 1000 | held 1000 |" in page.read_text()


def test_after_an_interrupted_run_no_other_begins(tmp_path: Path) -> None:
    async def cut(*_: object) -> Outcome:
        return Outcome("held", 7, interrupted=True)

    wanted = cells(RunOptions(), WORKLOADS, NEMESES)
    done = asyncio.run(Suite(wanted, cut, page=tmp_path / "page.md", command="").go())
    assert [cell.outcome.exit_code for cell in done] == [130]


def test_a_cells_seed_does_not_depend_on_the_others() -> None:
    some = cells(RunOptions(seed=3), ["names"], ["pause"])
    assert some[0].seed == seed_of(3, "names", "pause")
    assert some[0].seed != seed_of(4, "names", "pause")


def test_a_fault_that_needs_agents_is_left_out_where_there_are_none() -> None:
    wanted = cells(RunOptions(), ["register", "agents"], ["drain", "halves"])
    assert [(one.workload, one.nemesis) for one in wanted] == [
        ("agents", "drain"),
        ("register", "halves"),
        ("agents", "halves"),
    ]


@pytest.mark.parametrize(
    "wrong", [{"hosts": 0}, {"hosts": 10}, {"seconds": 0}, {"rate": 0}, {"clients": 0}]
)
def test_options_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        RunOptions(**wrong)  # type: ignore[arg-type]


def test_the_progress_line_says_what_is_going_on() -> None:
    now = 100.0
    progress = Progress(lambda: now)
    progress.enter("faults", 20)
    for _ in range(400):
        progress.on_event("ok")
    progress.on_fault({"name": "isolate", "phase": "begin", "hosts": ["b"]})
    now = 101.0
    words = " ".join(progress.line().split())
    assert words == "faults 19 s left 200 op/s fault: isolate b violations so far: 0"
    progress.on_fault({"name": "isolate", "phase": "end"})
    assert "fault: none" in progress.line()
