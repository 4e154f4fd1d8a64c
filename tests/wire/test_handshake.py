"""Handshake transcripts: the good one, and one for every refusal. Two pure machines, no sockets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from quorate.core import codec
from quorate.core.errors import ConfigError
from quorate.core.wire.auth import Auth, NoAuth, SharedSecret
from quorate.core.wire.handshake import (
    TABLE,
    Acceptor,
    Code,
    Dialler,
    Effect,
    Established,
    Me,
    Refusal,
    Send,
    State,
    decode_reason,
    encode_reason,
)

SECRET = SharedSecret(b"0123456789abcdef")
A = Me("a", "tests", b"A" * 16, SECRET)
B = Me("b", "tests", b"B" * 16, SECRET)


def dialler(me: Me = A, to: str = "b", nonce: bytes = b"d" * 32) -> Dialler:
    return Dialler(me, to=to, sequence=7, nonce=nonce)


def acceptor(
    me: Me = B, nonce: bytes = b"n" * 32, known: str = "ac", no: Refusal | None = None
) -> Acceptor:
    return Acceptor(me, nonce=nonce, knows=lambda peer: peer in known, admit=lambda peer: no)


def talk(left: Dialler, right: Acceptor) -> tuple[list[str], list[Effect]]:
    """Carry payloads to and fro until there is nothing to carry: (transcript, last effects)."""
    transcript: list[str] = []
    ends: list[Effect] = []
    waiting: list[tuple[str, bytes]] = [("right", left.start().payload)]
    while waiting:
        to, payload = waiting.pop(0)
        transcript.append(codec.loads(payload)["t"])
        side = right if to == "right" else left
        for effect in side.on_payload(payload):
            if isinstance(effect, Send):
                waiting.append(("left" if to == "right" else "right", effect.payload))
            else:
                ends.append(effect)
    return transcript, ends


def changed(payload: bytes, **fields: Any) -> bytes:
    message = codec.loads(payload)
    message.update(fields)
    return codec.dumps({name: value for name, value in message.items() if value is not ...})


def refusal(effects: list[Effect]) -> Refusal:
    assert len(effects) == 1
    assert isinstance(effects[0], Refusal), effects
    return effects[0]


@pytest.mark.parametrize("auth", [NoAuth(), SECRET], ids=["none", "secret"])
def test_two_hosts_that_belong_together_meet(auth: Auth) -> None:
    left, right = dialler(replace(A, auth=auth)), acceptor(replace(B, auth=auth))
    transcript, ends = talk(left, right)
    assert transcript == ["hello", "challenge", "proof", "welcome"]
    assert ends == [Established("a", A.boot, 7), Established("b", B.boot, 7)]
    assert left.state is right.state is State.DONE


@pytest.mark.parametrize(
    ("left", "right", "code"),
    [
        (dialler(replace(A, cluster_id="other")), acceptor(), Code.CLUSTER),
        (dialler(replace(A, host_id="x")), acceptor(), Code.UNKNOWN),
        (dialler(to="z"), acceptor(), Code.WRONG_HOST),
        (dialler(replace(A, host_id="b")), acceptor(), Code.SELF),
        (dialler(replace(A, boot=B.boot)), acceptor(), Code.SELF),
        (dialler(replace(A, auth=SharedSecret(b"another secret!!"))), acceptor(), "authentication"),
        (dialler(replace(A, auth=NoAuth())), acceptor(), Code.AUTHENTICATION),
        (dialler(), acceptor(no=Refusal(Code.DUPLICATE, "twin")), Code.DUPLICATE),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_those_who_do_not_are_refused(left: Dialler, right: Acceptor, code: str) -> None:
    _transcript, ends = talk(left, right)
    no = refusal(ends)
    assert no.code == code
    assert right.state is State.REFUSED
    assert no.text
    assert right.on_payload(b"\xa1atehello"[0:1]) != []  # and nothing revives it
    assert right.state is State.REFUSED


def test_an_acceptor_that_does_not_know_the_secret_is_refused() -> None:
    right = acceptor(replace(B, auth=NoAuth()))
    right.me = replace(B, auth=NoAuth())
    left = dialler()
    (challenge,) = right.on_payload(left.start().payload)
    assert isinstance(challenge, Send)
    left.on_payload(challenge.payload)
    forged = codec.dumps({"t": "welcome", "proof": b""})
    assert refusal(left.on_payload(forged)).code is Code.AUTHENTICATION


@pytest.mark.parametrize("version", [0, 2, "1", None, 1.0, True, 2**70])
def test_another_version_is_refused_on_both_sides(version: object) -> None:
    hello = changed(dialler().start().payload, version=version)
    assert refusal(acceptor().on_payload(hello)).code is Code.VERSION
    left = dialler()
    (challenge,) = acceptor().on_payload(left.start().payload)
    assert isinstance(challenge, Send)
    answer = changed(challenge.payload, version=version)
    assert refusal(left.on_payload(answer)).code is Code.VERSION


def test_a_replay_of_a_whole_conversation_is_refused() -> None:
    """The acceptor's nonce is fresh, so yesterday's proof does not fit today's challenge."""
    left = dialler()
    hello = left.start().payload
    (challenge,) = acceptor(nonce=b"1" * 32).on_payload(hello)
    assert isinstance(challenge, Send)
    (proof,) = left.on_payload(challenge.payload)
    assert isinstance(proof, Send)
    later = acceptor(nonce=b"2" * 32)
    later.on_payload(hello)
    assert refusal(later.on_payload(proof.payload)).code is Code.AUTHENTICATION


