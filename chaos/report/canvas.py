"""The frame that all charts over time share: axis, fault bands, grid lines.

The law of this file: geometry and looks. Every chart over time has the same seconds at the same
place, so that one line crosses all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from quorate.chaos.report import words
from quorate.chaos.report.faults import Fault
from quorate.chaos.report.markup import Markup, clip, join, tag

WIDE = 1040
NARROW = 360
BANDS_MAX = 240


@dataclass(frozen=True, slots=True)
class Canvas:
    """A chart of `width` pixels over the seconds from `begin` to `end`."""

    width: int
    end: float
    left: int
    begin: float = 0.0
    right: int = 10

    @property
    def narrow(self) -> bool:
        return self.width < 600

    @property
    def plot(self) -> float:
        return float(self.width - self.left - self.right)

    def x(self, time_s: float) -> float:
        share = (time_s - self.begin) / max(self.end - self.begin, 1e-9)
        return self.left + self.plot * max(0.0, min(1.0, share))

    def time_axis(self, y: float) -> Markup:
        """Ticks and their seconds below `y`."""
        span = self.end - self.begin
        steps = words.ticks(span, 4 if self.narrow else 10)
        first = math.ceil(self.begin / steps[1] - 1e-9) * steps[1]
        marks = [step + first for step in steps]
        parts: list[str] = []
        for mark in marks:
            if mark > self.end + span * 1e-6:
                break
            x = self.x(mark)
            text = f"{mark:.3f}".rstrip("0").rstrip(".")
            anchor = "middle" if x < self.width - 26 else "end"
            parts.append(tag("line", x1=x, x2=x, y1=y, y2=y + 4, class_="tick"))
            last = mark + (marks[1] - marks[0]) > self.end
            label = f"{text} s" if last else text
            parts.append(tag("text", label, x=x, y=y + 16, class_="axis", text_anchor=anchor))
        line = tag("line", x1=self.left, x2=self.width - self.right, y1=y, y2=y, class_="base")
        return join([line, *parts])

    def bands(
        self, faults: Sequence[Fault], top: float, bottom: float, names: bool = False
    ) -> Markup:
        """Every fault as a shaded band, with its number where there is room."""
        parts: list[str] = []
        free = -1e9
        shown = faults[:BANDS_MAX]
        nexts = [*(self.x(fault.begin) for fault in shown[1:]), float(self.width)]
        for place, fault in enumerate(shown):
            end = fault.lasts_until(self.end)
            if end < self.begin or fault.begin > self.end:
                continue
            x1, x2 = self.x(fault.begin), self.x(end)
            style = f"band {looks(fault)}"
            parts.append(
                tag("rect", x=x1, y=top, width=max(1.0, x2 - x1), height=bottom - top, class_=style)
            )
            edge = f"edge {looks(fault)}"
            parts.append(tag("line", x1=x1, x2=x1, y1=top, y2=bottom, class_=edge))
            label = str(fault.number)
            room = int((nexts[place] - x1 - 6) / 6.2)
            if names and room > len(label) + 3:
                label = clip(f"{label} {fault.name}", room)
            if x1 >= free:
                parts.append(tag("text", label, x=x1 + 3, y=top + 10, class_="bandname"))
                free = x1 + 8 + 6.2 * len(label)
        return join(parts)

    def level_lines(self, marks: Iterable[tuple[float, str]]) -> Markup:
        """Grid lines across, each (y, label)."""
        parts: list[str] = []
        for y, label in marks:
            parts.append(
                tag("line", x1=self.left, x2=self.width - self.right, y1=y, y2=y, class_="grid")
            )
            parts.append(
                tag("text", label, x=self.left - 6, y=y + 4, class_="axis", text_anchor="end")
            )
        return join(parts)

    def svg(self, height: float, *parts: str, label: str, aligned: bool = True) -> Markup:
        """The whole drawing. `label`: the ids of its title and text alternative."""
        where = (
            {"data_x0": self.left, "data_x1": self.width - self.right, "data_t1": f"{self.end:.4f}"}
            if aligned
            else {}
        )
        return tag(
            "svg",
            join(parts),
            viewBox=f"0 0 {self.width} {height:.0f}",
            width=self.width,
            height=round(height),
            class_="narrow" if self.narrow else "wide",
            role="img",
            aria_labelledby=f"{label}-title",
            aria_describedby=f"{label}-alt",
            **where,
        )


def looks(fault: Fault) -> str:
    """The class of a fault: what it hurts."""
    if fault.pairs or fault.condition is None:
        return fault.harm
    return "down" if fault.condition in ("down", "paused") else "hurt"
