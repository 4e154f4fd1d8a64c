"""The result file: one JSON document with a versioned schema.

The law of this file: a file of another version is refused with a clear text, never guessed at; a
file appears whole or not at all. JSON has no nan: a missing figure is null in the file and
nan in memory.
"""

from __future__ import annotations

import json
import math
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

SCHEMA = "quorate-bench/1"
KEYS = ("plan", "machine", "systems", "results", "failed")
"""What a result always has."""


class WrongResult(Exception):
    """Not a result file, or one of another version."""


class NotWritten(Exception):
    """The disk is full, or the place is not ours; the text says which file and why."""


def write(path: Path, result: dict[str, Any]) -> None:
    """Write `result` (which must name the schema). Raises `NotWritten`."""
    text = json.dumps(_without_nan(result), indent=1, allow_nan=False)
    put_in_place(path, _one_line_lists(text) + "\n")


def put_in_place(path: Path, text: str) -> None:
    """Write a file whole or not at all; what was there before stays if it fails. Raises
    `NotWritten`."""
    half = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        half.write_text(text, encoding="utf-8")
        os.replace(half, path)
    except OSError as error:
        with suppress(OSError):
            half.unlink()
        raise NotWritten(f"{path} could not be written: {error.strerror}") from error


def read(path: Path) -> dict[str, Any]:
    """Raises `WrongResult`."""
    try:
        result: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WrongResult(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise WrongResult(f"{path} is not a JSON document: {error}") from error
    schema = cast(dict[str, Any], result).get("schema") if isinstance(result, dict) else None
    if schema != SCHEMA:
        raise WrongResult(
            f"{path} has the schema {schema!r}, this version reads {SCHEMA!r}: measure again"
        )
    document = cast(dict[str, Any], result)
    missing = [key for key in KEYS if not isinstance(document.get(key), dict)]
    if missing:
        raise WrongResult(f"{path} is not a whole result: it has no {', '.join(missing)}")
    return {**document, "results": _with_nan(document.get("results"))}


def _with_nan(value: Any) -> Any:
    if value is None:
        return math.nan
    if isinstance(value, dict):
        return {k: _with_nan(v) for k, v in cast(dict[str, Any], value).items()}
    if isinstance(value, list):
        return [_with_nan(each) for each in cast(list[Any], value)]
    return value


def _without_nan(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(k): _without_nan(v) for k, v in cast(dict[Any, Any], value).items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in cast(list[Any], value)]
    return value


def _one_line_lists(text: str) -> str:
    """Lists of numbers on one line: a histogram must not be two thousand lines."""
    lines: list[str] = []
    depth = 0
    for line in text.splitlines():
        bare = line.strip()
        if depth and lines:
            lines[-1] += bare if bare[0] in "[]" or lines[-1][-1] == "[" else " " + bare
        else:
            lines.append(line)
        depth += (bare.endswith("[")) - (bare.rstrip(",") == "]")
        depth = max(depth, 0)
    return "\n".join(lines)