def test_planted_fault_a_reused_nonce_lets_the_replay_in() -> None:
    left = dialler()
    hello = left.start().payload
    (challenge,) = acceptor(nonce=b"1" * 32).on_payload(hello)
    assert isinstance(challenge, Send)
    (proof,) = left.on_payload(challenge.payload)
    assert isinstance(proof, Send)
    later = acceptor(nonce=b"1" * 32)
    later.on_payload(hello)
    assert isinstance(later.on_payload(proof.payload)[-1], Established)


def test_a_proof_cannot_be_reflected_or_carried_to_another_host() -> None:
    left, right = dialler(), acceptor()
    (challenge,) = right.on_payload(left.start().payload)
    assert isinstance(challenge, Send)
    (proof,) = left.on_payload(challenge.payload)
    assert isinstance(proof, Send)
    reflected = changed(proof.payload, t="welcome")
    assert refusal(left.on_payload(reflected)).code is Code.AUTHENTICATION
    other = acceptor(replace(B, host_id="c"))
    other.on_payload(dialler(to="c").start().payload)
    assert refusal(other.on_payload(proof.payload)).code is Code.AUTHENTICATION


FIELDS = ["version", "cluster", "from", "to", "boot", "sequence", "nonce"]


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("value", [..., None, -1, 2**64, "", "x" * 300, b"", b"x" * 31, [], {}])
def test_a_hello_with_a_wrong_field_is_refused(name: str, value: object) -> None:
    right = acceptor()
    effects = right.on_payload(changed(dialler().start().payload, **{name: value}))
    assert isinstance(effects[0], Refusal)
    assert right.state is State.REFUSED


@pytest.mark.parametrize("payload", [b"", b"\xff", b"\x00", b"\x80", b"\xa0", b"\xa1at\x01"])
def test_what_is_no_handshake_message_is_refused(payload: bytes) -> None:
    for side in (dialler(), acceptor()):
        assert refusal(side.on_payload(payload)).code is Code.MALFORMED


def test_the_table_is_all_there_is() -> None:
    """In every state, every message the table does not name is refused."""
    kinds = ["hello", "challenge", "proof", "welcome", "surprise"]
    for state in State:
        for kind in kinds:
            if (state, kind) not in TABLE:
                side = acceptor()
                side.state = state
                assert refusal(side.on_payload(codec.dumps({"t": kind}))).code is Code.MALFORMED


def test_a_certificate_must_carry_the_claimed_name() -> None:
    tls = NoAuth()  # with TLS the proofs are empty as well; the certificate is what counts
    left, right = dialler(replace(A, auth=tls)), acceptor(replace(B, auth=tls))
    right.certified = frozenset({"c"})
    assert refusal(right.on_payload(left.start().payload)).code is Code.AUTHENTICATION
    left, right = dialler(replace(A, auth=tls)), acceptor(replace(B, auth=tls))
    left.certified = frozenset()
    assert refusal(talk(left, right)[1]).code is Code.AUTHENTICATION


def test_a_secret_is_long_and_never_shown() -> None:
    with pytest.raises(ConfigError, match="at least 16"):
        SharedSecret(b"short")
    assert "0123" not in repr(SECRET) + repr(A)


def test_reasons_survive_hostile_bytes() -> None:
    assert decode_reason(encode_reason(Refusal(Code.BUSY, "later"))) == ("busy", "later")
    for payload in (b"", b"\xff", b"\x80", codec.dumps({"code": 1, "text": "a\x1b[2J" * 500})):
        code, text = decode_reason(payload)
        assert code.isprintable()
        assert text.isprintable()
        assert len(text) <= 400
