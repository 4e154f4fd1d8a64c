"""quorate's stores under what a network does: three host processes whose links can be delayed or
cut, and orders that time single calls instead of loads.

The law of this file: the hosts run with their defaults, and are led to proxies by the setting
`dial` alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from quorate.bench.delays import DelayedLinks
from quorate.bench.systems.base import HOSTS
from quorate.bench.systems.store_group import StoreGroup
from quorate.core.wire.ports import free_addresses


class ProbeGroup(StoreGroup):
    """`relayed`: the links can be cut; `delayed`: they can be made slow."""

    module: ClassVar[str] = "quorate.bench.probe_worker"

    def __init__(
        self, hosts: tuple[str, ...] = HOSTS, *, relayed: bool = False, delayed: bool = False
    ) -> None:
        super().__init__(hosts, relayed=relayed)
        self.delays: DelayedLinks | None = None
        self._delayed = delayed

    async def start(self, folder: Path) -> None:
        if self._delayed:
            self.peers = dict(zip(self.hosts, free_addresses(len(self.hosts)), strict=True))
            self.delays = DelayedLinks(self.peers)
            await self.delays.start()
        await super().start(folder)

    def more_settings(self, host: str) -> dict[str, Any]:
        if self.delays is not None:
            return {"dial": self.delays.dial(host)}
        return super().more_settings(host)

    async def stop(self) -> None:
        await super().stop()
        if self.delays is not None:
            await self.delays.close()
