"""What every request passes: who may ask, how long it may take, and how an error is told.

The law of this file: nothing but `/livez` and `/readyz` is answered without the token when there is
one; a browser page of another origin is never answered; every call ends by its deadline; an
exception becomes a problem with `outcome`, and an unexpected one says `unknown` for a call that may
have changed something.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from quorate.core.errors import OutcomeUnknown, QuorateError, Timeout, Unavailable
from quorate.hosts.admin.answers import refuse
from quorate.hosts.admin.asked import PORT, timeout_s
from quorate.hosts.admin.operation import Operation
from quorate.hosts.admin.port import AdminPort
from quorate.hosts.admin.problems import plain, problem

log = logging.getLogger("quorate.admin")

GRACE_S = 0.5
"""The host's own deadline comes first, with the better error; this is how much later the gate gives
up."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

Next = Callable[[web.Request], Awaitable[web.StreamResponse]]


def is_loopback(host: str) -> bool:
    """Whether an address or host name is this machine's loopback."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def without_port(host: str) -> str:
    """`127.0.0.1:7501` -> `127.0.0.1`. Never raises: a stranger wrote it."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() and not host.endswith("]") else host


def guard(token: str | None, operations: Mapping[str, Operation]) -> Any:
    """The middleware. `operations`: by route name."""

    @web.middleware
    async def gate(request: web.Request, handler: Next) -> web.StreamResponse:
        operation = operations.get(request.match_info.route.name or "")
        refused = _stranger(request, token, operation)
        if refused is not None:
            return refused
        try:
            if operation is None or operation.stream:
                return await handler(request)
            async with asyncio.timeout(timeout_s(request) + GRACE_S):
                return await handler(request)
        except web.HTTPException as error:
            return _http_problem(error)
        except QuorateError as error:
            return refuse(problem(error, _leader_hint(request.app[PORT], error)))
        except TimeoutError:
            return refuse(problem(_late(request)))
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            outcome = "not_applied" if request.method in SAFE else "unknown"
            detail = "an unexpected error on this host; its log says more"
            return refuse({**plain(500, "InternalError", detail), "outcome": outcome})

    return gate


def _stranger(
    request: web.Request, token: str | None, operation: Operation | None
) -> web.Response | None:
    """A refusal for who may not ask; None for who may."""
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != request.host:
        return refuse(plain(403, "ForeignOrigin", f"requests of pages of {origin} are refused"))
    if token is None:
        if not is_loopback(without_port(request.host)):
            return refuse(
                plain(403, "ForeignHost", "without a token only loopback names are served")
            )
        return None
    if operation is not None and operation.open:
        return None
    given = request.headers.get("Authorization", "")
    if hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        return None
    text = "this host wants Authorization: Bearer and its token"
    return refuse(plain(401, "Unauthorized", text), {"WWW-Authenticate": "Bearer"})


def _late(request: web.Request) -> QuorateError:
    if request.method in SAFE:
        return Timeout(f"{request.method} {request.path}: no answer by the deadline")
    return OutcomeUnknown(f"{request.method} {request.path}: no answer by the deadline")


def _http_problem(error: web.HTTPException) -> web.Response:
    if error.status < 400:
        raise error
    allow = error.headers.get("Allow")
    more = {"Allow": allow} if allow else None
    name = "".join(word.capitalize() for word in error.reason.split())
    detail = f"methods of this resource: {allow}" if allow else f"{error.status}: {error.reason}"
    return refuse(plain(error.status, name, detail), more)


def _leader_hint(port: AdminPort, error: QuorateError) -> dict[str, Any] | None:
    """Where to try instead: the leader this host knows, with its admin address when that is known
    too."""
    if not isinstance(error, Unavailable):
        return None
    leader = error.leader or port.status().get("leader")
    if leader is None:
        return None
    hint: dict[str, Any] = {"host": leader}
    admin = port.admin_address_of(leader)
    return {**hint, "admin": admin} if admin else hint
