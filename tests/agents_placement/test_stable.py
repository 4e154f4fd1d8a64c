"""The same choice in every process and for ever (T22): whatever the seed of Python's own hash."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from quorate.hosts.agents.placement.choose import Field, choose
from quorate.hosts.agents.placement.counts import Counts
from quorate.hosts.agents.placement.views import point
from tests.agents_placement.scenes import ANY, hosts, names

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import json
from tests.agents_placement.test_stable import all_choices
print(json.dumps(all_choices()))
"""


def all_choices() -> list[str]:
    field, counts = Field(hosts(7)), Counts()
    found: list[str] = []
    for name in names(300):
        view = choose(name, ANY, field, counts)
        counts.take(view.lease, ANY)
        found.append(view.id)
    return found


def elsewhere(seed: str) -> list[str]:
    """What another process chooses, whose strings hash otherwise."""
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(result.stdout)


def test_other_processes_choose_the_same() -> None:
    assert elsewhere("1") == elsewhere("4711") == all_choices()


def test_it_is_what_it_was() -> None:
    """Agents are remembered for longer than a version lives: these values never change."""
    assert point("agent:1") == 0x4F3FC404F3611F51
    assert " ".join(all_choices()[:12]) == "h4 h5 h6 h3 h1 h2 h1 h2 h4 h6 h5 h2"
