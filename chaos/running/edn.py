"""A history as EDN, for Jepsen's own tools.

The law of this file: pure. One map a line, as `jepsen.history` reads it: `:type` is `:invoke`,
`:ok`, `:fail` or `:info`; processes are numbers, and one of which an operation is unknown gets a
new one, because there a process that crashed never comes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from quorate.consistency.check.history import Event, Process

TYPES = {"invoke": ":invoke", "ok": ":ok", "fail": ":fail", "unknown": ":info"}


def edn_lines(events: Iterable[Event]) -> Iterator[str]:
    """Each event as a line with its end."""
    numbers: dict[Process, int] = {}
    asked: dict[Process, Event] = {}
    used = 0
    for index, event in enumerate(events):
        if event.process not in numbers:
            numbers[event.process] = used
            used += 1
        call = event if event.type == "invoke" else asked.get(event.process, event)
        asked[event.process] = call
        value = event.value if event.type in ("invoke", "ok") else call.value
        if call.key is not None:
            value = [call.key, value]
        time = event.time if isinstance(event.time, int) else int(event.time * 1e9)
        parts: dict[str, str] = {
            ":index": str(index),
            ":time": str(time),
            ":type": TYPES[event.type],
            ":process": str(numbers[event.process]),
            ":f": keyword(call.f),
            ":value": edn(value),
        }
        if event.error:
            parts[":error"] = edn(event.error)
        if event.type == "unknown":
            del numbers[event.process]
        yield "{" + ", ".join(f"{name} {text}" for name, text in parts.items()) + "}\n"


def keyword(text: str) -> str:
    kept = "".join(c if c.isalnum() or c in "-_" else "-" for c in text)
    return f":{kept or 'none'}"


def edn(value: Any) -> str:
    """A value of JSON."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'
    if isinstance(value, Mapping):
        pairs = cast("Mapping[Any, Any]", value).items()
        return "{" + ", ".join(f"{edn(k)} {edn(v)}" for k, v in pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + " ".join(edn(item) for item in cast("list[Any]", value)) + "]"
    return edn(str(value))
