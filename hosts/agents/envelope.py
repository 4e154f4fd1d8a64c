"""What travels between hosts for agents: lists of plain values, a batch of them in one message.

The law of this file: pure. What comes from a peer is looked at here before anything is done with
it; what does not fit is a `ValueError`. A user's values are bytes inside (encoded once by who sends
them, read once by who uses them).

    ASK, TELL  [kind, id, target, epoch, method, body, sender name, sender epoch, chain, left_ms,
                options or None]
    REPLY      [kind, id, body, degraded]            ERROR     [kind, id, what went wrong]
    MOVED      [kind, id, host, epoch]               RETURNED  [kind, host, epoch, envelope]
    FLUSH      [kind, token, target, origin, hops, epoch]
    OPEN       [kind, target, origin, hops, epoch, upto]
    FLUSHED    [kind, token, hops, last]             AT        [kind, id, host]
    FORWARD    [kind, origin, hops, envelope]
"""

from __future__ import annotations

from typing import Any, Final, cast

from quorate.core import codec, errors
from quorate.core.errors import AgentError, Moved, QuorateError, Unavailable, UsageError

TYPE: Final = "agents"
"""The type of the message that carries a batch, under `b`."""

ASK: Final = 0
TELL: Final = 1
REPLY: Final = 2
ERROR: Final = 3
MOVED: Final = 4
RETURNED: Final = 5
FLUSH: Final = 6
FLUSHED: Final = 7
FORWARD: Final = 8
AT: Final = 9
OPEN: Final = 10

RUN_SHIFT: Final = 32
"""A message's number: above these bits which life of the host's process sent it, below them the
order in which it did."""
SENDER_IS_OVER: Final = -1
"""In place of the epoch of RETURNED: the sender's activation is over, as far as is known there."""

BODY_BYTES_MAX: Final = 4 * 1024 * 1024
"""The arguments of a message, or an answer."""
CHAIN_NAMES_MAX: Final = 64
HOPS_MAX: Final = 8
BATCH_ENVELOPES_MAX: Final = 512
BATCH_BYTES_MAX: Final = 512 * 1024
TEXT_CHARS_MAX: Final = 2000
TRACEBACK_CHARS_MAX: Final = 20_000

Envelope = list[Any]

_PLAIN: Final = frozenset((int, str, bytes, float, bool, type(None)))
_SHAPES: Final[dict[int, tuple[type | tuple[type, ...], ...]]] = {
    ASK: (int, int, str, int, str, bytes, str, int, list, int, (dict, type(None))),
    REPLY: (int, int, bytes, bool),
    ERROR: (int, int, list),
    MOVED: (int, int, str, int),
    RETURNED: (int, str, int, list),
    FLUSH: (int, int, str, str, int, int),
    FLUSHED: (int, int, int, bool),
    OPEN: (int, str, str, int, int, int),
    FORWARD: (int, str, int, list),
    AT: (int, int, str),
}
_SHAPES[TELL] = _SHAPES[ASK]


def check(envelope: object) -> Envelope:
    """The envelope itself if it has the shape of its kind. Raises `ValueError`."""
    if type(envelope) is not list or not envelope:
        raise ValueError("an envelope that is no list")
    parts = cast("list[Any]", envelope)
    shape = _SHAPES.get(parts[0]) if type(parts[0]) is int else None
    if shape is None or len(parts) != len(shape):
        raise ValueError("an envelope of an unknown kind or length")
    for part, wanted in zip(parts, shape, strict=True):
        if not isinstance(part, wanted):
            raise ValueError("an envelope with a part of the wrong type")
    if parts[0] in (ASK, TELL) and (
        len(parts[8]) > CHAIN_NAMES_MAX or not all(type(name) is str for name in parts[8])
    ):
        raise ValueError("an envelope with a malformed chain")
    return parts


# --- values ---------------------------------------------------------------------------------------


