"""The command against three real hosts: the way a person works with a cluster, start to end."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from quorate.core.wire.auth import MutualTls
from quorate.core.wire.ports import free_addresses
from quorate.core.wire.tls import dev_certificates
from quorate.hosts.demo.workers import child_environment
from tests.live.processes import (
    SECRET,
    HostProcess,
    answer,
    cluster,
    quorate,
    wait_for_leader,
    words_of,
)


def test_a_person_works_with_three_hosts(tmp_path: Path) -> None:
    with cluster(tmp_path, "a", "b", "c") as hosts:
        a, b, c = (hosts[name].admin for name in "abc")

        # what is written through one host is read through another
        written = answer("kv", "put", "users/ann", '{"age": 3}', "--admin", a)
        assert written["revision"] >= 1
        assert answer("kv", "get", "users/ann", "--admin", b)["value"] == {"age": 3}
        listed = answer("kv", "list", "users/", "--admin", c)
        assert [record["key"] for record in listed["records"]] == ["users/ann"]

        # a long list comes in pages
        for number in range(5):
            answer("kv", "put", f"page/{number}", str(number), "--admin", b)
        first = answer("kv", "list", "page/", "--limit", "3", "--admin", b)
        rest = answer("kv", "list", "page/", "--after", "page/2", "--limit", "3", "--admin", c)
        assert [r["value"] for r in first["records"] + rest["records"]] == [0, 1, 2, 3, 4]
        assert (first["more"], rest["more"]) == (True, False)

        # a compare that fails changes nothing
        refused = quorate("kv", "put", "users/ann", "0", "--if-absent", "--admin", b)
        assert refused.returncode == 1
        assert "found version 1" in refused.stderr
        changed = answer("kv", "put", "users/ann", '{"age": 4}', "--if-version", "1", "--admin", b)

        # a watch goes on from where it is asked to
        since = str(written["revision"])
        watched = quorate(
            *("kv", "watch", "users/", "--from-revision", since, "--count", "2"),
            *("--json", "--admin", c),
        )
        events = [json.loads(line) for line in watched.stdout.splitlines()]
        assert [event["value"]["age"] for event in events] == [3, 4]
        assert events[1]["revision"] == changed["revision"]

        # the leadership is handed over
        leader = wait_for_leader(hosts)
        heir = next(name for name in hosts if name != leader)
        answer("transfer", heir, "--admin", a)
        assert wait_for_leader(hosts) == heir

        # a key over its limit is a usage error and changes nothing
        long = quorate("kv", "put", "k" * 5000, "1", "--admin", a)
        assert long.returncode == 2, long.stderr

        reach = answer("reachability", "--admin", a)
        assert reach
        assert {m["id"] for m in answer("member", "list", "--admin", a)["members"]} == {*"abc"}
        for words in (["names"], ["locks"], ["elections"], ["snapshots"]):
            answer(*words, "--admin", a)
        answer("snapshot", "--admin", a)

        # the leader's admin address is known to the others
        status = answer("status", "--admin", a)
        assert status["leader_admin"] == hosts[heir].admin

        # a host that is told to stop stops well, and the others go on
        assert hosts["c"].stop() == 0
        assert quorate("kv", "put", "users/bob", "1", "--admin", a).returncode in (0, 1)
        gone = quorate("status", "--admin", c)
        assert gone.returncode == 1
        assert "no answer" in gone.stderr


def test_a_watch_outlives_the_kill_of_its_host(tmp_path: Path) -> None:
    """The watcher prints what came before the kill, waits, and goes on right behind it: no gap, no
    repeat."""
    words = ["--id", "a", "--data", str(tmp_path / "a"), "--admin", free_addresses(1)[0]]
    host = HostProcess(words, tmp_path / "a.log")
    try:
        wait_for_leader({"a": host})
        answer("kv", "put", "w/0", "0", "--admin", host.admin)
        watch = [sys.executable, "-m", "quorate", "kv", "watch", "w/", "--from-revision", "1"]
        watcher = subprocess.Popen(
            [*watch, "--count", "4", "--json", "--admin", host.admin],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=child_environment(),
            text=True,
        )
        assert watcher.stdout is not None
        answer("kv", "put", "w/1", "1", "--admin", host.admin)
        seen = [json.loads(watcher.stdout.readline()) for _ in range(2)]
        host.stop(signal.SIGKILL)
        host = HostProcess(words, tmp_path / "a.log")
        wait_for_leader({"a": host})
        for number in (2, 3):
            answer("kv", "put", f"w/{number}", str(number), "--admin", host.admin)
        seen += [json.loads(line) for line in watcher.stdout]
        assert [event["value"] for event in seen] == [0, 1, 2, 3]
        assert watcher.wait(10) == 0
    finally:
        host.stop(signal.SIGKILL)


def test_a_new_host_joins_a_running_cluster_and_leaves_it(tmp_path: Path) -> None:
    with cluster(tmp_path, "a", "b", "c") as hosts:
        a = hosts["a"].admin
        answer("kv", "put", "k", "1", "--admin", a)
        address = free_addresses(1)[0]
        peers = [
            word
            for name, host in hosts.items()
            for word in ("--peer", f"{name}={host.ready['listen']}")
        ]
        words = ["--id", "d", "--data", str(tmp_path / "d"), "--listen", address, "--join"]
        d = HostProcess(
            [*words, *peers, "--secret", SECRET, "--admin", "127.0.0.1:0"], tmp_path / "d.log"
        )
        hosts["d"] = d
        answer("member", "add", "d", address, "--admin", a, "--timeout", "20")
        assert answer("kv", "get", "k", "--admin", d.admin)["value"] == 1
        members = answer("member", "list", "--admin", d.admin)["members"]
        assert {member["id"] for member in members} == {*"abcd"}
        answer("member", "remove", "d", "--admin", a, "--timeout", "20")
        members = answer("member", "list", "--admin", a)["members"]
        assert {member["id"] for member in members} == {*"abc"}


def test_hosts_meet_by_certificate_and_a_stranger_is_kept_out(tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    (tmp_path / "other").mkdir()
    own = {name: tls_words(files) for name, files in certificates(tmp_path / "tls", "abc")}
    foreign = {name: tls_words(files) for name, files in certificates(tmp_path / "other", "c")}
    with cluster(tmp_path, "a", "b", "c", auth=own) as hosts:
        a = hosts["a"].admin
        answer("kv", "put", "k", "1", "--admin", a)
        assert answer("kv", "get", "k", "--admin", hosts["c"].admin)["value"] == 1
        addresses = {name: str(host.ready["listen"]) for name, host in hosts.items()}
        assert hosts.pop("c").stop() == 0
        shutil.rmtree(tmp_path / "c")
        words = words_of("c", tmp_path, addresses, auth=foreign["c"])
        hosts["stranger"] = HostProcess(words, tmp_path / "stranger.log")
        answer("kv", "put", "k", "2", "--admin", a)
        end = time.monotonic() + 10
        while "certificate" not in (said := link(a)["problem"].lower()):
            assert time.monotonic() < end, said
            time.sleep(0.1)
        assert link(a)["connected"] is False
        stranger = answer("status", "--admin", hosts["stranger"].admin)
        assert stranger["leader"] is None
        assert stranger["commit_index"] <= 1


def link(admin: str) -> dict[str, Any]:
    """What `a` knows of its link to `c`."""
    return dict(answer("reachability", "--admin", admin)["a"]["c"])


def certificates(folder: Path, names: str) -> list[tuple[str, MutualTls]]:
    return list(dev_certificates(folder, list(names)).items())


def tls_words(files: MutualTls) -> list[str]:
    return ["--tls-cert", str(files.cert), "--tls-key", str(files.key), "--tls-ca", str(files.ca)]


def test_the_demonstration_loses_nothing_and_prints_its_figures(tmp_path: Path) -> None:
    done = quorate("demo", "--json", "--seconds", "1.5", timeout_s=90)
    assert done.returncode == 0, done.stderr + done.stdout
    figures = json.loads(done.stdout)
    assert figures["acked"] > 100
    assert (figures["lost"], figures["duplicated"]) == (0, 0)
    assert 0 < figures["failover_ms"] < 10_000
    assert figures["writes_per_s"] > 0
    assert figures["catch_up_ms"] > 0
    levels = figures["levels"]  # the second half: each level while a minority is cut off
    assert levels["held"], levels
    assert levels["cut"]["states"] == {"a": "majority_side", "b": "majority_side", "c": "isolated"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_demonstration_and_all_its_hosts(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "quorate", "demo", "--plain", "--data", str(tmp_path)],
        stdout=subprocess.PIPE,
        env=child_environment(),
        text=True,
        start_new_session=True,
    )
    assert demo.stdout is not None
    for line in demo.stdout:
        if "all three write now" in line:
            break
    demo.send_signal(number)
    assert demo.wait(30) == code
    listing = subprocess.run(["ps", "ax", "-o", "args"], capture_output=True, text=True, check=True)
    assert str(tmp_path) not in listing.stdout
