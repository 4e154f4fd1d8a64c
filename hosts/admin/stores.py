"""/v1/stores and /v1/partition: the stores at their levels, their conflicts, and what cuts and
heals did.

The law of this file: a read says its level and a write shows its receipt. A session travels as the
header `Session-Token`, out with every answer and in with the next call.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from aiohttp import web

from quorate.core.errors import NotFound, UsageError
from quorate.hosts.admin import asked
from quorate.hosts.admin.answers import ok
from quorate.hosts.admin.asked import only, port_of, timeout_s
from quorate.hosts.admin.operation import TIMEOUT, Operation, Parameter
from quorate.hosts.admin.stores_port import StoreEntry, StoreRead, StoreWrite
from quorate.hosts.admin.values import from_json, parse, to_json

SESSION = "Session-Token"
READ_LEVELS = ("linearizable", "session", "local")
LEVELS = ("strong", "session", "eventual")


def _one_of(request: web.Request, name: str, choices: tuple[str, ...]) -> str | None:
    text = request.query.get(name)
    if text is not None and text not in choices:
        raise UsageError(f"{name}={text!r}: want {', '.join(choices)}")
    return text


def _flag(request: web.Request, name: str) -> bool | None:
    text = _one_of(request, name, ("true", "false"))
    return None if text is None else text == "true"


def _bytes(text: str | None, what: str) -> bytes | None:
    if text is None:
        return None
    try:
        return base64.urlsafe_b64decode(text.encode("ascii"))
    except (ValueError, binascii.Error) as error:
        raise UsageError(f"{what}: want what an earlier answer gave") from error


def text_of(data: bytes) -> str:
    """Bytes as they travel in headers and queries."""
    return base64.urlsafe_b64encode(data).decode("ascii")


def _read(request: web.Request) -> StoreRead:
    session = _bytes(request.headers.get(SESSION), SESSION)
    level = _one_of(request, "level", READ_LEVELS)
    staleness_ms = asked.integer(request, "staleness_ms", least=1)
    if staleness_ms is not None and level is not None:
        raise UsageError("staleness_ms= is a level of its own: leave level= away")
    return StoreRead(level, staleness_ms, session)


def _write(request: web.Request) -> StoreWrite:
    return StoreWrite(
        _one_of(request, "consistency", LEVELS),
        asked.integer(request, "wait_for", least=1),
        _flag(request, "durable"),
        _bytes(request.headers.get(SESSION), SESSION),
        asked.integer(request, "version"),
    )


def shown(entry: StoreEntry) -> dict[str, Any]:
    """A key of a store as the API shows it."""
    body: dict[str, Any] = {
        "key": entry.key,
        "value": to_json(entry.value),
        "type": entry.type,
        "level": entry.level,
        "host": entry.host,
    }
    if entry.version is not None:
        body["version"] = dict(zip(("actor", "seq", "stamp"), entry.version, strict=True))
    if len(entry.siblings) > 1:
        body["siblings"] = to_json(entry.siblings)
    if entry.degraded:
        body["degraded"] = True
    return body


def _headers(token: bytes | None) -> dict[str, str]:
    return {} if token is None else {SESSION: text_of(token)}


def _receipt(receipt: dict[str, Any]) -> web.Response:
    token = receipt.pop("token", None)
    return ok(to_json(receipt), headers=_headers(token))


# --- stores ---------------------------------------------------------------------------------------


async def listed(request: web.Request) -> web.Response:
    """Every store this host knows, and how replication goes."""
    only(request)
    port = port_of(request)
    return ok(to_json({"stores": port.stores(), **port.stores_health()}))


async def keys(request: web.Request) -> web.Response:
    only(request, "prefix", "after", "limit")
    limit = asked.limit(request)
    query, store = request.query, request.match_info["store"]
    found = await port_of(request).store_keys(
        store, query.get("prefix", ""), query.get("after", ""), limit + 1, timeout_s(request)
    )
    return ok({"keys": found[:limit], "more": len(found) > limit})


async def get(request: web.Request) -> web.Response:
    only(request, "level", "staleness_ms")
    store, key = request.match_info["store"], request.match_info["key"]
    entry = await port_of(request).store_get(store, key, _read(request), timeout_s(request))
    if not entry.exists:
        raise NotFound(f"no key {key!r} in store {store!r}")
    return ok(shown(entry), headers=_headers(entry.session))


async def put(request: web.Request) -> web.Response:
    only(request, "consistency", "wait_for", "durable", "version")
    store, key = request.match_info["store"], request.match_info["key"]
    how = _write(request)
    value = from_json(parse(await asked.body(request)))
    return _receipt(await port_of(request).store_put(store, key, value, how, timeout_s(request)))


async def delete(request: web.Request) -> web.Response:
    only(request, "consistency", "wait_for", "durable")
    store, key = request.match_info["store"], request.match_info["key"]
    how = _write(request)
    return _receipt(await port_of(request).store_delete(store, key, how, timeout_s(request)))


async def promote(request: web.Request) -> web.Response:
    """Write strongly what a local read shows."""
    only(request)
    store = request.match_info["store"]
    order = await asked.fields(request, key=str)
    if not order["key"]:
        raise UsageError('the body must name the key: {"key": ...}')
    receipt = await port_of(request).store_promote(store, order["key"], timeout_s(request))
    return _receipt(receipt)


async def conflicts(request: web.Request) -> web.Response:
    """Concurrent updates that met on this host, oldest first; `next` is where to go on."""
    only(request, "after", "limit")
    limit = asked.limit(request)
    after = _bytes(request.query.get("after"), "after") or b""
    store = request.match_info["store"]
    found = await port_of(request).store_conflicts(store, after, limit)
    rows = [{**row, "position": text_of(row["position"])} for row in found]
    last = rows[-1]["position"] if rows else request.query.get("after", "")
    return ok(to_json({"conflicts": rows, "next": last}))


# --- partitions -----------------------------------------------------------------------------------


async def partition(request: web.Request) -> web.Response:
    """Whom this host reaches, and the changes it kept."""
    only(request)
    port = port_of(request)
    return ok(to_json({**port.partition_status(), "events": port.partition_events()}))


async def reports(request: web.Request) -> web.Response:
    """What each heal had to reconcile, the newest first."""
    only(request, "limit")
    found = port_of(request).partition_reports()
    return ok(to_json({"reports": found[: asked.limit(request)]}))


STORE = Parameter("store", "The store", where="path")
KEY = Parameter("key", "The key; slashes are part of it", where="path")
TOKEN = Parameter(SESSION, "The session to go on with: what an answer gave", where="header")
WRITE = (
    Parameter("consistency", "strong, session or eventual; the store's own if absent"),
    Parameter("wait_for", "Answer when so many hosts have it on disk", type="integer"),
    Parameter("durable", "false: answer from memory", type="boolean"),
    TOKEN,
    TIMEOUT,
)
OPERATIONS = (
    Operation("GET", "/v1/stores", listed, "Stores, replication, ring and hints"),
    Operation(
        "GET",
        "/v1/stores/{store}/keys",
        keys,
        "The keys of a store under a prefix, in order",
        parameters=(
            STORE,
            Parameter("prefix", "Only keys that start with this"),
            Parameter("after", "Only keys behind this one"),
            Parameter("limit", "At most so many", type="integer", default=asked.LIST_ITEMS_MAX),
            TIMEOUT,
        ),
    ),
    Operation(
        "GET",
        "/v1/stores/{store}/keys/{key+}",
        get,
        "Read a key of a store at a level",
        parameters=(
            STORE,
            KEY,
            Parameter("level", "linearizable, session or local; the store's own if absent"),
            Parameter("staleness_ms", "Nothing older than this", type="integer"),
            TOKEN,
            TIMEOUT,
        ),
    ),
    Operation(
        "PUT",
        "/v1/stores/{store}/keys/{key+}",
        put,
        "Write a key of a store; answers with the receipt",
        parameters=(
            STORE,
            KEY,
            Parameter("version", "Strong: only if it has this version", type="integer"),
            *WRITE,
        ),
        body="The value as JSON",
    ),
    Operation(
        "DELETE",
        "/v1/stores/{store}/keys/{key+}",
        delete,
        "Delete a key of a store",
        parameters=(STORE, KEY, *WRITE),
    ),
    Operation(
        "POST",
        "/v1/stores/{store}/promote",
        promote,
        "Write a key strongly as it is here",
        parameters=(STORE, TIMEOUT),
        body='{"key": the key}',
    ),
    Operation(
        "GET",
        "/v1/stores/{store}/conflicts",
        conflicts,
        "Concurrent updates that met here",
        parameters=(
            STORE,
            Parameter("after", "Only behind this position: `next` of the page before"),
            Parameter("limit", "At most so many", type="integer", default=asked.LIST_ITEMS_MAX),
        ),
    ),
    Operation("GET", "/v1/partition", partition, "Whom this host reaches, and what changed"),
    Operation(
        "GET",
        "/v1/partition/reports",
        reports,
        "What each heal had to reconcile",
        parameters=(
            Parameter("limit", "At most so many", type="integer", default=asked.LIST_ITEMS_MAX),
        ),
    ),
)
