"""The admin API: one host over HTTP, one file per resource.

`start_admin(host, address, token)` is the door for the host. The rest is imported from its files,
so that the command does not load a server to ask one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quorate.hosts.admin.binding import Admin
    from quorate.hosts.host import Host


async def start_admin(host: Host, address: str, token: str | None) -> Admin:
    """Serve `host` at `address`; the result has `.address` and `close()`. Raises `ConfigError`."""
    from quorate.hosts.admin.binding import start_admin as start

    return await start(host, address, token)
