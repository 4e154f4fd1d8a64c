"""/v1/kv: the key-value space. A key may hold slashes; a value is JSON (`values.py` says how bytes
are written)."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from quorate.core.errors import NotFound
from quorate.hosts.admin import asked
from quorate.hosts.admin.answers import ok, refuse
from quorate.hosts.admin.asked import only, port_of, timeout_s
from quorate.hosts.admin.operation import LEVEL, TIMEOUT, Operation, Parameter
from quorate.hosts.admin.port import Compare, Receipt, Record
from quorate.hosts.admin.problems import plain
from quorate.hosts.admin.values import from_json, parse, to_json

BINARY = "application/octet-stream"


def shown(record: Record) -> dict[str, Any]:
    """A record as the API shows it."""
    body: dict[str, Any] = {
        "key": record.key,
        "value": to_json(record.value),
        "version": record.version,
        "revision": record.revision,
    }
    if record.created_revision is not None:
        body["created_revision"] = record.created_revision
    if record.lease is not None:
        body["lease"] = record.lease
    return body


def _receipt(key: str, receipt: Receipt) -> web.Response:
    body = {
        "key": key,
        "revision": receipt.revision,
        "term": receipt.term,
        "index": receipt.index,
    }
    return ok(body, headers={"ETag": f'"{receipt.revision}"'})


async def get(request: web.Request) -> web.Response:
    only(request, "level")
    key = request.match_info["key"]
    level = asked.level(request)
    record = await port_of(request).kv_get(key, level, timeout_s(request))
    if record is None:
        raise NotFound(f"no key {key!r}")
    body = {**shown(record), "level": level, "host": port_of(request).host_id}
    return ok(body, headers={"ETag": f'"{record.revision}"'})


async def put(request: web.Request) -> web.Response:
    only(request, "version", "revision")
    key = request.match_info["key"]
    compare = asked.compare(request)
    data = await asked.body(request)
    raw = request.headers.get("Content-Type", "").startswith(BINARY)
    value = data if raw else from_json(parse(data))
    receipt = await port_of(request).kv_put(key, value, compare, timeout_s(request))
    return _receipt(key, receipt) if receipt is not None else await _conflict(request, key, compare)


async def delete(request: web.Request) -> web.Response:
    only(request, "version", "revision")
    key = request.match_info["key"]
    compare = asked.compare(request)
    receipt = await port_of(request).kv_delete(key, compare, timeout_s(request))
    return _receipt(key, receipt) if receipt is not None else await _conflict(request, key, compare)


async def _conflict(request: web.Request, key: str, compare: Compare) -> web.Response:
    """412 with the record as it stands on this host now, so that a caller can decide without
    another call."""
    record = await port_of(request).kv_get(key, "local", timeout_s(request))
    wanted = ", ".join(
        f"{name} {number}"
        for name, number in (("version", compare.version), ("revision", compare.revision))
        if number is not None
    )
    found = f"version {record.version}, revision {record.revision}" if record else "no such key"
    detail = f"{key!r}: wanted {wanted}, found {found}"
    return refuse(
        plain(412, "CompareFailed", detail, present=shown(record) if record else None),
    )


async def listed(request: web.Request) -> web.Response:
    only(request, "prefix", "after", "level", "limit")
    records, more = await port_of(request).kv_list(
        request.query.get("prefix", ""),
        request.query.get("after", ""),
        asked.limit(request),
        asked.level(request),
        timeout_s(request),
    )
    return ok({"records": [shown(record) for record in records], "more": more})


KEY = Parameter("key", "The key; slashes are part of it", where="path")
COMPARE = (
    Parameter("version", "Only if the key has this version (0: only if absent)", type="integer"),
    Parameter("revision", "Only if the key's last revision is this", type="integer"),
    Parameter("If-Match", 'Only if the ETag is this: "revision"', where="header"),
    Parameter("If-None-Match", "*: only if the key is absent", where="header"),
)
OPERATIONS = (
    Operation("GET", "/v1/kv/{key+}", get, "Read a key", parameters=(KEY, LEVEL, TIMEOUT)),
    Operation(
        "PUT",
        "/v1/kv/{key+}",
        put,
        "Write a key, if the compare holds",
        parameters=(KEY, *COMPARE, TIMEOUT),
        body=f"The value as JSON, or raw bytes as {BINARY}",
    ),
    Operation(
        "DELETE",
        "/v1/kv/{key+}",
        delete,
        "Delete a key, if the compare holds",
        parameters=(KEY, *COMPARE, TIMEOUT),
    ),
    Operation(
        "GET",
        "/v1/kv",
        listed,
        "List the keys under a prefix, in order",
        parameters=(
            Parameter("prefix", "Only keys that start with this"),
            Parameter("after", "Only keys behind this one: the last key of the page before"),
            Parameter("limit", "At most so many", type="integer", default=asked.LIST_ITEMS_MAX),
            LEVEL,
            TIMEOUT,
        ),
    ),
)
