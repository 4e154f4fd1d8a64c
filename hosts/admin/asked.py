"""A request read into plain values, with errors that name the parameter. Knows aiohttp's request
and nothing of the host.

The law of this file: every parameter is read here, so every wrong one gives the same kind of
answer, and an unknown query parameter is an error and not ignored.
"""

from __future__ import annotations

from typing import Any, cast

from aiohttp import web

from quorate.core.errors import LimitExceeded, UsageError
from quorate.hosts.admin.port import AdminPort, Compare, Level
from quorate.hosts.admin.values import parse

TIMEOUT_DEFAULT_S = 5.0
TIMEOUT_MAX_S = 60.0
LIST_ITEMS_MAX = 1000
BODY_BYTES_MAX = 4 << 20

PORT: web.AppKey[AdminPort] = web.AppKey("port")


def port_of(request: web.Request) -> AdminPort:
    return request.app[PORT]


def timeout_s(request: web.Request) -> float:
    """The deadline of this call: `?timeout=` or the header `Request-Timeout`, in seconds."""
    text = request.query.get("timeout") or request.headers.get("Request-Timeout")
    if text is None:
        return TIMEOUT_DEFAULT_S
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= TIMEOUT_MAX_S:
        raise UsageError(
            f"timeout={text!r}: want seconds, more than 0 and at most {TIMEOUT_MAX_S:g}"
        )
    return seconds


def integer(request: web.Request, name: str, *, least: int = 0) -> int | None:
    """The query parameter `name` as a whole number, None if absent."""
    text = request.query.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18 or int(text) < least:
        raise UsageError(f"{name}={text!r}: want a whole number, at least {least}")
    return int(text)


def limit(request: web.Request) -> int:
    """How many items a list may have."""
    wanted = integer(request, "limit", least=1)
    return LIST_ITEMS_MAX if wanted is None else min(wanted, LIST_ITEMS_MAX)


def level(request: web.Request) -> Level:
    """`linearizable` or `local`."""
    text = request.query.get("level", "linearizable")
    if text not in ("linearizable", "local"):
        raise UsageError(f"level={text!r}: want linearizable or local")
    return text


def compare(request: web.Request) -> Compare:
    """`?version=`, `?revision=`, `If-Match: "7"` (that revision), `If-None-Match: *` (must not
    exist)."""
    version, revision = integer(request, "version"), integer(request, "revision")
    match = request.headers.get("If-Match")
    if match is not None:
        tag = match.strip().removeprefix("W/").strip('"')
        if not tag.isdigit():
            raise UsageError(f"If-Match: {match}: want the ETag of a read, its revision in quotes")
        revision = int(tag)
    none_match = request.headers.get("If-None-Match")
    if none_match is not None:
        if none_match.strip() != "*":
            raise UsageError(f"If-None-Match: {none_match}: only * is understood")
        version = 0
    return Compare(version=version, revision=revision)


def only(request: web.Request, *names: str) -> None:
    """Refuse query parameters other than `names` and `timeout`: a misspelt one must not be
    ignored."""
    unknown = sorted(set(request.query) - {*names, "timeout"})
    if unknown:
        known = ", ".join((*names, "timeout"))
        raise UsageError(f"unknown query parameter {unknown[0]!r}: this resource takes {known}")


async def body(request: web.Request) -> bytes:
    """The request body, at most `BODY_BYTES_MAX`."""
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise LimitExceeded(f"the request body is over {BODY_BYTES_MAX} bytes") from error


async def fields(request: web.Request, **wanted: type) -> dict[str, Any]:
    """The JSON object in the body, with fields of the wanted types; a missing one is None, an
    unknown one an error."""
    text = await body(request)
    value: Any = parse(text) if text else {}
    if not isinstance(value, dict):
        raise UsageError(f"the body must be a JSON object with {', '.join(wanted)}")
    given = cast("dict[str, Any]", value)
    for name, item in given.items():
        if name not in wanted:
            raise UsageError(f"unknown field {name!r}: this resource takes {', '.join(wanted)}")
        if not isinstance(item, wanted[name]):
            raise UsageError(f"{name} must be a {wanted[name].__name__}")
    return {name: given.get(name) for name in wanted}
