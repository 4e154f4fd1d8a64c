"""The words of `quorate chaos`."""

from __future__ import annotations

import sys

import pytest

from quorate import __main__ as command
from quorate.chaos.cli import words
from quorate.core.errors import UsageError


def test_groups_of_hosts_and_the_links_between_them() -> None:
    groups = words.groups_of(["a,b", "/", "c"])
    assert groups == [("a", "b"), ("c",)]
    assert sorted(words.across(groups)) == [("a", "c"), ("b", "c"), ("c", "a"), ("c", "b")]
    assert words.groups_of(["a b/c"]) == groups


@pytest.mark.parametrize("said", ["a,b", "a / ", "/", "a / a"])
def test_what_is_no_partition_is_refused(said: str) -> None:
    with pytest.raises(UsageError):
        words.groups_of([said])


def test_options_are_what_was_said_and_their_command_says_them_again() -> None:
    said = ["run", "--workload", "names", "--nemesis", "pause", "--seconds", "5", "--seed", "9"]
    args = words.build().parse_args([*said, "--set", "timeout_s=2.5", "--set", "cluster=x"])
    options = words.options_of(args)
    assert (options.workload, options.nemesis, options.seed) == ("names", "pause", 9)
    assert options.settings == {"timeout_s": 2.5, "cluster": "x"}
    again = words.build().parse_args(options.command().split()[2:])
    assert words.options_of(again).seconds == 5.0
    with pytest.raises(UsageError, match="NAME=VALUE"):
        words.options_of(words.build().parse_args(["run", "--set", "x"]))


def test_the_command_hands_over_to_the_laboratory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["quorate", "chaos", "run", "--workload", "nope"])
    assert command.main() == 2
    assert "choose one of register" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["quorate", "chaos", "list"])
    assert command.main() == 0
    assert "isolate-leader" in capsys.readouterr().out
