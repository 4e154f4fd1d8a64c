"""The words and tables of the page: verdict, promise, replay, faults, verdicts, environment.

The law of this file: what `run.json` says is shown as it is, and what it does not say is not made
up. A run without a verdict is unknown, and unknown is never a pass.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, cast

from quorate.chaos.report import figures, recovery, words
from quorate.chaos.report.lanes import objects, verdicts_of
from quorate.chaos.report.markup import Markup, clip, join, tag
from quorate.chaos.report.parts import WORDS, chip, folded, sign, table
from quorate.chaos.report.recorded import Recorded
from quorate.consistency.check.names import MODELS

FAULT_ROWS_MAX = 80
ANOMALIES_MAX = 12
NOT_MEASURED = "\u2013"
SAYS = {
    "held": "Every promise held.",
    "broken": "A promise was broken.",
    "unknown": "Nobody can say whether it held.",
    "invalid": "This run proves nothing.",
}


def options_of(run: Mapping[str, Any]) -> dict[str, Any]:
    found = run.get("options")
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def word_of(run: Mapping[str, Any]) -> str:
    """The verdict of the whole run: its own word, else the worst of its verdicts, else unknown."""
    own = run.get("verdict")
    if own in WORDS:
        return str(own)
    said = {str(one.get("verdict")) for one in verdicts_of(run)}
    for word in ("invalid", "broken", "unknown", "held"):
        if word in said:
            return word
    return "unknown"


def title_of(record: Recorded) -> str:
    options = options_of(record.run)
    workload, nemesis = options.get("workload"), options.get("nemesis")
    if not workload:
        return record.name
    planted = f", with {options['plant']} planted" if options.get("plant") else ""
    return f"{workload} under {nemesis or 'no fault'}{planted}"


def reasons_of(record: Recorded) -> list[str]:
    """Why the verdict is what it is, as the run tells it."""
    run = record.run
    found = [
        f"{anomaly.get('kind', 'anomaly')}: {anomaly.get('text', '')}"
        for verdict in verdicts_of(run)
        for anomaly in objects(verdict.get("anomalies"))
    ]
    found += texts_of(run.get("notes"))
    for verdict in verdicts_of(run):
        if verdict.get("verdict") != "held" and not objects(verdict.get("anomalies")):
            found += texts_of(verdict.get("notes"))
    if not found and word_of(run) == "unknown":
        found.append("The run was interrupted before its history was judged.")
    return list(dict.fromkeys(found))


def texts_of(value: Any) -> list[str]:
    """A list as texts, a text as a list of one; nothing of anything else."""
    if isinstance(value, str):
        return [value] if value else []
    return [str(item) for item in cast("list[Any]", value)] if isinstance(value, list) else []


def banner(record: Recorded) -> Markup:
    word = word_of(record.run)
    reasons = reasons_of(record)
    texts = [tag("p", clip(reason, 600)) for reason in reasons[: 1 if word == "broken" else 3]]
    if word == "held":
        texts = [
            tag(
                "p",
                f"{words.many(len(record.calls), 'operation')} and "
                f"{words.many(len(record.faults), 'fault')}: no violation was found. That is "
                f"evidence, not a proof for other runs.",
            )
        ]
    head = tag("h1", tag("span", word.capitalize(), class_="word"), f" · {title_of(record)}")
    more = len(reasons) - len(texts)
    if more > 0 and word != "held":
        texts.append(tag("p", f"And {words.many(more, 'more reason', 'more reasons')} below."))
    said = tag("p", tag("b", SAYS[word]))
    return tag(
        "section",
        sign(word),
        head,
        tag("div", said, join(texts)),
        class_=f"verdict t-{word}",
        id="verdict",
    )


def tiles(record: Recorded, recoveries: Sequence[recovery.Recovery]) -> Markup:
    ok = [call for call in record.calls if call.outcome == "ok"]
    unknown = sum(call.outcome not in ("ok", "fail") for call in record.calls)
    spread = figures.spread(call.took_s or 0.0 for call in ok)
    per_s = len(record.calls) / record.end_s if record.end_s else 0.0
    silence = max((one.silence_s for one in recoveries), default=None)
    firsts = [one.every_s for one in recoveries]
    never = any(one.every_s is None and one.watched_s > 0 for one in recoveries)
    back = max((first for first in firsts if first is not None), default=None)
    shown = [
        ("operations", words.count(len(record.calls)), f"{words.short(per_s)} a second"),
        ("acknowledged", words.percent(len(ok) / max(1, len(record.calls))), "of all calls"),
        ("unknown", words.count(unknown), "maybe, maybe not"),
        (
            "p99 latency",
            words.seconds(spread.p99) if spread else NOT_MEASURED,
            "acknowledged calls",
        ),
        ("faults", words.count(len(record.faults)), f"in {words.moment(record.end_s)}"),
    ]
    if silence is not None:
        shown.append(("longest silence", words.seconds(silence), "nobody was served"))
        text = "never" if never else NOT_MEASURED if back is None else words.seconds(back)
        shown.append(
            (
                "all hosts back",
                text,
                "some host, after a fault" if never else "after a fault, at worst",
            )
        )
    seed = record.run.get("seed", options_of(record.run).get("seed"))
    if seed is not None:
        shown.append(("seed", str(seed), "draws calls and faults"))
    cells = [
        tag("div", tag("dt", name), tag("dd", value, tag("small", note) if note else ""))
        for name, value, note in shown
    ]
    return tag("dl", join(cells), class_="tiles")


def promise(record: Recorded) -> Markup:
    found: list[str] = []
    own = record.run.get("promise")
    if isinstance(own, str) and own:
        found.append(own)
    for verdict in verdicts_of(record.run):
        model = str(verdict.get("model", ""))
        text = verdict.get("promise") or MODELS.get(model.split(" ")[0], "")
        found += [f"{model}: {text}"] if text else []
    items = [tag("li", text) for text in dict.fromkeys(text for text in found if text)]
    return tag(
        "section",
        tag("h2", "What was promised"),
        tag("ul", join(items), class_="plain") if items else tag("p", "The run does not say."),
        class_="card",
    )


def command(run: Mapping[str, Any]) -> str:
    """The command that runs it again."""
    own = run.get("command", run.get("replay"))
    if isinstance(own, str) and own:
        return own
    if isinstance(own, list) and own:
        return shlex.join(str(part) for part in cast("list[Any]", own))
    options = options_of(run)
    if "workload" not in options:
        return ""
    parts = ["quorate", "chaos", "run"]
    for name in ("workload", "nemesis", "hosts", "seconds", "seed", "rate", "plant"):
        value = options.get(name, run.get(name) if name == "seed" else None)
        if isinstance(value, list):
            value = len(cast("list[Any]", value))
        if value is not None and value != "":
            parts += [f"--{name}", f"{value:g}" if isinstance(value, float) else str(value)]
    return shlex.join(parts)


def replay(record: Recorded) -> Markup:
    text = command(record.run)
    note = (
        "The seed draws the same calls and the same faults. Real processes do not run in the same "
        "rhythm twice: a rare failure may need several runs."
    )
    known = tag("div", tag("pre", text), class_="replay")
    return tag(
        "section",
        tag("h2", "Run it again"),
        known if text else tag("p", "run.json does not say how this run was started."),
        tag("p", note, class_="soft"),
        class_="card",
    )


def fault_table(record: Recorded, recoveries: Sequence[recovery.Recovery]) -> Markup:
    rows: list[tuple[str, ...]] = []
    for one in recoveries[:FAULT_ROWS_MAX]:
        fault = one.fault
        pairs = words.listed([f"{a}→{b}" for a, b in fault.pairs], 8)
        hurt = (
            [f"{'host' if len(fault.hosts) == 1 else 'hosts'} {words.listed(fault.hosts)}"]
            if fault.hosts
            else []
        )
        hurt += [f"links {pairs}"] if fault.pairs else []
        effect = fault.more.get("effect")
        hurt += [f"seen: {clip(effect, 160)}"] if isinstance(effect, str) and effect else []
        end = "not ended" if fault.end is None else words.moment(fault.end)
        rows.append(
            (
                str(fault.number),
                fault.name + (f" ({fault.kind})" if fault.kind else ""),
                "; ".join(hurt),
                words.moment(fault.begin),
                end,
                f"{words.count(one.ok)} / {words.count(one.fail)} / {words.count(one.unknown)}",
                words.seconds(one.silence_s),
                _back(one.first_s, one),
                _back(one.every_s, one) + (f" ({', '.join(one.slow)})" if one.slow else ""),
                _back(one.pace_s, one) if one.alone else NOT_MEASURED,
            )
        )
    heads = ("", "fault", "hurt", "begin", "end", "ok / refused / unknown", "longest silence")
    heads += ("first answer", "all hosts", "80 % pace")
    styles = ("n", "", "long", "n", "n", "n", "n", "n", "n", "n")
    note = (
        "The last three columns count from the end of the fault: until any call made after it was "
        "acknowledged, until that was so on every host that had worked before, and until half a "
        "second of calls came at 80 % of the pace before the first fault. “Not seen”: "
        "not before the next fault or the end of the run; a dash: not measured, "
        "because another fault was still running or there was no time."
    )
    more = len(recoveries) - len(rows)
    note += f" And {words.many(more, 'more fault', 'more faults')}." if more else ""
    body = table(heads, rows, styles) if rows else tag("p", "No fault was recorded.")
    return tag(
        "section",
        tag("h2", "The faults, and how long until service returned"),
        tag("p", note, class_="alt"),
        body,
        class_="card",
        id="faults",
    )


def _back(value: float | None, one: recovery.Recovery) -> str:
    if value is not None:
        return words.seconds(value) if value >= 1e-6 else "at once"
    return "not seen" if one.watched_s > 0 else NOT_MEASURED


def verdict_list(record: Recorded) -> Markup:
    parts: list[str] = []
    for verdict in verdicts_of(record.run):
        lines = [
            f"{anomaly.get('kind', 'anomaly')}: {anomaly.get('text', '')}"
            for anomaly in objects(verdict.get("anomalies"))
        ]
        lines += texts_of(verdict.get("notes"))
        items = [tag("li", clip(line, 1200)) for line in lines[:ANOMALIES_MAX]]
        more = len(lines) - len(items)
        items += [tag("li", f"and {more} more in run.json")] if more > 0 else []
        judged = verdict.get("operations")
        facts = f" {words.count(judged)} operations judged" if isinstance(judged, int) else ""
        parts.append(
            tag(
                "div",
                tag(
                    "h3", str(verdict.get("model", "")), " ", chip(str(verdict.get("verdict", "")))
                ),
                tag("p", facts, class_="soft"),
                tag("ul", join(items), class_="plain"),
            )
        )
    body = parts or [tag("p", "No judge has spoken: the run ended before.")]
    return tag("section", tag("h2", "The judges"), join(body), class_="card", id="judges")


def environment(record: Recorded) -> Markup:
    """Options, versions and figures of `run.json` as they are, and what this page left out."""
    parts: list[Markup] = []
    known = {"verdicts", "verdict", "promise", "command", "replay"}
    flat = {name: value for name, value in record.run.items() if name not in known}
    simple: dict[str, Any] = {}
    for name, value in flat.items():
        if isinstance(value, dict) and value:
            parts += [tag("h3", name), _pairs(cast("dict[str, Any]", value))]
        elif not isinstance(value, dict):
            simple[name] = value
    if simple:
        parts.insert(0, _pairs(simple))
    notes = [tag("li", note) for note in record.notes]
    if notes:
        parts += [
            tag("h3", "What is wrong with the record"),
            tag("ul", join(notes), class_="plain"),
        ]
    return tag(
        "section",
        tag("h2", "Versions and environment"),
        join(parts),
        folded("Files of this run", tag("p", FILES, class_="soft")),
        class_="card screen",
        id="environment",
    )


FILES = (
    "history.jsonl (every event, for quorate check), history.edn (the same for Jepsen's tools), "
    "faults.jsonl (what the nemesis did), effects.jsonl (what the resource outside accepted), "
    "run.json (options, versions, verdicts), hosts/*.log (what the hosts said)."
)


def _pairs(body: Mapping[str, Any]) -> Markup:
    rows = [(str(name), _plain(value)) for name, value in body.items()]
    shown = [(clip(name, 60), clip(value, 600)) for name, value in rows[:60]]
    return table(("", ""), shown, ("", "long"))


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(_plain(one) for one in cast("list[Any]", value)[:40])
    return value if isinstance(value, str) else json.dumps(value, default=str)
