"""A run in a process of its own, so that several can go on at once without sharing a loop.

The law of this file: the parent writes the options as a line of JSON, and from then on an open pipe
means that it is there; when it ends, the run ends as if interrupted, and writes what it has. What
the child tells comes over its standard error, a line at a time; what it came to is in `run.json`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from quorate.chaos.running.options import RunOptions
from quorate.chaos.running.progress import Say
from quorate.chaos.running.runner import Run
from quorate.chaos.running.suite import Outcome
from quorate.core.errors import QuorateError
from quorate.hosts.cli.loop import run as run_loop

LINE_BYTES_MAX = 1 << 20
PIPE = asyncio.subprocess.PIPE


async def run_apart(options: RunOptions, say: Say) -> Outcome:
    """Make a run in a process of its own. Cancelled, it lets the run end first."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __spec__.name),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        limit=LINE_BYTES_MAX,
        start_new_session=True,  # Ctrl-C is for the parent, which then closes the pipe
    )
    assert child.stdin is not None and child.stdout is not None and child.stderr is not None
    heard = asyncio.ensure_future(_hear(child.stderr, say))
    told = asyncio.ensure_future(child.stdout.read())
    child.stdin.write(json.dumps(options.as_dict()).encode() + b"\n")
    ended = asyncio.ensure_future(asyncio.gather(child.wait(), heard, told))
    try:
        await asyncio.shield(ended)
    except asyncio.CancelledError:
        child.stdin.close()
        await ended
        raise
    folder = told.result().decode().strip()
    if child.returncode != 0 or not folder:
        last = heard.result() or f"the run ended with exit code {child.returncode}"
        return Outcome("invalid", reasons=(last,))
    return Outcome.of(json.loads((Path(folder) / "run.json").read_text(encoding="utf-8")))


async def _hear(stream: asyncio.StreamReader, say: Say) -> str:
    """Pass on what is told; the last line."""
    text = ""
    while line := await stream.readline():
        text = line.decode(errors="replace").rstrip()
        say(text)
    return text


async def _child() -> int:
    """Read the options, make the run, say where it is."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    options = RunOptions(**json.loads(await reader.readline()))
    story = asyncio.ensure_future(Run(options, _say).go())
    parent = asyncio.ensure_future(reader.read())
    parent.add_done_callback(lambda _: story.cancel())
    try:
        result = await story
    except QuorateError as error:
        _say(f"{type(error).__name__}: {error}")
        return 1
    print(result.folder, flush=True)
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(run_loop(_child()))
