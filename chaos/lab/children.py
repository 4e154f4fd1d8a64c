"""What every process of the laboratory needs: an end with its parent.

The law of this file: small helpers around the kernel. Nothing here starts anything.
"""

from __future__ import annotations

import ctypes
import signal
import sys
from collections.abc import Callable

from quorate.core.errors import QuorateError

PR_SET_PDEATHSIG = 1


class LabError(QuorateError):
    """The laboratory itself failed: a host that does not start or does not answer, a port taken."""


def _prctl() -> Callable[[], object] | None:
    """The call is looked up before the fork: between fork and exec as little as possible."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


_ask_for_the_end = _prctl()


def die_with_parent() -> None:
    """Run in a child before exec: the kernel kills it when its parent dies, even with kill -9 and
    even while it is stopped. Nothing beyond Linux, where the end of its input ends a worker."""
    if _ask_for_the_end is not None:
        _ask_for_the_end()
