"""/v1/members and /v1/leader:transfer: who belongs to the group, and who leads it."""

from __future__ import annotations

from aiohttp import web

from quorate.core.errors import UsageError
from quorate.hosts.admin.answers import ok
from quorate.hosts.admin.asked import fields, only, port_of, timeout_s
from quorate.hosts.admin.operation import TIMEOUT, Operation, Parameter
from quorate.hosts.admin.values import to_json

ROLES = ("voter", "learner")


async def listed(request: web.Request) -> web.Response:
    only(request)
    port = port_of(request)
    members = [{**m, "admin": port.admin_address_of(m["id"])} for m in await port.members()]
    return ok(to_json({"leader": port.status().get("leader"), "members": members}))


async def add(request: web.Request) -> web.Response:
    """Add a member: it joins as a learner, and votes once it has caught up if `role` is `voter`."""
    only(request)
    given = await fields(request, id=str, address=str, role=str)
    role = given["role"] or "voter"
    if not given["id"] or not given["address"] or role not in ROLES:
        raise UsageError(
            'want {"id": "d", "address": "host:port"} and perhaps "role": "voter" or "learner"'
        )
    done = await port_of(request).member_add(
        given["id"], given["address"], role, timeout_s(request)
    )
    return ok(to_json(done))


async def remove(request: web.Request) -> web.Response:
    only(request)
    member = request.match_info["member"]
    return ok(to_json(await port_of(request).member_remove(member, timeout_s(request))))


async def transfer(request: web.Request) -> web.Response:
    """Hand the leadership to `to`, or to the member that is furthest along."""
    only(request)
    given = await fields(request, to=str)
    return ok(to_json(await port_of(request).transfer(given["to"] or None, timeout_s(request))))


OPERATIONS = (
    Operation("GET", "/v1/members", listed, "The members of the group"),
    Operation(
        "POST",
        "/v1/members",
        add,
        "Add a member",
        parameters=(TIMEOUT,),
        body="{id, address, role: voter | learner}",
    ),
    Operation(
        "DELETE",
        "/v1/members/{member}",
        remove,
        "Remove a member",
        parameters=(Parameter("member", "The host id", where="path"), TIMEOUT),
    ),
    Operation(
        "POST",
        "/v1/leader:transfer",
        transfer,
        "Hand the leadership over",
        parameters=(TIMEOUT,),
        body="{to}: a host id; empty: whoever is furthest along",
    ),
)
