"""/v1/agents, /v1/hosts and /v1/leases: agents and the hosts that run them.

The law of this file: a name is one part of the path, with its slashes quoted (%2F). What changes
something says how it ended; lists are pages, and go on `after` the last name.
"""

from __future__ import annotations

from typing import Any, cast

from aiohttp import web

from quorate.core.errors import LimitExceeded, NotFound, UsageError
from quorate.hosts.admin import asked
from quorate.hosts.admin.agents_port import AgentCall, AgentFilter, AgentStart
from quorate.hosts.admin.answers import ok
from quorate.hosts.admin.asked import only, port_of, timeout_s
from quorate.hosts.admin.operation import TIMEOUT, Operation, Parameter
from quorate.hosts.admin.values import from_json, parse, to_json

LEVELS = ("strong", "session", "eventual")
START_FIELDS: dict[str, type] = {
    "class": str,
    "name": str,
    "args": dict,
    "meta": object,
    "resources": dict,
    "hints": dict,
    "needs": dict,
    "owners": list,
    "on_conflict": str,
    "on_orphan": str,
    "partition": str,
    "place_within": float,
}
OWNERS_MAX = 16


def _name(request: web.Request) -> str:
    return request.match_info["name"]


# --- agents ---------------------------------------------------------------------------------------


async def listed(request: web.Request) -> web.Response:
    only(request, "prefix", "pattern", "host", "kind", "status", "after", "limit")
    limit, query = asked.limit(request), request.query
    wanted = AgentFilter(
        query.get("prefix", ""),
        query.get("pattern"),
        query.get("host"),
        query.get("kind"),
        query.get("status"),
    )
    found = port_of(request).agents(wanted, query.get("after", ""), limit + 1)
    return ok(to_json({"agents": found[:limit], "more": len(found) > limit}))


async def start(request: web.Request) -> web.Response:
    only(request)
    given = await asked.fields(request, **START_FIELDS)
    for name in ("class", "name"):
        if given[name] is None:
            raise UsageError(f"the body needs {name!r}")
    options = {key: value for key, value in given.items() if value is not None}
    kind, name = options.pop("class"), options.pop("name")
    for key in ("args", "meta", "resources", "hints", "needs"):
        if key in options:
            options[key] = from_json(options[key])
    if "owners" in options:
        options["owner"] = [_owner(one) for one in options.pop("owners")[: OWNERS_MAX + 1]]
    body = await port_of(request).agent_start(AgentStart(kind, name, options), timeout_s(request))
    return ok(to_json(body), status=201)


def _owner(given: Any) -> Any:
    """`"agent name"`, or `{"lease": id}`."""
    if isinstance(given, str):
        return given
    if isinstance(given, dict) and set(cast("dict[str, Any]", given)) == {"lease"}:
        lease: Any = cast("dict[str, Any]", given)["lease"]
        if isinstance(lease, str) and lease.isdigit():
            return int(lease)
        if isinstance(lease, int) and not isinstance(lease, bool):
            return lease
    raise UsageError('owners: each is the name of an agent, or {"lease": the id of a lease}')


async def one(request: web.Request) -> web.Response:
    only(request)
    return ok(to_json(await port_of(request).agent(_name(request), timeout_s(request))))


async def call(request: web.Request) -> web.Response:
    only(request)
    given = await asked.fields(
        request, method=str, args=list, kwargs=dict, consistency=str, tell=bool
    )
    if not given["method"]:
        raise UsageError("the body needs 'method'")
    level = given["consistency"]
    if level is not None and level not in LEVELS:
        raise UsageError(f"consistency={level!r}: want {', '.join(LEVELS)}")
    order = AgentCall(
        given["method"],
        from_json(given["args"] or []),
        from_json(given["kwargs"] or {}),
        level,
        bool(given["tell"]),
    )
    answer = await port_of(request).agent_call(_name(request), order, timeout_s(request))
    return ok({"answer": to_json(answer)}, status=202 if order.tell else 200)


async def move(request: web.Request) -> web.Response:
    only(request)
    given = await asked.fields(request, to=str, strategy=str)
    if not given["to"]:
        raise UsageError("the body needs 'to': the id of a host")
    place = await port_of(request).agent_move(
        _name(request), given["to"], given["strategy"], timeout_s(request)
    )
    return ok(to_json(place))


