"""Session tokens: they say what was seen, and nobody makes one up."""

from __future__ import annotations

import pytest

from quorate.consistency.store.tokens import (
    ACTORS_MAX,
    KEY_BYTES,
    MAC_BYTES,
    Past,
    TokenMint,
    key_of_secret,
)
from quorate.core import codec
from quorate.core.errors import ForgedToken, LimitExceeded

KEY = bytes(range(KEY_BYTES))
PAST = Past({7: 12, 3: 5}, 99, 1 << 60)


def test_a_token_gives_back_what_it_was_made_of() -> None:
    mint = TokenMint("shop", KEY)
    token = mint.make(PAST)
    assert mint.read(token) == PAST
    assert mint.read(bytearray(token)) == PAST
    assert mint.make(Past({3: 5, 7: 12}, 99, 1 << 60)) == token, "equal pasts, equal bytes"
    assert TokenMint("shop", KEY).read(token) == PAST, "on any host of the cluster"
    assert mint.read(mint.make(Past({}))) == Past({})


def test_every_changed_byte_is_seen() -> None:
    mint = TokenMint("shop", KEY)
    token = mint.make(PAST)
    for at in range(len(token)):
        for change in (1, 0x80):
            damaged = bytearray(token)
            damaged[at] ^= change
            with pytest.raises(ForgedToken):
                mint.read(bytes(damaged))


def test_every_shortened_token_is_seen() -> None:
    mint = TokenMint("shop", KEY)
    token = mint.make(PAST)
    for length in range(len(token)):
        with pytest.raises(ForgedToken):
            mint.read(token[:length])
    with pytest.raises(ForgedToken):
        mint.read(token + b"\0")


def test_the_text_says_what_is_wrong() -> None:
    mint = TokenMint("shop", KEY)
    token = mint.make(PAST)
    for bad, text in (
        ("text", "is bytes, not str"),
        (b"", "empty"),
        (b"\x02" + token[1:], "version 2, this host reads version 1"),
        (token[:20], "truncated"),
        (bytes([1]) * 40_000, "32768 at most"),
        (TokenMint("other", KEY).make(PAST), "of another cluster"),
        (TokenMint("shop", key_of_secret("x")).make(PAST), "forged, damaged, or of another"),
    ):
        with pytest.raises(ForgedToken, match=text):
            mint.read(bad)


def test_what_is_signed_and_still_no_past_is_refused() -> None:
    mint = TokenMint("shop", KEY)
    head = mint.make(PAST)[:9]
    for body in ([], [1, 2], [1, 2, [3]], [1, 2, ["a", 1]], [-1, 2, []], [1.5, 2, []], {"a": 1}, 7):
        signed = head + codec.dumps(body)
        signed += mint._mac(signed)  # pyright: ignore[reportPrivateUsage]
        assert len(signed) > MAC_BYTES
        with pytest.raises(ForgedToken):
            mint.read(signed)


def test_a_token_is_bounded() -> None:
    mint = TokenMint("shop", KEY)
    most = Past(dict.fromkeys(range(1 << 52, (1 << 52) + ACTORS_MAX), 1 << 60))
    assert mint.read(mint.make(most)) == most
    with pytest.raises(LimitExceeded, match="1025 actors, 1024 at most: start a new session"):
        mint.make(Past({**most.vector, 1: 1}))
