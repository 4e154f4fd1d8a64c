"""Figures of the store on this machine: `python -m tests.storage.measure [folder] [megabytes to
export]`.

Not a test: it prints, and asserts nothing about time.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import lmdb
import uvloop

from quorate.core.storage.lmdb_engine import LmdbEngine
from quorate.core.storage.state_store import StateStore

TABLES = ("kv",)
RECORDS = 30_000


def median_us(samples: list[float]) -> str:
    ordered = sorted(samples)
    p50, p99 = ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
    return f"p50 {p50 * 1e6:.0f} us, p99 {p99 * 1e6:.0f} us"


def each_us(call: Callable[[], object], count: int) -> str:
    start = time.perf_counter()
    call()
    return f"{(time.perf_counter() - start) / count * 1e6:.2f} us each"


def opened(folder: Path) -> LmdbEngine:
    loop = asyncio.get_running_loop()
    return LmdbEngine(
        folder,
        tables=TABLES,
        post=loop.call_soon_threadsafe,
        call_later=loop.call_later,
        format_version=1,
    )


async def commits(folder: Path, count: int, *, busy_s: float, polled: bool) -> None:
    """Small commits one after another, beside bare ones taken in turn; the loop idle or busy."""
    engine, loop = opened(folder), asyncio.get_running_loop()
    bare_env = lmdb.open(str(folder) + "-bare", map_size=1 << 28, max_dbs=2, lib_version=0)
    bare_db = bare_env.open_db(b"kv")
    ours: list[float] = []
    bare: list[float] = []
    running = True

    def spin() -> None:
        until = time.perf_counter() + busy_s
        while time.perf_counter() < until:
            pass
        if polled:
            engine.poll()
        if running:
            loop.call_soon(spin)

    if busy_s:
        spin()
    for number in range(count):
        key, value = number.to_bytes(8, "big"), bytes(200)
        heard: asyncio.Future[Exception | None] = loop.create_future()
        start = time.perf_counter()
        writer = engine.writer()
        assert writer is not None
        writer.put("kv", key, value)
        engine.commit(heard.set_result)
        assert await heard is None
        ours.append(time.perf_counter() - start)
        if not busy_s:
            start = time.perf_counter()
            with bare_env.begin(write=True) as transaction:
                transaction.put(key, value, db=bare_db)
            bare.append(time.perf_counter() - start)
    running = False
    how = f"busy loop, turns of {busy_s * 1e6:.0f} us" if busy_s else "idle loop"
    print(f"commit round trip, {how}{', polled' if polled else ''}: {median_us(ours)}")
    if bare:
        print(f"  bare lmdb on this thread, in turn: {median_us(bare)}")
    bare_env.close()
    engine.close()


async def records(folder: Path) -> None:
    engine = opened(folder)
    keys = [b"users/%016x" % number for number in random.Random(1).sample(range(1 << 60), RECORDS)]
    writer = engine.writer()
    assert writer is not None
    into = writer
    print("writer.put:", each_us(lambda: [into.put("kv", k, bytes(100)) for k in keys], RECORDS))
    engine.commit_blocking()
    print("engine.get:", each_us(lambda: [engine.get("kv", k) for k in keys], RECORDS))
    print("engine.scan:", each_us(lambda: engine.scan("kv"), RECORDS))
    store = StateStore(engine, asyncio.get_running_loop(), tables=TABLES)
    print("store.put:", each_us(lambda: [store.put("kv", k, bytes(100)) for k in keys], RECORDS))
    print("store.get, overlay:", each_us(lambda: [store.get("kv", k) for k in keys], RECORDS))
    await flush(store)
    print("store.get, engine:", each_us(lambda: [store.get("kv", k) for k in keys], RECORDS))
    print("store.scan, 100 of it:", each_us(lambda: store.scan("kv", keys[0], limit=100), 1))
    engine.close()


async def flush(store: StateStore) -> None:
    loop = asyncio.get_running_loop()
    heard: asyncio.Future[Exception | None] = loop.create_future()
    gaps: list[float] = []
    last = start = time.perf_counter()

    def tick() -> None:
        nonlocal last
        now = time.perf_counter()
        gaps.append(now - last)
        last = now
        if not heard.done():
            loop.call_later(0.0005, tick)

    store.flush(heard.set_result)
    tick()
    assert await heard is None
    took_ms = (time.perf_counter() - start) * 1e3
    print(f"flush of {RECORDS} records: {took_ms:.0f} ms, longest gap {max(gaps) * 1e3:.1f} ms")


async def export(folder: Path, megabytes: int) -> None:
    engine, loop = opened(folder), asyncio.get_running_loop()
    for number in range(megabytes):
        writer = engine.writer()
        assert writer is not None
        for part in range(16):
            writer.put("kv", (16 * number + part).to_bytes(8, "big"), bytes(64_000))
        engine.commit_blocking()
    heard: asyncio.Future[Exception | None] = loop.create_future()
    start = time.perf_counter()
    engine.copy_to(folder / "copy", heard.set_result)
    assert await heard is None
    took_s = time.perf_counter() - start
    size = (folder / "copy").stat().st_size / 1e6
    print(f"copy of {size:.0f} MB, synced: {took_s:.2f} s, {size / took_s:.0f} MB/s")
    engine.close()


async def main(folder: Path, megabytes: int) -> None:
    await commits(folder / "1", 1000, busy_s=0, polled=False)
    await commits(folder / "2", 500, busy_s=0.0003, polled=False)
    await commits(folder / "3", 500, busy_s=0.0003, polled=True)
    await commits(folder / "4", 500, busy_s=0.00005, polled=True)
    await records(folder / "5")
    if megabytes:
        await export(folder / "6", megabytes)


if __name__ == "__main__":
    place = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.gettempdir()) / "measure-storage"
    shutil.rmtree(place, ignore_errors=True)
    sys.setswitchinterval(0.0005)
    try:
        uvloop.run(main(place, int(sys.argv[2]) if len(sys.argv) > 2 else 0))
    finally:
        shutil.rmtree(place, ignore_errors=True)
