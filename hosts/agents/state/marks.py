"""What is written beside an agent's own keys: how far its turns are, and what must be done again.

The law of this file: bytes in, values out, and back. A turn with local updates has a number, one
more than the last; (epoch, number) grows along an agent's turns, whoever ran them. The last of a
turn's local updates writes its number into `~turn`, so who has that has all of the turn. A turn
that writes in both planes leaves its local updates in `~redo`, in the same strong commit, until
another owner has them.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, cast

from quorate.consistency.replica.states import BESIDE_LOGS
from quorate.core import codec
from quorate.core.errors import CorruptStorage

REDO_ENTRIES_MAX: Final = 16
REDO_BYTES_MAX: Final = 512 * 1024
DOT_BITS: Final = 16
DOTS_MAX: Final = (1 << DOT_BITS) - 1
"""Dots of one turn."""


class TurnMark(NamedTuple):
    """How far the turns are."""

    epoch: int = 0
    number: int = 0
    used_bytes: int = 0
    """Of the local plane, after it."""
    from_epoch: int = 0
    from_number: int = 0
    """Where the activation of this epoch began: what it found."""

    @property
    def place(self) -> tuple[int, int]:
        return self.epoch, self.number

    def encode(self) -> bytes:
        return codec.dumps(self[:])


NO_TURN: Final = TurnMark()


def turn_mark(data: bytes | None) -> TurnMark:
    """Of a register's value; `NO_TURN` if there is none, or it says nothing known here."""
    if data is None:
        return NO_TURN
    try:
        parts: Any = codec.decode_value(data)
    except codec.Malformed:
        return NO_TURN
    if type(parts) is not list or len(cast("list[Any]", parts)) < len(NO_TURN):
        return NO_TURN
    row = cast("list[Any]", parts)[: len(NO_TURN)]
    return TurnMark(*row) if all(type(n) is int and n >= 0 for n in row) else NO_TURN


class Put(NamedTuple):
    """A register of the local plane; None deletes."""

    key: str
    value: bytes | None


class Joined(NamedTuple):
    """A CRDT's delta as plain values: joined twice, it changes nothing the second time."""

    key: str
    wire: list[Any]
    stamp: int


class Redo(NamedTuple):
    """The local updates of one turn."""

    mark: TurnMark
    host: str
    """Where the turn ran."""
    puts: list[Put]
    deltas: list[Joined]

    def size_bytes(self) -> int:
        """Roughly, as kept."""
        return 64 + sum(len(key) + len(value or b"") + 8 for key, value in self.puts)


def encode_redo(entries: list[Redo]) -> bytes:
    return codec.dumps(
        [
            [list(e.mark), e.host, [list(p) for p in e.puts], [list(d) for d in e.deltas]]
            for e in entries
        ]
    )


def decode_redo(data: bytes | None, what: str) -> list[Redo]:
    """What `encode_redo` gave. Raises `CorruptStorage`: nothing else writes there."""
    if data is None:
        return []
    try:
        rows: Any = codec.loads(data, depth_max=40)
        return [
            Redo(
                TurnMark(*mark),
                host,
                [Put(*put) for put in puts],
                [Joined(*delta) for delta in deltas],
            )
            for mark, host, puts, deltas in rows
        ]
    except (codec.Malformed, TypeError, ValueError) as error:
        raise CorruptStorage(f"{what}: what is to be done again cannot be read") from error


def actor_of(epoch: int) -> int:
    """The actor of dots that an activation gives out itself, ahead of any log: one for each epoch,
    and epochs are never the same."""
    return BESIDE_LOGS | (epoch % BESIDE_LOGS)


def first_dot(number: int) -> int:
    """The dots of a turn lie behind this one; those of the next turn are all higher."""
    return number << DOT_BITS
