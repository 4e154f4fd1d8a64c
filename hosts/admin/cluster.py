"""/v1/cluster: the group as this host knows it, and who reaches whom."""

from __future__ import annotations

from aiohttp import web

from quorate.hosts.admin.answers import ok
from quorate.hosts.admin.asked import only, port_of, timeout_s
from quorate.hosts.admin.operation import TIMEOUT, Operation
from quorate.hosts.admin.values import to_json


async def cluster(request: web.Request) -> web.Response:
    """Members, roles, leader, term, indices, lag."""
    only(request)
    port = port_of(request)
    status = dict(port.status())
    leader = status.get("leader")
    status["leader_admin"] = port.admin_address_of(leader) if leader else None
    members = [
        {**member, "admin": port.admin_address_of(member["id"])}
        for member in status.get("members", ())
    ]
    return ok(to_json({**status, "members": members}))


async def reachability(request: web.Request) -> web.Response:
    """Who reaches whom, with round-trip times: this host's own row, and what the others said of
    theirs."""
    only(request)
    return ok(to_json(await port_of(request).reachability(timeout_s(request))))


async def statistics(request: web.Request) -> web.Response:
    """Every counter of this host, as it stands in the code."""
    only(request)
    return ok(to_json(port_of(request).statistics()))


OPERATIONS = (
    Operation("GET", "/v1/cluster", cluster, "Members, roles, leader, term, indices, lag"),
    Operation(
        "GET",
        "/v1/cluster/reachability",
        reachability,
        "Who reaches whom, and round-trip times",
        parameters=(TIMEOUT,),
    ),
    Operation("GET", "/v1/statistics", statistics, "Every counter of this host"),
)
