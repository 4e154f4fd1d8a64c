"""The interpreter under a host: two settings of the whole process, made once.

The law of this file: nothing else in the package changes the interpreter, and
`tune_interpreter=False` leaves it alone.
"""

from __future__ import annotations

import gc
import sys

SWITCH_INTERVAL_S = 0.0005
COLLECTOR_THRESHOLDS = (50_000, 20, 50)
"""Objects made before a young collection, and collections before the next older one."""


def tune_interpreter() -> None:
    """Fit the interpreter to a host: see `Settings.tune_interpreter`.

    The storage thread must not wait 5 ms for the interpreter lock, and the collector must not walk
    thousands of commands in flight again and again: they form no cycles, and what is alive at start
    stays.
    """
    if sys.getswitchinterval() > SWITCH_INTERVAL_S:
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        gc.freeze()
        gc.set_threshold(*COLLECTOR_THRESHOLDS)
