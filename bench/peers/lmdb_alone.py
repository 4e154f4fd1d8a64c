"""py-lmdb with nothing around it, in a process of its own: what the disk's own library does here.

The law of this file: plain calls in a plain loop, no event loop, no network, no other copy. One
read is one read transaction with one `get`; a synced write is a commit of `per_commit` values; an
increment reads and writes in the same commit. Values are bytes, not decoded.

Run by the harness: `python -m quorate.bench.peers.lmdb_alone '{"data"}'`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from array import array
from collections.abc import Callable
from typing import Any

import lmdb

from quorate.bench.histogram import Histogram
from quorate.bench.lines import Order, obey
from quorate.bench.load import Load

MAP_BYTES = 256 * 1024 * 1024
READS_PER_LOOK = 64


class Alone:
    """One environment."""

    def __init__(self, folder: str) -> None:
        os.makedirs(folder)
        self.env: Any = lmdb.open(folder, map_size=MAP_BYTES)

    async def load(self, order: Order) -> dict[str, Any]:
        """Run `op` (get, put, increment) for so long, in a thread so that orders are heard."""
        return (await asyncio.to_thread(self._load, order)).to_json()

    def _load(self, order: Order) -> Load:
        keys = [b"key/%07d" % n for n in range(order["keys"])]
        value = os.urandom(order["value_bytes"])
        with self.env.begin(write=True) as transaction:
            for key in keys:
                transaction.put(key, (0).to_bytes(8) if order["op"] == "increment" else value)
        step = self._step(order["op"], keys, value, order["per_commit"])
        self._run(step, order["warmup_s"], array("q"))
        samples = array("q")
        ops, window_s = self._run(step, order["seconds"], samples)
        return Load(ops, 0, window_s, Histogram.of(samples))

    def _step(self, op: str, keys: list[bytes], value: bytes, per_commit: int) -> Callable[[], int]:
        env, count = self.env, len(keys)
        at = 0

        def get() -> int:
            nonlocal at
            for n in range(at, at + READS_PER_LOOK):
                with env.begin() as transaction:
                    transaction.get(keys[n % count])
            at += READS_PER_LOOK
            return READS_PER_LOOK

        def put() -> int:
            nonlocal at
            with env.begin(write=True) as transaction:
                for n in range(at, at + per_commit):
                    transaction.put(keys[n % count], value)
            at += per_commit
            return per_commit

        def increment() -> int:
            nonlocal at
            with env.begin(write=True) as transaction:
                for n in range(at, at + per_commit):
                    key = keys[n % count]
                    old = int.from_bytes(transaction.get(key) or b"")
                    transaction.put(key, (old + 1).to_bytes(8))
            at += per_commit
            return per_commit

        return {"get": get, "put": put, "increment": increment}[op]

    def _run(
        self, step: Callable[[], int], seconds: float, samples: array[int]
    ) -> tuple[int, float]:
        began = now = time.perf_counter_ns()
        until = began + int(seconds * 1e9)
        ops = 0
        while now < until:
            started = now
            done = step()
            now = time.perf_counter_ns()
            ops += done
            samples.append((now - started) // (done if done == READS_PER_LOOK else 1))
        return ops, (now - began) / 1e9


async def serve(settings: dict[str, Any]) -> None:
    await obey({"load": Alone(settings["data"]).load}, {})


if __name__ == "__main__":
    asyncio.run(serve(json.loads(sys.argv[1])))
