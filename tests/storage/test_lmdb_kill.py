"""A process killed with -9 in the middle of its commits: what it was told is there, and the folder
is free.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.storage.storage_tools import lmdb_bench

WRITER = """
import sys
from quorate.core.storage.lmdb_engine import LmdbEngine
engine = LmdbEngine(sys.argv[1], tables=["log", "meta"], post=None, format_version=1)
number = int.from_bytes((engine.get("meta", b"last") or b""), "big")
while True:
    number += 1
    engine.writer().put("log", number.to_bytes(8, "big"), bytes(3000))
    engine.writer().put("meta", b"last", number.to_bytes(8, "big"))
    engine.commit_blocking()
    print(number, flush=True)
"""


@pytest.mark.parametrize("rounds", [5])
def test_what_was_acknowledged_survives_kills(tmp_path: Path, rounds: int) -> None:
    root = Path(__file__).resolve().parents[2]
    acknowledged = 0
    for round_number in range(rounds):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "db")],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(root)},
        ) as child:
            assert child.stdout is not None
            for _ in range(20 + 7 * round_number):
                acknowledged = int(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
            acknowledged = max([acknowledged, *map(int, child.stdout.read().split())])
        bench = lmdb_bench(tmp_path / "db")
        last = int.from_bytes(bench.engine.get("meta", b"last"), "big")
        assert last in (acknowledged, acknowledged + 1)
        assert [key for key, _ in bench.engine.scan("log")] == [
            number.to_bytes(8, "big") for number in range(1, last + 1)
        ]
        bench.engine.close()
