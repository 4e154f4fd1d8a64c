"""/v1/names, /v1/locks, /v1/elections: what is held by whom, from this host's own copy."""

from __future__ import annotations

from aiohttp import web

from quorate.core.errors import NotFound
from quorate.hosts.admin import asked
from quorate.hosts.admin.answers import ok
from quorate.hosts.admin.asked import only, port_of
from quorate.hosts.admin.operation import Operation, Parameter
from quorate.hosts.admin.values import to_json


async def names(request: web.Request) -> web.Response:
    only(request, "prefix", "pattern", "limit")
    limit = asked.limit(request)
    found = await port_of(request).names(
        request.query.get("prefix", ""), request.query.get("pattern"), limit + 1
    )
    return ok(to_json({"names": found[:limit], "more": len(found) > limit}))


async def name(request: web.Request) -> web.Response:
    only(request)
    wanted = request.match_info["name"]
    found = await port_of(request).name(wanted)
    if found is None:
        raise NotFound(f"no name {wanted!r} is registered")
    return ok(to_json(found))


async def locks(request: web.Request) -> web.Response:
    only(request)
    return ok(to_json({"locks": await port_of(request).locks()}))


async def elections(request: web.Request) -> web.Response:
    only(request)
    return ok(to_json({"elections": await port_of(request).elections()}))


OPERATIONS = (
    Operation(
        "GET",
        "/v1/names",
        names,
        "Registered names",
        parameters=(
            Parameter("prefix", "Only names that start with this"),
            Parameter("pattern", "Only names that match this pattern: * any text, ? any letter"),
            Parameter("limit", "At most so many", type="integer", default=asked.LIST_ITEMS_MAX),
        ),
    ),
    Operation(
        "GET",
        "/v1/names/{name+}",
        name,
        "Who holds a name",
        parameters=(Parameter("name", "The name; slashes are part of it", where="path"),),
    ),
    Operation("GET", "/v1/locks", locks, "Locks that are held, with their fencing tokens"),
    Operation("GET", "/v1/elections", elections, "Elections and who leads them"),
)
