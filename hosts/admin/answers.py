"""Answers: plain values as JSON responses. Knows aiohttp's response and nothing of the host."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from quorate.hosts.admin.problems import CONTENT_TYPE, RETRY_AFTER_S


def encoded(value: Any) -> bytes:
    """One line of JSON; half a surrogate pair, which a stranger may send, as an escape."""
    text = json.dumps(value, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "backslashreplace")


def ok(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """`value` as JSON, one line that ends in a newline so that a terminal stays tidy."""
    return web.Response(
        body=encoded(value),
        charset="utf-8",
        status=status,
        headers=headers,
        content_type="application/json",
    )


def refuse(problem: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> web.Response:
    """A problem object as a response."""
    more = dict(headers or {})
    if problem["status"] == 503:
        more.setdefault("Retry-After", str(RETRY_AFTER_S))
    return web.Response(
        body=encoded(problem),
        charset="utf-8",
        status=problem["status"],
        headers=more,
        content_type=CONTENT_TYPE,
    )
