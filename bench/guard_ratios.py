"""Processor time of a strong write beside that of bare PySyncObj and of py-lmdb, in one process.

The law of this file: what is compared runs in turn, a few milliseconds each, many times, so that a
machine that is slow for a while is slow for all; the figure is the median of the rounds' ratios. It
measures and judges nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb
from pysyncobj import SyncObjConf  # pyright: ignore[reportUnknownVariableType]

from quorate.bench.figures import median
from quorate.bench.guard_count import VALUE
from quorate.bench.guard_group import CountedGroup
from quorate.bench.peers.pysyncobj_host import Store
from quorate.bench.virtual_loop import VirtualLoop
from quorate.core.wire.ports import free_addresses

ROUNDS = 24
AT_ONCE = 64
WAVES = 3
LMDB_COMMITS = 12
LMDB_PUTS = 200
READY_WITHIN_S = 20.0
WAVE_WITHIN_S = 20.0
PATIENCE_S = 600.0
MAP_BYTES = 64 * 1024 * 1024
PROBE_CALLS = 100
PROBE_BYTES = 32 * 1024
CALIBRATION_ROUNDS = 12


class BareGroup:
    """Three PySyncObj nodes in this process, ticked by hand; in memory, sockets on loopback."""

    def __init__(self) -> None:
        addresses = free_addresses(3)
        self._conf: Any = SyncObjConf(autoTick=False, appendEntriesUseBatch=False)
        self._stores: list[Any] = [
            Store(own, [other for other in addresses if other != own], self._conf)
            for own in addresses
        ]
        self._leader: Any = None
        until = time.monotonic() + READY_WITHIN_S
        while self._leader is None or not all(store.isReady() for store in self._stores):
            self._tick()
            address = next((str(s._getLeader()) for s in self._stores if s._getLeader()), "")
            self._leader = next(
                (s for s in self._stores if str(s.selfNode) == address and s._isLeader()), None
            )
            if time.monotonic() > until:
                raise TimeoutError("bare PySyncObj has no leader")
        self._conf.raftMinTimeout, self._conf.raftMaxTimeout = PATIENCE_S, 2 * PATIENCE_S
        self._conf.connectionTimeout = PATIENCE_S  # nobody ticks while others are measured

    def _tick(self) -> None:
        for store in self._stores:
            store.doTick(0.0)

    def wave(self, writes: int) -> None:
        """So many commands at once, until all are committed. Raises `TimeoutError`."""
        left = writes
        until = time.monotonic() + WAVE_WITHIN_S

        def done(result: object, error: int) -> None:
            nonlocal left
            left -= 1

        for n in range(writes):
            self._leader.put(f"key/{n}", VALUE, callback=done)
        while left > 0:
            self._tick()
            if time.monotonic() > until:
                raise TimeoutError(f"bare PySyncObj left {left} commands undone")

    def stop(self) -> None:
        for store in self._stores:
            store.destroy()


def ratios(extra_percent: float = 0.0) -> dict[str, float]:
    """Figure -> processor time of a strong write of ours over that of the peer. `extra_percent`:
    so much more work in C with each proposal, the planted slow-down. Raises `TimeoutError`."""
    loop = VirtualLoop()
    folder = Path(tempfile.mkdtemp(prefix="quorate-guard-"))
    bare: BareGroup | None = None
    try:
        bare = BareGroup()
        env: Any = lmdb.open(str(folder), map_size=MAP_BYTES, sync=False)
        try:
            return loop.run_until_complete(_ratios(loop, bare, env, extra_percent))
        finally:
            env.close()
    finally:
        if bare is not None:
            bare.stop()
        loop.close()
        shutil.rmtree(folder, ignore_errors=True)


async def _ratios(
    loop: asyncio.AbstractEventLoop, bare: BareGroup, env: Any, extra_percent: float
) -> dict[str, float]:
    group = CountedGroup(loop)
    try:
        leader = await group.start()

        async def ours() -> float:
            began = time.process_time()
            for _ in range(WAVES):
                await group.wave(leader, AT_ONCE, VALUE)
            return (time.process_time() - began) / (WAVES * AT_ONCE)

        plain_s = median([await ours() for _ in range(CALIBRATION_ROUNDS)])
        bare.wave(AT_ONCE)
        if extra_percent:
            group.extra = work_in_c(plain_s * extra_percent / 100)
        beside: dict[str, list[float]] = {"bare PySyncObj": [], "py-lmdb": []}
        for _ in range(ROUNDS):
            before, alone, plain = await ours(), _lmdb(env), _bare(bare)
            own = (before + await ours()) / 2
            beside["bare PySyncObj"].append(own / plain)
            beside["py-lmdb"].append(own / alone)
        return {f"processor time beside {name}": round(median(v), 3) for name, v in beside.items()}
    finally:
        group.stop()


def _bare(bare: BareGroup) -> float:
    began = time.process_time()
    for _ in range(WAVES):
        bare.wave(AT_ONCE)
    return (time.process_time() - began) / (WAVES * AT_ONCE)


def _lmdb(env: Any) -> float:
    began = time.process_time()
    for _ in range(LMDB_COMMITS):
        with env.begin(write=True) as transaction:
            for n in range(LMDB_PUTS):
                transaction.put(b"key/%07d" % n, VALUE)
    return (time.process_time() - began) / (LMDB_COMMITS * LMDB_PUTS)


def work_in_c(seconds: float) -> Callable[[], object]:
    """A call that takes about so much processor time inside C."""
    block = bytes(PROBE_BYTES)
    began = time.process_time()
    for _ in range(PROBE_CALLS):
        hashlib.sha256(block)
    per_byte_s = (time.process_time() - began) / (PROBE_CALLS * len(block))
    data = bytes(max(1, int(seconds / per_byte_s)))
    return lambda: hashlib.sha256(data)
