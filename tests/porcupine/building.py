"""The Go program beside this file, built once per machine and source.

The law of this file: built with the machine's own Go into our cache, under a name made of its
source, so that a changed source is built anew; with the flags that Toxiproxy is built with, so that
the standard library is compiled once for both. Without Go there is no program, and it says so.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = ("main.go", "go.mod", "go.sum")
BUILD_S = 240


class NoGoError(Exception):
    """Why the program cannot be built here."""


def program() -> Path:
    """The program, built if it is not there yet. Raises `NoGoError`."""
    digest = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in SOURCES)).hexdigest()
    target = cache() / f"porcupine-{digest[:16]}"
    if target.exists():
        return target
    go = shutil.which("go")
    if go is None:
        raise NoGoError("there is no `go` on the PATH to build tests/porcupine with")
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f"{target.name}.{os.getpid()}")
    try:
        told = subprocess.run(
            [go, "build", "-mod=readonly", "-o", str(fresh), "."],
            cwd=HERE,
            env={**os.environ, "CGO_ENABLED": "0"},
            capture_output=True,
            text=True,
            timeout=BUILD_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NoGoError(f"go build took more than {BUILD_S} s") from None
    if told.returncode:
        raise NoGoError(f"go build failed: {told.stderr.strip()[-600:]}")
    fresh.replace(target)  # a second worker that builds at the same time replaces it by its like
    return target


def cache() -> Path:
    """Where built programs are kept."""
    own = os.environ.get("QUORATE_CACHE")
    return Path(own) if own else Path.home() / ".cache" / "quorate" / "bin"
