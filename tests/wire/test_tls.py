"""Mutual TLS: a certificate of the cluster's authority with the right name, or nothing."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from quorate.core.errors import ConfigError
from quorate.core.wire import Lane, MutualTls, NoAuth, WireLimits
from quorate.core.wire.tls import client_context, dev_certificates, server_context
from tests.wire.hosts import TestMesh, cluster, make, run, until

HARD = WireLimits(handshake_deadline_s=1.0, backoff_min_s=0.02, backoff_max_s=0.05)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, MutualTls]:
    return dev_certificates(tmp_path_factory.mktemp("tls"), ["a", "b", "c"])


def test_two_hosts_meet_by_certificate(certificates: dict[str, MutualTls]) -> None:
    async def story() -> None:
        a = make("a", auth=certificates["a"], listen="0.0.0.0:0")
        b = make("b", auth=certificates["b"])
        await a.start()
        await b.start()
        try:
            port = (a.address or "").rpartition(":")[2]
            a.add_peer("b", b.address or "")
            b.add_peer("a", f"localhost:{port}")
            await until(lambda: a.is_up("b") and b.is_up("a"), "both links")
            body = bytes(3_000_000)
            assert a.send("b", {"body": body}, Lane.BULK)
            assert b.send("a", {"n": 1})
            await until(lambda: a.heard.messages and b.heard.messages, "messages")
            assert b.heard.messages[0][1]["body"] == body
        finally:
            await a.close()
            await b.close()

    run(story())


async def refused(left: TestMesh, right: TestMesh, expected: str) -> None:
    """Neither side reaches the other, no hook hears a thing, and the reason is told."""
    async with cluster(left, right, meet=False):

        def told() -> bool:
            row = left.reachability()[right.host_id]
            return expected.lower() in str(row["problem"]).lower()

        await until(told, f"{expected!r} in {left.reachability()}")
        assert not left.is_up(right.host_id)
        assert not right.is_up(left.host_id)
        for mesh in (left, right):
            assert mesh.heard.ups == mesh.heard.messages == []
            assert not mesh.send(left.host_id, {}) and not mesh.send(right.host_id, {})


def test_a_certificate_of_another_authority_is_refused(
    certificates: dict[str, MutualTls], tmp_path: Path
) -> None:
    other = dev_certificates(tmp_path, ["b"])["b"]
    run(
        refused(
            make("a", auth=certificates["a"], limits=HARD),
            make("b", auth=other, limits=HARD),
            "CERTIFICATE_VERIFY_FAILED",
        )
    )


def test_an_expired_certificate_is_refused(tmp_path: Path) -> None:
    expired = dev_certificates(tmp_path, ["a", "b"], days=1, starts_days_ago=2)
    run(
        refused(
            make("a", auth=expired["a"], limits=HARD),
            make("b", auth=expired["b"], limits=HARD),
            "expired",
        )
    )


def test_a_certificate_with_another_name_is_refused(certificates: dict[str, MutualTls]) -> None:
    run(
        refused(
            make("a", auth=certificates["a"], limits=HARD),
            make("b", auth=certificates["c"], limits=HARD),
            "the certificate is for c",
        )
    )


def test_plaintext_to_a_tls_port_is_refused(certificates: dict[str, MutualTls]) -> None:
    run(
        refused(
            make("a", auth=NoAuth(), limits=HARD),
            make("b", auth=certificates["b"], limits=HARD),
            "lost during the handshake",
        )
    )


def test_tls_to_a_plaintext_port_is_refused(certificates: dict[str, MutualTls]) -> None:
    run(
        refused(
            make("a", auth=certificates["a"], limits=HARD),
            make("b", auth=NoAuth(), limits=HARD),
            "cannot connect",
        )
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_client_without_a_certificate_and_one_of_old_tls_are_refused(
    certificates: dict[str, MutualTls],
) -> None:
    async def story() -> None:
        a = make("a", auth=certificates["a"])
        async with cluster(a):
            host, _, port = (a.address or "").rpartition(":")
            bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            bare.check_hostname = False
            bare.verify_mode = ssl.CERT_NONE
            old = client_context(certificates["b"])
            old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            old.maximum_version = ssl.TLSVersion.TLSv1_1  # deprecated, which is the point
            for context in (bare, old):
                with pytest.raises((OSError, asyncio.IncompleteReadError)):
                    reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
                    try:
                        await reader.readexactly(1)
                    finally:
                        writer.transport.abort()
            await until(lambda: not a.statistics()["strangers"], "the strangers are gone")
            refusals: Any = a.statistics()["refused"]
            assert refusals["authentication"] >= 2

    run(story())


def test_silent_clients_are_cut_off_during_the_tls_handshake(
    certificates: dict[str, MutualTls],
) -> None:
    async def story() -> None:
        limits = WireLimits(unauthenticated_connections_max=8, handshake_deadline_s=0.3)
        a = make("a", auth=certificates["a"], limits=limits)
        async with cluster(a):
            host, _, port = (a.address or "").rpartition(":")
            streams = [await asyncio.open_connection(host, int(port)) for _ in range(40)]

            def strangers() -> Any:
                return a.statistics()["strangers"]

            await until(lambda: a.statistics()["evicted"] == 32, "the oldest are evicted")
            assert strangers() <= 8
            await until(lambda: strangers() == 0, "the deadline ends the rest")
            for reader, writer in streams:
                with pytest.raises((OSError, asyncio.IncompleteReadError)):
                    await reader.readexactly(1)
                writer.transport.abort()
            listener: Any = a._listener
            await until(lambda: not listener._tasks, "no handshake is left open")

    run(story())


def test_tls_files_that_do_not_fit_are_said(certificates: dict[str, MutualTls]) -> None:
    good = certificates["a"]
    for bad in (
        MutualTls(good.cert, certificates["b"].key, good.ca),
        MutualTls(Path("missing.pem"), good.key, good.ca),
        MutualTls(good.cert, good.key, good.key),
    ):
        for context in (client_context, server_context):
            with pytest.raises(ConfigError, match="cannot use the TLS files"):
                context(bad)


def test_keys_are_readable_by_their_owner_only(certificates: dict[str, MutualTls]) -> None:
    assert Path(certificates["a"].key).stat().st_mode & 0o077 == 0
