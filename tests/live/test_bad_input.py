"""Wrong settings, foreign folders, twins, a full disk: each gets an error that says what, where and
what to do."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from quorate.core.wire.ports import free_addresses
from tests.live.processes import (
    SECRET,
    HostProcess,
    answer,
    cluster,
    is_root,
    quorate,
    wait_for_leader,
    words_of,
)

LOCAL = ("--level", "local")


def refused(*words: str) -> str:
    """What `quorate host` says when it refuses to start; it must say it at once, without a
    traceback."""
    done = quorate("host", *words, timeout_s=20)
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stderr


@contextmanager
def alone(folder: Path, host_id: str = "a", *more: str) -> Iterator[HostProcess]:
    """One host that is a cluster of its own."""
    words = ["--id", host_id, "--data", str(folder), "--admin", "127.0.0.1:0", *more]
    host = HostProcess(words, folder.parent / f"{host_id}.log")
    try:
        wait_for_leader({host_id: host})
        yield host
    finally:
        host.stop()


def test_an_unknown_key_in_the_settings_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(f'id = "a"\ndata = "{tmp_path / "a"}"\nheartbeat_ms = 100\n')
    text = refused("--config", str(file))
    assert "heartbeat_ms" in text
    assert "heartbeat_s" in text
    assert str(file) in text


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--listen", "somewhere"), "somewhere"),
        (("--listen", "127.0.0.1:notaport"), "notaport"),
        (("--admin", "7501"), "7501"),
        (("--admin", "0.0.0.0:0"), "token"),
        (("--peer", "b"), "id=host:port"),
    ],
)
def test_a_bad_address_is_named(tmp_path: Path, words: tuple[str, ...], why: str) -> None:
    assert why in refused("--id", "a", "--data", str(tmp_path / "a"), *words)


def test_a_bad_id_is_named(tmp_path: Path) -> None:
    assert "A B" in refused("--id", "A B", "--data", str(tmp_path / "a"))


def test_listening_beyond_loopback_demands_tls(tmp_path: Path) -> None:
    words = ["--id", "a", "--data", str(tmp_path / "a"), "--listen", "0.0.0.0:0"]
    assert "tls" in refused(*words, "--secret", SECRET).lower()


def test_the_folder_of_another_host_or_cluster_is_refused_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with alone(folder) as host:
        answer("kv", "put", "k", "1", "--admin", host.admin)
    assert "'a'" in refused("--id", "b", "--data", str(folder))
    other = refused("--id", "a", "--data", str(folder), "--cluster", "elsewhere")
    assert "elsewhere" in other
    with alone(folder) as host:
        assert answer("kv", "get", "k", "--admin", host.admin)["value"] == 1


def test_a_folder_in_use_is_refused_and_its_host_is_not_disturbed(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with alone(folder) as host:
        done = quorate("host", "--id", "a", "--data", str(folder), timeout_s=20)
        assert done.returncode in (1, 2)
        assert str(folder) in done.stderr
        assert "Traceback" not in done.stderr
        assert quorate("kv", "put", "k", "1", "--admin", host.admin).returncode == 0


def test_a_damaged_folder_is_refused_with_its_place(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with alone(folder) as host:
        answer("kv", "put", "k", "1", "--admin", host.admin)
    files = [file for file in folder.rglob("data.mdb") if file.is_file()]
    assert files
    for file in files:
        file.write_bytes(b"\x00" * 8192)
    done = quorate("host", "--id", "a", "--data", str(folder), timeout_s=20)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert str(folder) in done.stderr


def test_a_key_or_value_over_its_limit_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with alone(tmp_path / "data") as host:
        for key, size_bytes in (("k" * 500, 1), ("k", 1_500_000), ("k", 6_000_000)):
            status, problem = put(host.admin, key, b"x" * size_bytes, timeout_s=5)
            assert (status, problem["outcome"]) == (413, "not_applied"), problem
            assert problem["type"] == "urn:quorate:problem:limit-exceeded"
        assert answer("kv", "list", "--admin", host.admin)["records"] == []


def test_a_peer_that_resolves_to_nothing_is_reported_and_does_not_stop_the_others(
    tmp_path: Path,
) -> None:
    addresses = dict(zip("ab", free_addresses(2), strict=True))
    addresses["c"] = "no-such-host.invalid:7403"
    hosts: dict[str, HostProcess] = {}
    try:
        for name in "ab":
            words = words_of(name, tmp_path, addresses)
            hosts[name] = HostProcess(words, tmp_path / f"{name}.log")
        wait_for_leader(hosts)
        answer("kv", "put", "k", "1", "--admin", hosts["a"].admin)
        reach = answer("reachability", "--admin", hosts["a"].admin)
        assert reach["a"]["b"]["connected"] is True
        assert reach["a"]["c"]["connected"] is False
        assert "no-such-host.invalid" in json.dumps(reach["a"]["c"])
    finally:
        for host in hosts.values():
            host.stop()


def test_two_hosts_with_one_id_do_not_harm_the_cluster(tmp_path: Path) -> None:
    """A second `b` with a folder of its own, on another address, dials in."""
    with cluster(tmp_path, "a", "b", "c") as hosts:
        addresses = {name: str(host.ready["listen"]) for name, host in hosts.items()}
        answer("kv", "put", "k", "1", "--admin", hosts["a"].admin)
        addresses["b"] = free_addresses(1)[0]
        (tmp_path / "twin").mkdir()
        twin_words = words_of("b", tmp_path / "twin", addresses)
        with suppress(AssertionError):  # it may refuse to run at all
            hosts["twin"] = HostProcess(twin_words, tmp_path / "twin.log")
        for number in range(20):
            answer("kv", "put", f"k{number}", str(number), "--admin", hosts["a"].admin)
        for name in "abc":
            assert answer("kv", "get", "k19", "--admin", hosts[name].admin)["value"] == 19


def test_a_full_disk_refuses_writes_and_resumes_when_space_returns(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", size_mib=48) as disk:
        ballast = disk / "ballast"
        with alone(disk / "data") as host:
            answer("kv", "put", "before", '"kept"', "--admin", host.admin)
            free = shutil.disk_usage(disk).free
            ballast.write_bytes(b"\x00" * max(0, free - (4 << 20)))
            status, problem = fill(host.admin)
            assert (status, problem["outcome"]) == (507, "not_applied"), problem
            assert "space" in problem["detail"]
            assert answer("kv", "get", "before", "--admin", host.admin, *LOCAL)["value"] == "kept"
            ballast.unlink()
            written_again(host.admin)
        with alone(disk / "data") as host:
            assert answer("kv", "get", "before", "--admin", host.admin)["value"] == "kept"


@contextmanager
def small_disk(folder: Path, *, size_mib: int) -> Iterator[Path]:
    """A file system of that size; the test is skipped where none can be mounted."""
    folder.mkdir()
    if not is_root():
        pytest.skip("mounting a small file system needs root")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def fill(admin: str) -> tuple[int, dict[str, Any]]:
    """Write until a write is certainly refused; the refusal. One before it may end unknown."""
    for number in range(60):
        status, problem = put(admin, f"fill/{number}", b"x" * 200_000, timeout_s=2)
        if status != 200 and problem["outcome"] == "not_applied":
            return status, problem
    raise AssertionError("12 MB went onto a disk that had 4 MB left")


def written_again(admin: str) -> None:
    """Writes succeed again within ten seconds."""
    end = time.monotonic() + 10
    while (said := put(admin, "after", b"x" * 1000, timeout_s=2))[0] != 200:
        assert time.monotonic() < end, said
        time.sleep(0.2)


def put(admin: str, key: str, value: bytes, *, timeout_s: float) -> tuple[int, dict[str, Any]]:
    """PUT over plain HTTP; (status, body)."""
    request = urllib.request.Request(
        f"http://{admin}/v1/kv/{key}?timeout={timeout_s}",
        data=value,
        method="PUT",
        headers={"Content-Type": "application/octet-stream"},
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout_s + 5) as done:
            return done.status, json.load(done)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
