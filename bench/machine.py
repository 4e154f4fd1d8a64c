"""Where a run was made: the machine, the software, and what its disk and LMDB can do alone.

The law of this file: it records and measures the ground under all systems, so that two results can
be told apart by their machines. A figure nobody can get here is None, never a guess.
"""

from __future__ import annotations

import os
import platform
import socket
import time
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import lmdb

from quorate.bench.histogram import Histogram

LIBRARIES = ("pysyncobj", "lmdb", "cbor2", "uvloop", "aiohttp", "cryptography", "psutil")
SYNCS_MAX = 400
COMMITS_MAX = 400
PROBE_S = 1.0
ROUND_TRIPS = 200
CONNECT_TIMEOUT_S = 2.0
"""Each probe ends after so many syncs or so long."""
BLOCK_BYTES = 4096
MEMORY_FILESYSTEMS = ("tmpfs", "ramfs")


def record(folder: Path, probe_s: float = PROBE_S) -> dict[str, Any]:
    """Everything about this machine, measured in `folder`: a second or so."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_bytes": _memory_bytes(),
        "kernel": platform.release(),
        "system": _system(),
        "tcp_round_trip_us": tcp_round_trip_us(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "libraries": {name: library_version(name) for name in LIBRARIES},
        "filesystem": filesystem(folder),
        "load_average": os.getloadavg()[0],
        "disk": disk(folder, probe_s),
        "lmdb": lmdb_alone(folder, probe_s),
    }


def disk(folder: Path, seconds: float = PROBE_S) -> dict[str, Any]:
    """The disk's own sync time: 4 KiB written over in place, then fdatasync."""
    path = folder / "sync.probe"
    block = os.urandom(BLOCK_BYTES)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.pwrite(file, block * 16, 0)
        os.fsync(file)
        times: list[int] = []
        until = time.perf_counter() + seconds
        while (n := len(times)) < SYNCS_MAX and time.perf_counter() < until:
            began = time.perf_counter_ns()
            os.pwrite(file, block, n % 16 * BLOCK_BYTES)
            os.fdatasync(file)
            times.append(time.perf_counter_ns() - began)
    finally:
        os.close(file)
        path.unlink()
    return _percentiles(times, "fdatasync_4k")


def lmdb_alone(folder: Path, seconds: float = PROBE_S) -> dict[str, Any]:
    """py-lmdb with nothing around it: one 100-byte value per synced commit."""
    path = folder / "lmdb.probe"
    path.mkdir()
    environment: Any = lmdb.open(str(path), map_size=64 * 1024 * 1024)
    value = os.urandom(100)
    times: list[int] = []
    until = time.perf_counter() + seconds
    while (n := len(times)) < COMMITS_MAX and time.perf_counter() < until:
        began = time.perf_counter_ns()
        with environment.begin(write=True) as transaction:
            transaction.put(b"%06d" % n, value)
        times.append(time.perf_counter_ns() - began)
    environment.close()
    for file in path.iterdir():
        file.unlink()
    path.rmdir()
    return {**_percentiles(times, "commit"), "commits_per_s": len(times) / (sum(times) / 1e9)}


def tcp_round_trip_us() -> float | None:
    """Median of one byte there and back on loopback, both ends in this process: the least that a
    message to another host can cost here, in microseconds."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(CONNECT_TIMEOUT_S)
            near = socket.create_connection(server.getsockname(), timeout=CONNECT_TIMEOUT_S)
            far, _ = server.accept()
            with near, far:
                far.settimeout(CONNECT_TIMEOUT_S)
                for end in (near, far):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                times = [_round_trip_ns(near, far) for _ in range(ROUND_TRIPS)]
    except OSError:
        return None
    return Histogram.of(times).percentile(50) / 1000


def _round_trip_ns(near: socket.socket, far: socket.socket) -> int:
    began = time.perf_counter_ns()
    near.sendall(b"x")
    far.sendall(far.recv(1))
    near.recv(1)
    return time.perf_counter_ns() - began


def filesystem(folder: Path) -> str | None:
    """The type of the file system a folder is on."""
    best, kind = "", None
    with suppress(OSError):
        for line in Path("/proc/mounts").read_text().splitlines():
            _, mount, found = line.split()[:3]
            inside = f"{folder.resolve()}/".startswith(mount.rstrip("/") + "/")
            if inside and len(mount) >= len(best):
                best, kind = mount, found
    return kind


def _percentiles(times_ns: list[int], name: str) -> dict[str, Any]:
    histogram = Histogram.of(times_ns)
    return {f"{name}_p{p}_us": histogram.percentile(p) / 1000 for p in (50, 99)}


def _cpu() -> str | None:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or None


def _system() -> str | None:
    """The distribution's own name."""
    with suppress(OSError):
        return platform.freedesktop_os_release().get("PRETTY_NAME")
    return None


def _memory_bytes() -> int | None:
    with suppress(OSError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def library_version(name: str) -> str | None:
    """The version of an installed distribution; None if it is not here."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
