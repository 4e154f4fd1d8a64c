"""A host of plain PySyncObj with clients in it, as a process: the same argument, orders and lines
as `quorate.chaos.lab.worker`.

The law of this file: only the host is another one. Orders that hurt a host from inside are not
known to it, but for looking.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from typing import Any, cast

from quorate.chaos.control.host import ControlHost
from quorate.chaos.lab.worker import Answer, LabWorker, tell_error
from quorate.chaos.workloads.catalogue import workload_of
from quorate.core.errors import QuorateError, UsageError
from quorate.hosts.cli.loop import run as run_loop
from quorate.hosts.host import Host

__all__ = ["main"]


class ControlWorker(LabWorker):
    """See the law above."""

    def __init__(self, host: ControlHost, workload: Any, settings: Answer) -> None:
        super().__init__(cast("Host", host), workload, settings)
        self._control = host

    async def fault(self, order: Answer) -> Answer:
        match order.get("which"):
            case "look":
                return self._control.look()
            case "heal":
                return {}
            case other:
                raise UsageError(f"plain PySyncObj does not know {other!r}")


async def main(settings: Answer) -> int:
    """Run it until it is told to stop."""
    workload = workload_of(str(settings.get("workload", "")))
    host = ControlHost(**settings["host"])
    await host.start()
    try:
        worker = ControlWorker(host, workload, settings)
        with suppress(asyncio.CancelledError):
            await worker.serve()
    except QuorateError as error:
        tell_error("host", f"{type(error).__name__}: {error}")
        return 1
    finally:
        await host.stop()
    return 0


if __name__ == "__main__":
    sys.exit(run_loop(main(json.loads(sys.argv[1]))))
