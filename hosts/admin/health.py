"""/livez, /readyz, /metrics: for probes and scrapers. They ask nobody but this host."""

from __future__ import annotations

from aiohttp import web

from quorate.hosts.admin import metrics
from quorate.hosts.admin.answers import ok, refuse
from quorate.hosts.admin.asked import port_of
from quorate.hosts.admin.operation import Operation
from quorate.hosts.admin.problems import plain


async def livez(request: web.Request) -> web.Response:
    """Alive: the loop turns. A host that took itself out of service is alive and not ready."""
    return ok({"live": True, "host": port_of(request).host_id})


async def readyz(request: web.Request) -> web.Response:
    """Ready: a leader is known, this host serves, and its state has caught up with what it knows
    committed."""
    status = port_of(request).status()
    reason = not_ready_reason(status)
    if reason is None:
        return ok({"ready": True, "host": status["host"], "leader": status["leader"]})
    return refuse(plain(503, "NotReady", reason, ready=False, host=status["host"]))


def not_ready_reason(status: dict[str, object]) -> str | None:
    """Why the host of this status should get no traffic now; None: it should."""
    if status.get("in_service") is False:
        reason = status.get("failure") or status.get("state")
        return f"the host took itself out of service: {reason}"
    if status.get("leader") is None:
        return "no leader is known"
    if status.get("ready") is False:
        return "the host is not ready: it starts, or its state is behind"
    return None


async def scrape(request: web.Request) -> web.Response:
    """The statistics of this host in the Prometheus text format."""
    text = metrics.exposition(request.app[metrics.REGISTRY])
    return web.Response(body=text, headers={"Content-Type": metrics.CONTENT_TYPE})


OPERATIONS = (
    Operation("GET", "/livez", livez, "The process is alive", open=True),
    Operation("GET", "/readyz", readyz, "The host can serve", open=True),
    Operation("GET", "/metrics", scrape, "Prometheus metrics", answer="text/plain"),
)
