"""One host that updates its stores, as a process: `python -m tests.live.store_worker '{...}'`.

It says on standard output what was acknowledged, a line at a time and at once; the parent keeps the
record, so that a kill -9 here takes no evidence with it. Orders come on standard input: `load`,
`halt`, `dump`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from quorate import Host
from quorate.core.errors import QuorateError

WRITERS = 8
STORE = "proof"


def tell(kind: str, **parts: Any) -> None:
    os.write(1, (json.dumps({"kind": kind, **parts}) + "\n").encode())


class Worker:
    """The load on one host: every writer has keys of its own, all share a counter and a set."""

    def __init__(self, host: Host, run: int) -> None:
        self.host = host
        self.run = run
        self.store = host.store(STORE, replicas=3)
        self.loading = False

    async def writer(self, number: int) -> None:
        likes, tags = self.store.pn_counter("likes"), self.store.or_set("tags")
        made = 0
        while True:
            if not self.loading:
                await asyncio.sleep(0.02)
                continue
            made += 1
            key = f"{self.host.id}/{self.run}/{number}/{made}"
            try:
                if made % 8 == 0:
                    tell("trying", counter=1)
                    await likes.increment(1, timeout=5)
                    tell("counted", counter=1)
                elif made % 8 == 1:
                    await tags.add(key, timeout=5)
                    tell("added", key=key)
                else:
                    k = 2 if made % 8 == 2 else 1
                    receipt = await self.store.put(key, made, wait_for=k, timeout=5)
                    tell("held" if k == 2 else "acked", key=key, held=list(receipt.replicas))
            except QuorateError as error:
                tell("error", error=type(error).__name__, outcome=error.outcome)
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.002)

    async def dump(self) -> None:
        replica = self.host.stores.replica
        replica.settle()
        tell(
            "dump",
            keys=[key for key in replica.keys(STORE) if "/" in key],
            likes=await self.store.pn_counter("likes").value(),
            tags=await self.store.or_set("tags").value(),
            root=replica.tree(STORE).root(),
            actor=replica.actor,
        )


async def main(parts: dict[str, Any]) -> None:
    async with Host(**parts["host"]) as host:
        await host.ready(20)
        worker = Worker(host, parts["run"])
        writers = [asyncio.create_task(worker.writer(n)) for n in range(WRITERS)]
        tell("ready")
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
        )
        while line := (await reader.readline()).decode().strip():
            if line == "dump":
                await worker.dump()
            else:
                worker.loading = line == "load"
        for task in writers:
            task.cancel()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