async def stop(request: web.Request) -> web.Response:
    only(request, "reason")
    reason = request.query.get("reason", "stopped by an operator")
    name = _name(request)
    if not await port_of(request).agent_stop(name, reason, timeout_s(request)):
        raise NotFound(f"no agent {name!r} lives")
    return ok({"stopped": name})


async def stop_matching(request: web.Request) -> web.Response:
    only(request)
    given = await asked.fields(request, text=str, reason=str)
    if not given["text"]:
        raise UsageError("the body needs 'text': a part of the names, or a pattern with stars")
    reason = given["reason"] or "stopped by an operator"
    count = await port_of(request).agents_stop_matching(given["text"], reason, timeout_s(request))
    return ok({"stopped": count})


async def state(request: web.Request) -> web.Response:
    only(request, "limit")
    found = await port_of(request).agent_state(
        _name(request), asked.limit(request), timeout_s(request)
    )
    return ok(to_json(found))


async def mailbox(request: web.Request) -> web.Response:
    only(request)
    name = _name(request)
    shown = await port_of(request).agent(name, timeout_s(request))
    letters = port_of(request).agent_dead_letters(name)
    names = ("status", "mailbox", "queued", "running", "running_s", "shared_running")
    body = {key: shown.get(key) for key in names}
    return ok(to_json({**body, "dead_letters": letters}))


async def log(request: web.Request) -> web.Response:
    only(request, "limit")
    return ok(to_json({"log": port_of(request).agent_log(_name(request), asked.limit(request))}))


async def classes(request: web.Request) -> web.Response:
    only(request)
    return ok({"classes": port_of(request).agent_classes()})


async def dead_letters(request: web.Request) -> web.Response:
    only(request)
    return ok(to_json({"dead_letters": port_of(request).agent_dead_letters(None)}))


async def reports(request: web.Request) -> web.Response:
    only(request)
    return ok(to_json({"reports": port_of(request).agent_reports()}))


# --- hosts ----------------------------------------------------------------------------------------


async def hosts(request: web.Request) -> web.Response:
    only(request)
    return ok(to_json({"hosts": port_of(request).agent_hosts()}))


async def host(request: web.Request) -> web.Response:
    only(request)
    wanted = request.match_info["id"]
    for row in port_of(request).agent_hosts():
        if row.get("id") == wanted:
            return ok(to_json(row))
    raise NotFound(f"no host {wanted!r} runs agents")


async def drain(request: web.Request) -> web.Response:
    only(request)
    given = await asked.fields(request, undo=bool)
    moved = await port_of(request).host_drain(
        request.match_info["id"], not given["undo"], timeout_s(request)
    )
    return ok({"host": request.match_info["id"], "moved": moved, "draining": not given["undo"]})


def _settings(name: str) -> Any:
    async def change(request: web.Request) -> web.Response:
        only(request)
        text = await asked.body(request)
        value: Any = from_json(parse(text)) if text else {}
        if not isinstance(value, dict):
            raise UsageError(f"the body must be a JSON object: the {name} of the host")
        wanted: dict[str, dict[str, Any]] = {name: cast("dict[str, Any]", value)}
        await port_of(request).host_settings(request.match_info["id"], wanted, timeout_s(request))
        return ok(to_json(wanted))

    return change


# --- leases of clients that own agents ------------------------------------------------------------


def _lease(request: web.Request) -> int:
    text = request.match_info["lease"]
    if not text.isdigit() or len(text) > 19:
        raise UsageError(f"lease {text!r}: want the id that POST /v1/leases gave")
    return int(text)


async def grant(request: web.Request) -> web.Response:
    only(request)
    given = await asked.fields(request, ttl=object)
    ttl = given["ttl"]
    if not isinstance(ttl, int | float) or isinstance(ttl, bool) or not ttl > 0:
        raise UsageError("the body needs 'ttl': seconds, more than 0")
    if ttl > 7 * 24 * 3600:
        raise LimitExceeded("ttl may be a week at most")
    lease = await port_of(request).lease_grant(float(ttl), timeout_s(request))
    return ok({"lease": str(lease), "ttl": ttl}, status=201)


async def keep(request: web.Request) -> web.Response:
    only(request)
    lease = _lease(request)
    if not await port_of(request).lease_keep(lease, timeout_s(request)):
        raise NotFound(f"lease {lease} is gone")
    return ok({"lease": str(lease)})


