"""A folder out of result files: a Markdown file each, pictures as PNG and SVG, one page.

The law of this file: it writes what the results say; a picture that a result has nothing for is
left out and named. The page needs no network and no other file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from quorate.bench.plots import more_pictures, pictures, style
from quorate.bench.plots.blocks import as_markdown
from quorate.bench.plots.page import Shown, page
from quorate.bench.report import report
from quorate.bench.results_file import NotWritten, put_in_place

PAGE = "report.html"


class Picture(NamedTuple):
    """`needs`: the questions of which it shows at least one."""

    name: str
    title: str
    draw: Callable[[dict[str, Any]], Figure | None]
    needs: str


PICTURES = (
    Picture("tradeoff", "What each guarantee costs", pictures.tradeoff, "levels"),
    Picture("latencies", "Latency of each case", pictures.spans, "levels, agents_calls"),
    Picture("percentiles", "Latency by percentile", pictures.percentiles, "writes, reads, clients"),
    Picture("throughput", "Rate over concurrency", pictures.throughput, "writes, reads, clients"),
    Picture("peers", "Beside the peers", pictures.peers, "writes, reads, agents_calls, levels"),
    Picture("delays", "With a delay on every link", more_pictures.delays, "delays"),
    Picture("partition", "While a host is cut off", more_pictures.partition, "partition"),
    Picture("staleness", "How stale reads are", more_pictures.staleness, "staleness"),
    Picture("paced", "At a fixed rate", more_pictures.paced, "paced"),
    Picture("growth", "Growth of what is kept", more_pictures.growth, "growth"),
    Picture("hosts", "Growth of the group", more_pictures.hosts, "growth"),
    Picture("sizes", "Size of a value", more_pictures.sizes, "sizes"),
    Picture(
        "times", "Faults and moves", more_pictures.times, "failover, transfer, heal, agents_moves"
    ),
)


def write(results: dict[str, dict[str, Any]], folder: Path) -> list[str]:
    """Name -> result in, lines for the terminal out. Raises `NotWritten`."""
    told: list[str] = []
    shown: list[Shown] = []
    for name, result in results.items():
        text = report(result)
        drawn: list[tuple[str, str]] = []
        missing: list[str] = []
        for picture in PICTURES:
            made = style.drawn(picture.draw, result["results"])
            if made is None:
                missing.append(f"{picture.title} (needs {picture.needs})")
                continue
            stem = f"{name}-{picture.name}"
            svg = style.as_svg(made, stem)
            _put_bytes(folder / f"{stem}.png", style.as_png(made))
            put_in_place(folder / f"{stem}.svg", svg)
            drawn.append((picture.title, svg))
            told += [f"{folder / stem}.png, .svg: {picture.title}"]
        put_in_place(folder / f"{name}.md", _markdown(name, result, text, drawn))
        told += [f"{folder / name}.md", *(f"{name} has nothing for: {one}" for one in missing)]
        shown.append(Shown(name, result, text, drawn, missing))
    put_in_place(folder / PAGE, page(shown))
    return [*told, f"{folder / PAGE}"]


def _markdown(name: str, result: dict[str, Any], text: str, drawn: list[tuple[str, str]]) -> str:
    stems = {picture.title: picture.name for picture in PICTURES}
    images = [f"![{title}]({name}-{stems[title]}.svg)" for title, _ in drawn]
    head = f"# {name}\n\nMade by `{result.get('command', '')}`."
    return "\n\n".join([head, *images, as_markdown(text)])


def _put_bytes(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise NotWritten(f"{path} could not be written: {error.strerror}") from error
