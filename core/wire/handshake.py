"""The handshake: two hosts learn that they belong together, before a single message is read.

The law of this file: a pure state machine, as a table; payloads go in, effects come out, fresh
bytes are handed in. A refusal changes nothing anywhere and has a code and a reason.

    dialler                                       acceptor
    hello  version cluster from to boot
           sequence nonce               ->
                                        <-        challenge  version boot nonce
    proof  HMAC(dialler | transcript)   ->
                                        <-        welcome    HMAC(acceptor | transcript)

The dialler proves first: who cannot prove the secret never sees a proof made with it. The
transcript holds version, cluster, both ids, both boots, the sequence and both nonces, so a proof
fits this connection only; the role in front of it keeps it from being reflected. With TLS the
certificate proves the id and the proofs are empty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, Final, cast

from quorate.core import codec
from quorate.core.wire.auth import Auth, prove, verify

PROTOCOL_VERSION: Final = 1
NONCE_BYTES: Final = 32
BOOT_BYTES: Final = 16
ID_CHARS_MAX: Final = 255
REASON_CHARS_MAX: Final = 400


class Code(StrEnum):
    """Why a connection was refused or closed."""

    VERSION = "version"
    CLUSTER = "cluster"
    SELF = "self"
    WRONG_HOST = "wrong_host"
    UNKNOWN = "unknown"
    AUTHENTICATION = "authentication"
    MALFORMED = "malformed"
    BUSY = "busy"
    """Another connection of this id is not dead yet: try again soon."""
    DUPLICATE = "duplicate"
    """Another process of this id is alive: two hosts have one id."""
    STALE = "stale"
    """A newer connection of the same process exists already."""
    DEADLINE = "deadline"
    CROWDED = "crowded"
    REMOVED = "removed"
    CLOSING = "closing"


PASSING: Final = frozenset({Code.BUSY, Code.CLOSING, Code.CROWDED, Code.DEADLINE, Code.STALE})
"""Refusals that pass by themselves: not worth an operator's look."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """No, and why. Safe to show to the other side: it holds nothing secret of ours."""

    code: Code
    text: str


@dataclass(frozen=True, slots=True)
class Send:
    """Put this payload into a HANDSHAKE frame."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Established:
    """The other side is who it says. `sequence` orders the connections of one process."""

    host_id: str
    boot: bytes
    sequence: int


Effect = Send | Established | Refusal


@dataclass(frozen=True, slots=True)
class Me:
    """What this side says of itself; `boot` is fresh for every start of a process."""

    host_id: str
    cluster_id: str
    boot: bytes
    auth: Auth


class State(Enum):
    """Where a handshake stands."""

    AWAIT_HELLO = "await hello"
    AWAIT_CHALLENGE = "await challenge"
    AWAIT_PROOF = "await proof"
    AWAIT_WELCOME = "await welcome"
    DONE = "done"
    REFUSED = "refused"


class _Refuse(Exception):
    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.refusal = Refusal(code, text)


class Handshake:
    """One side of one handshake: `start()` once, then `on_payload` for every HANDSHAKE frame."""

    def __init__(self, me: Me, state: State) -> None:
        self.me = me
        self.state = state
        self.certified: frozenset[str] | None = None
        """The names in the other side's certificate, with TLS; set before the first payload."""
        self._peer = ""
        self._peer_boot = b""
        self._sequence = 0
        self._nonces = (b"", b"")

    def on_payload(self, payload: bytes | bytearray) -> list[Effect]:
        """What follows from a payload. After a Refusal or Established nothing more may come."""
        try:
            message = _read(payload)
            step = TABLE.get((self.state, message["t"]))
            if step is None:
                raise _Refuse(
                    Code.MALFORMED, f"{message['t']!r:.40} came in state {self.state.value!r}"
                )
            self.state, effects = step(self, message)
        except _Refuse as no:
            self.state = State.REFUSED
            return [no.refusal]
        return effects

    def _transcript(
        self, role: str, dialler: str, acceptor: str, boots: tuple[bytes, bytes]
    ) -> bytes:
        said = [role, PROTOCOL_VERSION, self.me.cluster_id, dialler, acceptor, *boots]
        return codec.dumps([*said, self._sequence, *self._nonces])

    def _check_certificate(self, host_id: str) -> None:
        if self.certified is not None and host_id not in self.certified:
            names = ", ".join(sorted(self.certified)) or "no name"
            raise _Refuse(
                Code.AUTHENTICATION,
                f"the certificate is for {names}, not for host {host_id!r}",
            )