async def revoke(request: web.Request) -> web.Response:
    only(request)
    await port_of(request).lease_revoke(_lease(request), timeout_s(request))
    return ok({"revoked": str(_lease(request))})


NAME = Parameter("name", "The agent's name; its slashes as %2F", where="path")
ID = Parameter("id", "The host", where="path")
LIMIT = Parameter("limit", "At most so many", type="integer", default=asked.LIST_ITEMS_MAX)
LEASE = Parameter("lease", "The lease", where="path")

OPERATIONS = (
    Operation(
        "GET",
        "/v1/agents",
        listed,
        "Living agents, in the order of their names",
        parameters=(
            Parameter("prefix", "Only names that start with this"),
            Parameter("pattern", "Only names that match: * any text"),
            Parameter("host", "Only on this host"),
            Parameter("kind", "Only of this class"),
            Parameter("status", "Only with this status"),
            Parameter("after", "Only names behind this one"),
            LIMIT,
        ),
    ),
    Operation(
        "POST",
        "/v1/agents",
        start,
        "Start an agent",
        parameters=(TIMEOUT,),
        body='{"class", "name", "args", "meta", "resources", "hints", "needs", "owners", '
        '"on_conflict", "on_orphan", "partition", "place_within"}',
    ),
    Operation(
        "POST",
        "/v1/agents:stop-matching",
        stop_matching,
        "End all agents whose name contains a text",
        parameters=(TIMEOUT,),
        body='{"text", "reason"}',
    ),
    Operation("GET", "/v1/agent-classes", classes, "Which host can run which class and version"),
    Operation("GET", "/v1/agent-reports", reports, "What failovers and heals lost or reconciled"),
    Operation("GET", "/v1/dead-letters", dead_letters, "Messages that found nobody, seen here"),
    Operation("GET", "/v1/agents/{name}", one, "How an agent is, from its host", (NAME, TIMEOUT)),
    Operation(
        "POST",
        "/v1/agents/{name}/call",
        call,
        "Send a message and wait for the answer",
        (NAME, TIMEOUT),
        body='{"method", "args": [...], "kwargs": {...}, "consistency", "tell"}',
    ),
    Operation(
        "POST",
        "/v1/agents/{name}/move",
        move,
        "Move an agent to another host",
        (NAME, TIMEOUT),
        body='{"to": host, "strategy"}',
    ),
    Operation(
        "DELETE",
        "/v1/agents/{name}",
        stop,
        "End an agent's life",
        (NAME, Parameter("reason", "Told to whom it concerns"), TIMEOUT),
    ),
    Operation(
        "GET", "/v1/agents/{name}/state", state, "What an agent keeps", (NAME, LIMIT, TIMEOUT)
    ),
    Operation("GET", "/v1/agents/{name}/mailbox", mailbox, "What waits for it", (NAME, TIMEOUT)),
    Operation("GET", "/v1/agents/{name}/log", log, "What happened to the name", (NAME, LIMIT)),
    Operation("GET", "/v1/hosts", hosts, "The hosts that run agents"),
    Operation("GET", "/v1/hosts/{id}", host, "One host that runs agents", (ID,)),
    Operation(
        "POST",
        "/v1/hosts/{id}/drain",
        drain,
        "Move all agents off a host and place none there",
        (ID, TIMEOUT),
        body='{"undo": true} lets agents be placed there again',
    ),
    Operation(
        "PUT",
        "/v1/hosts/{id}/labels",
        _settings("labels"),
        "The labels of a host",
        (ID, TIMEOUT),
        body='{"label": "value"}',
    ),
    Operation(
        "PUT",
        "/v1/hosts/{id}/capacity",
        _settings("capacity"),
        "What a host has to give out",
        (ID, TIMEOUT),
        body='{"memory_mb": 4096, "slots": 100}',
    ),
    Operation(
        "POST",
        "/v1/leases",
        grant,
        "A lease for a client that owns agents",
        (TIMEOUT,),
        body='{"ttl": seconds}',
    ),
    Operation("POST", "/v1/leases/{lease}/keepalive", keep, "Renew a lease", (LEASE, TIMEOUT)),
    Operation(
        "DELETE", "/v1/leases/{lease}", revoke, "End a lease and what it owns", (LEASE, TIMEOUT)
    ),
)
