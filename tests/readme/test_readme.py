"""Every code block of the README runs: Python as written, shell lines through the command's own
parser."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

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
    if words[0] == "quorate":
        build().parse_args(words[1:])
    elif words[0] == "make":
        assert re.search(rf"^{words[1]}:", MAKEFILE, flags=re.MULTILINE)
    else:
        assert words[0] == "pip"
