"""Writes a long log straight into a host's journal: the preparation of the `restart` question.

The law of this file: what it writes is what a leader of a group of one would have written, one put
of 100 bytes per entry by one session, committed up to the last; only the waiting is left out.

Run by the harness: `python -m quorate.bench.log_writer '{"data", "address", "entries"}'`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from quorate.bench.lines import obey
from quorate.core import codec
from quorate.core.machine import commands
from quorate.core.raft.entries import pack_batches
from quorate.core.raft.journal import Journal
from quorate.core.raft.members import Configuration, Member
from quorate.hosts.config import Settings
from quorate.hosts.folder import DataFolder

HOST = "a"
SESSION = 7
TERM = 1
KEYS = 100_000
FLUSH_ENTRIES = 50_000


async def write(folder: Path, address: str, entries: int) -> None:
    """Fill the journal in `folder` with so many entries."""
    loop = asyncio.get_running_loop()
    data = DataFolder(folder, HOST, Settings(), loop)
    journal = data.journal
    journal.bootstrap(Configuration.of([Member(HOST, address)]))
    journal.setCurrentTerm(TERM, HOST)
    value = codec.encode_value(os.urandom(100))
    opening = commands.encode_batch(SESSION, 0, [(1, *commands.open_session(1))])
    first = journal.last_index + 1
    journal.add(pack_batches([opening]), first, TERM)
    for n in range(1, entries):
        put = commands.put(f"bench/{n % KEYS:06d}", value)
        batch = commands.encode_batch(SESSION, n + 1, [(n + 1, *put)])
        journal.add(pack_batches([batch]), first + n, TERM)
        if n % FLUSH_ENTRIES == 0:
            await _flush(journal, loop)
    await _flush(journal, loop)
    journal.setRaftCommitIndex(journal.last_index)
    await _flush(journal, loop)
    data.close(flush=False)


async def _flush(journal: Journal, loop: asyncio.AbstractEventLoop) -> None:
    durable: asyncio.Future[None] = loop.create_future()

    def done(error: Exception | None) -> None:
        durable.set_exception(error) if error else durable.set_result(None)

    if journal.dirty and journal.flush(done):
        await durable


async def serve(settings: dict[str, Any]) -> None:
    await write(Path(settings["data"]), settings["address"], settings["entries"])
    await obey({}, {"entries": settings["entries"]})


if __name__ == "__main__":
    asyncio.run(serve(json.loads(sys.argv[1])))
