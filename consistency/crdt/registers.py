"""Registers and the flag: a write takes the place of all it has seen.

The law of this file: concurrent writes stay side by side until a later one has seen them; the kind
only says how they are shown. So a reset removes exactly what it saw, also in `lww_register`: there
the greatest (stamp, actor, seq) is shown, and the others wait behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from quorate.consistency.crdt.dotted import Dotted
from quorate.consistency.crdt.limits import REGISTER_BYTES_MAX
from quorate.consistency.crdt.values import element_bytes, listed, natural, value_bytes
from quorate.core.codec import Malformed, decode_value

Stamped = tuple[int, bytes]


class LwwRegister(Dotted[Stamped]):
    """set(value), reset. The value is that of the last write by stamp, then actor; None if none."""

    __slots__ = ()
    kind = "lww_register"
    code = 6
    ops: ClassVar[Mapping[str, tuple[int, int]]] = {"set": (1, 1), "reset": (0, 0)}

    def apply_op(
        self, op: str, args: list[Any], actor: int, seq: int, stamp: int, delta: LwwRegister
    ) -> None:
        data = element_bytes(args[0], REGISTER_BYTES_MAX, "a value") if op == "set" else None
        self.remove_all(delta.context)
        if data is not None:
            self.put_dot(actor, seq, (stamp, data))
            delta.put_dot(actor, seq, (stamp, data))

    def winner(self) -> bytes | None:
        """The value shown, encoded."""
        entries = [
            (stamp, actor, seq, data)
            for actor, held in self.dots.items()
            for seq, (stamp, data) in held.items()
        ]
        return max(entries)[3] if entries else None

    def value(self) -> Any:
        data = self.winner()
        return None if data is None else decode_value(data)

    def pack(self, payload: Stamped) -> list[Any]:
        return list(payload)

    def unpack(self, packed: Any) -> Stamped:
        stamp, data = listed(packed, "a stamped value", 2)
        return natural(stamp, "a stamp"), value_bytes(data, "a value")


class MvRegister(Dotted[bytes]):
    """set(value), reset. The value is the list of all concurrent values, sorted by bytes."""

    __slots__ = ()
    kind = "mv_register"
    code = 7
    ops: ClassVar[Mapping[str, tuple[int, int]]] = {"set": (1, 1), "reset": (0, 0)}

    def apply_op(
        self, op: str, args: list[Any], actor: int, seq: int, stamp: int, delta: MvRegister
    ) -> None:
        data = element_bytes(args[0], REGISTER_BYTES_MAX, "a value") if op == "set" else None
        self.remove_all(delta.context)
        if data is not None:
            self.put_dot(actor, seq, data)
            delta.put_dot(actor, seq, data)

    def value(self) -> list[Any]:
        found = {data for held in self.dots.values() for data in held.values()}
        return [decode_value(data) for data in sorted(found)]

    def unpack(self, packed: Any) -> bytes:
        return value_bytes(packed, "a value")


class EwFlag(Dotted[None]):
    """Enabling wins over a concurrent disabling. enable, disable, reset; the value is a bool."""

    __slots__ = ()
    kind = "ew_flag"
    code = 8
    ops: ClassVar[Mapping[str, tuple[int, int]]] = {
        "enable": (0, 0),
        "disable": (0, 0),
        "reset": (0, 0),
    }

    def apply_op(
        self, op: str, args: list[Any], actor: int, seq: int, stamp: int, delta: EwFlag
    ) -> None:
        self.remove_all(delta.context)
        if op == "enable":
            self.put_dot(actor, seq, None)
            delta.put_dot(actor, seq, None)

    def value(self) -> bool:
        return bool(self.dots)

    def unpack(self, packed: Any) -> None:
        if packed is not None:
            raise Malformed("a flag's dot carries nothing")
