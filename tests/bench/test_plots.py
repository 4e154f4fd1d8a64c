"""What a report of result files holds, and what it says of pictures it has nothing for."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest

from quorate.bench import results_file
from quorate.bench.plots import data, style
from quorate.bench.plots.blocks import as_html, as_markdown, blocks
from quorate.bench.report import report
from quorate.bench.tables import table
from tests.bench.test_report import result

RESULTS = Path(results_file.__file__).parent / "results"


def kept(name: str) -> dict[str, object]:
    return results_file.read(RESULTS / f"{name}.json")["results"]


def test_a_table_of_the_report_is_a_table_again() -> None:
    text = "\n".join(["Reads", "", *table(("case", "per s"), [("a b", "1,000"), ("c", "-")]), ""])
    title, found = blocks(text)
    assert title.lines == ["Reads"]
    assert found.head == ["case", "per s"]
    assert found.rows == [["a b", "1,000"], ["c", "-"]]
    assert "## Reads\n\n| case | per s |\n| --- | ---: |\n| a b | 1,000 |" in as_markdown(text)
    assert "<td>1,000</td>" in as_html(text)


def test_every_figure_of_a_whole_report_is_in_its_tables() -> None:
    text = report(result())
    assert {"25,000", "5,000"} <= set(re.findall(r"[\d,]{5,}", as_markdown(text)))
    assert as_html(text).count("<table>") == sum(bool(block.head) for block in blocks(text)) >= 3


def test_what_a_user_typed_is_no_markup() -> None:
    assert "<b>" not in as_html("<b>\n\n" + "\n".join(table(("<b>",), [("<b>",)])))


def test_guarantees_go_from_the_weakest_on_and_miss_what_was_not_asked() -> None:
    rows = data.guarantees({"levels": kept("full")["levels"]})
    assert [row.name for row in rows][:3] == ["local read", "session read", "linearizable read"]
    assert rows[-1].name == "strong write"
    assert rows[0].p50_ms < rows[2].p50_ms < rows[-1].p50_ms
    assert all(math.isnan(row.in_minority_percent) for row in rows)
    assert data.guarantees({}) == []


def test_cuts_and_staleness_stand_beside_the_guarantees() -> None:
    answered = [
        {"side": "minority", "call": "strong write", "answered_percent": 3.0},
        {"side": "minority", "call": "strong write", "answered_percent": 0.0},
        {"side": "majority", "call": "strong write", "answered_percent": 99.0},
        {"side": "minority", "call": "local read", "answered_percent": 100.0},
    ]
    stale = [
        {"read": "local", "stale_percent": 20.0, "stale_p99_ms": 9.0},
        {"read": "linearizable", "stale_percent": 0.0, "stale_p99_ms": math.nan},
    ]
    found = {
        "levels": kept("full")["levels"],
        "partition": {"rows": answered},
        "staleness": {"rows": stale},
    }
    rows = {row.name: row for row in data.guarantees(found)}
    assert rows["strong write"].in_minority_percent == 0.0
    assert rows["local read"].in_minority_percent == 100.0
    assert rows["local read"].stale_p99_ms == 9.0
    assert rows["linearizable read"].stale_p99_ms == 0.0
    assert math.isnan(rows["strong write"].stale_p99_ms)


def test_percentiles_come_from_the_histogram_and_end_where_it_ends() -> None:
    rows = data.loads(kept("full"), "writes")
    points = data.percentiles(rows[0])
    assert [ms for _, ms in points] == sorted(ms for _, ms in points)
    middle = dict(points)[50]
    assert middle == pytest.approx(rows[0]["p50_us"] / 1000, rel=0.02)
    assert data.percentiles({}) == []


def test_ratios_are_ours_over_the_peers() -> None:
    found = kept("full")
    agents: Any = found["agents_calls"]
    rates = {(row["system"], row["case"]): row["ops_per_s"] for row in agents}
    ratios = data.ratios(found)
    one = next(r for r in ratios if (r.case, r.peer) == ("local ask, one caller", "ray"))
    asked = "local ask, one caller"
    assert one.rate == pytest.approx(rates["quorate", asked] / rates["ray", asked])
    assert one.p50 < 1
    assert {row.peer for row in ratios} >= {"etcd", "pysyncobj", "redis", "casty", "py-lmdb"}
    assert {row.peer for row in data.ratios({"levels": found["levels"]})} == {"py-lmdb"}


def test_clients_outside_are_compared_with_ours_outside_reads_apart_from_writes() -> None:
    found = kept("full")
    clients: Any = found["clients"]
    rates = {(row["system"], row["op"], row["in_flight"]): row["ops_per_s"] for row in clients}
    ratios = {(one.case, one.peer): one.rate for one in data.ratios({"clients": clients})}
    for op, name in (("put", "writes"), ("get", "reads")):
        mine = rates["quorate, HTTP", op, 64] / rates["etcd-python", op, 64]
        assert ratios[f"{name} of clients, 64 in flight", "etcd-python"] == pytest.approx(mine)
    assert not any(peer.startswith("quorate") for _, peer in ratios)
    for title, rows in data.panels(found):
        for points in data.over_in_flight(rows).values():
            numbers = [x for x, _ in points]
            assert len(numbers) == len(set(numbers)), f"{title}: one line for several things"


def test_no_two_systems_look_the_same() -> None:
    systems = {row["system"] for _, rows in data.panels(kept("full")) for row in rows}
    marks = {system: style.look_of(system).mark for system in systems | {"casty", "ray", "py-lmdb"}}
    assert marks.pop("quorate, inside") == marks["quorate"]
    assert len(set(marks.values())) == len(marks)
