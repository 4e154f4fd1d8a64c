"""`python -m quorate.bench.guard` (`make bench-guard`): has a strong write become dearer?

The law of this file: what was counted and what was measured is compared with the file of
expectations, and each figure is held, broken or unknown. A count for a Python that the file does
not know is unknown, and unknown is not a pass. Exit code 0 if all held, 1 if one is broken, 3 if
none is broken and one unknown.

    python -m quorate.bench.guard --renew           # after a change that is meant: writes the file
    python -m quorate.bench.guard --plant python    # the proof: 20 % more steps with each write
    python -m quorate.bench.guard --plant c         # the proof: 20 % more time inside C
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from quorate.bench.guard_count import count, python_version
from quorate.bench.guard_ratios import ratios
from quorate.bench.results_file import NotWritten, WrongResult, put_in_place
from quorate.bench.tables import small, table

SCHEMA = "quorate-guard/1"
EXPECTED = Path(__file__).parent / "results" / "guard.json"
STEPS_LIMIT_PERCENT = 3.0
"""Steps and calls have no chance in them; this much may come with a small change."""
COUNTS_LIMIT_PERCENT = 1.0
"""Encodes, tasks, frames, bytes, commits."""
RATIO_LIMIT_PERCENT = 15.0
RATIO_TRIES = 3
"""A ratio that is over its limit is measured again: noise only ever adds."""
PLANT_PERCENT = 20.0
STEPS_PER_SPIN = 3
PLANTED_ON = "steps of the interpreter, 64 at once"
Verdict = Literal["held", "broken", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure and what is to be thought of it; `limit_percent` is above what was expected."""

    name: str
    expected: float
    found: float
    limit_percent: float
    verdict: Verdict

    @property
    def change_percent(self) -> float:
        return 100 * (self.found / self.expected - 1) if self.expected else math.nan


def limit_percent(name: str) -> float:
    """How far a figure may rise."""
    if name.startswith("processor time"):
        return RATIO_LIMIT_PERCENT
    is_steps = name.startswith(("steps", "calls"))
    return STEPS_LIMIT_PERCENT if is_steps else COUNTS_LIMIT_PERCENT


def judge(expected: Mapping[str, float], found: Mapping[str, float]) -> list[Finding]:
    """Every figure that is expected or was found. Less than expected is held; one without the
    other is unknown."""
    findings: list[Finding] = []
    for name in dict.fromkeys((*expected, *found)):
        was, now, limit = (
            expected.get(name, math.nan),
            found.get(name, math.nan),
            limit_percent(name),
        )
        verdict: Verdict = "held" if now <= was * (1 + limit / 100) else "broken"
        if math.isnan(was) or math.isnan(now):
            verdict = "unknown"
        findings.append(Finding(name, was, now, limit, verdict))
    return findings


def exit_code(findings: list[Finding]) -> int:
    """0 held, 1 broken, 3 unknown."""
    verdicts = {finding.verdict for finding in findings}
    return 1 if "broken" in verdicts else 3 if "unknown" in verdicts or not verdicts else 0


def lines(findings: list[Finding]) -> list[str]:
    """The findings as a table."""
    rows = [
        (
            finding.name,
            small(finding.expected),
            small(finding.found),
            "-" if math.isnan(finding.change_percent) else f"{finding.change_percent:+.1f} %",
            f"+{finding.limit_percent:g} %",
            finding.verdict,
        )
        for finding in findings
    ]
    return table(("of one strong write", "expected", "found", "change", "limit", "verdict"), rows)


def least(
    measure: Callable[[], dict[str, float]], expected: Mapping[str, float]
) -> dict[str, float]:
    """The least of up to `RATIO_TRIES` measurements; one is enough when it holds. One that does not
    come to an end says nothing."""
    best: dict[str, float] = {}
    for _ in range(RATIO_TRIES):
        with suppress(TimeoutError):
            for name, value in measure().items():
                best[name] = min(value, best.get(name, math.inf))
        if exit_code(judge(expected, best)) == 0:
            break
    return best


def read(path: Path) -> dict[str, Any]:
    """The file of expectations. Raises `WrongResult`."""
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WrongResult(f"{path} cannot be read ({error}): make it with --renew") from error
    schema = cast(dict[str, Any], found).get("schema") if isinstance(found, dict) else None
    if schema != SCHEMA:
        raise WrongResult(f"{path} has the schema {schema!r}, not {SCHEMA!r}: --renew")
    return cast(dict[str, Any], found)


def renewed(
    before: dict[str, Any] | None,
    version: str,
    counts: dict[str, float],
    measured: dict[str, float],
) -> str:
    """The text of the file: counts of other Pythons stay as they were."""
    kept: dict[str, dict[str, float]] = {} if before is None else before["counts"]
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "command": "python -m quorate.bench.guard --renew",
        "counts": dict(sorted({**kept, version: counts}.items())),
        "ratios": measured,
    }
    return json.dumps(document, indent=1) + "\n"


def spin(steps: float) -> Callable[[], object]:
    """A call that takes about so many steps of the interpreter."""
    turns = max(1, round(steps / STEPS_PER_SPIN))

    def burn() -> None:
        for _ in range(turns):
            pass

    return burn


def main(arguments: list[str] | None = None) -> int:
    """Run the guard; returns the exit code, 2 for a file of expectations that cannot be used."""
    parser = argparse.ArgumentParser("python -m quorate.bench.guard")
    parser.add_argument("--renew", action="store_true", help="write what is found as expected")
    parser.add_argument("--plant", choices=("python", "c"), help="the proof: make writes dearer")
    parser.add_argument("--expected", type=Path, default=EXPECTED, metavar="FILE")
    options = parser.parse_args(arguments)
    began, version = time.monotonic(), python_version()
    try:
        before = read(options.expected) if options.expected.exists() or not options.renew else None
        if options.renew:
            measured = least(ratios, {})
            put_in_place(options.expected, renewed(before, version, count(), measured))
            print(f"{options.expected} is renewed for {version}")
            return 0
    except (WrongResult, NotWritten) as error:
        print(error, file=sys.stderr)
        return 2
    assert before is not None
    expected: dict[str, float] = before["counts"].get(version, {})
    wanted: dict[str, float] = before["ratios"]
    more = expected.get(PLANTED_ON, 0.0) * PLANT_PERCENT / 100
    findings = judge(expected, count(spin(more) if options.plant == "python" else None))
    extra_percent = PLANT_PERCENT if options.plant == "c" else 0.0
    findings += judge(wanted, least(lambda: ratios(extra_percent), wanted))
    print("\n".join(lines(findings)))
    code = exit_code(findings)
    text = {
        0: "held",
        1: "BROKEN",
        3: f"UNKNOWN: not measured, or no expectation for {version} (--renew)",
    }[code]
    print(f"\n{text}, in {time.monotonic() - began:.0f} s")
    return code


if __name__ == "__main__":
    sys.exit(main())