class Dialler(Handshake):
    """The side that opened the connection, to the host it calls `to`."""

    def __init__(self, me: Me, *, to: str, sequence: int, nonce: bytes) -> None:
        super().__init__(me, State.AWAIT_CHALLENGE)
        self._peer = to
        self._sequence = sequence
        self._nonces = (nonce, b"")

    def start(self) -> Send:
        """The hello."""
        me = self.me
        hello = {
            "t": "hello",
            "version": PROTOCOL_VERSION,
            "cluster": me.cluster_id,
            "from": me.host_id,
            "to": self._peer,
            "boot": me.boot,
            "sequence": self._sequence,
            "nonce": self._nonces[0],
        }
        return Send(codec.dumps(hello))

    def transcript(self, role: str) -> bytes:
        """What is proven."""
        return self._transcript(role, self.me.host_id, self._peer, (self.me.boot, self._peer_boot))

    def on_challenge(self, message: dict[str, Any]) -> tuple[State, list[Effect]]:
        """The acceptor's nonce: prove that we know the secret."""
        _check_version(message)
        self._check_certificate(self._peer)
        self._peer_boot = _bytes(message, "boot", BOOT_BYTES)
        self._nonces = (self._nonces[0], _bytes(message, "nonce", NONCE_BYTES))
        if self._peer_boot == self.me.boot:
            raise _Refuse(Code.SELF, "this address leads back to the host that dialled it")
        proof = prove(self.me.auth, self.transcript("dialler"))
        return State.AWAIT_WELCOME, [Send(codec.dumps({"t": "proof", "proof": proof}))]

    def on_welcome(self, message: dict[str, Any]) -> tuple[State, list[Effect]]:
        """The acceptor took us; now it proves itself."""
        if not verify(self.me.auth, self.transcript("acceptor"), _proof(message)):
            raise _Refuse(Code.AUTHENTICATION, "the acceptor does not know the cluster secret")
        return State.DONE, [Established(self._peer, self._peer_boot, self._sequence)]


class Acceptor(Handshake):
    """The side that was dialled. `admit` decides last, when the other side has proven itself."""

    def __init__(
        self,
        me: Me,
        *,
        nonce: bytes,
        knows: Callable[[str], bool],
        admit: Callable[[Established], Refusal | None],
    ) -> None:
        super().__init__(me, State.AWAIT_HELLO)
        self._nonce = nonce
        self._knows = knows
        self._admit = admit

    def transcript(self, role: str) -> bytes:
        """What is proven."""
        return self._transcript(role, self._peer, self.me.host_id, (self._peer_boot, self.me.boot))

    def on_hello(self, message: dict[str, Any]) -> tuple[State, list[Effect]]:
        """Who it says it is, and whom it wants."""
        _check_version(message)
        me, peer, to = self.me, _id(message, "from"), _id(message, "to")
        if _id(message, "cluster") != me.cluster_id:
            raise _Refuse(Code.CLUSTER, "this host belongs to another cluster: check cluster_id")
        boot = _bytes(message, "boot", BOOT_BYTES)
        if boot == me.boot:
            raise _Refuse(Code.SELF, "this address leads back to the host that dialled it")
        if to != me.host_id:
            raise _Refuse(Code.WRONG_HOST, f"host {to!r} is not here: check the peer's address")
        if peer == me.host_id:
            raise _Refuse(Code.SELF, f"the id {peer!r} is mine: two hosts have one id")
        self._check_certificate(peer)
        if not self._knows(peer):
            raise _Refuse(Code.UNKNOWN, f"host {peer!r} is not a known peer here: add it first")
        self._peer, self._peer_boot = peer, boot
        self._sequence = _count(message, "sequence")
        self._nonces = (_bytes(message, "nonce", NONCE_BYTES), self._nonce)
        challenge = {
            "t": "challenge",
            "version": PROTOCOL_VERSION,
            "boot": me.boot,
            "nonce": self._nonce,
        }
        return State.AWAIT_PROOF, [Send(codec.dumps(challenge))]

    def on_proof(self, message: dict[str, Any]) -> tuple[State, list[Effect]]:
        """The dialler knows the secret, or not."""
        if not verify(self.me.auth, self.transcript("dialler"), _proof(message)):
            raise _Refuse(
                Code.AUTHENTICATION,
                "the proof does not fit: another secret, or a replay; check the cluster secret",
            )
        established = Established(self._peer, self._peer_boot, self._sequence)
        refusal = self._admit(established)
        if refusal is not None:
            return State.REFUSED, [refusal]
        welcome = {"t": "welcome", "proof": prove(self.me.auth, self.transcript("acceptor"))}
        return State.DONE, [Send(codec.dumps(welcome)), established]


