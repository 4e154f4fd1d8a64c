"""A worker without a host: it says it is ready, and answers orders. Its argument is a host's."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import Any


def say(kind: str, **fields: Any) -> None:
    os.write(1, json.dumps({"k": kind, **fields}).encode() + b"\n")


def answer(order: dict[str, Any], settings: dict[str, Any]) -> None:
    match order["do"]:
        case "settings":
            say("answer", id=order["id"], ok=True, settings=settings)
        case "refuse":
            say("answer", id=order["id"], ok=False, text="no")
        case "silence":
            return
        case "status":
            say("answer", id=order["id"], ok=True, role="leader", term=1)
        case "die":
            os.write(1, b'{"k": "torn')
            os.kill(os.getpid(), signal.SIGKILL)
        case _:
            say("answer", id=order["id"], ok=True, do=order["do"])


def end_on_sigterm() -> None:
    """Exit with 7 at once. A Python handler would not do: a signal that arrives just before the
    main thread blocks in `read` is only marked, and its handler would wait for the next line."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def wait() -> None:
        signal.sigwait({signal.SIGTERM})
        os._exit(7)

    threading.Thread(target=wait, daemon=True).start()


def main() -> int:
    settings = json.loads(sys.argv[1])
    if settings.get("plant") == "fails":
        say("error", text="ConfigError: it cannot start")
        sys.stderr.write("the reason is here\n")
        return 1
    end_on_sigterm()
    say("ready", host=settings["host"]["host_id"], pid=os.getpid())
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "stop":
            return 0
        answer(order, settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
