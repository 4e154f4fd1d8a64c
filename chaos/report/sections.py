"""The charts of the page with the words that go with them.

The law of this file: every chart gets a sentence of facts, computed from the same figures, for
those who do not see it and for those in a hurry. What was sampled is said where it was.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from quorate.chaos.report import charts, figures, filmstrip, recovery, strips, words, workers
from quorate.chaos.report import faults as fault_facts
from quorate.chaos.report.canvas import looks
from quorate.chaos.report.grid import Grid, grid
from quorate.chaos.report.lanes import Example, Marked, lanes, window
from quorate.chaos.report.markup import Markup, join, tag
from quorate.chaos.report.parts import figure, folded, legend, table
from quorate.chaos.report.recorded import Recorded

BAND_WORDS = {
    "cut": "links cut",
    "impaired": "links made worse",
    "down": "hosts down or paused",
    "hurt": "hosts hurt",
}
SERVED_ROWS_MAX = 60


def pace_section(record: Recorded, cells: Grid) -> Markup:
    pace = figures.pace([call for call in record.calls if not call.final], cells)
    total = pace.total_per_s()
    calm = [f for f in total[: cells.of(_first_fault(record))] if f] or total
    lowest = min(range(cells.count), key=lambda bucket: total[bucket])
    said = (
        f"Median {words.short(statistics.median(calm))} acknowledged calls a second before the "
        f"first fault; lowest {words.short(total[lowest])} at {words.moment(cells.begin(lowest))}. "
        f"Hanging below the line: {words.many(sum(pace.fail), 'call')} refused and "
        f"{words.count(sum(pace.unknown))} of unknown outcome. Buckets of "
        f"{words.seconds(cells.width_s)}; calls count when they are answered; the final reads are "
        f"not in it."
    )
    named = [(f"area c{place}", name) for place, name in enumerate(pace.ok)]
    named += [("fail", "refused: certainly not")] if any(pace.fail) else []
    named += [("unknown", "unknown: maybe")] if any(pace.unknown) else []
    return figure(
        "pace",
        "Pace: acknowledged calls a second",
        said,
        lambda width: charts.pace_chart(pace, record.faults, width),
        legend=legend([*named, *_bands(record)]),
        tips=(charts.pace_tips(pace), cells),
    )


def _first_fault(record: Recorded) -> float:
    return min((fault.begin for fault in record.faults), default=record.end_s)


def _bands(record: Recorded) -> list[tuple[str, str]]:
    found = dict.fromkeys(looks(fault) for fault in record.faults)
    return [(f"band {look}", BAND_WORDS[look]) for look in BAND_WORDS if look in found]


def latency_section(record: Recorded, cells: Grid) -> Markup:
    load = [call for call in record.calls if not call.final]
    found = figures.latency(load, cells)
    whole = figures.latency(load, grid(0.0))
    each = [
        f"{name} {words.seconds(s.p50)}, {words.seconds(s.p99)}, {words.seconds(s.most)}"
        for name, rows in whole.items()
        for s in rows
        if s
    ]
    said = (
        f"Median, 99th percentile and worst: {'; '.join(each) or 'nothing was acknowledged'}. "
        f"Thick line: median; thin line: 99th percentile; dots: the worst of a bucket. "
        f"Logarithmic; calls count when they are made."
    )
    return figure(
        "latency",
        "Latency of acknowledged calls",
        said,
        lambda width: charts.latency_chart(found, cells, record.faults, width),
        tips=(charts.latency_tips(found, cells), cells),
    )


def who_section(record: Recorded, cells: Grid) -> Markup:
    rows = figures.availability(record.calls, cells)
    shares = {
        row: (sum(c.ok for c in line), sum(c.answered for c in line)) for row, line in rows.items()
    }
    worst = min(shares, key=lambda row: shares[row][0] / max(1, shares[row][1]), default=None)
    said = "Each strip is a host and a level; its filled height is the share that was acknowledged."
    if worst:
        ok, of = shares[worst]
        said += (
            f" Least served: {worst[0]} · {worst[1]}, {words.percent(ok / max(1, of))} of "
            f"{words.many(of, 'call')}."
        )
    if len(rows) > strips.ROWS_MAX:
        said += f" Drawn: {strips.ROWS_MAX} of {len(rows)} strips."
    chart = figure(
        "who",
        "Who could work when",
        said,
        lambda width: strips.availability_chart(rows, cells, record.faults, width),
        legend=legend(
            [
                ("works", "acknowledged"),
                ("refusal", "refused"),
                ("doubt", "unknown"),
                ("wait", "only waiting"),
            ]
        ),
        tips=(strips.availability_tips(rows, cells), cells),
    )
    served = recovery.served(record.calls, record.faults, record.hosts, record.end_s)
    short = len(record.faults) > recovery.SERVED_FAULTS_MAX
    return join([chart, _served(served, short)]) if served else chart


def _served(served: Sequence[recovery.Served], cut_short: bool) -> Markup:
    rows = [
        (
            f"{one.fault} ({words.many(one.times, 'time')})" if one.times > 1 else one.fault,
            " ".join(one.side),
            "majority" if one.majority else "minority",
            one.level,
            words.count(one.made),
            words.percent(one.during / one.made),
            words.percent(one.ok / one.made),
            "" if one.p99_s is None else words.seconds(one.p99_s),
        )
        for one in served[:SERVED_ROWS_MAX]
    ]
    more = len(served) - len(rows)
    heads = ("fault", "side", "", "level", "made", "served during", "in the end", "p99")
    styles = ("", "", "", "", "n", "n", "n", "n")
    note = "Of the calls made while a fault lasted, by the side of the client's host."
    note += f" Of the first {recovery.SERVED_FAULTS_MAX} faults." if cut_short else ""
    note += f" And {words.many(more, 'row')} more." if more else ""
    return tag(
        "section",
        tag("h2", "Service on each side"),
        tag("p", note, class_="alt"),
        table(heads, rows, styles),
        class_="card screen",
    )


def network_section(record: Recorded, cells: Grid) -> Markup:
    frames = fault_facts.film(record.faults, record.end_s)
    shown = fault_facts.picked(frames, filmstrip.FRAMES_MAX)
    pairs = strips.links_hurt(record.faults)
    said = (
        f"{words.many(len(record.faults), 'fault')} touched {words.many(len(pairs), 'link')} "
        f"and {words.many(len(strips.hosts_hurt(record.faults)), 'host')}. One picture for every "
        f"change: a filled host is on the side with a majority; a broken line with a cross "
        f"carries nothing, an arrow says in which direction."
    )
    if len(shown) < len(frames):
        said += f" Shown: {len(shown)} of {len(frames)} pictures, the different and long ones."
    film = tag(
        "section",
        tag("h2", "The network as a film", id="film-title"),
        tag("p", said, id="film-alt", class_="alt"),
        filmstrip.strip(shown, record.hosts),
        class_="card",
        id="film",
        aria_labelledby="film-title",
    )
    if not pairs and not strips.hosts_hurt(record.faults):
        return film
    lines = [
        f"{fault.number} {fault.name} from {words.moment(fault.begin)} to "
        f"{words.moment(fault.lasts_until(record.end_s))}"
        for fault in record.faults[:12]
    ]
    words_ = f"{words.listed(lines, 12)}. a → b is the link that carries messages of a to b."
    if len(pairs) > strips.LINKS_MAX:
        words_ += f" Drawn: {strips.LINKS_MAX} of {len(pairs)} links."
    chart = figure(
        "links",
        "What was cut or down when",
        words_,
        lambda width: strips.links_chart(record.faults, record.end_s, width),
        tips=(strips.links_tips(record.faults, cells), cells),
    )
    return join([film, chart])


def workers_section(
    record: Recorded, cells: Grid, marked: Sequence[Marked], worst: fault_facts.Fault | None
) -> Markup:
    wanted = [one.call.worker for one in marked if one.call]
    found, left_out = lanes(record.calls, cells, wanted)
    said = (
        f"{words.many(len(found), 'worker')}, a line for each. The darker, the more was "
        f"acknowledged; one refused or unknown call colours its whole bucket."
    )
    said += f" {words.many(left_out, 'worker')} not drawn." if left_out else ""
    said += " Numbered: the operations of the counterexample." if marked else ""
    overview = figure(
        "workers",
        "Every worker, the whole run",
        said,
        lambda width: workers.lanes_chart(found, cells, record.faults, marked, width),
        legend=legend(
            [("op ok", "acknowledged"), ("op fail", "refused"), ("op unknown", "unknown")]
        ),
    )
    if not record.calls:
        return overview
    near = window(record, marked, [lane.worker for lane in found], worst)
    text = (
        f"{words.many(len(near.calls), 'call')} around {near.why}, from {near.begin:.3f} s to "
        f"{near.end:.3f} s. Full: acknowledged; hollow: refused; broken border: unknown."
    )
    if near.left_out:
        text += f" Sampled: {words.many(near.left_out, 'call')} more left out."
    detail = figure(
        "window",
        "Call by call",
        text,
        lambda width: workers.window_chart(near, record.faults, marked, width),
    )
    return join([overview, tag("div", detail, class_="screen")])


def example_section(example: Example) -> Markup:
    guilty = [str(number) for number, one in enumerate(example.marked, 1) if one.guilty]
    said = (
        f"{words.many(len(example.marked) + example.more, 'operation')} of the history that "
        f"no run of a correct {example.model or 'system'} can show, in the order of events, not to "
        f"scale. A dotted line falls from the end of each: what starts right of it, started after."
    )
    if guilty and len(guilty) < len(example.marked):
        said += f" Named by the judge: {words.listed(guilty, 12)}."
    if example.more:
        said += f" Drawn: the first {len(example.marked)}."
    drawing = tag("pre", "\n".join(example.drawing), tabindex=0)
    return figure(
        "example",
        f"The counterexample{': ' + example.kind if example.kind else ''}",
        said,
        lambda width: workers.example_chart(example.marked, width),
        below=tag("div", folded("The same as text", drawing), class_="screen"),
    )
