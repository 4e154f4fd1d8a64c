"""Opening a TCP connection: resolve, connect, prepare the socket. IO only.

A resolver that hangs is asked once and not again until it answers, so that a bad name never fills
the loop's threads.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from quorate.core.wire import address as addresses

if TYPE_CHECKING:
    from quorate.core.wire.shared import Shared

NOT_SENT_BYTES: Final = 128 * 1024
"""What the kernel may hold unsent: there an urgent message cannot overtake any more."""

Target = tuple[int, str, int]
"""(address family, numeric host, port)"""


class Resolver:
    """Names to numbers, one question at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._asked: tuple[str, asyncio.Future[list[Any]]] | None = None

    async def resolve(self, host: str, port: int) -> list[Target]:
        """Every numeric address of `host`. Raises OSError when there is none."""
        if addresses.is_numeric(host):
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            return [(family, host, port)]
        if self._asked is None or self._asked[0] != host or self._asked[1].done():
            question = self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            future = asyncio.ensure_future(question, loop=self._loop)
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._asked = (host, future)
        try:
            found = await asyncio.shield(self._asked[1])
        except (OSError, UnicodeError) as error:
            raise OSError(f"the name {host!r} does not resolve: {error}") from error
        return [(int(info[0]), str(info[4][0]), port) for info in found]

    async def close(self) -> None:
        """Give up the question that may still be open."""
        if self._asked is not None:
            self._asked[1].cancel()
            await asyncio.gather(self._asked[1], return_exceptions=True)


async def connect(
    address: str, resolver: Resolver, protocol: asyncio.Protocol, shared: Shared
) -> None:
    """Connect `protocol` to the first address that answers. Raises OSError."""
    host, port = addresses.parse(address)
    targets = await resolver.resolve(host, port)
    failure: OSError | None = None
    for family, numeric, port in targets:
        if shared.client_tls is None and not addresses.is_loopback(numeric):
            failure = OSError(
                "it is beyond loopback, and there is no TLS: give the host auth=MutualTls"
            )
            continue
        try:
            await _connect_one((family, numeric, port), protocol, shared)
        except OSError as error:
            failure = error
        else:
            return
    raise failure or OSError("the name has no address")


async def _connect_one(target: Target, protocol: asyncio.Protocol, shared: Shared) -> None:
    family, numeric, port = target
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        prepare(sock)
        await shared.loop.sock_connect(sock, (numeric, port))
        if sock.getsockname() == sock.getpeername():
            raise OSError("nobody listens there (the kernel connected the port to itself)")
    except BaseException:
        sock.close()
        raise
    # From here on the transport owns the socket.
    tls: ssl.SSLContext | None = shared.client_tls
    if tls is None:
        await shared.loop.create_connection(lambda: protocol, sock=sock)
    else:
        await shared.loop.create_connection(
            lambda: protocol,
            sock=sock,
            ssl=tls,
            server_hostname="",
            ssl_handshake_timeout=shared.limits.handshake_deadline_s,
        )


def prepare(sock: socket.socket) -> None:
    """Small messages leave at once, and the kernel does not hoard."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with suppress(OSError, AttributeError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOT_SENT_BYTES)
