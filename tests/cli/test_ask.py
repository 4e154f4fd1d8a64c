"""Every command that asks a host: what it prints, in text and in JSON, and what it ends with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from quorate.core.errors import NoQuorum, NotLeader, OutcomeUnknown, Unavailable
from quorate.hosts.admin.port import Change
from quorate.hosts.admin.server import start_server
from quorate.hosts.cli.main import main
from tests.admin.stub import StubPort

TOKEN = "a-token-of-enough-letters"
Capture = pytest.CaptureFixture[str]


class Shell:
    """Runs `quorate ...` against a served stub; `out` and `err` are what the last command
    printed."""

    def __init__(self, capture: Capture, address: str) -> None:
        self._capture = capture
        self.address = address
        self.out = self.err = ""

    async def run(self, *words: str) -> int:
        code = await asyncio.to_thread(main, [*words, "--admin", self.address])
        self.out, self.err = self._capture.readouterr()
        return code


def told(
    capture: Capture,
    story: Callable[[Shell, StubPort], Awaitable[None]],
    *,
    token: str | None = None,
) -> None:
    async def tell() -> None:
        port = StubPort()
        server = await start_server(port, "127.0.0.1:0", token)
        try:
            async with asyncio.timeout(20):
                await story(Shell(capture, server.address), port)
        finally:
            await server.close()

    asyncio.run(tell())


def test_a_key_is_put_read_listed_and_deleted(capsys: Capture) -> None:
    async def story(shell: Shell, port: StubPort) -> None:
        assert await shell.run("kv", "put", "users/ann b", '{"age": 3}') == 0
        assert shell.out == "revision 1  term 3  index 11\n"
        assert await shell.run("kv", "get", "users/ann b") == 0
        assert json.loads(shell.out) == {"age": 3}
        assert await shell.run("kv", "get", "users/ann b", "--json", "--level", "local") == 0
        assert json.loads(shell.out)["version"] == 1
        assert await shell.run("kv", "list", "users/") == 0
        assert shell.out.splitlines()[0].split() == ["KEY", "VERSION", "REVISION", "VALUE"]
        assert await shell.run("kv", "del", "users/ann b") == 0
        assert await shell.run("kv", "get", "users/ann b") == 1
        assert "no key 'users/ann b'" in shell.err
        assert port.records == {}

    told(capsys, story)


def test_a_compare_that_fails_is_a_refusal_with_the_present_record(capsys: Capture) -> None:
    async def story(shell: Shell, port: StubPort) -> None:
        assert await shell.run("kv", "put", "k", "1", "--if-absent") == 0
        assert await shell.run("kv", "put", "k", "2", "--if-absent") == 1
        assert "found version 1" in shell.err
        assert await shell.run("kv", "put", "k", "2", "--if-version", "1") == 0
        assert await shell.run("kv", "del", "k", "--if-revision", "1", "--json") == 1
        assert json.loads(shell.err)["present"]["value"] == 2

    told(capsys, story)


def test_text_that_is_not_json_is_explained(capsys: Capture) -> None:
    async def story(shell: Shell, port: StubPort) -> None:
        assert await shell.run("kv", "put", "k", "hello") == 2
        assert "--text" in shell.err
        assert port.records == {}
        assert await shell.run("kv", "put", "k", "hello", "--text") == 0
        assert port.records["k"].value == "hello"

    told(capsys, story)


def test_a_watch_prints_changes_and_stops_after_its_count(capsys: Capture) -> None:
    async def story(shell: Shell, port: StubPort) -> None:
        port.history = [Change("put", "u/1", {"a": 1}, 1, 1), Change("delete", "u/1", None, 2)]
        port.revision = 2
        assert await shell.run("kv", "watch", "u/", "--from-revision", "1", "--count", "2") == 0
        assert shell.out.splitlines() == ['1  put     u/1  {"a": 1}', "2  delete  u/1"]
        port.oldest_revision = 2
        assert await shell.run("kv", "watch", "--from-revision", "1") == 1
        assert "history is gone" in shell.err

    told(capsys, story)


def test_the_cluster_its_members_and_links_are_shown(capsys: Capture) -> None:
    async def story(shell: Shell, port: StubPort) -> None:
        assert await shell.run("status") == 0
        assert "leader b" in shell.out
        assert "b *" in shell.out
        assert await shell.run("status", "--json") == 0
        assert json.loads(shell.out)["term"] == 3
        for words in (["member", "list"], ["names"], ["locks"], ["elections"], ["snapshots"]):
            assert await shell.run(*words) == 0
            assert shell.out
            assert await shell.run(*words, "--json") == 0
            json.loads(shell.out)
        assert await shell.run("reachability") == 0
        assert "RTT_MS" in shell.out
        assert "unknown: no answer" in shell.out

    told(capsys, story)


def test_orders_reach_the_host(capsys: Capture) -> None:
    async def story(shell: Shell, port: StubPort) -> None:
        assert await shell.run("member", "add", "d", "127.0.0.1:7404", "--learner") == 0
        assert await shell.run("member", "remove", "d") == 0
        assert await shell.run("transfer", "c") == 0
        assert shell.out == "c leads\n"
        assert await shell.run("snapshot") == 0
        assert [call[0] for call in port.calls] == [
            "member_add",
            "member_remove",
            "transfer",
            "snapshot_create",
        ]

    told(capsys, story)


def test_an_error_says_the_outcome_and_the_leader(capsys: Capture) -> None:
    async def story(shell: Shell, port: StubPort) -> None:
        port.error = NoQuorum("2 of 3 are away")
        assert await shell.run("kv", "put", "k", "1") == 1
        assert "2 of 3 are away" in shell.err
        assert "the leader is b at 127.0.0.1:7502" in shell.err
        port.error = OutcomeUnknown("no answer")
        assert await shell.run("kv", "put", "k", "1") == 1
        assert "may have been applied" in shell.err
        assert await shell.run("kv", "put", "k", "1", "--json") == 1
        assert json.loads(shell.err)["outcome"] == "unknown"
        port.error = Unavailable("not a voter yet", outcome="applied")
        assert await shell.run("member", "add", "d", "127.0.0.1:1") == 1
        assert "it was applied" in shell.err

    told(capsys, story)


def test_a_host_that_does_not_lead_is_followed_to_the_leader(capsys: Capture) -> None:
    async def story(shell: Shell, port: StubPort) -> None:
        leader = StubPort()
        server = await start_server(leader, "127.0.0.1:0", None)
        port.error = NotLeader("b leads", leader="b")
        port.admin_address_of = lambda host_id: server.address  # type: ignore[method-assign]
        try:
            assert await shell.run("transfer", "c") == 0
        finally:
            await server.close()
        assert leader.calls == [("transfer", "c")]

    told(capsys, story)


def test_nobody_at_the_address_is_said_in_one_line(capsys: Capture) -> None:
    assert main(["status", "--admin", "127.0.0.1:1"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_token_is_taken_from_the_option_or_the_environment(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(shell: Shell, port: StubPort) -> None:
        assert await shell.run("status") == 1
        assert "token" in shell.err
        assert await shell.run("status", "--token", TOKEN) == 0
        monkeypatch.setenv("QUORATE_TOKEN", TOKEN)
        assert await shell.run("status") == 0

    told(capsys, story, token=TOKEN)


def test_wrong_words_end_with_usage(capsys: Capture) -> None:
    for words in (["frobnicate"], ["kv"], ["kv", "get"], ["kv", "get", "k", "--level", "x"]):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 2
    assert main([]) == 2
    assert main(["--version"]) == 0
    assert "quorate" in capsys.readouterr().out
