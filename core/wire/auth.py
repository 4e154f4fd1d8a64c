"""How a host proves who it is: three ways, chosen once for a mesh.

The law of this file: pure, except that `MutualTls` names files which core/wire/tls.py reads. A
secret never appears in a text, a log line or a repr.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from pathlib import Path

from quorate.core.errors import ConfigError

SECRET_BYTES_MIN = 16


@dataclass(frozen=True, slots=True)
class NoAuth:
    """Nobody proves anything. Only for loopback."""


@dataclass(frozen=True, slots=True)
class SharedSecret:
    """All hosts of a cluster know one secret and prove it by HMAC-SHA256. Only for loopback,
    because what follows the proof is neither hidden nor signed.

    Raises ConfigError for a secret below 16 bytes.
    """

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) < SECRET_BYTES_MIN:
            raise ConfigError(
                f"the cluster secret has {len(self.secret)} bytes, at least {SECRET_BYTES_MIN} "
                "are needed: use secrets.token_bytes(32)"
            )


@dataclass(frozen=True, slots=True)
class MutualTls:
    """Both sides show a certificate signed by `ca` whose name (SAN DNS, else CN) is the host id."""

    cert: Path | str
    key: Path | str
    ca: Path | str


Auth = NoAuth | SharedSecret | MutualTls


def prove(auth: Auth, transcript: bytes) -> bytes:
    """The proof over everything both sides said; empty when there is nothing to prove with."""
    if isinstance(auth, SharedSecret):
        return hmac.new(auth.secret, transcript, hashlib.sha256).digest()
    return b""


def verify(auth: Auth, transcript: bytes, proof: bytes) -> bool:
    """Whether `proof` is right, in constant time."""
    return hmac.compare_digest(prove(auth, transcript), proof)