def encode_call(args: tuple[Any, ...], kwargs: dict[str, Any], what: str) -> bytes:
    """The arguments as bytes. Raises `UsageError`, which names the one that cannot be encoded."""
    try:
        body = codec.encode_value([list(args), kwargs] if kwargs else [list(args)])
    except UsageError as error:
        raise UsageError(f"{what}: the arguments cannot be encoded: {error}") from error
    if len(body) > BODY_BYTES_MAX:
        raise errors.LimitExceeded(
            f"{what}: the arguments have {len(body)} bytes, {BODY_BYTES_MAX} at most"
        )
    return body


def decode_call(body: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """(args, kwargs). Raises `UsageError` for bytes that are none."""
    value: Any = codec.decode_value(body)
    if type(value) is not list or not 0 < len(cast("list[Any]", value)) < 3:
        raise UsageError("malformed arguments")
    parts = cast("list[Any]", value)
    kwargs = cast("dict[str, Any]", parts[1]) if len(parts) == 2 else {}
    if type(parts[0]) is not list or type(kwargs) is not dict:
        raise UsageError("malformed arguments")
    return tuple(cast("list[Any]", parts[0])), kwargs


def isolated_call(
    args: tuple[Any, ...], kwargs: dict[str, Any], what: str
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments as they would come out on another host: nothing mutable is shared."""
    if not kwargs:
        for one in args:
            if type(one) not in _PLAIN:
                break
        else:
            return args, kwargs
    return decode_call(encode_call(args, kwargs, what))


def encode_answer(value: object, what: str) -> bytes:
    """Raises `UsageError` for an answer that cannot be encoded."""
    try:
        body = codec.encode_value(value)
    except UsageError as error:
        raise UsageError(f"{what}: the answer cannot be encoded: {error}") from error
    if len(body) > BODY_BYTES_MAX:
        raise errors.LimitExceeded(
            f"{what}: the answer has {len(body)} bytes, {BODY_BYTES_MAX} at most"
        )
    return body


def isolated_answer(value: object, what: str) -> Any:
    """The answer as it would come out on another host."""
    if type(value) in _PLAIN:
        return value
    return codec.decode_value(encode_answer(value, what))


# --- errors ---------------------------------------------------------------------------------------

_KNOWN: Final[dict[str, type[QuorateError]]] = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, QuorateError)
}


def error_parts(error: BaseException) -> list[Any]:
    """An error as it travels: [class, text, outcome, more]."""
    if isinstance(error, AgentError):
        more: dict[str, Any] = {
            "type": error.type,
            "text": error.text[:TEXT_CHARS_MAX],
            "traceback": error.traceback[-TRACEBACK_CHARS_MAX:],
        }
        return ["AgentError", error.text[:TEXT_CHARS_MAX], error.outcome, more]
    if isinstance(error, QuorateError):
        name = next(c.__name__ for c in type(error).__mro__ if c.__name__ in _KNOWN)
        more = {"host": error.host, "epoch": error.epoch} if isinstance(error, Moved) else {}
        return [name, str(error)[:TEXT_CHARS_MAX], error.outcome, more]
    return ["OutcomeUnknown", f"{type(error).__name__}: {error}"[:TEXT_CHARS_MAX], "unknown", {}]


def error_of(parts: list[Any]) -> QuorateError:
    """The error that another host told of."""
    if len(parts) != 4 or type(parts[0]) is not str or type(parts[1]) is not str:
        return errors.OutcomeUnknown("the other host told of an error that cannot be read")
    name, text, outcome, more = parts
    known = _KNOWN.get(name)
    details = cast("dict[str, Any]", more) if isinstance(more, dict) else {}
    if known is AgentError:
        return AgentError(
            text, type=str(details.get("type", "")), traceback=str(details.get("traceback", ""))
        )
    if known is Moved:
        host, epoch = details.get("host", ""), details.get("epoch", 0)
        return Moved(text, host=str(host), epoch=epoch if type(epoch) is int else 0)
    if known is None:
        known = errors.OutcomeUnknown if outcome == "unknown" else errors.NotCommitted
    error = known(text)
    if isinstance(error, Unavailable) and outcome in ("not_applied", "unknown", "applied"):
        error.outcome = outcome
    return error
