"""The logs of one store on one host: whoever opens a log of the same name shares its strands.

The law of this file: one host writes one strand of a log at a time, so what writes it exists once
however many `EventLog`s there are. What nobody uses is kept for a while, up to a limit.
"""

from __future__ import annotations

from collections import OrderedDict
from weakref import WeakValueDictionary

from quorate.consistency.events.event import check_log_name
from quorate.consistency.events.log import SNAPSHOT_EVERY_EVENTS, EventLog, LogParts
from quorate.consistency.events.port import LogPort

LOGS_KEPT = 10_000


class Logs:
    """`store.events(name)`."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, LogParts] = OrderedDict()
        self._used: WeakValueDictionary[str, LogParts] = WeakValueDictionary()

    def open(
        self,
        name: str,
        port: LogPort,
        *,
        consistency: str,
        snapshot_every: int = SNAPSHOT_EVERY_EVENTS,
    ) -> EventLog:
        """The log of this name; `port`: the store with the caller's defaults. Raises
        `UsageError`."""
        parts = self._used.get(check_log_name(name))
        if parts is None:
            parts = self._used[name] = LogParts(port, name)
        self._kept[name] = parts
        self._kept.move_to_end(name)
        if len(self._kept) > LOGS_KEPT:
            self._kept.popitem(last=False)
        return EventLog(
            port, name, parts=parts, consistency=consistency, snapshot_every=snapshot_every
        )

    def statistics(self) -> dict[str, object]:
        return {"open": len(self._used)}
