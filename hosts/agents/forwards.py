"""Where agents went that moved away from this host, and whose messages were handed on. Pure.

The law of this file: what came for an agent under an older epoch goes where it moved to from here,
for a while. A flush goes the same way even when the agent has moved on since or has come home:
something may still be on that way. It ends where the way does not lead to a later epoch.
"""

from __future__ import annotations


class Forward:
    """One agent's way on."""

    __slots__ = ("epoch", "host", "origins", "until")

    def __init__(self, host: str, epoch: int, until: float) -> None:
        self.host = host
        self.epoch = epoch
        """Of its binding to `host`."""
        self.until = until
        self.origins: dict[str, int] = {}
        """The hosts of which something was handed on, with the number of the last."""


class Forwards:
    """Of one host."""

    def __init__(self) -> None:
        self._by_name: dict[str, Forward] = {}

    def __bool__(self) -> bool:
        return bool(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def put(self, name: str, host: str, epoch: int, until: float) -> None:
        """The agent moved to `host`, under this epoch."""
        self._by_name[name] = Forward(host, epoch, until)

    def of_message(self, name: str, epoch: int, present_epoch: int) -> Forward | None:
        """The way of a message that came under `epoch`; None if the agent did not move away, or has
        had another place since. `present_epoch`: of its binding as known here; 0: it is dead."""
        found = self._by_name.get(name)
        if found is None or epoch > found.epoch or not 0 < present_epoch <= found.epoch:
            return None
        return found

    def of_flush(self, name: str, epoch: int) -> Forward | None:
        """The way of a flush that came by a way to `epoch` (0: from its sender)."""
        found = self._by_name.get(name)
        return found if found is not None and found.epoch > epoch else None

    def come_home(self, name: str) -> dict[str, int]:
        """The agent is here again: the hosts of which something may still be on its way here, with
        the number of the last."""
        found = self._by_name.get(name)
        if found is None:
            return {}
        origins, found.origins = found.origins, {}
        return origins

    def sweep(self, now: float) -> None:
        """Forget moves of long ago."""
        for name in [name for name, one in self._by_name.items() if one.until < now]:
            del self._by_name[name]
