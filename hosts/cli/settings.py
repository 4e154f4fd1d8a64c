"""`quorate host`: options and the settings file as one set of values. Options win over the file.

The law of this file: it only gathers; what a value may be is decided by `hosts/config.py`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from quorate.core.errors import ConfigError
from quorate.hosts.config import load_toml

PLAIN = ("id", "data", "listen", "cluster", "secret", "admin")
TLS = {"tls_cert": "certificate", "tls_key": "key", "tls_ca": "authority"}


def gather(args: argparse.Namespace) -> dict[str, Any]:
    """`id`, `data` and the keywords of a host. Raises `ConfigError`."""
    values = load_toml(args.config) if args.config else {}
    for name in PLAIN:
        given = getattr(args, name)
        if given is not None:
            values[name] = given
    if args.join:
        values["join"] = True
    if args.secret_file:
        values["secret"] = read_secret(args.secret_file)
    if args.admin_token_file:
        values["admin_token"] = read_secret(args.admin_token_file)
    tls = {name: getattr(args, option) for option, name in TLS.items()}
    if any(tls.values()):
        values["tls"] = {name: path for name, path in tls.items() if path}
    if args.agents:
        values["agents"] = args.agents
    if args.label:
        values["labels"] = dict(label(text) for text in args.label)
    if args.peer:
        values["peers"] = dict(peer(text) for text in args.peer)
    for name in ("id", "data"):
        if not values.get(name):
            raise ConfigError(f"a host needs --{name} (or {name} in the --config file)")
    _count_itself(values)
    return values


def _count_itself(values: dict[str, Any]) -> None:
    """`peers` names the hosts of the new cluster, this one included; on the command line it may be
    left out."""
    peers = values.get("peers")
    if isinstance(peers, dict) and peers and values["id"] not in peers and not values.get("join"):
        if "listen" not in values:
            raise ConfigError("with --peer a host needs --listen too: it is its own address")
        peers[values["id"]] = values["listen"]


def label(text: str) -> tuple[str, str]:
    """`zone=north` as a pair."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ConfigError(f"--label {text!r}: want name=value, for example zone=north")
    return name, value


def peer(text: str) -> tuple[str, str]:
    """`b=127.0.0.1:7402` as a pair."""
    name, equals, address = text.partition("=")
    if not (name and equals and address):
        raise ConfigError(f"--peer {text!r}: want id=host:port, for example b=127.0.0.1:7402")
    return name, address


def read_secret(path: str) -> str:
    """The text of a secret file without the line end. Raises `ConfigError`."""
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the secret file {path} cannot be read: {error}") from error
    if not text:
        raise ConfigError(f"the secret file {path} is empty")
    return text
