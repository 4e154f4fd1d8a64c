"""What the storage tests share: engines behind one small driver, so one story runs over both."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from quorate.core.storage.disk_model import DiskModel
from quorate.core.storage.faults import NO_FAULTS, StorageFaults
from quorate.core.storage.lmdb_engine import LmdbEngine
from quorate.core.storage.memory_engine import MemoryEngine

TABLES = ("log", "meta")
TIMEOUT_S = 20.0


class VirtualTime:
    """A scheduler whose clock jumps; `run` goes on until nothing is planned."""

    def __init__(self) -> None:
        self.now = 0.0
        self._plan: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = count()

    def call_soon(self, callback: Callable[[], object]) -> object:
        return self.call_later(0.0, callback)

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Any:
        heapq.heappush(self._plan, (self.now + delay_s, next(self._numbers), callback))
        return None

    def step(self) -> bool:
        if not self._plan:
            return False
        self.now, _, callback = heapq.heappop(self._plan)
        callback()
        return True

    def run(self) -> None:
        while self.step():
            pass


class ThreadInbox:
    """An owning thread without a loop: `post` from anywhere, run here."""

    def __init__(self) -> None:
        self._inbox: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._soon: deque[Callable[[], object]] = deque()

    def post(self, callback: Callable[[], object]) -> None:
        self._inbox.put(callback)

    call_soon = post

    def run_until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            try:
                self._inbox.get(timeout=TIMEOUT_S)()
            except Empty:
                raise AssertionError("nothing happened for a long time") from None

    def run_ready(self) -> None:
        while not self._inbox.empty():
            self._inbox.get()()


class Bench:
    """One engine and the thread that owns it."""

    def __init__(self, engine: Any, run_until: Callable[[Callable[[], bool]], None]) -> None:
        self.engine = engine
        self.run_until = run_until

    def commit(self) -> Exception | None:
        """Commits and waits for the outcome."""
        heard: list[Exception | None] = []
        self.engine.commit(heard.append)
        self.run_until(lambda: bool(heard))
        return heard[0]

    def write(self, **records: bytes) -> Exception | None:
        """Puts name=value into the log and commits."""
        for name, value in records.items():
            self.engine.writer().put("log", name.encode(), value)
        return self.commit()


def lmdb_bench(path: Path, faults: StorageFaults = NO_FAULTS, **options: Any) -> Bench:
    inbox = ThreadInbox()
    options.setdefault("tables", TABLES)
    options.setdefault("format_version", 1)
    engine = LmdbEngine(path, post=inbox.post, faults=faults, **options)
    return Bench(engine, inbox.run_until)


def memory_bench(disk: DiskModel | None = None) -> Bench:
    time = VirtualTime()
    engine = MemoryEngine(TABLES, time, disk or DiskModel(random.Random(7)))

    def run_until(reached: Callable[[], bool]) -> None:
        while not reached():
            assert time.step(), "nothing is planned any more"

    return Bench(engine, run_until)
