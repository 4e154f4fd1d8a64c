"""Numbers as a person reads them.

The law of this file: a number in, a short text out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def seconds(value: float | None) -> str:
    """`12 µs`, `3.4 ms`, `1.25 s`, `2 min 5 s`; `never` of None."""
    if value is None:
        return "never"
    for limit, factor, unit in ((0.001, 1e6, "µs"), (1.0, 1e3, "ms"), (100.0, 1.0, "s")):
        if value < limit:
            return f"{short(value * factor)} {unit}"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def short(value: float) -> str:
    """Three digits that matter: `0.12`, `3.4`, `12`, `1 234`."""
    if value == 0:
        return "0"
    digits = max(0, min(2, 1 - math.floor(math.log10(abs(value)))))
    text = f"{value:,.{digits}f}".replace(",", "\u202f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def count(value: int) -> str:
    """`12 345`."""
    return f"{value:,}".replace(",", "\u202f")


def moment(value: float) -> str:
    """A time on the axis: `3.25 s`."""
    return f"{value:.{1 if value >= 10 else 2}f}".rstrip("0").rstrip(".") + " s"


def percent(share: float) -> str:
    """Never `100 %` or `0 %` of what is not all or nothing."""
    if 0 < share < 0.01:
        return "<1 %"
    if 0.99 < share < 1:
        return ">99 %"
    return f"{share * 100:.0f} %"


def many(value: int, one: str, more: str = "") -> str:
    """`1 fault`, `2 faults`."""
    return f"{count(value)} {one if value == 1 else more or one + 's'}"


def listed(names: Sequence[str], most: int = 6) -> str:
    """`a, b and c`; what is past `most` is counted."""
    if not names:
        return "nothing"
    shown = [*names[:most], *([f"{len(names) - most} more"] if len(names) > most else [])]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def ticks(most: float, wanted: int = 5) -> list[float]:
    """Round values from 0 to at least `most`."""
    if most <= 0 or not math.isfinite(most):
        return [0.0, 1.0]
    rough = most / wanted
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    return [step * place for place in range(math.ceil(most / step - 1e-9) + 1)]
