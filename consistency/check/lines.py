"""Histories as JSON lines: one event a line, read as a stream, every mistake named by its line.

The law of this file: a line is an event or an error; no field is guessed and none is ignored. A
last line without its end was torn by a writer that died: it is left out and reported, because an
answer that was never recorded is an unknown one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Literal, cast

from quorate.consistency.check.history import Event, History, MalformedHistory, pair
from quorate.consistency.check.values import Actor

LINE_BYTES_MAX = 16 * 1024 * 1024
TYPES: dict[str, Literal["invoke", "ok", "fail", "unknown"]] = {
    "invoke": "invoke",
    "ok": "ok",
    "fail": "fail",
    "unknown": "unknown",
    "info": "unknown",
}
"""`info` is Jepsen's word for unknown."""
TEXTS = ("f", "level", "session", "host", "error")
FIELDS = ("type", "process", "time", "key", "value", "witness", "dot", "versions", "shown", *TEXTS)
KNOWN = frozenset(FIELDS)


def dump(event: Event) -> str:
    """The event as one line, with its end. Raises `UsageError` for a value JSON cannot hold."""
    body: dict[str, Any] = {"type": event.type, "process": event.process, "time": event.time}
    for name in ("f", "key", "value", "witness", "dot", "level", "session", "host", "error"):
        value = getattr(event, name)
        if value not in (None, ""):
            body[name] = value
    for name, vector in (("versions", event.versions), ("shown", event.shown)):
        if vector is not None:
            body[name] = {str(actor): seq for actor, seq in vector.items()}
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise MalformedHistory(
            f"the {event.type} of process {event.process!r} cannot be written as JSON: {error}; "
            f"record text, numbers, lists and objects"
        ) from error


def load(lines: Iterable[str | bytes]) -> History:
    """Read and pair a whole history. Raises `MalformedHistory`."""
    notes: list[str] = []
    history = pair(read(lines, notes))
    history.notes += notes
    return history


def read(lines: Iterable[str | bytes], notes: list[str]) -> Iterator[Event]:
    """The events of the lines, one by one. A torn last line becomes a note. Empty lines are let
    through."""
    torn: str | None = None
    for number, line in enumerate(lines, 1):
        if torn is not None:
            raise MalformedHistory(torn)
        if not line.strip():
            continue
        try:
            yield _event(line, number)
        except MalformedHistory as error:
            if line[-1:] in ("\n", b"\n"):
                raise
            torn = str(error)
            notes.append(
                f"line {number}, the last, is torn (its writer stopped in the middle) and was left "
                f"out: what it would have answered counts as unknown"
            )


def _event(line: str | bytes, number: int) -> Event:
    if len(line) > LINE_BYTES_MAX:
        raise MalformedHistory(
            f"line {number}: {len(line)} bytes, {LINE_BYTES_MAX} at most: record smaller values"
        )
    try:
        text = line if isinstance(line, str) else line.decode(json.detect_encoding(line))
        body: Any = _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise MalformedHistory(
            f"line {number}: not JSON ({error}): every line is one event as an object"
        ) from None
    if not isinstance(body, dict):
        raise MalformedHistory(f"line {number}: an event is an object, this is {_kind(body)}")
    return _fields(cast("dict[str, Any]", body), number)


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not a number of JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)
"""One for all lines: building one costs more than reading a line."""


def _kind(value: object) -> str:
    return "null" if value is None else f"a {type(value).__name__}"


def _fields(body: dict[str, Any], number: int) -> Event:
    for name in body:
        if name not in KNOWN:
            raise MalformedHistory(
                f"line {number}: unknown field {name!r}: an event has {', '.join(FIELDS)}"
            )
    type_ = TYPES.get(body.get("type")) if isinstance(body.get("type"), str) else None  # type: ignore[arg-type]
    if type_ is None:
        raise MalformedHistory(
            f"line {number}: 'type' is {body.get('type')!r}: one of {', '.join(TYPES)}"
        )
    for name in TEXTS:
        if not isinstance(body.get(name, ""), str | None):
            _wrong(number, name, "text", body[name])
    process, time, key = body.get("process"), body.get("time"), body.get("key")
    if not _is(process, int, str):
        _wrong(number, "process", "a number or a name", process)
    if not _is(time, int, float) or cast("float", time) < 0:
        _wrong(number, "time", "nanoseconds (integer) or seconds (float) from 0 on", time)
    if key is not None and not _is(key, int, str):
        _wrong(number, "key", "a name or a number", key)
    return Event(
        type_,
        cast("int | str", process),
        cast("int | float", time),
        body.get("f") or "",
        key,
        body.get("value"),
        _witness(body.get("witness"), number),
        _dot(body.get("dot"), number),
        _versions(body, "versions", number),
        _versions(body, "shown", number),
        body.get("level"),
        body.get("session"),
        body.get("host"),
        body.get("error"),
        number,
    )


def _is(value: object, *types: type) -> bool:
    return isinstance(value, types) and not isinstance(value, bool)


def _wrong(number: int, name: str, wanted: str, value: Any) -> None:
    raise MalformedHistory(f"line {number}: {name!r} must be {wanted}, not {value!r}")


def _witness(value: Any, number: int) -> tuple[int, ...] | None:
    if value is None:
        return None
    parts: list[Any] = cast("list[Any]", value) if isinstance(value, list) else []
    if len(parts) not in (2, 3) or not all(_is(part, int) and part >= 0 for part in parts):
        _wrong(number, "witness", "[term, index] or [term, index, place]", cast("Any", value))
    return tuple(parts)


def _dot(value: Any, number: int) -> tuple[Actor, int] | None:
    if value is None:
        return None
    parts: list[Any] = cast("list[Any]", value) if isinstance(value, list) else []
    if len(parts) != 2 or not _is(parts[0], int, str) or not _is(parts[1], int):
        _wrong(number, "dot", "[actor, seq]", cast("Any", value))
    return (_actor(parts[0]), parts[1])


def _versions(body: dict[str, Any], name: str, number: int) -> dict[Actor, int] | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, dict):
        _wrong(number, name, "an object of actor: seq", value)
    items = cast("dict[str, Any]", value)
    if not all(_is(seq, int) and seq >= 0 for seq in items.values()):
        _wrong(number, name, "an object of actor: seq", items)
    return {_actor(actor): seq for actor, seq in items.items()}


def _actor(value: int | str) -> Actor:
    """JSON names are text: an actor that is all digits is the number."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
