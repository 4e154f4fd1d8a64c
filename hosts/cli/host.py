"""`quorate host`: one host as a process, until it is told to stop or stops itself.

The law of this file: SIGTERM and SIGINT end it gracefully with 0, a host that takes itself out ends
it with 1 and the reason. With `--json` one line says where it listens; nothing else goes to
standard output.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal

from quorate.hosts.cli.settings import gather
from quorate.hosts.host import Host

log = logging.getLogger("quorate")


async def run(args: argparse.Namespace) -> int:
    """Run the host of these options; the exit code of the process."""
    values = gather(args)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level="WARNING")
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    async with Host(values.pop("id"), **values) as host:
        _say_ready(host, as_json=args.json)
        telling = asyncio.ensure_future(told.wait())
        failing = asyncio.ensure_future(host.wait_stopped())
        await asyncio.wait({telling, failing}, return_when=asyncio.FIRST_COMPLETED)
        failed = failing.done()
        telling.cancel()
        failing.cancel()
        await asyncio.gather(telling, failing, return_exceptions=True)
        if failed:
            log.error("host %s stopped itself: %s", host.id, host.failure)
    return 1 if failed else 0


def _say_ready(host: Host, *, as_json: bool) -> None:
    ready = {
        "host": host.id,
        "listen": host.address,
        "admin": host.admin_address,
        "pid": os.getpid(),
    }
    if as_json:
        print(json.dumps(ready), flush=True)
        return
    admin = f", admin API on {ready['admin']}" if ready["admin"] else ""
    print(f"host {ready['host']} listens on {ready['listen']}{admin}", flush=True)
