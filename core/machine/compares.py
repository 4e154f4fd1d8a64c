"""Does a compare hold for a record? One pure function.

The law of this file: a missing key has version, create, mod and lease 0; its value equals only
None.
"""

from __future__ import annotations

from typing import Any

from quorate.core.machine.records import KvRecord

_ABSENT = KvRecord("", b"", 0, 0, 0, 0)


def holds(record: KvRecord | None, target: str, operator: str, operand: Any) -> bool:
    """Whether `target operator operand` is true of the record. The compare was checked."""
    if target == "value":
        present: Any = None if record is None else record.value
        if present is None or operand is None:
            same = present is None and operand is None
            return same if operator == "=" else operator == "!=" and not same
    elif target == "exists":
        present = record is not None
    else:
        kept = record or _ABSENT
        present = {
            "version": kept.version,
            "create": kept.create_revision,
            "mod": kept.mod_revision,
            "lease": kept.lease,
        }[target]
    if operator == "=":
        return present == operand
    if operator == "!=":
        return present != operand
    return present < operand if operator == "<" else present > operand
