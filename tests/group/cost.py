"""What one call costs above the driver: `python -m tests.group.cost [--profile]`.

1024 callers in flight on one loop; the driver answers in the next turn and its own time is taken
off. Includes the caller's coroutine, encoding, the batch, the futures and the receipt."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any

from quorate.core import codec
from quorate.core.clock import SystemClock, fresh_random
from quorate.core.group.bindings import Bindings
from quorate.core.group.group import Group
from quorate.core.group.kv import KV
from quorate.core.machine.dict_store import DictStore
from quorate.core.machine.machine import Machine

CALLERS = 1024
PUTS_EACH = 100


class InstantDriver:
    """Answers every batch in the next turn, and measures itself."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.own_s = 0.0
        self.batches = 0
        self.index = 0
        self.group: Group

    def submit(self, batch: bytes, on_refused: Callable[[Any], None]) -> None:
        began = time.process_time()
        _version, session, _ack_low, commands = codec.loads(batch)
        self.batches += 1
        self.index += 1
        results = [(session, command[0], [self.index, 1, 1]) for command in commands]
        self.loop.call_soon(self.group.on_applied, self.index, 1, results)
        self.own_s += time.process_time() - began

    def read_index(self, done: Callable[[int | None, Any], None]) -> None:
        self.loop.call_soon(done, self.index, None)


class Owner:
    machine = Machine(DictStore())


async def measure(kind: str) -> tuple[float, float, int]:
    """(microseconds per call without the driver's, with it, batches)"""
    loop = asyncio.get_running_loop()
    driver = InstantDriver(loop)
    group = Group(
        host_id="a",
        owner=Owner(),
        send=lambda peer, message: False,
        clock=SystemClock(),
        scheduler=loop,  # type: ignore[arg-type]
        rng=fresh_random(),
        make_future=loop.create_future,
    )
    driver.group = group
    group.bind(driver)
    group.on_leader("a", 1)
    kv, bindings = KV(group), Bindings(group)
    value = b"x" * 100

    async def write(caller: int) -> None:
        key = f"key/{caller}"
        for _ in range(PUTS_EACH):
            await kv.put(key, value)

    async def read(caller: int) -> None:
        key = f"key/{caller}"
        for _ in range(PUTS_EACH):
            await kv.get(key)

    async def commit(caller: int) -> None:
        key = f"key/{caller}"
        for _ in range(PUTS_EACH):
            await bindings.commit("cart:user:7", 7, [["s:quorate.agents", key, value, 9]])

    one = {"put": write, "get": read, "commit": commit}[kind]
    await asyncio.gather(*(one(caller) for caller in range(8)))
    driver.own_s, driver.batches = 0.0, 0
    began = time.process_time()
    await asyncio.gather(*(one(caller) for caller in range(CALLERS)))
    total_s = time.process_time() - began
    group.stop()
    calls = CALLERS * PUTS_EACH
    return (total_s - driver.own_s) / calls * 1e6, total_s / calls * 1e6, driver.batches


def main() -> None:
    if "--profile" in sys.argv:
        from pyinstrument import Profiler

        with Profiler(interval=0.0005) as profiler:
            asyncio.run(measure("put"))
        print(profiler.output_text(show_all=True))
        return
    loops: list[tuple[str, Any]] = [("asyncio", asyncio.new_event_loop)]
    try:
        import uvloop

        loops.append(("uvloop", uvloop.new_event_loop))
    except ImportError:
        pass
    for name, factory in loops:
        for kind in ("put", "get", "commit"):
            with asyncio.Runner(loop_factory=factory) as runner:
                without, with_driver, batches = runner.run(measure(kind))
            print(
                f"{name:8} {kind:6}: {without:5.1f} us CPU above the driver, "
                f"{with_driver:5.1f} us with it, {batches} batches"
            )


if __name__ == "__main__":
    main()
