"""/v1/snapshots: the snapshots this host holds, and the order to make one."""

from __future__ import annotations

from aiohttp import web

from quorate.hosts.admin.answers import ok
from quorate.hosts.admin.asked import only, port_of, timeout_s
from quorate.hosts.admin.operation import TIMEOUT, Operation
from quorate.hosts.admin.values import to_json


async def listed(request: web.Request) -> web.Response:
    only(request)
    return ok(to_json({"snapshots": await port_of(request).snapshots()}))


async def create(request: web.Request) -> web.Response:
    """Make a snapshot of this host's state now and compact the log behind it."""
    only(request)
    return ok(to_json(await port_of(request).snapshot_create(timeout_s(request))))


OPERATIONS = (
    Operation("GET", "/v1/snapshots", listed, "Snapshots on this host"),
    Operation(
        "POST", "/v1/snapshots", create, "Make a snapshot on this host", parameters=(TIMEOUT,)
    ),
)
