"""What an agent's own exception becomes on its way to the caller. Pure.

The law of this file: what quorate raised stays what it is; everything else becomes an `AgentError`
that carries the type, the text and where it came from, as text.
"""

from __future__ import annotations

import traceback

from quorate.core.errors import AgentError, QuorateError

TRACEBACK_FRAMES_MAX = 50


def as_agent_error(error: BaseException) -> QuorateError:
    """The error as its caller sees it."""
    if isinstance(error, QuorateError):
        return error
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ != "builtins":
        name = f"{kind.__module__}.{name}"
    lines = traceback.format_exception(kind, error, error.__traceback__, limit=TRACEBACK_FRAMES_MAX)
    found = AgentError(str(error), type=name, traceback="".join(lines))
    found.__cause__ = error
    return found
