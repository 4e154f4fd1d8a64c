"""`quorate host`: options and the settings file become one set of values, and mistakes are
named."""

from __future__ import annotations

from pathlib import Path

import pytest

from quorate.core.errors import ConfigError
from quorate.hosts.cli.parser import build
from quorate.hosts.cli.settings import gather


def gathered(*words: str) -> dict[str, object]:
    return gather(build().parse_args(["host", *words]))


def test_options_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text('id = "a"\ndata = "data/a"\nlisten = "127.0.0.1:7401"\nadmin = "127.0.0.1:1"\n')
    values = gathered("--config", str(file), "--admin", "127.0.0.1:2")
    assert values == {
        "id": "a",
        "data": "data/a",
        "listen": "127.0.0.1:7401",
        "admin": "127.0.0.1:2",
    }


def test_a_host_counts_itself_among_its_peers() -> None:
    values = gathered(
        *("--id", "a", "--data", "d", "--listen", "127.0.0.1:1", "--peer", "b=127.0.0.1:2")
    )
    assert values["peers"] == {"a": "127.0.0.1:1", "b": "127.0.0.1:2"}


def test_secrets_and_tls_come_from_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("shared\n")
    values = gathered(
        *("--id", "a", "--data", "d", "--secret-file", str(secret), "--admin-token-file"),
        *(str(secret), "--tls-cert", "c.pem", "--tls-key", "k.pem", "--tls-ca", "ca.pem"),
    )
    assert values["secret"] == values["admin_token"] == "shared"
    assert values["tls"] == {"certificate": "c.pem", "key": "k.pem", "authority": "ca.pem"}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "--id"),
        (("--id", "a"), "--data"),
        (("--id", "a", "--data", "d", "--peer", "b"), "id=host:port"),
        (("--id", "a", "--data", "d", "--peer", "b=127.0.0.1:2"), "--listen"),
        (("--id", "a", "--data", "d", "--secret-file", "nowhere"), "cannot be read"),
        (("--config", "nowhere.toml"), "cannot be read"),
    ],
)
def test_a_mistake_is_named(words: tuple[str, ...], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        gathered(*words)


def test_an_unknown_key_in_the_file_is_named_with_what_was_meant(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text('id = "a"\ndata = "d"\nlisten_on = "127.0.0.1:7401"\n')
    with pytest.raises(ConfigError, match=r"listen_on.*listen"):
        gathered("--config", str(file))
