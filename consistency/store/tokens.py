"""Session tokens: what a session wrote and saw, as bytes that travel and cannot be made up.

The law of this file: bytes in, values out, or `ForgedToken` with a text that says what is wrong. A
token is one version byte, 8 bytes that tell the cluster, CBOR `[strong index, stamp, [actor, seq,
actor, seq, ...]]` with the actors in order, and 16 bytes of keyed BLAKE2b over all that. Tokens of
the same past are equal. It never holds more than `ACTORS_MAX` actors.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final, NamedTuple, cast

from quorate.core import codec
from quorate.core.errors import ForgedToken, LimitExceeded

VERSION: Final = 1
TAG_BYTES: Final = 8
MAC_BYTES: Final = 16
KEY_BYTES: Final = 32
ACTORS_MAX: Final = 1024
TOKEN_BYTES_MAX: Final = 32 * 1024
_HEAD_BYTES: Final = 1 + TAG_BYTES
_ACTOR_BITS_MAX: Final = 63

Vector = dict[int, int]


class Past(NamedTuple):
    """What a session wrote and saw."""

    vector: Mapping[int, int]
    """Of each actor, everything up to this sequence."""
    strong: int = 0
    """Of the strong plane, everything up to this applied index."""
    stamp: int = 0
    """The highest stamp among it: what the session writes next is later."""


def cluster_tag(cluster: str) -> bytes:
    """8 bytes that tell clusters apart, for a clear text; the key is what protects."""
    return blake2b(cluster.encode(), digest_size=TAG_BYTES, person=b"quorate-tag").digest()


def key_of_secret(secret: str) -> bytes:
    """The key of the tokens of a cluster that has a secret."""
    return blake2b(secret.encode(), digest_size=KEY_BYTES, person=b"quorate-session").digest()


class TokenMint:
    """Makes and reads the tokens of one cluster."""

    __slots__ = ("_head", "_key", "_made")

    def __init__(self, cluster: str, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ForgedToken(f"a session key has {KEY_BYTES} bytes, not {len(key)}")
        self._head = bytes((VERSION,)) + cluster_tag(cluster)
        self._key = key
        self._made = 0

    def make(self, past: Past) -> bytes:
        """The token of a past. Raises `LimitExceeded` for one of too many actors."""
        vector = past.vector
        if len(vector) > ACTORS_MAX:
            raise LimitExceeded(
                f"the session has seen updates of {len(vector)} actors, {ACTORS_MAX} at most: "
                "start a new session"
            )
        flat: list[int] = []
        for actor in sorted(vector):
            flat += (actor, vector[actor])
        body = self._head + codec.dumps([past.strong, past.stamp, flat])
        self._made += 1
        return body + self._mac(body)

    def read(self, token: object) -> Past:
        """The past of a token. Raises `ForgedToken`."""
        data = check_shape(token)
        if data[:_HEAD_BYTES] != self._head:
            raise ForgedToken("the session token is of another cluster")
        if not hmac.compare_digest(self._mac(data[:-MAC_BYTES]), data[-MAC_BYTES:]):
            raise ForgedToken(
                "the session token is forged, damaged, or of another cluster of the same name"
            )
        return _past(data[_HEAD_BYTES:-MAC_BYTES])

    def _mac(self, body: bytes) -> bytes:
        return blake2b(body, digest_size=MAC_BYTES, key=self._key).digest()

    def statistics(self) -> dict[str, object]:
        return {"tokens_made_total": self._made}


def check_shape(token: object) -> bytes:
    """What can be told without the key. Raises `ForgedToken`."""
    if not isinstance(token, bytes | bytearray | memoryview):
        raise ForgedToken(f"a session token is bytes, not {type(token).__name__}")
    data = bytes(cast("bytes", token))
    if not data:
        raise ForgedToken("the session token is empty")
    if data[0] != VERSION:
        raise ForgedToken(
            f"the session token has version {data[0]}, this host reads version {VERSION}"
        )
    if len(data) < _HEAD_BYTES + MAC_BYTES + 1:
        raise ForgedToken(f"the session token is truncated: it has {len(data)} bytes")
    if len(data) > TOKEN_BYTES_MAX:
        raise ForgedToken(f"the session token has {len(data)} bytes, {TOKEN_BYTES_MAX} at most")
    return data


def _past(body: bytes) -> Past:
    try:
        parts = codec.loads(body)
    except codec.Malformed as error:
        raise ForgedToken(f"the session token cannot be read: {error}") from error
    if type(parts) is not list or len(cast("list[Any]", parts)) != 3:
        raise ForgedToken("the session token does not hold what a token holds")
    index, stamp, flat = cast("list[Any]", parts)
    numbers = cast("list[int]", flat) if type(flat) is list else [-1]
    if len(numbers) % 2 or len(numbers) > 2 * ACTORS_MAX or not all(map(_fits, numbers)):
        raise ForgedToken("the session token does not hold what a token holds")
    if not (_fits(index) and _fits(stamp)):
        raise ForgedToken("the session token does not hold what a token holds")
    return Past(dict(zip(numbers[::2], numbers[1::2], strict=True)), index, stamp)


def _fits(number: Any) -> bool:
    return type(number) is int and 0 <= number < 1 << (_ACTOR_BITS_MAX + 1)
