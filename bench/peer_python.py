"""A Python of its own for each peer that cannot live in ours: found, given a virtual environment in
the user's cache, and the peer installed there once.

The law of this file: our own environment is never changed; an environment is named after what is in
it, so another version is another folder; one that was not finished is made anew. What cannot be had
is `Missing`, with the way to get it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from quorate.bench.systems.base import Missing

INSTALL_TIMEOUT_S = 900.0
ASK_TIMEOUT_S = 20.0
READY = "ready"


@dataclass(frozen=True, slots=True)
class Peer:
    """What a peer needs: packages as pip is given them, Python versions in the order tried."""

    name: str
    packages: tuple[str, ...]
    pythons: tuple[str, ...]


def cache_folder() -> Path:
    """Where things that are built once are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "quorate-bench"


def look(peer: Peer) -> tuple[Path, bool]:
    """The interpreter it runs in and whether the peer is installed there already; if not, the
    interpreter it would be made of. Installs nothing. Raises `Missing`."""
    base = _found(peer)
    folder = _folder_of(peer, base)
    ready = (folder / READY).exists()
    return (folder / "bin" / "python" if ready else base), ready


def _folder_of(peer: Peer, base: Path) -> Path:
    text = "\n".join((*peer.packages, _asked(base, "import sys; print(sys.version)")))
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return cache_folder() / "peers" / f"{peer.name}-{digest}"


def interpreter(peer: Peer) -> Path:
    """The peer's own interpreter, with the peer installed. Raises `Missing`."""
    base = _found(peer)
    folder = _folder_of(peer, base)
    python = folder / "bin" / "python"
    if not (folder / READY).exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _run([str(base), "-m", "venv", str(folder)], peer, "make an environment")
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        _run([*pip, *peer.packages], peer, f"pip install {' '.join(peer.packages)}")
        (folder / READY).touch()
    return python


def installed_version(python: Path, package: str) -> str:
    """The version of `package` in that environment."""
    return _asked(python, f"from importlib.metadata import version; print(version({package!r}))")


def python_version(python: Path) -> str:
    return _asked(python, "import platform; print('CPython', platform.python_version())")


def _found(peer: Peer) -> Path:
    for wanted in peer.pythons:
        for candidate in _candidates(wanted):
            if _asked(candidate, "import sys; print('%d.%d' % sys.version_info[:2])") == wanted:
                return candidate
    wanted = " or ".join(peer.pythons)
    raise Missing(
        f"{peer.name} needs Python {wanted}, which is not on PATH: install one, and the next run "
        f"installs {peer.packages[0]} for it by itself"
    )


def _candidates(wanted: str) -> Iterator[Path]:
    """Interpreters that may have that version: our own, those on PATH, those pyenv keeps."""
    yield Path(sys.executable)
    name = f"python{wanted}"
    for folder in os.get_exec_path():
        if (path := Path(folder) / name).is_file():
            yield path
    pyenv = shutil.which("pyenv")
    root = os.environ.get("PYENV_ROOT") or (Path(pyenv).parent.parent if pyenv else None)
    if root is not None:
        yield from sorted(Path(root).glob(f"versions/{wanted}.*/bin/{name}"))


def _asked(python: Path, code: str) -> str:
    """What `code` prints there; "" if it does not run."""
    try:
        done = subprocess.run(
            [str(python), "-c", code], capture_output=True, text=True, timeout=ASK_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _run(command: list[str], peer: Peer, what: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise Missing(
            f"{peer.name}: could not {what} within {INSTALL_TIMEOUT_S:g} s: is a package index "
            "reachable?"
        ) from error
    if done.returncode:
        raise Missing(f"{peer.name}: could not {what} (exit code {done.returncode})")
