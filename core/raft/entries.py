"""What a log entry holds: one kind byte (PySyncObj's command types) and a body. Pure.

`REGULAR` bodies are a CBOR list of command batches, each the bytes a client session made: many
client commands travel in one entry, and the leader never decodes them. No pickle anywhere.
"""

from __future__ import annotations

from typing import Any

from quorate.core import codec
from quorate.core.errors import InvariantBroken
from quorate.core.raft.members import Configuration

REGULAR = 0
NO_OP = 1
MEMBERSHIP = 2

NO_OP_COMMAND = bytes([NO_OP])


def pack_batches(batches: list[bytes]) -> bytes:
    """One `REGULAR` command out of many command batches."""
    return b"\x00" + codec.dumps(batches)


def pack_configuration(configuration: Configuration) -> bytes:
    return b"\x02" + codec.dumps(configuration.to_wire())


def batches_of(command: bytes) -> list[bytes]:
    """The command batches of an entry; empty for entries that carry none.

    Raises `InvariantBroken` for an entry that no honest leader wrote: a host that cannot read the
    log must not go on.
    """
    kind = command[0] if command else -1
    if kind == REGULAR:
        batches: Any = codec.loads(command[1:])
        if isinstance(batches, list) and all(isinstance(batch, bytes) for batch in batches):  # pyright: ignore[reportUnknownVariableType]
            return batches  # pyright: ignore[reportUnknownVariableType]
        raise InvariantBroken("a log entry does not hold a list of command batches")
    if kind in (NO_OP, MEMBERSHIP):
        return []
    raise InvariantBroken(
        f"a log entry has the unknown kind {kind}: this host is too old for its group"
    )


def configuration_of(command: bytes) -> Configuration | None:
    """The configuration an entry carries, or None."""
    if command[:1] != b"\x02":
        return None
    return Configuration.from_wire(codec.loads(command[1:]))
