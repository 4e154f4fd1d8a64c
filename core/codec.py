"""Values to bytes and back: the one home of cbor2.

The law of this file: bytes that came from outside never do more than become plain values. What may
come out is None, bool, int, float, str, bytes, list, dict, datetime, date, Decimal and UUID; every
other CBOR tag is refused, as are trailing bytes, truncated items, indefinite lengths, duplicate
keys, deep nesting and huge integers. Nothing here knows about frames, files or messages.

`dumps`/`loads` are for messages this package builds itself; `encode_value`/`decode_value` are the
door for values a user hands in, which are looked at first: cbor2 recurses on the C stack while
encoding, so a value nested some thousand levels deep would end the process rather than raise.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from io import BytesIO
from typing import Any, Final, cast
from uuid import UUID  # tidy-ok: the type only, no id is made here

import cbor2

from quorate.core.clock import fresh_random  # tidy-ok: the mark that tells leftover bytes
from quorate.core.errors import UsageError  # tidy-ok: errors lie below everything

INT_BITS_MAX: Final = 4096
VALUE_DEPTH_MAX: Final = 32
VALUE_ITEMS_MAX: Final = 1_000_000
WRAP_BYTES_MAX: Final = 64 * 1024


class Malformed(UsageError):
    """Bytes that are not one well-formed item within the limits. Reading them changed nothing."""


def _refuse_tag(value: object, immutable: bool) -> object:
    raise ValueError("this CBOR tag is not accepted here")


def _bounded(sign: int) -> Callable[[Any, bool], int]:
    def decode(value: Any, immutable: bool) -> int:
        if not isinstance(value, bytes) or len(value) > INT_BITS_MAX // 8:
            raise ValueError(f"an integer of more than {INT_BITS_MAX} bits")
        number = int.from_bytes(value, "big")
        return number if sign > 0 else -1 - number

    return decode


# cbor2 decodes these by itself unless told otherwise. 5 and 30 compute with huge numbers, 28/29 and
# 25/256 share and copy (a bomb in few bytes), 35 and 36 call the regular expression and MIME
# parsers, the rest has no use here. Tags it does not know reach `tag_hook`.
_REFUSED_TAGS: Final = (5, 25, 28, 29, 30, 35, 36, 52, 54, 256, 258, 260, 261, 43000, 55799)
_SEMANTIC: Final = dict.fromkeys(_REFUSED_TAGS, _refuse_tag) | {2: _bounded(1), 3: _bounded(-1)}

# cbor2 stops after one item and does not say where. Small inputs are therefore decoded as the first
# of two items of an array whose second is known to us alone: anything left over, or missing, shows.
# (Large ones are read through a decoder that can be asked for more: no copy.)
_END_VALUE: Final = fresh_random().randbytes(8)
_END: Final = b"\x48" + _END_VALUE

_cbor_dumps = cbor2.dumps
_cbor_loads = cbor2.loads


def dumps(value: object) -> bytes:
    """Encode a message of our own making; equal values built in the same order give equal bytes.

    Raises UsageError for what CBOR cannot hold. Never hand in a user's value: see `encode_value`.
    """
    try:
        return _cbor_dumps(value)
    except (cbor2.CBORError, ValueError, TypeError, OverflowError) as error:
        raise UsageError(f"cannot encode {type(value).__name__}: {error}") from error


def loads(data: bytes | bytearray | memoryview, *, depth_max: int = 32) -> Any:
    """Decode exactly one item. Raises Malformed, which says what is wrong; never anything else."""
    try:
        if len(data) > WRAP_BYTES_MAX:
            return _loads_large(data, depth_max)
        pair = _cbor_loads(
            b"".join((b"\x82", data, _END)),
            max_depth=depth_max + 1,
            allow_duplicate_keys=False,
            allow_indefinite=False,
            tag_hook=_refuse_tag,
            semantic_decoders=_SEMANTIC,
        )
    except Malformed:
        raise
    except (
        Exception
    ) as error:  # whatever a hostile input makes the library raise, it is one error to the caller
        raise Malformed(f"not valid CBOR ({len(data)} bytes): {_why(error)}") from error
    if pair[1] != _END_VALUE:
        raise Malformed(f"bytes are left over after the first CBOR item ({len(data)} bytes)")
    return pair[0]


def _loads_large(data: bytes | bytearray | memoryview, depth_max: int) -> Any:
    decoder = cbor2.CBORDecoder(
        BytesIO(data),
        max_depth=depth_max,
        allow_duplicate_keys=False,
        allow_indefinite=False,
        tag_hook=_refuse_tag,
        semantic_decoders=_SEMANTIC,
    )
    value = decoder.decode()
    try:
        decoder.read(1)
    except cbor2.CBORDecodeEOF:
        return value
    raise Malformed(f"bytes are left over after the first CBOR item ({len(data)} bytes)")


def _why(error: BaseException) -> str:
    cause = error.__cause__
    return f"{error}: {cause}" if isinstance(cause, Exception) else str(error)


# --- values of users ----------------------------------------------------------------------------

_PLAIN: Final = frozenset((type(None), bool, float, bytes, bytearray, date, UUID))


def encode_value(value: object, *, depth_max: int = VALUE_DEPTH_MAX) -> bytes:
    """Encode a user's value: None, bool, int (up to 4096 bits), float, str, bytes, bytearray (comes
    back as bytes), list, tuple (comes back as a list), dict, datetime with a time zone, date,
    Decimal, UUID.

    Raises UsageError naming the type and the place for anything else, for cycles, deep nesting and
    more than a million items.
    """
    if not _fits(value, depth_max):
        _check(value, depth_max)
    try:
        return _cbor_dumps(value)
    except UnicodeEncodeError as error:
        raise UsageError(f"a text in the value is not valid Unicode: {error}") from error
    except (cbor2.CBORError, ValueError, TypeError, OverflowError) as error:
        raise UsageError(f"the value cannot be encoded: {error}") from error


def decode_value(data: bytes | bytearray | memoryview) -> Any:
    """Decode what `encode_value` gave. Raises Malformed."""
    return loads(data, depth_max=VALUE_DEPTH_MAX)


def _fits(value: object, depth_max: int) -> bool:
    """The quick look, without recursion and without names of places."""
    level: list[object] = [value]
    items = 0
    for _ in range(depth_max + 1):
        below: list[object] = []
        for item in level:
            kind = type(item)
            if kind is dict:
                mapping = cast("dict[object, object]", item)
                below += mapping.values()
                if not all(type(key) is str for key in mapping):
                    below += mapping
            elif kind is list or kind is tuple:
                below += cast("list[object]", item)
            elif kind is int:
                if cast("int", item).bit_length() > INT_BITS_MAX:
                    return False
            elif kind is not str and kind not in _PLAIN:
                return False
        items += len(below)
        if not below or items > VALUE_ITEMS_MAX:
            return not below
        level = below
    return False


def _check(value: object, depth_max: int) -> None:
    """The careful look: raises UsageError for the first thing that does not fit, and says where."""
    level: list[tuple[object, str]] = [(value, "value")]
    items = 0
    for _ in range(depth_max + 1):
        below: list[tuple[object, str]] = []
        for item, path in level:
            below += _children(item, path)
            if items + len(below) > VALUE_ITEMS_MAX:
                raise UsageError(f"the value holds more than {VALUE_ITEMS_MAX} items: split it")
        if not below:
            return
        items += len(below)
        level = below
    raise UsageError(
        f"the value is nested deeper than {depth_max} levels, or contains itself, at "
        f"{level[0][1][:120]}: flatten it"
    )


def _children(item: object, path: str) -> list[tuple[object, str]]:
    kind = type(item)
    if kind in _PLAIN or kind is str:
        return []
    if isinstance(item, Enum):
        raise UsageError(f"{path} is the enum member {item!r}: store its .value")
    if isinstance(item, dict):
        mapping = cast("dict[object, object]", item)
        keys = [(key, f"key {path}[{key!r:.40}]") for key in mapping if type(key) is not str]
        return keys + [(child, f"{path}[{key!r:.40}]") for key, child in mapping.items()]
    if isinstance(item, list | tuple):
        sequence = cast("list[object]", item)
        return [(child, f"{path}[{at}]") for at, child in enumerate(sequence)]
    if isinstance(item, int):
        if item.bit_length() > INT_BITS_MAX:
            raise UsageError(f"{path} is an integer of more than {INT_BITS_MAX} bits")
    elif isinstance(item, datetime):
        if item.tzinfo is None:
            raise UsageError(f"{path} is a datetime without a time zone: give it one, as tz=UTC")
    elif isinstance(item, Decimal):
        if not item.is_finite():
            raise UsageError(f"{path} is the Decimal {item}: only finite ones, or use float")
    elif not isinstance(item, str | bytes | bytearray | float | date | UUID):
        raise UsageError(
            f"{path} is a {kind.__module__}.{kind.__qualname__}, which cannot be kept: use None, "
            "bool, int, float, str, bytes, list, dict, datetime, date, Decimal or UUID"
        )
    return []
