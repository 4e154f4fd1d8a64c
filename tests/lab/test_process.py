"""One process: ordered, paused, killed, read to its last line, never left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from quorate.chaos.lab.process import HostDown, HostProcess, start_process
from quorate.core.wire.ports import PORT_FIRST, PORT_LAST, free_ports
from quorate.hosts.demo.workers import child_environment

MODULE = "tests.lab.small_worker"
SETTINGS: dict[str, Any] = {"host": {"host_id": "a"}}
Lines = list[dict[str, Any]]


def told(
    tmp_path: Path,
    story: Callable[[HostProcess, Lines], Awaitable[None]],
    settings: dict[str, Any] = SETTINGS,
) -> Lines:
    """Tell a story with a process; every line it said."""
    said: Lines = []

    async def run() -> None:
        process = await start_process(
            "a", settings, lambda _, event: said.append(event), log=tmp_path / "log", module=MODULE
        )
        try:
            async with asyncio.timeout(20):
                await story(process, said)
        finally:
            await process.kill()

    asyncio.run(run())
    return said


def test_ready_and_answers(tmp_path: Path) -> None:
    async def story(process: HostProcess, said: Lines) -> None:
        assert (await process.ready)["pid"] == process.pid
        assert (await process.order("anything"))["do"] == "anything"
        one, two = await asyncio.gather(process.order("one"), process.order("refuse"))
        assert one["ok"] and not two["ok"]
        assert await process.stop() == 0 and not process.alive
        with pytest.raises(HostDown, match="does not run"):
            await process.order("anything")

    assert [line["k"] for line in told(tmp_path, story)] == ["ready", *["answer"] * 3]


def test_no_answer_within_the_deadline(tmp_path: Path) -> None:
    async def story(process: HostProcess, said: Lines) -> None:
        await process.ready
        with pytest.raises(HostDown, match="did not answer 'silence' within"):
            await process.order("silence", 0.1)
        assert (await process.order("still here"))["ok"]

    told(tmp_path, story)


def test_a_death_in_the_middle_of_a_line_fails_what_was_asked(tmp_path: Path) -> None:
    async def story(process: HostProcess, said: Lines) -> None:
        await process.ready
        with pytest.raises(HostDown, match="ended"):
            await process.order("die")
        assert await process.wait() == -signal.SIGKILL

    assert [line["k"] for line in told(tmp_path, story)] == ["ready"]


def test_it_stands_still_and_goes_on(tmp_path: Path) -> None:
    async def story(process: HostProcess, said: Lines) -> None:
        await process.ready
        process.pause()
        with pytest.raises(HostDown):
            await process.order("anything", 0.2)
        process.resume()
        assert (await process.order("again"))["ok"]
        process.pause()
        assert await process.terminate() == 7

    told(tmp_path, story)


def test_one_that_does_not_start_says_why(tmp_path: Path) -> None:
    async def story(process: HostProcess, said: Lines) -> None:
        with pytest.raises(HostDown, match="it cannot start"):
            await process.ready

    told(tmp_path, story, {**SETTINGS, "plant": "fails"})


def test_a_stopped_child_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import asyncio, pathlib, sys\n"
        "from quorate.chaos.lab.process import start_process\n"
        "async def main():\n"
        "    one = await start_process('a', {'host': {'host_id': 'a'}}, lambda *_: None,\n"
        f"        log=pathlib.Path(sys.argv[1]), module={MODULE!r})\n"
        "    await one.ready\n"
        "    one.pause()\n"
        "    print(one.pid, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "log")],
        stdout=subprocess.PIPE,
        env=child_environment(),
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    handle = os.pidfd_open(child)
    parent.kill()
    parent.wait()

    async def gone() -> None:
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(handle, ended.set)
        async with asyncio.timeout(10):
            await ended.wait()

    asyncio.run(gone())
    os.close(handle)


def test_free_ports_are_free_and_below_what_the_kernel_gives_out() -> None:
    ports = free_ports(50)
    assert len(set(ports)) == 50
    assert all(PORT_FIRST <= port <= PORT_LAST for port in ports)
    with socket.socket() as one:
        one.bind(("127.0.0.1", ports[0]))
