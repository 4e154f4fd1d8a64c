"""Any stored value as JSON and back, losing nothing that JSON can be taught to say. Pure.

The law of this file: `from_json(to_json(value)) == value` for None, booleans, integers, floats,
strings, bytes, lists, maps and datetimes. What JSON lacks is an object with one key that starts
with `$`:

    {"$bytes": "aGk="}                          base64
    {"$datetime": "2026-01-02T03:04:05+00:00"}
    {"$float": "nan"}                           or inf, -inf
    {"$map": [[key, value], ...]}               a map with a key that is no string or starts with $

Anything else a value may hold is shown as {"$other": "its repr"}, which cannot be sent back.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from datetime import datetime
from typing import Any, cast

from quorate.core.errors import UsageError

NONFINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def to_json(value: object) -> Any:
    """`value` as what `json.dumps` takes."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": str(value)}
    if isinstance(value, bytes | bytearray | memoryview):
        return {"$bytes": base64.b64encode(bytes(cast("bytes", value))).decode("ascii")}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in cast("list[object]", value)]
    if isinstance(value, dict):
        return _map_to_json(cast("dict[object, object]", value))
    if isinstance(value, datetime):
        return {"$datetime": value.isoformat()}
    return {"$other": repr(value)}


def _map_to_json(value: dict[object, object]) -> Any:
    if all(isinstance(key, str) and not key.startswith("$") for key in value):
        return {key: to_json(item) for key, item in value.items()}
    return {"$map": [[to_json(key), to_json(item)] for key, item in value.items()]}


def from_json(value: Any) -> Any:
    """The stored value of a parsed JSON value. Raises `UsageError` for a `$` object that is not one
    of ours."""
    if isinstance(value, list):
        return [from_json(item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    fields = cast("dict[str, Any]", value)
    special = [key for key in fields if key.startswith("$")]
    if not special:
        return {key: from_json(item) for key, item in fields.items()}
    if len(fields) != 1:
        raise UsageError(f"an object with {special[0]!r} must have no other key")
    return _special(special[0], fields[special[0]])


def _special(kind: str, body: Any) -> Any:
    try:
        if kind == "$bytes":
            return base64.b64decode(body, validate=True)
        if kind == "$datetime":
            return datetime.fromisoformat(body)
        if kind == "$float":
            return NONFINITE[body]
        if kind == "$map":
            return {_hashable(from_json(key)): from_json(item) for key, item in body}
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise UsageError(f"{kind}: not readable: {body!r:.80}") from error
    raise UsageError(f"{kind} is unknown: use $bytes, $datetime, $float or $map")


def _hashable(key: object) -> object:
    hash(key)
    return key


def parse(text: bytes | str) -> Any:
    """The JSON value in `text`. Raises `UsageError` for what is not JSON, repeats a key, or is
    nested too deep."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except UsageError:
        raise
    except RecursionError as error:
        raise UsageError("the JSON is nested too deep") from error
    except ValueError as error:
        raise UsageError(f"not JSON: {error}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise UsageError("the JSON has an object that repeats a key")
    return fields


def _no_constant(name: str) -> Any:
    raise UsageError(f'{name} is not JSON: write {{"$float": "{name.lower()}"}}')
