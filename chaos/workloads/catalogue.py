"""All workloads by name, and those of users by "module:Class".

The law of this file: a table; to add a workload, add a line. What a workload imports is loaded only
when it is asked for.
"""

from __future__ import annotations

import importlib

from quorate.chaos.workloads.workload import Workload
from quorate.core.errors import UsageError

WORKLOADS: dict[str, str] = {
    name: f"quorate.chaos.workloads.{name}:{name.capitalize()}Workload"
    for name in (
        *("register", "append", "sets", "names", "locks", "leases", "sessions"),
        *("staleness", "crdts", "mixed", "agents", "queue", "availability"),
    )
}
"""Name -> module and class: `register` is `RegisterWorkload` in `register.py`, and so on."""


def workload_of(name: str) -> Workload:
    """The workload of that name, or of the class at "module:Class"; of "" one that asks for
    nothing. Raises `UsageError`."""
    if not name:
        return Workload()
    place = WORKLOADS.get(name, name)
    module_name, _, class_name = place.partition(":")
    if not class_name:
        raise UsageError(
            f"there is no workload {name!r}: choose one of {', '.join(WORKLOADS)}, or name a class "
            f"of your own as module:Class"
        )
    try:
        found: object = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"the workload {name!r} cannot be loaded: {error}") from error
    if not isinstance(found, type) or not issubclass(found, Workload):
        raise UsageError(f"{name!r} is not a subclass of quorate.chaos.workloads.workload.Workload")
    return found()
