"""Every code block of the README runs (Python as written, shell lines through the command's own
parser), and its tables of promises are those that tests check."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from quorate.chaos.cli import words as words_of_chaos
from quorate.consistency.promises import LEVELS, MIXED, levels_table, mixed_table
from quorate.consistency.store.levels import UPDATE_LEVELS
from quorate.hosts.cli.parser import build
from quorate.hosts.demo.workers import child_environment
from tests.tidy.source import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
PYTHON = [text for language, text in BLOCKS if language == "python"]
SHELL = [text for language, text in BLOCKS if language == "sh"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def commands() -> list[str]:
    """The shell lines, continued ones joined."""
    lines = "".join(SHELL).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip()]


def test_there_is_something_to_run() -> None:
    assert len(PYTHON) >= 2
    assert any(line.startswith("quorate host") for line in commands())


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_a_python_block_runs_as_written(tmp_path: Path, number: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PYTHON[number]],
        cwd=tmp_path,
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout, "a block of the quick start should show something"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("line", commands())
def test_a_shell_line_is_understood(line: str) -> None:
    words = shlex.split(line, comments=True)
    if words[:2] == ["quorate", "chaos"]:
        words_of_chaos.build().parse_args(words[2:])
    elif words[0] == "quorate":
        build().parse_args(words[1:])
    elif words[0] == "make":
        assert re.search(rf"^{words[1]}:", MAKEFILE, flags=re.MULTILINE)
    else:
        assert words[0] == "pip"


# --- the tables of promises ----------------------------------------------------------------------

CHECKED = sorted({one for row in (*LEVELS, *MIXED) for one in row.checked_by})


def between(name: str) -> str:
    """What the README has between the marks of a generated part."""
    found = re.search(
        rf"<!-- {name}: begin[^>]*-->\n(.*?)\n<!-- {name}: end -->", README, re.DOTALL
    )
    assert found is not None, f"the README has no part {name}"
    return found.group(1)


def test_the_table_of_the_levels_is_what_the_promises_say() -> None:
    assert between("LEVELS") == levels_table()


def test_the_table_of_mixed_levels_is_what_the_promises_say() -> None:
    assert between("MIXED") == mixed_table()


def test_every_level_of_the_api_has_its_promises_and_every_promise_its_tests() -> None:
    assert tuple(row.name.strip("`") for row in LEVELS) == UPDATE_LEVELS
    assert all(row.checked_by for row in (*LEVELS, *MIXED))


@pytest.mark.parametrize("test_id", CHECKED)
def test_a_promise_names_a_test_that_is_there(test_id: str) -> None:
    path, _, function = test_id.partition("::")
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_what_the_example_says_is_what_it_shows(tmp_path: Path) -> None:
    """The block about levels, with the values its comments promise."""
    block = next(text for text in PYTHON if "consistency=" in text)
    done = subprocess.run(
        [sys.executable, "-c", block],
        cwd=tmp_path,
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert re.match(r"strong at term \d+ on \('a'", lines[0])
    assert lines[1:6] == [
        "{'qty': 2}",
        "eventual durable: True on ('a',)",
        "{'qty': 3}",
        "{'qty': 4}",
        "{'qty': 4}",
    ]
    assert re.fullmatch(r"[35] .?\W?'red'\W?", lines[6]), lines[6]
    assert lines[7] == "{'qty': 4} strong"
