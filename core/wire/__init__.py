"""The wire: authenticated, bounded, measured connections between the hosts of a cluster."""

from quorate.core.wire.auth import Auth, MutualTls, NoAuth, SharedSecret
from quorate.core.wire.frames import ProtocolError
from quorate.core.wire.limits import Lane, WireLimits
from quorate.core.wire.mesh import Mesh

__all__ = [
    "Auth",
    "Lane",
    "Mesh",
    "MutualTls",
    "NoAuth",
    "ProtocolError",
    "SharedSecret",
    "WireLimits",
]
