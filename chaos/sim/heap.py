"""The garbage of a run.

The law of this file: a run is short and full of cycles, so it is collected once, at its end; what
was there before it (a test runner's half gigabyte, say) is not looked at.
"""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def collected_once() -> Generator[None]:
    """Collect what the body leaves, when it is done, and nothing until then."""
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.collect()
        gc.unfreeze()
        gc.enable()
