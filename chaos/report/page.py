"""The page: one HTML file that needs no network, made of a run folder.

The law of this file: it puts sections in order. `page` is a function of the record; only
`write_report` touches the disk, and it replaces the old page in one step.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from quorate.chaos.report import recovery, sections, tables
from quorate.chaos.report.faults import Fault
from quorate.chaos.report.grid import grid
from quorate.chaos.report.lanes import examples
from quorate.chaos.report.markup import Markup, join, raw, tag
from quorate.chaos.report.parts import PATTERNS
from quorate.chaos.report.recorded import Recorded, read_folder

REPORT = "report.html"
Scheme = Literal["", "light", "dark"]
"""Nothing: what the reader's system prefers."""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
"""Even a letter that escaped its quotes could fetch nothing."""


@cache
def _asset(name: str) -> Markup:
    return raw(Path(__file__).with_name(name).read_text(encoding="utf-8"))


def page(record: Recorded, *, scheme: Scheme = "", paper: bool = False) -> str:
    """The whole page. `paper`: verdict and charts only, for a picture."""
    word = tables.word_of(record.run)
    body = tag(
        "body",
        PATTERNS,
        tag("main", _over(record), *_body(record)),
        tag("div", id="tip", role="status"),
        tag("script", _asset("page.js")),
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=raw(POLICY)),
        tag("title", f"{word}: {tables.title_of(record)} ({record.name})"),
        tag("style", _asset("style.css")),
    )
    html = tag(
        "html",
        head,
        body,
        lang="en",
        data_scheme=scheme or None,
        data_verdict=word,
        class_="paper" if paper else None,
    )
    return f"<!doctype html>\n{html}\n"


def _over(record: Recorded) -> Markup:
    return tag(
        "div",
        tag("span", tag("b", "quorate chaos"), f" · {record.name}"),
        tag("button", "light / dark", id="scheme", type="button"),
        class_="over",
    )


def _body(record: Recorded) -> list[Markup]:
    cells = grid(record.end_s)
    recoveries = recovery.recoveries(record.calls, record.faults, record.end_s)
    found = examples(record)
    marked = found[0].marked if found else ()
    return [
        tables.banner(record),
        tables.tiles(record, recoveries),
        *([sections.example_section(found[0])] if found else []),
        tag("div", tables.promise(record), tables.replay(record), class_="two screen"),
        sections.pace_section(record, cells),
        sections.latency_section(record, cells),
        sections.who_section(record, cells),
        sections.network_section(record, cells),
        join([tag("div", tables.fault_table(record, recoveries), class_="screen")]),
        sections.workers_section(record, cells, marked, _worst(recoveries)),
        tag("div", tables.verdict_list(record), class_="screen"),
        tables.environment(record),
    ]


def _worst(recoveries: Sequence[recovery.Recovery]) -> Fault | None:
    """The fault with the longest silence: what to look at when nothing was broken."""
    worst = max(recoveries, key=lambda one: one.silence_s, default=None)
    return worst and worst.fault


def write_report(folder: Path) -> Path:
    """Write `report.html` into the run folder. Raises `FileNotFoundError` without the folder."""
    text = page(read_folder(folder))
    target = folder / REPORT
    draft = folder / f".{REPORT}.new"
    draft.write_text(text, encoding="utf-8", errors="replace")
    draft.replace(target)
    return target
