"""The admin server of one host: the operations of all resources behind the gate, on one listening
socket.

The law of this file: beyond loopback there is no server without a token. Closing it ends open
watches first, so that a host stops at once.
"""

from __future__ import annotations

import asyncio
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version

from aiohttp import web

from quorate.core.errors import ConfigError
from quorate.hosts.admin import (
    agents,
    asked,
    cluster,
    health,
    kv,
    members,
    metrics,
    openapi,
    registry,
    snapshots,
    stores,
    watch,
)
from quorate.hosts.admin.answers import ok
from quorate.hosts.admin.gate import guard, is_loopback
from quorate.hosts.admin.operation import Operation
from quorate.hosts.admin.port import AdminPort

SHUTDOWN_S = 1.0
KEEPALIVE_S = 75.0
HEADER_BYTES_MAX = 16 << 10


def version() -> str:
    try:
        return package_version("quorate")
    except PackageNotFoundError:
        return "0"


async def page(request: web.Request) -> web.Response:
    """The description of this API, made from the same list as its routes."""
    return ok(openapi.document(OPERATIONS, version()))


OPERATIONS: tuple[Operation, ...] = (
    *health.OPERATIONS,
    *cluster.OPERATIONS,
    *members.OPERATIONS,
    *kv.OPERATIONS,
    *watch.OPERATIONS,
    *registry.OPERATIONS,
    *stores.OPERATIONS,
    *agents.OPERATIONS,
    *snapshots.OPERATIONS,
    Operation("GET", "/v1/openapi.json", page, "This description"),
)


def application(port: AdminPort, token: str | None) -> web.Application:
    """All routes behind the gate; no socket yet."""
    named = {operation.identifier: operation for operation in OPERATIONS}
    app = web.Application(middlewares=[guard(token, named)], client_max_size=asked.BODY_BYTES_MAX)
    app[asked.PORT] = port
    app[metrics.REGISTRY] = metrics.registry(port)
    app[watch.OPEN] = set()
    for operation in OPERATIONS:
        path = operation.path.replace("+}", ":.+}")
        app.router.add_route(operation.method, path, operation.handler, name=operation.identifier)
    return app


class AdminServer:
    """A running admin API. `address` is where it listens, with the port that was really taken."""

    def __init__(self, runner: web.AppRunner, app: web.Application, address: str) -> None:
        self._runner = runner
        self._app = app
        self.address = address

    async def close(self) -> None:
        """End the open watches, then the server."""
        for task in list(self._app[watch.OPEN]):
            task.cancel()
        await self._runner.cleanup()

    def statistics(self) -> dict[str, object]:
        return {"watches": len(self._app[watch.OPEN])}


def split_address(address: str) -> tuple[str, int]:
    """`host:port` (or `[v6]:port`) as a pair. Raises `ConfigError`."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"admin address {address!r}: want host:port, for example 127.0.0.1:7501")
    return host.strip("[]"), int(port)


async def start_server(port: AdminPort, address: str, token: str | None) -> AdminServer:
    """Serve `port` at `address` (port 0: any free one).

    Raises `ConfigError` for an address that cannot be used, and for one beyond loopback without a
    token.
    """
    host, number = split_address(address)
    if token is None and not is_loopback(host):
        raise ConfigError(
            f"admin address {address!r} is beyond loopback and there is no token: "
            "give one (--admin-token-file), or listen on 127.0.0.1"
        )
    if token is not None and (len(token) < 16 or not token.isprintable() or " " in token):
        raise ConfigError("the admin token must be at least 16 printable characters, no spaces")
    app = application(port, token)
    runner = web.AppRunner(
        app,
        access_log=None,
        handle_signals=False,
        shutdown_timeout=SHUTDOWN_S,
        keepalive_timeout=KEEPALIVE_S,
        max_line_size=HEADER_BYTES_MAX,
        max_field_size=HEADER_BYTES_MAX,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, number).start()
    except (OSError, asyncio.CancelledError) as error:
        await runner.cleanup()
        if isinstance(error, OSError):
            raise ConfigError(f"admin address {address!r} cannot be used: {error}") from error
        raise
    taken = runner.addresses[0]
    shown = f"[{taken[0]}]" if ":" in str(taken[0]) else str(taken[0])
    return AdminServer(runner, app, f"{shown}:{taken[1]}")
