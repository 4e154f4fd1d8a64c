"""The questions about single calls, tiny: real processes, a real cut, a real Toxiproxy."""

from __future__ import annotations

import subprocess
from pathlib import Path

from quorate.bench import results_file
from quorate.bench.plan import QUICK
from quorate.bench.questions import delays, staleness
from quorate.bench.questions.probes import CALLS
from tests.bench.test_smoke import ENV, bench, running_below

ASKED = ("delays", "partition", "staleness", "paced", "bytes")


def test_a_tiny_run_of_single_calls_answers_and_leaves_nothing(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "result.json"
    data.mkdir()
    only = [word for name in ASKED for word in ("--only", name)]
    done = subprocess.run(
        bench(*only, "--seconds", "0.05", "--data", str(data), "--json", str(out)),
        env=ENV,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = results_file.read(out)["results"]

    if "missing" not in found["delays"]:
        rows = found["delays"]["rows"]
        assert len(rows) == len(delays.CASES) * len(QUICK.delays_ms)
        delay_ms = QUICK.delays_ms[-1]
        slow = {
            row["where"]: row["p50_us"] / 1000
            for row in rows
            if (row["call"], row["in_flight"], row["one_way_ms"]) == ("strong writes", 1, delay_ms)
            and row["ops_per_s"] > 0  # a window may be shorter than one write
        }
        assert all(p50_ms >= 2 * delay_ms for p50_ms in slow.values()), slow

    rows = {(row["side"], row["call"]): row for row in found["partition"]["rows"]}
    assert len(rows) == 16
    assert rows["minority", "eventual write"]["answered_percent"] == 100
    assert rows["minority", "CRDT increment"]["answered_percent"] == 100
    assert rows["minority", "local read"]["answered_percent"] == 100
    assert rows["minority", "strong write"]["answered_percent"] < 100
    assert rows["minority", "strong write"]["errors"] != []

    rows = {(row["written"], row["read"]): row for row in found["staleness"]["rows"]}
    assert set(rows) == {(case.written, case.read) for case in staleness.CASES}
    assert rows["strong", "linearizable"]["reads"] > 0
    assert rows["strong", "linearizable"]["stale_percent"] == 0

    assert [row["call"] for row in found["paced"]["rows"]] == [call.name for call in CALLS]
    rows = {(row["call"], row["in_flight"]): row for row in found["bytes"]["rows"]}
    assert rows["strong writes", 1]["network_bytes"] > 2 * 100  # to two hosts
    assert rows["eventual writes", 1024]["network_bytes"] > 2 * 100
    assert "One host of three cut off" in done.stdout
    assert list(data.iterdir()) == []
    assert running_below(data) == []
