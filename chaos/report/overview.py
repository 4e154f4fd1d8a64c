"""The list of runs, and the page that follows the latest one.

The law of this file: names and words of runs in, a page out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from quorate.chaos.report import tables, words
from quorate.chaos.report.markup import Markup, join, raw, tag
from quorate.chaos.report.parts import chip, table

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; frame-src 'self'"
)
WATCH = raw("""
(function () {
  "use strict";
  var frame = document.querySelector("iframe"), before = null;
  function look() {
    fetch("/state").then(function (answer) { return answer.json(); }).then(function (state) {
      var now = JSON.stringify(frame ? [state.latest, state.runs[0]] : state);
      if (before !== null && now !== before) {
        if (!frame) { location.reload(); return; }
        frame.src = "/runs/" + encodeURIComponent(state.latest) + "/";
      }
      before = now;
    }).catch(function () {});
  }
  setInterval(look, 2000); look();
})();
""")


@dataclass(frozen=True, slots=True)
class Run:
    """One line of the list."""

    name: str
    word: str
    """The verdict; `running`; `unknown` for one that was killed: it has no `run.json`."""
    workload: str
    nemesis: str
    plant: str
    operations: int | None
    per_s: float | None
    seed: str


def run_of(name: str, run: Mapping[str, Any], *, running: bool = False) -> Run:
    """What the list says of a run; `run` is its `run.json`, empty when there is none."""
    options = tables.options_of(run)
    operations, per_s = run.get("operations"), run.get("per_s")
    return Run(
        name,
        "running" if running and not run else tables.word_of(run),
        str(options.get("workload", "")),
        str(options.get("nemesis", "")),
        str(options.get("plant") or ""),
        operations if isinstance(operations, int) else None,
        float(per_s) if isinstance(per_s, int | float) else None,
        str(run.get("seed", options.get("seed", ""))),
    )


def index(runs: Sequence[Run], latest: str) -> str:
    """All runs, the newest first."""
    rows = [
        (
            chip(run.word),
            tag("a", run.name, href=f"/runs/{quote(run.name, safe='')}/"),
            run.workload,
            run.nemesis,
            run.plant,
            "" if run.operations is None else words.count(run.operations),
            "" if run.per_s is None else words.short(run.per_s),
            run.seed,
        )
        for run in runs
    ]
    heads = ("verdict", "run", "workload", "nemesis", "planted", "operations", "per s", "seed")
    styles = ("", "long", "wrap", "wrap", "wrap", "n", "n", "n")
    counted = ("held", "broken", "running")
    counts = {word: sum(run.word == word for run in runs) for word in counted}
    other = len(runs) - sum(counts.values())
    said = f"{counts['held']} held, {counts['broken']} broken, {other} unknown or invalid"
    said += f", {counts['running']} running." if counts["running"] else "."
    link = tag("p", tag("a", "Follow the latest run", href="/latest"), f" ({latest})")
    body = tag("section", table(heads, rows, styles), class_="card")
    empty = tag("p", "No run yet: quorate chaos run --workload register --nemesis isolate-leader")
    return _page(
        "runs",
        [
            tag("h1", words.many(len(runs), "run")),
            tag("p", said, class_="soft"),
            *([link, body] if runs else [empty]),
        ],
    )


def follower(latest: str) -> str:
    """The latest report in a frame, changed for the next one when it comes."""
    if not latest:
        return _page("latest", [tag("p", "No run yet. This page will show the first one.")])
    frame = tag(
        "iframe",
        src=f"/runs/{quote(latest, safe='')}/",
        title="The latest run",
        style="position:fixed;inset:0;width:100%;height:100%;border:0",
    )
    return _page("latest", [frame])


@cache
def _style() -> Markup:
    return raw(Path(__file__).with_name("style.css").read_text(encoding="utf-8"))


def _page(title: str, body: Sequence[Markup]) -> str:
    html = tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
            tag("title", f"quorate chaos: {title}"),
            tag("style", _style()),
        ),
        tag("body", tag("main", join(body)), tag("script", WATCH)),
        lang="en",
    )
    return f"<!doctype html>\n{html}\n"
