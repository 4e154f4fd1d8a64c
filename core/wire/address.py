"""Addresses: "host:port" texts, and whether one stays on this machine. Pure."""

from __future__ import annotations

from ipaddress import ip_address

from quorate.core.errors import ConfigError


def parse(text: str) -> tuple[str, int]:
    """("host", port) of "host:port" or "[v6]:port". Raises ConfigError."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f'{text!r} is not an address: write "host:port", as "127.0.0.1:7401"')
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ConfigError(f'{text!r}: an IPv6 address goes in brackets, as "[::1]:7401"')
    return host, int(port)


def join(host: str, port: int) -> str:
    """The text of an address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_numeric(host: str) -> bool:
    """Whether `host` needs no resolver."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether a numeric address, or the name localhost, never leaves this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
