"""What a mesh says of itself: the reachability matrix row of this host, and its counters. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from quorate.core.wire.reception import Peer
from quorate.core.wire.shared import Counters


def reachability(peers: Mapping[str, Peer], now_s: float) -> dict[str, dict[str, object]]:
    """See `Mesh.reachability`."""

    def age(at_s: float | None) -> float | None:
        return None if at_s is None else round(now_s - at_s, 3)

    result: dict[str, dict[str, object]] = {}
    for peer, state in peers.items():
        reach = state.link.reach
        result[peer] = {
            "connected": state.link.up,
            "inbound": state.inbound is not None,
            "rtt_ms": None if reach.rtt_s is None else round(reach.rtt_s * 1000, 3),
            "rtt_age_s": age(reach.rtt_at_s),
            "acknowledged_s": age(reach.acknowledged_at_s),
            "last_heard_s": age(state.heard_at_s()),
            "address": state.link.address,
            "problem": state.problem or state.link.problem,
        }
    return result


def statistics(
    peers: Mapping[str, Peer], counters: Counters, strangers: Collection[object]
) -> dict[str, object]:
    """See `Mesh.statistics`."""
    return {
        **counters.statistics(),
        "strangers": len(strangers),
        "links": {peer: state.link.statistics() for peer, state in peers.items()},
        "heard": {peer: state.heard() for peer, state in peers.items()},
        "inbound": {
            peer: state.inbound.statistics()
            for peer, state in peers.items()
            if state.inbound is not None
        },
    }
