"""Hosts as `python -m quorate host` processes, for tests: started, asked through the command,
always ended."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quorate.core.wire.ports import free_addresses
from quorate.hosts.cli.main import main
from quorate.hosts.demo.workers import child_environment

START_S = 20.0
SECRET = "a-shared-secret-for-tests"


class HostProcess:
    """A running `quorate host`; `ready` is the line it printed."""

    def __init__(self, words: Sequence[str], log: Path) -> None:
        self.log = log
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "quorate", "host", "--json", *words],
                stdout=subprocess.PIPE,
                stderr=errors,
                env=child_environment(),
                start_new_session=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            raise AssertionError(f"the host ended with {code}: {log.read_text()}")
        self.ready: dict[str, Any] = json.loads(line)

    @property
    def admin(self) -> str:
        return str(self.ready["admin"])

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal it and wait; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


@dataclass
class Ended:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def quorate(*words: str, timeout_s: float | None = None) -> Ended:
    """Run `quorate ...` to its end: in this process, or with a time limit in one of its own."""
    if timeout_s is None:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = main(list(words))
        return Ended(code, out.getvalue(), err.getvalue())
    environment = {k: v for k, v in child_environment().items() if not k.startswith("QUORATE_")}
    done = subprocess.run(
        [sys.executable, "-m", "quorate", *words],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=environment,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def answer(*words: str) -> Any:
    """The JSON that `quorate ... --json` prints; it must succeed."""
    done = quorate(*words, "--json")
    assert done.returncode == 0, f"{words}: {done.returncode} {done.stderr}"
    return json.loads(done.stdout)


def words_of(
    host_id: str,
    folder: Path,
    addresses: dict[str, str],
    *,
    auth: Sequence[str] = ("--secret", SECRET),
) -> list[str]:
    """The options of one host of a cluster on loopback."""
    words = ["--id", host_id, "--data", str(folder / host_id), "--listen", addresses[host_id]]
    for peer, address in addresses.items():
        words += ["--peer", f"{peer}={address}"]
    return [*words, *auth, "--admin", "127.0.0.1:0"]


@contextmanager
def cluster(
    folder: Path, *host_ids: str, auth: Mapping[str, Sequence[str]] | None = None
) -> Iterator[dict[str, HostProcess]]:
    """Host processes by id, with a leader. `auth`: options per host instead of a shared secret."""
    addresses = dict(zip(host_ids, free_addresses(len(host_ids)), strict=True))
    hosts: dict[str, HostProcess] = {}
    try:
        for host_id in host_ids:
            given = ("--secret", SECRET) if auth is None else auth[host_id]
            words = words_of(host_id, folder, addresses, auth=given)
            hosts[host_id] = HostProcess(words, folder / f"{host_id}.log")
        wait_for_leader(hosts)
        yield hosts
    finally:
        for host in hosts.values():
            host.stop(signal.SIGKILL)


def wait_for_leader(hosts: dict[str, HostProcess]) -> str:
    """The leader that every host knows."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        leaders = {answer("status", "--admin", host.admin)["leader"] for host in hosts.values()}
        if len(leaders) == 1 and None not in leaders:
            return str(leaders.pop())
        time.sleep(0.1)
    raise AssertionError("no leader that all hosts know")


def is_root() -> bool:
    return os.geteuid() == 0
