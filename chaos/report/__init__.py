"""The report of a run: one page that needs nothing but itself, and a picture of it.

See README.md.
"""

from __future__ import annotations

from quorate.chaos.report.page import write_report
from quorate.chaos.report.png import write_png

__all__ = ["write_png", "write_report"]
