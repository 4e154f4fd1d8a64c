"""What a worker and its parent say to each other: one JSON object per line. Pure.

The law of this file: both directions are written here and nowhere else. Times are the machine's
monotonic clock in seconds, which all processes of a machine share.

From the worker (`k` is the kind):
    ready    host, listen, admin, pid, t acks     t, term, acked: [[writer, first, last], ...],
    unknown: [[writer, n], ...], refused: count term     t, term: the first write acknowledged under
    this term status   t, role, leader, term, commit_index, applied_index, last_index dump
    writer, items: [[n, version, id], ...]         as this host's own copy has it dumped
    applied_index, counters: [[writer, version, attempt], ...] error    text
To the worker (`do`): load, pause, dump, stop. The end of its input is `stop`, so no worker outlives
its parent.
"""

from __future__ import annotations

import json
from typing import Any, cast

LINE_BYTES_MAX = 8 << 20
PREFIX = "w/"
COUNTERS = "c/"


def encode(kind: str, **fields: Any) -> bytes:
    """One line."""
    return json.dumps({"k": kind, **fields}, separators=(",", ":")).encode() + b"\n"


def order(do: str, **fields: Any) -> bytes:
    """One line to a worker."""
    return json.dumps({"do": do, **fields}, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes | str) -> dict[str, Any] | None:
    """The object of a line; None for a line that was cut off by a kill, or is not ours."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def key_of(writer: str, n: int) -> str:
    """The key of a writer's n-th write. Written once by the program, so its version must stay 1."""
    return f"{PREFIX}{writer}/{n:09d}"


def prefix_of(writer: str, thousand: int) -> str:
    """What the keys of a writer's n-th thousand writes begin with."""
    return f"{PREFIX}{writer}/{thousand:06d}"


def n_of(key: str) -> int:
    """The number of the write of a key."""
    return int(key.rsplit("/", 1)[1])


def value_of(writer: str, n: int, size_bytes: int) -> str:
    """Its value: the write's own unique id, padded to `size_bytes`."""
    return f"{writer}:{n}".ljust(size_bytes, ".")


def id_of(value: object) -> str:
    """The id inside a value."""
    return str(value).rstrip(".")


def counter_key(writer: str) -> str:
    """The one key of a counting writer. Its value is the number of the attempt that wrote it."""
    return f"{COUNTERS}{writer}"
