"""What goes in and comes out of CRDTs, checked: values of users, and plain values from outside.

The law of this file: an element is known by its bytes, and equal values have equal bytes: the keys
of a dictionary are put in order first. What came from outside is looked at before it is believed.
"""

from __future__ import annotations

from typing import Any, cast

from quorate.core.codec import Malformed, decode_value, encode_value
from quorate.core.errors import LimitExceeded


def element_bytes(value: object, bytes_max: int, what: str) -> bytes:
    """The bytes that `value` is known by. Raises UsageError if it cannot be encoded, LimitExceeded
    (naming `what`) if they are more than `bytes_max`."""
    data = encode_value(value)
    if type(value) in (dict, list, tuple):
        data = encode_value(_ordered(value))
    if len(data) > bytes_max:
        raise LimitExceeded(f"{what} of {len(data)} bytes: {bytes_max} are the most")
    return data


def _ordered(value: object) -> object:
    """The same value with the keys of every dictionary in the order of their bytes. Was encoded
    before, so it is neither deep nor endless."""
    if isinstance(value, dict):
        mapping = cast("dict[object, object]", value)
        items = [(encode_value(key), key, _ordered(inner)) for key, inner in mapping.items()]
        return {key: inner for _, key, inner in sorted(items, key=lambda item: item[0])}
    if isinstance(value, list | tuple):
        return [_ordered(inner) for inner in cast("list[object]", value)]
    return value


def count_text(fewest: int, most: int) -> str:
    """ "1 argument", "2 to 3 arguments"."""
    count = str(most) if fewest == most else f"{fewest} to {most}"
    return f"{count} argument{'' if most == 1 else 's'}"


# --- from outside ---------------------------------------------------------------------------------


def natural(value: object, what: str, least: int = 0) -> int:
    """An int of at least `least` and below 2**64. Raises Malformed naming `what`."""
    if type(value) is not int or not least <= value < 1 << 64:
        raise Malformed(f"{what} must be an int from {least} below 2**64")
    return value


def whole(value: object, what: str, bits_max: int) -> int:
    """An int of at most `bits_max` bits. Raises Malformed."""
    if type(value) is not int or value.bit_length() > bits_max:
        raise Malformed(f"{what} must be an int of at most {bits_max} bits")
    return value


def listed(value: object, what: str, length: int | None = None) -> list[Any]:
    """A list, of `length` items if given. Raises Malformed."""
    if type(value) is not list:
        raise Malformed(f"{what} must be a list")
    items = cast("list[Any]", value)
    if length is not None and len(items) != length:
        raise Malformed(f"{what} must have {length} items, not {len(items)}")
    return items


def value_bytes(value: object, what: str) -> bytes:
    """The bytes of one well-formed value. Raises Malformed."""
    if type(value) is not bytes:
        raise Malformed(f"{what} must be bytes")
    decode_value(value)
    return value


def named(index: object, actors: list[int]) -> int:
    """The actor of an index into the actors of the context. Raises Malformed."""
    if type(index) is not int or not 0 <= index < len(actors):
        raise Malformed("an actor's index is outside of the causal context")
    return actors[index]
