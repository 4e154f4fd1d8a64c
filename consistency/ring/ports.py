"""What moving data asks of the replica: what an exchange asks, and a little more.

The law of this file: types only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, cast

from quorate.consistency.merkle.ports import Data
from quorate.consistency.ring.placement import Ring
from quorate.core.errors import UsageError


class Movable(Data, Protocol):
    """A store replica as the mover sees it."""

    @property
    def ring(self) -> Ring | None:
        """The last ring it went by, also before this host started; older ones are not believed."""
        ...

    @property
    def busy(self) -> bool:
        """So much changes that a periodic exchange should wait, if it can."""
        ...

    def buried(self) -> Mapping[int, int]:
        """Actors of folders that are gone, with the highest sequence that anybody has; only those
        of which this host has less."""
        ...

    def advance(self, vector: Mapping[int, int], done: Callable[[], None]) -> None:
        """Everything up to here that concerns this host is here: an exchange has shown it."""
        ...

    def forget(self, store: str, partition: int, done: Callable[[], None]) -> None:
        """Drop what is here of a partition that others own; `done` when it is gone."""
        ...

    def unpushed(self, host: str) -> int:
        """How many bytes of own updates the host lacks that concern it; 0 when it has all."""
        ...

    def refuse_updates(self, *, refuse: bool) -> None:
        """Make no update of its own from now on, because others have taken over; or do again."""
        ...


class HostReport(NamedTuple):
    """What a host tells the steward, every second or when it changes."""

    epoch: int
    """The ring it knows."""
    ready: bool
    """It has everything that it gained under that ring."""
    leaving: bool
    """It asks to be taken out of the ring."""

    def to_plain(self) -> dict[str, Any]:
        return self._asdict()

    @classmethod
    def from_plain(cls, plain: Any) -> HostReport:
        """Read a report. Raises UsageError for anything else."""
        if not isinstance(plain, dict):
            raise UsageError("a host's report is a map")
        fields = cast("dict[str, object]", plain)
        epoch, ready, leaving = (fields.get(name) for name in cls._fields)
        if type(epoch) is not int or epoch < 0 or type(ready) is not bool:
            raise UsageError("a host's report needs an epoch and whether it is ready")
        if type(leaving) is not bool:
            raise UsageError("a host's report says whether the host is leaving")
        return cls(epoch, ready, leaving)