Step = Callable[[Any, dict[str, Any]], tuple[State, list[Effect]]]

TABLE: Final[dict[tuple[State, str], Step]] = {
    (State.AWAIT_HELLO, "hello"): Acceptor.on_hello,
    (State.AWAIT_CHALLENGE, "challenge"): Dialler.on_challenge,
    (State.AWAIT_PROOF, "proof"): Acceptor.on_proof,
    (State.AWAIT_WELCOME, "welcome"): Dialler.on_welcome,
}


def encode_reason(refusal: Refusal) -> bytes:
    """The payload of a CLOSE or NOTICE frame."""
    return codec.dumps({"code": refusal.code.value, "text": refusal.text[:REASON_CHARS_MAX]})


def decode_reason(payload: bytes | bytearray) -> tuple[str, str]:
    """(code, text) of a CLOSE or NOTICE frame; hostile bytes give harmless texts."""
    try:
        reason = codec.loads(bytes(payload), depth_max=2)
    except codec.Malformed:
        return "malformed", "(an unreadable reason)"
    if not isinstance(reason, dict):
        return "malformed", "(an unreadable reason)"
    fields = cast("dict[Any, Any]", reason)
    code, text = str(fields.get("code", ""))[:40], str(fields.get("text", ""))
    return code, "".join(c if c.isprintable() else "?" for c in text[:REASON_CHARS_MAX])


# --- reading fields that come from outside ----------------------------------------------------


def _read(payload: bytes | bytearray) -> dict[str, Any]:
    try:
        message = codec.loads(bytes(payload), depth_max=2)
    except codec.Malformed as error:
        raise _Refuse(Code.MALFORMED, f"a handshake frame is {error}") from error
    if not isinstance(message, dict):
        raise _Refuse(Code.MALFORMED, "a handshake frame without fields")
    fields = cast("dict[Any, Any]", message)
    if not isinstance(fields.get("t"), str):
        raise _Refuse(Code.MALFORMED, "a handshake frame without a type")
    return cast("dict[str, Any]", fields)


def _check_version(message: dict[str, Any]) -> None:
    version = message.get("version")
    if version != PROTOCOL_VERSION or type(version) is not int:
        raise _Refuse(
            Code.VERSION, f"protocol version {version!r:.20}, here it is {PROTOCOL_VERSION}"
        )


def _bytes(message: dict[str, Any], name: str, size: int) -> bytes:
    value = message.get(name)
    if not isinstance(value, bytes) or len(value) != size:
        raise _Refuse(Code.MALFORMED, f"{name!r} must be {size} bytes")
    return value


def _proof(message: dict[str, Any]) -> bytes:
    value = message.get("proof")
    if not isinstance(value, bytes) or len(value) > 64:
        raise _Refuse(Code.MALFORMED, "'proof' must be at most 64 bytes")
    return value


def _id(message: dict[str, Any], name: str) -> str:
    value = message.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= ID_CHARS_MAX:
        raise _Refuse(Code.MALFORMED, f"{name!r} must be a text of 1 to {ID_CHARS_MAX} characters")
    return value


def _count(message: dict[str, Any], name: str) -> int:
    value = message.get(name)
    if type(value) is not int or not 0 <= value < 2**63:
        raise _Refuse(Code.MALFORMED, f"{name!r} must be a count")
    return value
