"""What comes after a try that did not end well. Pure.

The law of this file: an agent's own mistake is tried again with growing gaps, and after
`FAILURES_MAX` of them somebody is told and the gap stays long; the world's trouble is tried again
for as long as it lasts, and is nobody's mistake. Nothing is given up here.
"""

from __future__ import annotations

from typing import Final

from quorate.core.errors import AgentError

FAILURES_MAX: Final = 8
"""So many failures of one piece of work in a row are told."""
GAP_FIRST_MS: Final = 500
GAP_LONGEST_MS: Final = 60_000
GAP_TOLD_MS: Final = 600_000
"""Between tries of what has failed too often."""
TROUBLE_FIRST_MS: Final = 100
TROUBLE_LONGEST_MS: Final = 5_000


def gap_ms(failures: int) -> int:
    """How long to wait after so many failures in a row (at least 1)."""
    if failures >= FAILURES_MAX:
        return GAP_TOLD_MS
    return min(GAP_LONGEST_MS, GAP_FIRST_MS << (failures - 1))


def trouble_ms(times: int) -> int:
    """How long to wait when the world was in the way so many times in a row (at least 1)."""
    return min(TROUBLE_LONGEST_MS, TROUBLE_FIRST_MS << min(times - 1, 16))


def said(error: BaseException) -> str:
    """An error in a sentence. An agent's own says its type itself."""
    text = str(error)
    return text if isinstance(error, AgentError) else f"{type(error).__name__}: {text}"
