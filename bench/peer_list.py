"""Which peers are here, in which version, and how to get the others: `quorate bench peers`.

The law of this file: it looks and changes nothing: what a first run would build or install is not
built by looking. Systems come from the catalogue; only those whose `check` would install something
are looked at in a way of their own.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from quorate.bench import machine, peer_python
from quorate.bench.systems import AGENT_SYSTEMS, SYSTEMS, Missing
from quorate.bench.systems import casty as casty_system
from quorate.bench.systems import ray as ray_system

State = Literal["here", "first run", "missing"]
LOOK_TIMEOUT_S = 10.0
OURS = "quorate"
ETCD_HOW = (
    "apt-get install etcd-server (3.4 from Debian); a current one: "
    "go install go.etcd.io/etcd/server/v3@latest, and its binary on PATH as etcd"
)


@dataclass(frozen=True, slots=True)
class Found:
    """One peer. `how`: the way to get it, or what the first run does by itself."""

    name: str
    state: State
    version: str = ""
    how: str = ""


def peers() -> list[Found]:
    """All of the catalogue but ours, and the parts they need; a second or so."""
    found: list[Found] = []
    for name, kind in {**SYSTEMS, **AGENT_SYSTEMS}.items():
        if name == OURS:
            continue
        found.append(_LAZY[name]() if name in _LAZY else _checked(name, kind))
        if name == "etcd":
            found.append(_etcd_driver())
    found.append(Found("py-lmdb", "here", machine.library_version("lmdb") or "unknown"))
    return found


def lines(found: list[Found]) -> list[str]:
    """A line or two for each."""
    width = max(len(one.name) for one in found)
    told: list[str] = []
    for one in found:
        version = f" {one.version}" if one.version else ""
        told.append(f"{one.name:<{width}}  {one.state}{version}")
        if one.how:
            told.append(f"{'':<{width}}  {one.how}")
    return told


def as_json(found: list[Found]) -> list[dict[str, Any]]:
    """Plain values: name, state, version, how."""
    return [asdict(one) for one in found]


def _checked(name: str, kind: Any) -> Found:
    """One whose `check` only looks."""
    try:
        kind.check()
    except Missing as missing:
        text = str(missing)
        return Found(name, "missing", how=ETCD_HOW if text.startswith("etcd is not") else text)
    try:
        return Found(name, "here", str(kind.configuration().get("version", "")))
    except (OSError, subprocess.SubprocessError) as error:
        return Found(name, "missing", how=f"it is on PATH and does not run: {error}")


def _etcd() -> Found:
    path = shutil.which("etcd")
    if path is None:
        return Found("etcd", "missing", how=ETCD_HOW)
    try:
        told = subprocess.run(
            [path, "--version"], check=True, capture_output=True, text=True, timeout=LOOK_TIMEOUT_S
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return Found("etcd", "missing", how=f"{path} does not run: {error}")
    return Found("etcd", "here", told.partition("\n")[0].removeprefix("etcd Version: "))


def _etcd_driver() -> Found:
    name = "etcd's Go load driver"
    if any(peer_python.cache_folder().glob("etcd_load-*")):
        return Found(name, "here")
    if shutil.which("go") is None:
        how = "it is built with Go, which is not on PATH: apt-get install golang-go"
        return Found(name, "missing", how=how)
    return Found(name, "first run", how="the first run with etcd builds it with go build")


def _in_python_of_its_own(peer: peer_python.Peer) -> Found:
    wanted = peer.packages[0]
    try:
        python, ready = peer_python.look(peer)
    except Missing as missing:
        return Found(peer.name, "missing", how=str(missing))
    if ready:
        return Found(peer.name, "here", peer_python.installed_version(python, peer.name))
    how = f"the first run with it installs {wanted} into the user's cache, for {python.name}"
    return Found(peer.name, "first run", how=how)


_LAZY: dict[str, Callable[[], Found]] = {
    "etcd": _etcd,
    "casty": lambda: _in_python_of_its_own(casty_system.PEER),
    "ray": lambda: _in_python_of_its_own(ray_system.PEER),
}


def heading() -> str:
    """What the list is about."""
    return f"peers on this machine ({platform.system()} {platform.machine()}):"
