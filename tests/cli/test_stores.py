"""`quorate store` and `quorate partition`: what they print and what they ask for."""

from __future__ import annotations

import json

import pytest

from quorate.core.errors import StaleReplica
from quorate.hosts.admin.stores_port import StoreRead, StoreWrite
from quorate.hosts.cli.main import main
from quorate.hosts.cli.store_tables import report
from tests.admin.stub import StubPort
from tests.admin.stub_stores import REPORT
from tests.cli.test_ask import Shell, told

Capture = pytest.CaptureFixture[str]


def test_stores_are_listed_with_replication(capsys: Capture) -> None:
    async def story(shell: Shell, port: StubPort) -> None:
        assert await shell.run("store", "list") == 0
        lines = shell.out.splitlines()
        assert lines[0].split() == ["STORE", "RESOLVER", "REPLICAS", "KEYS", "CONFLICTS"]
        assert lines[1].split() == ["carts", "lww", "3", "0", "1"]
        assert "ring epoch 4: a, b" in shell.out
        assert "kept for others: 2 records, 900 bytes" in shell.out
        assert "problem: clock of b is ahead" in shell.out
        assert await shell.run("store", "list", "--json") == 0
        assert json.loads(shell.out)["peers"]["b"]["hints_bytes"] == 12

    told(capsys, story)


def test_a_key_is_written_and_read_with_its_receipt_and_session(capsys: Capture) -> None:
    async def story(shell: Shell, port: StubPort) -> None:
        words = ("store", "put", "carts", "ann b", '{"qty": 2}')
        assert await shell.run(*words, "--consistency", "strong", "--session", "") == 0
        first, second = shell.out.splitlines()
        assert first == "strong  version 0:1  term 3  index 11  on disk at a  ring epoch 4"
        token = second.removeprefix("session ")
        assert await shell.run("store", "put", "carts", "x", "1", "--from-memory") == 0
        assert "in memory at a" in shell.out
        assert port.asked_how[-1] == StoreWrite(None, None, False)
        get = ("store", "get", "carts", "ann b")
        assert await shell.run(*get, "--level", "session", "--session", token) == 0
        assert json.loads(shell.out.split("register")[0]) == {"qty": 2}
        assert "register  level session  from a  version 7:1" in shell.out
        assert await shell.run(*get, "--staleness-ms", "200", "--json") == 0
        assert json.loads(shell.out)["value"] == {"qty": 2}
        assert port.asked_how[-1] == StoreRead(None, 200)
        assert await shell.run("store", "keys", "carts", "an") == 0
        assert shell.out == "ann b\n"
        assert await shell.run("store", "promote", "carts", "ann b") == 0
        assert await shell.run("store", "del", "carts", "ann b") == 0
        assert await shell.run(*get) == 1
        assert "no key 'ann b' in store 'carts'" in shell.err

    told(capsys, story)


def test_conflicts_are_shown_with_where_to_go_on(capsys: Capture) -> None:
    async def story(shell: Shell, port: StubPort) -> None:
        assert await shell.run("store", "conflicts", "carts") == 0
        assert shell.out.splitlines()[1].split()[2:5] == ["ann", "lww", "siblings"]
        assert "(go on with --after AAE=)" in shell.out
        assert await shell.run("store", "conflicts", "carts", "--after", "AAE=") == 0
        assert shell.out == "no conflicts\n"

    told(capsys, story)


def test_siblings_are_shown(capsys: Capture) -> None:
    async def story(shell: Shell, port: StubPort) -> None:
        await shell.run("store", "put", "carts", "two", "1")
        assert await shell.run("store", "get", "carts", "two") == 0
        assert shell.out.splitlines()[-2:] == ["sibling: 1", "sibling: 2"]

    told(capsys, story)


def test_a_cut_and_what_the_heal_reconciled(capsys: Capture) -> None:
    async def story(shell: Shell, port: StubPort) -> None:
        assert await shell.run("partition", "status") == 0
        assert "host a: majority_side, reaches a majority" in shell.out
        assert "not reached: c (hears us, is not heard)" in shell.out
        assert await shell.run("partition", "report") == 0
        assert "2 keys diverged" in shell.out
        assert await shell.run("partition", "report", "--limit", "5", "--json") == 0
        assert len(json.loads(shell.out)["reports"]) == 2

    told(capsys, story)


def test_a_report_reads_like_one() -> None:
    body = {**REPORT, "diverged_keys": 3, "keys_not_looked_at": 4, "why": "c went away again"}
    body["diverged"] = [
        {**row, "losers": [{**loser, "value": "x" * 100} for loser in row["losers"]]}
        for row in REPORT["diverged"]
    ]
    text = report(body).splitlines()
    assert text[0] == (
        "report 1 of a: c back at 2023-11-14 22:13:20Z after 12.5 s; complete in 0.25 s"
    )
    assert text[1] == "c went away again"
    assert text[3].split() == ["c", "4", "5", "400", "500"]
    ann, likes = text[5], text[6]
    assert ann.split()[:5] == ["carts", "ann", "lww", "c:", '{"qty":']
    assert ann.endswith("…")
    assert likes.split() == ["carts", "likes", "crdt", "pn_counter", "merged", "-"]
    assert text[7:] == [
        "3 keys diverged, 1 not shown",
        "4 changed keys were not looked at: too many",
    ]


def test_errors_keep_their_outcome(capsys: Capture) -> None:
    async def story(shell: Shell, port: StubPort) -> None:
        port.store_error = StaleReplica("nobody here has seen that session")
        assert await shell.run("store", "get", "carts", "k") == 1
        assert "nobody here has seen that session" in shell.err
        assert await shell.run("store", "put", "carts", "k", "hello") == 2
        assert "--text" in shell.err

    told(capsys, story)


def test_wrong_words_end_with_usage(capsys: Capture) -> None:
    for words in (
        ["store"],
        ["store", "get", "carts"],
        ["store", "get", "carts", "k", "--level", "strong"],
        ["store", "put", "carts", "k", "1", "--consistency", "linearizable"],
        ["partition"],
    ):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 2
