"""/v1/watch: changes under a prefix as server-sent events, in order, none twice, none missing.

The law of this file: the id of an event is `revision.position`, its place among the events of that
revision under this prefix. A client that reconnects with `Last-Event-ID` goes on right behind it,
even in the middle of a revision that changed many keys. When the history it needs is gone it gets
one `problem` event and the end of the stream, never a gap.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Any, cast

from aiohttp import web

from quorate.core.errors import Overloaded, QuorateError, UsageError
from quorate.hosts.admin import asked
from quorate.hosts.admin.asked import only, port_of
from quorate.hosts.admin.operation import Operation, Parameter
from quorate.hosts.admin.port import Change
from quorate.hosts.admin.problems import problem
from quorate.hosts.admin.values import to_json

KEEPALIVE_S = 15.0
WATCHES_MAX = 256

OPEN: web.AppKey[set[asyncio.Task[Any]]] = web.AppKey("watches")


def resume_point(last_id: str | None, from_revision: int | None) -> tuple[int | None, int]:
    """(revision to watch from, events of it to skip). `Last-Event-ID` wins over `from_revision`."""
    if not last_id:
        return from_revision, 0
    revision, _, position = last_id.partition(".")
    if not (revision.isdigit() and position.isdigit()) or len(last_id) > 40:
        raise UsageError(f"Last-Event-ID {last_id!r:.60}: want the id of an event of this stream")
    return int(revision), int(position)


def event_text(change: Change, position: int) -> str:
    """One event in the server-sent format. `position` counts from 1 inside the revision."""
    data: dict[str, Any] = {"key": change.key, "revision": change.revision}
    if change.kind != "delete":
        data["value"] = to_json(change.value)
    if change.version is not None:
        data["version"] = change.version
    body = json.dumps(data, ensure_ascii=False)
    return f"id: {change.revision}.{position}\nevent: {change.kind}\ndata: {body}\n\n"


async def watch(request: web.Request) -> web.StreamResponse:
    only(request, "prefix", "from_revision")
    start, skip = resume_point(
        request.headers.get("Last-Event-ID"), asked.integer(request, "from_revision")
    )
    watches = request.app[OPEN]
    if len(watches) >= WATCHES_MAX:
        raise Overloaded(f"{WATCHES_MAX} watches are open on this host already")
    changes = port_of(request).kv_watch(request.query.get("prefix", ""), start)
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    )
    task = cast("asyncio.Task[Any]", asyncio.current_task())
    watches.add(task)
    try:
        await response.prepare(request)
        await response.write(b": watching\n\n")
        with suppress(ConnectionError):
            await _stream(response, changes, start, skip)
    finally:
        watches.discard(task)
    return response


async def _stream(
    response: web.StreamResponse, changes: AsyncIterator[Change], start: int | None, skip: int
) -> None:
    revision, position = start, 0
    async with aclosing(cast("Any", changes)):
        waiting = asyncio.ensure_future(anext(changes))
        try:
            while True:
                done, _ = await asyncio.wait([waiting], timeout=KEEPALIVE_S)
                if not done:
                    await response.write(b": still here\n\n")
                    continue
                change = waiting.result()
                waiting = asyncio.ensure_future(anext(changes))
                position = position + 1 if change.revision == revision else 1
                revision = change.revision
                if revision == start and position <= skip:
                    continue
                await response.write(
                    event_text(change, position).encode("utf-8", "backslashreplace")
                )
        except StopAsyncIteration:
            return
        except QuorateError as error:
            body = json.dumps(problem(error), ensure_ascii=False)
            await response.write(f"event: problem\ndata: {body}\n\n".encode())
        finally:
            waiting.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration, QuorateError):
                await waiting


OPERATIONS = (
    Operation(
        "GET",
        "/v1/watch",
        watch,
        "Changes under a prefix, as server-sent events",
        parameters=(
            Parameter("prefix", "Only keys that start with this"),
            Parameter("from_revision", "Start with this revision; now if absent", type="integer"),
            Parameter("Last-Event-ID", "Go on behind this event", where="header"),
        ),
        answer="text/event-stream",
        stream=True,
    ),
)
