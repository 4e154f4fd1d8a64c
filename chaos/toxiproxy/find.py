"""Where the Toxiproxy server is: named by the environment, on the path, or in our cache.

The law of this file: it looks and starts nothing. The first place that has one wins, and a place
that was named and has none is an error, not a reason to look elsewhere.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from quorate.chaos.lab.children import LabError

VERSION = "2.12.0"
MODULE = "github.com/Shopify/toxiproxy/v2"
BINARY = "toxiproxy-server"
NAMED = "TOXIPROXY_SERVER"
CACHE = "QUORATE_CACHE"


class ToxiproxyMissing(LabError):
    """There is no Toxiproxy server, and the text says how to get one."""


def cache_folder() -> Path:
    """Where tools that were built are kept: `$QUORATE_CACHE`, or `quorate/bin` in the user's
    cache."""
    named = os.environ.get(CACHE)
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "quorate" / "bin"


def find_server() -> Path | None:
    """The server's file: `$TOXIPROXY_SERVER`, then PATH, then our cache; None: nowhere. Raises
    `ToxiproxyMissing` when the variable names no program."""
    named = os.environ.get(NAMED)
    if named:
        path = shutil.which(named)
        if path is None:
            raise ToxiproxyMissing(f"{NAMED} is set to {named!r}, which is no program")
        return Path(path)
    path = shutil.which(BINARY) or shutil.which(BINARY, path=str(cache_folder()))
    return None if path is None else Path(path)


def instructions(why: str) -> str:
    """What to tell a person who has no server."""
    return (
        f"no {BINARY} was found, and it could not be built: {why}\n"
        f"Either\n"
        f"  1. install Go 1.23 or newer and run `quorate chaos install-toxiproxy` again, or\n"
        f"  2. download {BINARY} {VERSION} from the releases of github.com/Shopify/toxiproxy, or\n"
        f"  3. build it where there is Go: go install {MODULE}/cmd/server@v{VERSION}\n"
        f"and put it on the PATH as {BINARY}, into {cache_folder()}, or name it in {NAMED}."
    )
