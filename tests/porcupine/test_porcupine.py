"""Our register judge and Porcupine say the same of the same histories, held and broken.

Porcupine (Athalye 2017) shares no code and no author with ours. Its verdict on a history and ours
must be equal, word for word; unknown is no answer.
"""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from quorate.consistency.check.history import Event
from quorate.consistency.check.lines import dump, load
from quorate.consistency.check.models import check
from tests.porcupine import building, simulated, systems

SOAK = os.environ.get("QUORATE_SOAK") == "1"
SEEDS = 5000 if SOAK else 300
SIM_SECONDS = 8.0
"""Longer ones of the plant have more in flight than Porcupine refutes in its time."""
SIM_SEEDS = 12 if SOAK else 3
FILES_MAX = 200
"""Of one call: the command line has an end."""


@pytest.fixture(scope="module")
def porcupine() -> Path:
    try:
        return building.program()
    except building.NoGoError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


def told_by(porcupine: Path, files: list[Path]) -> dict[str, str]:
    """File -> Porcupine's word."""
    words: dict[str, str] = {}
    for at in range(0, len(files), FILES_MAX):
        told = subprocess.run(
            [str(porcupine), *map(str, files[at : at + FILES_MAX])],
            capture_output=True,
            text=True,
            check=True,
        )
        for line in told.stdout.splitlines():
            word, path, _ = line.split("\t")
            words[path] = word
    return words


def compare(porcupine: Path, folder: Path, histories: Mapping[str, list[Event]]) -> Counter[str]:
    """Write, let both judge, and want one answer. How many got which word."""
    files: list[Path] = []
    for name, events in histories.items():
        file = folder / f"{name}.jsonl"
        file.write_text("".join(map(dump, events)), encoding="utf-8")
        files.append(file)
    theirs = told_by(porcupine, files)
    ours = {
        str(file): check("register", load(file.read_bytes().splitlines(keepends=True))).verdict
        for file in files
    }
    apart = {
        file: (ours[file], theirs.get(file)) for file in ours if ours[file] != theirs.get(file)
    }
    assert not apart, f"(ours, Porcupine's): {apart}"
    return Counter(ours.values())


def test_generated_histories(porcupine: Path, tmp_path: Path) -> None:
    histories = {f"{systems.draw(seed).fault}-{seed}": systems.run(seed) for seed in range(SEEDS)}
    words = compare(porcupine, tmp_path, histories)
    assert set(words) == {"held", "broken"}, words
    assert min(words.values()) >= SEEDS // 4, words


def test_a_correct_register_holds_and_each_fault_shows(porcupine: Path, tmp_path: Path) -> None:
    """The generator is not idle: without a fault all hold, and every fault breaks some."""
    histories = {f"{systems.draw(seed).fault}-{seed}": systems.run(seed) for seed in range(120)}
    for name, events in histories.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(map(dump, events)), encoding="utf-8")
    words = told_by(porcupine, sorted(tmp_path.iterdir()))
    found: dict[str, set[str]] = {}
    for path, word in words.items():
        found.setdefault(Path(path).stem.rpartition("-")[0], set()).add(word)
    assert found.pop("none") == {"held"}
    assert {fault for fault, told in found.items() if "broken" not in told} == set()
    assert set(found) == set(systems.FAULTS) - {"none"}


def test_histories_of_the_simulator(porcupine: Path, tmp_path: Path) -> None:
    """Real recordings: of the product, and of one that answers reads without asking anybody."""
    histories = {
        f"{plant or 'ours'}-{seed}": simulated.recorded(seed, plant, SIM_SECONDS)
        for plant in (None, "S11")
        for seed in range(SIM_SEEDS)
    }
    assert all(len(events) > 50 for events in histories.values())
    words = compare(porcupine, tmp_path, histories)
    assert words["held"] >= SIM_SEEDS


ODD: dict[str, tuple[str, list[Event]]] = {
    "one is one point nought": (
        "held",
        [
            Event("invoke", 1, 0, "write", "x", 1),
            Event("ok", 1, 1),
            Event("invoke", 1, 2, "read", "x"),
            Event("ok", 1, 3, value=1.0),
        ],
    ),
    "true is not one": (
        "broken",
        [
            Event("invoke", 1, 0, "write", "x", True),
            Event("ok", 1, 1),
            Event("invoke", 1, 2, "read", "x"),
            Event("ok", 1, 3, value=1),
        ],
    ),
    "an unknown write is seen late": (
        "held",
        [
            Event("invoke", 1, 0, "write", "x", 5),
            Event("unknown", 1, 1),
            Event("invoke", 2, 2, "read", "x"),
            Event("ok", 2, 3),
            Event("invoke", 2, 4, "read", "x"),
            Event("ok", 2, 5, value=5),
        ],
    ),
    "a write that failed is never seen": (
        "broken",
        [
            Event("invoke", 1, 0, "write", "x", 5),
            Event("fail", 1, 1),
            Event("invoke", 2, 2, "read", "x"),
            Event("ok", 2, 3, value=5),
        ],
    ),
    "an unknown cas took effect, or not": (
        "broken",
        [
            Event("invoke", 1, 0, "cas", "x", [None, 5]),
            Event("invoke", 2, 1, "read", "x"),
            Event("ok", 2, 2, value=5),
            Event("invoke", 2, 3, "read", "x"),
            Event("ok", 2, 4),
        ],
    ),
    "keys are apart": (
        "held",
        [
            Event("invoke", 1, 0, "write", 1, "a"),
            Event("ok", 1, 1),
            Event("invoke", 1, 2, "read", "1"),
            Event("ok", 1, 3),
        ],
    ),
}


def test_odd_corners(porcupine: Path, tmp_path: Path) -> None:
    names = {f"{at}": name for at, name in enumerate(ODD)}
    compare(porcupine, tmp_path, {at: ODD[name][1] for at, name in names.items()})
    words = told_by(porcupine, sorted(tmp_path.iterdir()))
    assert {names[Path(path).stem]: word for path, word in words.items()} == {
        name: word for name, (word, _) in ODD.items()
    }
