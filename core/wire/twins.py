"""A second connection with an id we already have: the same process, a restart, or a twin? Pure.

The same process (same boot) that dials again replaces its own older connection. Another process is
let in once the old connection is dead: its end was seen, or nothing came on it for a while (pings
come every second). While the old one may still be alive the newcomer is told to try again; when
the old one speaks after that, two processes run with one id, and the newcomer is told so.
"""

from __future__ import annotations

from typing import Final

from quorate.core.wire.handshake import Code, Established, Refusal

SPLIT_TICKS: Final = 5
"""For so many ping intervals the two directions may lead to different processes (a restart)."""


def decide(
    *,
    boot: bytes,
    sequence: int,
    heard_s_ago: float,
    twin_boot: bytes,
    newcomer: Established,
    twin_silence_s: float,
) -> Refusal | None:
    """None to replace the present connection (`boot`, `sequence`), else why not."""
    if newcomer.boot == boot:
        if newcomer.sequence > sequence:
            return None
        return Refusal(Code.STALE, "a newer connection of this process exists already")
    if heard_s_ago > twin_silence_s:
        return None
    name = newcomer.host_id
    if newcomer.boot == twin_boot:
        return Refusal(
            Code.DUPLICATE, f"two processes run with the host id {name!r}: stop one of them"
        )
    return Refusal(
        Code.BUSY, f"another connection of host {name!r} is not dead yet: try again soon"
    )
