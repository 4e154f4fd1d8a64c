"""Ports on loopback for hosts that are started and killed again on one machine.

The law of this file: a port lies below those that the kernel gives out by itself, so that neither
an outgoing connection nor a server on "any port" takes it before its host listens, or while its
host is down; a process gives no port twice before it has given all; two processes begin elsewhere.
"""

from __future__ import annotations

import itertools
import socket
from contextlib import suppress

from quorate.core.errors import ConfigError

PORT_FIRST, PORT_LAST = 15_000, 31_999
LOOPBACK = "127.0.0.1"

_next_port = itertools.count()


def free_ports(count: int) -> list[int]:
    """So many different ports of 127.0.0.1 that nobody listens on now. Raises ConfigError when
    there are fewer."""
    found: list[int] = []
    span = PORT_LAST - PORT_FIRST + 1
    for _ in range(span):
        if len(found) == count:
            return found
        port = PORT_FIRST + (START_AT + next(_next_port)) % span
        with socket.socket() as one, suppress(OSError):
            one.bind((LOOPBACK, port))
            found.append(port)
    raise ConfigError(f"{count} free ports between {PORT_FIRST} and {PORT_LAST} were not found")


def free_addresses(count: int) -> list[str]:
    """The same as `127.0.0.1:port`."""
    return [f"{LOOPBACK}:{port}" for port in free_ports(count)]


def _start_at() -> int:
    with socket.socket() as one:
        one.bind((LOOPBACK, 0))
        return int(one.getsockname()[1]) * 7919 % (PORT_LAST - PORT_FIRST + 1)


START_AT = _start_at()
