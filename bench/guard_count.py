"""What one strong write takes: steps of the interpreter, calls, encodes, frames, commits.

The law of this file: it counts and judges nothing. The counts have no chance in them: the same
Python and the same code give the same numbers, on a busy machine too. Work inside C (cbor2, hashes,
copies) is not among the steps; `guard_ratios` looks at that.
"""

from __future__ import annotations

import asyncio
import platform
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from quorate.bench.guard_group import CountedGroup
from quorate.bench.virtual_loop import VirtualLoop
from quorate.core import codec

VALUE = b"x" * 100
SHAPES = ((1, 40), (64, 6))
"""(writes at once, how many times)"""
WARM_WRITES = 128


class Steps:
    """Counts while it is on; one thread. Warm up what is counted: Python 3.13 sees the steps of a
    function from its second call under a trace on."""

    def __init__(self) -> None:
        self.steps = 0
        self.calls = 0
        self.encodes = 0
        self.tasks = 0
        self._encoders: set[CodeType] = {codec.dumps.__code__, codec.encode_value.__code__}
        self._spawner: CodeType = asyncio.BaseEventLoop.create_task.__code__

    def __enter__(self) -> Steps:
        sys.settrace(self._on_call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _on_call(self, frame: FrameType, event: str, argument: object) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        self.calls += 1
        self.encodes += frame.f_code in self._encoders
        self.tasks += frame.f_code is self._spawner
        return self._on_step

    def _on_step(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "opcode":
            self.steps += 1
        return self._on_step


def python_version() -> str:
    """The version that the counts belong to: steps differ between minor versions."""
    return f"{platform.python_implementation()} {'.'.join(platform.python_version_tuple()[:2])}"


def count(extra: Callable[[], object] | None = None) -> dict[str, float]:
    """Figure -> for one write. `extra` is called with each proposal: the planted slow-down."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(_count(loop, extra))
    finally:
        loop.close()


async def _count(
    loop: asyncio.AbstractEventLoop, extra: Callable[[], object] | None
) -> dict[str, float]:
    group = CountedGroup(loop)
    group.extra = extra
    found: dict[str, float] = {}
    try:
        leader = await group.start()
        with Steps():
            await group.wave(leader, WARM_WRITES, VALUE)
        for at_once, times in SHAPES:
            frames, sent, commits = group.frames, group.wire_bytes, group.commits
            with Steps() as steps:
                for _ in range(times):
                    await group.wave(leader, at_once, VALUE)
            sums = {
                "steps of the interpreter": steps.steps,
                "calls": steps.calls,
                "encodes": steps.encodes,
                "tasks": steps.tasks,
                "frames": group.frames - frames,
                "bytes on the wire": group.wire_bytes - sent,
                "synced commits": group.commits - commits,
            }
            for name, total in sums.items():
                found[f"{name}, {at_once} at once"] = round(total / (at_once * times), 3)
    finally:
        group.stop()
    return found
